//! Carries out what a plan says, through docker, and records what becomes ours before it is created.

use std::ffi::OsString;
use std::time::Duration;

use thiserror::Error;

use super::builder::Builder;
use super::docker::{Docker, DockerCommand, DockerError, DockerOutput};
use super::driver;
use super::engine::Engine;
use super::observe::{self, Orphan, OrphanKind};
use super::options;
use super::plan::BuilderStep;
use super::record::{BuilderStore, OwnedNode};
use super::refusal::{BuilderRefusal, ChangeReason};
use super::spec::{BuilderSpec, Recreate};
use crate::failure::Failure;
use crate::system::process::batch::Ended;

/// Why a builder is not as it should be.
#[derive(Debug, Error)]
pub enum ApplyError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// buildx does not take this option of the driver; its words.
    #[error("{0}")]
    InvalidOption(String),
    #[error(
        "builder {0} has a node in this engine already; another node needs an engine of its own (--endpoint CONTEXT)"
    )]
    SameEngine(String),
    #[error(transparent)]
    Refused(#[from] BuilderRefusal),
    #[error("record of builders: {0}")]
    Record(std::io::Error),
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Docker(error) => error.into(),
            ApplyError::Refused(refusal) => refusal.into(),
            ApplyError::InvalidOption(_) | ApplyError::SameEngine(_) => Self::usage(error),
            ApplyError::Record(error) => {
                Self::of_io(&error, format!("record of builders: {error}"))
            }
        }
    }
}

/// How often a boot is tried: it fails while somebody else removes the container.
const BOOTS: u32 = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(300);

/// Carries out steps in the engine of the current context.
pub struct Executor<'a> {
    docker: &'a Docker,
    engine: &'a Engine,
    /// What is ours; locked.
    pub store: &'a mut BuilderStore,
    was_current: bool,
}

impl<'a> Executor<'a> {
    pub fn new(docker: &'a Docker, engine: &'a Engine, store: &'a mut BuilderStore) -> Self {
        Self { docker, engine, store, was_current: false }
    }

    pub fn carry_out(&mut self, step: &BuilderStep, spec: &BuilderSpec) -> Result<(), ApplyError> {
        match step {
            BuilderStep::Create | BuilderStep::Append => {
                self.create(spec, *step == BuilderStep::Append)
            }
            BuilderStep::Boot => boot(self.docker, &spec.name).map_err(ApplyError::Docker),
            BuilderStep::Restart { container, endpoint, is_running, why } => {
                if *is_running && spec.recreate != Recreate::Always {
                    let processes = observe::processes(self.docker, container, endpoint)?;
                    if processes > 0 {
                        let (container, why) = (container.clone(), why.clone());
                        return Err(BuilderRefusal::Busy { container, processes, why }.into());
                    }
                }
                // buildkitd ends on the first signal; the engine kills it after these seconds.
                let restart = DockerCommand::new(["restart", "--time", "10", container]);
                self.run(&restart.at(Some(endpoint)))
            }
            BuilderStep::Remove { .. } => {
                // With the builder, buildx forgets that it was the current one.
                self.was_current = observe::current(self.docker)? == spec.name;
                let words = ["buildx", "rm", "--force", "--keep-state", &spec.name];
                self.run(&DockerCommand::new(words))
            }
            BuilderStep::MakeCurrent => {
                self.run(&DockerCommand::new(["buildx", "use", &spec.name]))
            }
        }
    }

    fn run(&self, command: &DockerCommand) -> Result<(), ApplyError> {
        self.docker.run(command)?.success()?;
        Ok(())
    }

    fn create(&mut self, spec: &BuilderSpec, append: bool) -> Result<(), ApplyError> {
        let node = spec.node.clone().unwrap_or_else(|| format!("{}0", spec.name));
        let owned = OwnedNode {
            engine: self.engine.id.clone(),
            node: node.clone(),
            builder: spec.name.clone(),
        };
        let is_new = self.store.add(owned).map_err(ApplyError::Record)?;
        let command = create_command(spec, &node, append, std::mem::take(&mut self.was_current));
        let output = self.docker.run(&command)?;
        // buildx may have created the node if the command did not end by itself.
        if is_new && matches!(output.ended, Ended::Exited(code) if code != 0) {
            self.store.forget(&self.engine.id, &node).map_err(ApplyError::Record)?;
        }
        let says = |words: &str| output.errors.contains(words);
        if says("existing instance for") {
            // Somebody else was faster: the builder is there, and is looked at next.
            return Ok(());
        }
        if says("duplicate endpoint") {
            return Err(ApplyError::SameEngine(spec.name.clone()));
        }
        match output.success() {
            Err(DockerError::Failed { said, .. }) if said.contains("invalid driver option") => {
                Err(ApplyError::InvalidOption(said))
            }
            result => Ok(result.map(|_| ())?),
        }
    }

    /// Removes a builder of ours, with its containers and, unless `keep_state`, their volumes.
    pub fn remove(&mut self, builder: &Builder, keep_state: bool) -> Result<(), ApplyError> {
        if !builder.is_ours() {
            let (name, why) = (builder.name.clone(), ChangeReason::Removal);
            return Err(BuilderRefusal::NotOurs { name, why }.into());
        }
        let mut words = vec!["buildx", "rm", "--force"];
        if keep_state {
            words.push("--keep-state");
        }
        words.push(&builder.name);
        self.run(&DockerCommand::new(words))?;
        if keep_state {
            return Ok(());
        }
        for node in &builder.nodes {
            // buildx leaves the volume of a node whose container is gone.
            if let Some(names) = builder.driver().containers() {
                let volume = names.volume(&node.name);
                let command = DockerCommand::new(["volume", "rm", "--force", &volume]);
                self.run(&command.at(Some(&node.endpoint)))?;
            }
            self.store.forget(&self.engine.id, &node.name).map_err(ApplyError::Record)?;
        }
        Ok(())
    }

    /// Removes what is left of a builder of ours.
    pub fn remove_orphan(&mut self, orphan: &Orphan) -> Result<(), ApplyError> {
        debug_assert!(orphan.ours, "only our own");
        match orphan.kind {
            OrphanKind::Container(_) => {
                self.run(&DockerCommand::new(["container", "rm", "--force", &orphan.name]))
            }
            OrphanKind::Volume => {
                self.run(&DockerCommand::new(["volume", "rm", &orphan.name]))?;
                self.store.forget(&self.engine.id, &orphan.node).map_err(ApplyError::Record)
            }
        }
    }
}

/// `docker buildx create` for one node.
pub(super) fn create_command(
    spec: &BuilderSpec,
    node: &str,
    append: bool,
    make_current: bool,
) -> DockerCommand {
    let mut words: Vec<OsString> = ["buildx", "create", "--name", &spec.name]
        .into_iter()
        .chain(["--driver", driver::MANAGED.name(), "--node", node])
        .map(OsString::from)
        .collect();
    if append {
        words.push("--append".into());
    }
    for (name, value) in spec.all_options() {
        words.extend(["--driver-opt".into(), options::quote(&format!("{name}={value}")).into()]);
    }
    if let Some(flags) = &spec.flags {
        words.extend(["--buildkitd-flags".into(), flags.into()]);
    }
    if let Some(config) = &spec.config {
        words.extend(["--buildkitd-config".into(), config.path.clone().into()]);
    }
    if make_current {
        words.push("--use".into());
    }
    words.extend(spec.endpoint.clone().map(OsString::from));
    DockerCommand::new(words)
}

/// Starts what does not run of a builder, and waits until it answers.
pub fn boot(docker: &Docker, name: &str) -> Result<(), DockerError> {
    let command = DockerCommand::new(["buildx", "inspect", "--bootstrap", name]);
    let mut tries = 0;
    loop {
        tries += 1;
        let output = docker.run(&command)?;
        match output.success() {
            Ok(_) => return Ok(()),
            Err(DockerError::Failed { .. }) if is_about_image(&output) => {
                return Err(DockerError::Image(image_words(&output)));
            }
            Err(DockerError::Failed { said, .. })
                if tries < BOOTS
                    && (said.contains("No such container") || said.contains("is not running")) =>
            {
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether a boot failed before there was a container to start: its image is missing.
fn is_about_image(output: &DockerOutput) -> bool {
    let said = output.errors.to_lowercase();
    let pulls = said.contains("pulling image") || said.contains("pull access denied");
    pulls && !said.contains("creating container") && !said.contains("starting container")
}

fn image_words(output: &DockerOutput) -> String {
    let mut lines = output.errors.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.rfind(|line| !line.starts_with('#') && !line.starts_with('-'));
    line.unwrap_or("docker did not say why").trim_start_matches("ERROR: ").to_owned()
}
