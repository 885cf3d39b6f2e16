//! Carries out what a plan says, through docker, and writes down what becomes ours before it is made.

use std::ffi::OsString;
use std::time::Duration;

use thiserror::Error;

use super::builder::{Builder, STATE_SUFFIX};
use super::docker::{Docker, DockerCommand, DockerError, DockerOutput};
use super::engine::Engine;
use super::observe::{self, Orphan, OrphanKind};
use super::plan::{BuilderRefusal, BuilderSpec, BuilderStep, Recreate};
use super::record::{BuilderStore, OwnedNode};
use crate::failure::Failure;
use crate::system::process::batch::Ended;

/// Why a builder is not as it should be.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// Docker did not do it.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The builder cannot be made as it is wanted.
    #[error("{0}")]
    Wish(String),
    /// It would touch what is not ours.
    #[error(transparent)]
    Refused(#[from] BuilderRefusal),
    /// What is ours could not be written down.
    #[error("record of builders: {0}")]
    Record(std::io::Error),
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Docker(trouble) => trouble.into(),
            ApplyError::Refused(refusal) => Self::failed(refusal),
            ApplyError::Wish(why) => Self::usage(why),
            ApplyError::Record(error) => {
                Self::of_io(&error, format!("record of builders: {error}"))
            }
        }
    }
}

/// How often a boot is tried: a container that somebody else just takes away makes the first one fail.
const BOOTS: u32 = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(300);

/// What steps are carried out with.
pub struct Executor<'a> {
    /// The docker command.
    pub docker: &'a Docker,
    /// The engine of the current context.
    pub engine: &'a Engine,
    /// What is ours; locked.
    pub store: &'a mut BuilderStore,
    was_current: bool,
}

impl<'a> Executor<'a> {
    /// With nothing done yet.
    pub fn new(docker: &'a Docker, engine: &'a Engine, store: &'a mut BuilderStore) -> Self {
        Self { docker, engine, store, was_current: false }
    }

    /// Carries out one step.
    pub fn carry_out(
        &mut self,
        step: &BuilderStep,
        wish: &BuilderSpec,
        builder: Option<&Builder>,
    ) -> Result<(), ApplyError> {
        match step {
            BuilderStep::Create | BuilderStep::Append => {
                self.create(wish, *step == BuilderStep::Append)
            }
            BuilderStep::Boot => boot(self.docker, &wish.name).map_err(ApplyError::Docker),
            BuilderStep::Restart { container, endpoint, why } => {
                let node = builder.and_then(|builder| {
                    builder.nodes.iter().find(|node| node.container() == *container)
                });
                if let (Some(node), true) = (node, wish.recreate != Recreate::Always) {
                    let processes = observe::busy(self.docker, node)?;
                    if processes > 0 {
                        let (container, why) = (container.clone(), why.clone());
                        return Err(BuilderRefusal::Busy { container, processes, why }.into());
                    }
                }
                // It ends on the first signal; the engine kills it after these seconds.
                self.well(
                    &DockerCommand::new(["restart", "--time", "10", container]).at(Some(endpoint)),
                )
            }
            BuilderStep::Remove { .. } => {
                // buildx forgets with the builder that it was the current one.
                self.was_current = observe::current(self.docker)? == wish.name;
                self.well(&DockerCommand::new([
                    "buildx",
                    "rm",
                    "--force",
                    "--keep-state",
                    &wish.name,
                ]))
            }
            BuilderStep::MakeCurrent => {
                self.well(&DockerCommand::new(["buildx", "use", &wish.name]))
            }
        }
    }

    fn well(&self, command: &DockerCommand) -> Result<(), ApplyError> {
        self.docker.run(command)?.success()?;
        Ok(())
    }

    fn create(&mut self, wish: &BuilderSpec, append: bool) -> Result<(), ApplyError> {
        let node = wish.node.clone().unwrap_or_else(|| format!("{}0", wish.name));
        let made = OwnedNode {
            engine: self.engine.id.clone(),
            node: node.clone(),
            builder: wish.name.clone(),
        };
        let is_new = self.store.add(made).map_err(ApplyError::Record)?;
        let mut words: Vec<OsString> = ["buildx", "create", "--name", &wish.name]
            .into_iter()
            .chain(["--driver", super::builder::DRIVER, "--node", &node])
            .map(OsString::from)
            .collect();
        if append {
            words.push("--append".into());
        }
        for (name, value) in wish.all_options() {
            words.extend([
                "--driver-opt".into(),
                comma_separated(&format!("{name}={value}")).into(),
            ]);
        }
        if let Some(flags) = &wish.flags {
            words.extend(["--buildkitd-flags".into(), flags.into()]);
        }
        if let Some(config) = &wish.config {
            words.extend(["--buildkitd-config".into(), config.path.clone().into()]);
        }
        if std::mem::take(&mut self.was_current) {
            words.push("--use".into());
        }
        words.extend(wish.endpoint.clone().map(OsString::from));
        let answer = self.docker.run(&DockerCommand::new(words))?;
        // One that did not end may have made it.
        if is_new && matches!(answer.ended, Ended::Exited(code) if code != 0) {
            self.store.forget(&self.engine.id, &node).map_err(ApplyError::Record)?;
        }
        let said = |words: &str| answer.errors.contains(words);
        if said("existing instance for") {
            // Somebody else was quicker: the builder is there, and is looked at next.
            return Ok(());
        }
        if said("duplicate endpoint") {
            return Err(ApplyError::Wish(format!(
                "builder {} has a node in this engine already: a further one takes an engine of its own (--endpoint CONTEXT)",
                wish.name
            )));
        }
        match answer.success() {
            Err(DockerError::Failed { said, .. }) if said.contains("invalid driver option") => {
                Err(ApplyError::Wish(said))
            }
            other => Ok(other.map(|_| ())?),
        }
    }

    /// Takes a builder of ours away, with its container and, unless `keep_state`, its volume.
    pub fn remove(&mut self, builder: &Builder, keep_state: bool) -> Result<(), ApplyError> {
        if !builder.is_ours() {
            let why = "it would be taken away".to_owned();
            return Err(BuilderRefusal::NotOurs { name: builder.name.clone(), why }.into());
        }
        let mut words = vec!["buildx", "rm", "--force"];
        if keep_state {
            words.push("--keep-state");
        }
        words.push(&builder.name);
        self.well(&DockerCommand::new(words))?;
        if keep_state {
            return Ok(());
        }
        for node in &builder.nodes {
            // buildx leaves the volume of a node whose container is gone.
            let volume = format!("{}{STATE_SUFFIX}", node.container());
            let command = DockerCommand::new(["volume", "rm", "--force", &volume]);
            self.well(&command.at(Some(&node.endpoint)))?;
            self.store.forget(&self.engine.id, &node.name).map_err(ApplyError::Record)?;
        }
        Ok(())
    }

    /// Takes away what is left of builders of ours.
    pub fn remove_orphan(&mut self, orphan: &Orphan) -> Result<(), ApplyError> {
        debug_assert!(orphan.ours, "only our own");
        match orphan.kind {
            OrphanKind::Container(_) => {
                self.well(&DockerCommand::new(["container", "rm", "--force", &orphan.name]))
            }
            OrphanKind::Volume => {
                self.well(&DockerCommand::new(["volume", "rm", &orphan.name]))?;
                self.store.forget(&self.engine.id, orphan.node()).map_err(ApplyError::Record)
            }
        }
    }
}

/// Starts what does not run of a builder, and waits until it answers.
pub fn boot(docker: &Docker, name: &str) -> Result<(), DockerError> {
    let command = DockerCommand::new(["buildx", "inspect", "--bootstrap", name]);
    let mut tried = 0;
    loop {
        tried += 1;
        let answer = docker.run(&command)?;
        match answer.success() {
            Ok(_) => return Ok(()),
            Err(DockerError::Failed { .. }) if is_about_image(&answer) => {
                return Err(DockerError::Image(image_words(&answer)));
            }
            Err(DockerError::Failed { said, .. })
                if tried < BOOTS
                    && (said.contains("No such container") || said.contains("is not running")) =>
            {
                std::thread::sleep(PAUSE);
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

/// As buildx splits an option's value (RFC 4180): at commas, unless it is in quotes.
pub(super) fn comma_separated(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Whether a boot failed before there was a container to start: its image is not there.
fn is_about_image(answer: &DockerOutput) -> bool {
    let said = answer.errors.to_lowercase();
    let pulls = said.contains("pulling image") || said.contains("pull access denied");
    pulls && !said.contains("creating container") && !said.contains("starting container")
}

fn image_words(answer: &DockerOutput) -> String {
    let mut lines = answer.errors.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.rfind(|line| !line.starts_with('#') && !line.starts_with('-'));
    line.unwrap_or("docker did not say why").trim_start_matches("ERROR: ").to_owned()
}
