//! `binfmtd doctor --fix`: carries out the doctor's repairs.

use std::io::{self, Write};

use super::super::context::{self, Context};
use super::super::exit::Exit;
use crate::buildx::bootstrap::{self, BootstrapRequest};
use crate::buildx::docker::Docker;
use crate::config::Settings;
use crate::daemon::State;
use crate::doctor::repair::{self, Repair};
use crate::doctor::{self, Facts};
use crate::failure::Failure;
use crate::observation::Observation;
use crate::observe;
use crate::plan::{Plan, Request};
use crate::reconcile::{self, Holder, Planning, Reconciler};
use crate::report::{FixDocument, text};
use crate::system::binfmt_misc::instance::MOUNT_POINT;
use crate::system::process::batch::Limits;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Repair what is wrong as `binfmtd register` would, announcing each step, and check again
    #[arg(long)]
    pub(super) fix: bool,
    /// With --fix: only print what would be done
    #[arg(long, requires = "fix")]
    dry_run: bool,
}

impl Arguments {
    /// Does what `binfmtd buildx bootstrap` would for a builder that fails a check; `None` if none does.
    pub(super) fn repair_builder(
        &self,
        context: &Context,
        docker: &Docker,
        facts: &Facts<'_>,
        aloud: bool,
    ) -> Result<Option<FixDocument>, Failure> {
        let Some(name) = repair::builder_to_repair(facts, &doctor::diagnose(facts)) else {
            return Ok(None);
        };
        let mut step = FixDocument::of_host(format!("binfmtd buildx bootstrap {name}"));
        if aloud {
            context::print(|out| text::steps(out, std::slice::from_ref(&step)))?;
        }
        if self.dry_run {
            return Ok(Some(step));
        }
        let settings = facts.host.settings;
        let request = BootstrapRequest::repair(name, settings, doctor::platforms(&facts.host));
        let observe = context.observing(false, Limits::default());
        let mut progress = context.progress();
        let done = request.and_then(|request| {
            bootstrap::bootstrap(docker, settings, observe, &request, &mut progress)
        });
        step.error = done.map_or_else(|failure| Some(failure.message), |done| done.problem());
        step.done = step.error.is_none();
        Ok(Some(step))
    }
}

/// How the host is repaired.
pub(super) struct Repairing<'a, 'b> {
    pub(super) context: &'b Context,
    pub(super) settings: &'a Settings,
    pub(super) request: &'b Request,
    pub(super) limits: Limits,
    /// Whether each step is printed as it is taken.
    pub(super) aloud: bool,
}

/// The host after a repair.
pub(super) struct Repaired<'a> {
    pub(super) facts: Facts<'a>,
    /// Each step; `None` if none was asked for.
    pub(super) fixes: Option<Vec<FixDocument>>,
    /// How the command ends if nothing could be done.
    pub(super) stopped: Option<Exit>,
}

impl<'a> Repaired<'a> {
    /// The host as it is.
    pub(super) fn none(facts: Facts<'a>) -> Self {
        Self { facts, fixes: None, stopped: None }
    }
}

impl<'a> Repairing<'a, '_> {
    /// Looks, does what is to be done, and looks again.
    pub(super) fn run(
        &self,
        arguments: &Arguments,
        look: &mut dyn FnMut() -> Result<Facts<'a>, Failure>,
    ) -> Result<Repaired<'a>, Failure> {
        let before = look()?;
        let findings = doctor::diagnose(&before);
        let repair = Repair::new(&before, &findings);
        let mut fixes = Vec::new();
        if repair.mount {
            fixes.push(FixDocument::of_host(format!("mount binfmt_misc on {MOUNT_POINT}")));
        }
        if repair.has_instance(&before.host) {
            let seen = self.observe(&repair)?;
            fixes.extend(planned(&repair.plan(self.settings, self.request, &seen)?));
        }
        let is_idle = fixes.iter().all(|fix| fix.error.is_some());
        if arguments.dry_run || is_idle {
            self.tell(|out| text::steps(out, &fixes))?;
            let unexplained = fixes.is_empty() && repair::is_failing(&findings);
            // The service or somebody else may have repaired it meanwhile.
            let now = if unexplained { look()? } else { before };
            if unexplained && repair::is_failing(&doctor::diagnose(&now)) {
                self.tell(text::nothing_to_fix)?;
            }
            return Ok(Repaired { facts: now, fixes: Some(fixes), stopped: None });
        }
        if let Some(service) = &before.host.service {
            warn_of(service);
        }
        let (mount, plan) = fixes.split_at(usize::from(repair.mount));
        self.tell(|out| text::steps(out, mount))?;
        let mounted = match reconcile::writable_instance(Holder::Nobody).map_err(Failure::from) {
            Ok(mounted) => mounted,
            Err(Failure { kind, message, .. }) => {
                self.tell(|out| text::steps(out, plan))?;
                tracing::error!("nothing was done: {message}");
                for fix in fixes.iter_mut().filter(|fix| fix.error.is_none()) {
                    fix.error = Some(message.clone());
                }
                let stopped = Some(kind.into());
                return Ok(Repaired { facts: before, fixes: Some(fixes), stopped });
            }
        };
        fixes.truncate(usize::from(repair.mount));
        for fix in &mut fixes {
            fix.done = true;
        }
        let request = repair.observed(self.settings, self.request);
        let reconciler = Reconciler {
            planning: Planning::Custom(&|seen| {
                let plan = repair.plan(self.settings, self.request, seen)?;
                self.tell(|out| text::steps(out, &planned(&plan)))?;
                Ok(plan)
            }),
            limits: self.limits,
            ..Reconciler::command(&mounted.instance, &self.context.runtime, self.settings, &request)
        };
        let outcomes = reconciler.run(&mut self.context.progress())?.outcomes;
        fixes.extend(outcomes.iter().filter_map(FixDocument::carried_out));
        self.tell(|out| text::fixes(out, &fixes))?;
        Ok(Repaired { facts: look()?, fixes: Some(fixes), stopped: None })
    }

    fn observe(&self, repair: &Repair) -> Result<Observation, Failure> {
        let request = repair.observed(self.settings, self.request);
        match reconcile::find_instance() {
            Ok(instance) => {
                let options = self.context.observing(true, self.limits);
                observe::observe(&instance, self.settings, &request, options)
            }
            Err(_) => observe::observe_without_instance(self.settings, &request),
        }
    }

    fn tell(&self, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        if self.aloud { context::print(text) } else { Ok(()) }
    }
}

fn planned(plan: &Plan) -> Vec<FixDocument> {
    plan.items.iter().filter_map(FixDocument::planned).collect()
}

/// The service repairs rules as well, and knows more about why it did not.
fn warn_of(service: &State) {
    let trouble = service.trouble.as_ref().map(|why| format!("; it could not check: {why}"));
    let paused = service.paused_until.is_some().then(|| {
        "; it has paused, because somebody keeps reverting its changes: find out who (binfmtd status)"
            .to_owned()
    });
    tracing::warn!(
        "the service (process {}) runs and repairs rules by itself; it reports: {}{}{}",
        service.pid,
        service.summary(),
        paused.unwrap_or_default(),
        trouble.unwrap_or_default()
    );
}
