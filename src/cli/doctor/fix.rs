//! `binfmtd doctor --fix`: what `register` would do, for what is wrong.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::super::buildx::bootstrap;
use super::super::context::{self, Context};
use super::super::{Exit, Failure};
use crate::buildx::docker::Docker;
use crate::config::{Settings, Targets};
use crate::daemon::State;
use crate::doctor::{self, Examination, Finding, Status, verdict};
use crate::observation::{Observation, unfinished_name};
use crate::observe;
use crate::plan::{self, Action, Decision, Item, Plan, Request};
use crate::reconcile::{self, Holder, Planning, Reconciler};
use crate::report::{FixDocument, text};
use crate::system::binfmt_misc::instance::{InstanceError, MOUNT_POINT};
use crate::system::process::batch::Limits;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Put right what is wrong, as `binfmtd register` would, say each step first, and look again
    #[arg(long)]
    pub(super) fix: bool,
    /// With --fix: only say what would be done
    #[arg(long, requires = "fix")]
    dry_run: bool,
}

impl Arguments {
    /// Does what `binfmtd buildx bootstrap` would for a builder that does not build as it should; `None` where
    /// there is nothing to do.
    pub(super) fn mend(
        &self,
        context: &Context,
        docker: &Docker,
        name: &str,
        treatment: &Treatment<'_>,
        aloud: bool,
    ) -> Result<Option<FixDocument>, Failure> {
        let examination = &treatment.examination;
        let is_wrong = |finding: &Finding| {
            finding.id.starts_with("builder.") && finding.status == Status::Fail
        };
        let is_known = examination.builder.as_ref().is_some_and(|asked| asked.outcome.is_ok());
        if !is_known || !doctor::diagnose(examination).iter().any(is_wrong) {
            return Ok(None);
        }
        let mut step = FixDocument::of_host(format!("binfmtd buildx bootstrap {name}"));
        let tell = |step: &FixDocument| {
            let steps = std::slice::from_ref(step);
            if aloud { context::print(|out| text::steps(out, steps)) } else { Ok(()) }
        };
        tell(&step)?;
        if self.dry_run {
            return Ok(Some(step));
        }
        let platforms = examination.platforms();
        match bootstrap::mend(context, examination.settings, docker, name, platforms) {
            Ok(document) => {
                step.done = document.ok;
                let findings = document.platforms.iter().filter_map(|one| one.finding.clone());
                let told = document.errors.iter().cloned().chain(findings).next();
                step.error = told.filter(|_| !document.ok);
            }
            Err(failure) => step.error = Some(failure.message),
        }
        Ok(Some(step))
    }
}

/// What is to be put right, and how to go about it.
pub(super) struct Case<'a, 'b> {
    pub(super) context: &'b Context,
    pub(super) settings: &'a Settings,
    pub(super) request: &'b Request,
    pub(super) limits: Limits,
    /// Whether somebody reads along.
    pub(super) aloud: bool,
}

/// What came of it.
pub(super) struct Treatment<'a> {
    /// The last that was seen of the host.
    pub(super) examination: Examination<'a>,
    /// Each step, where any was asked for.
    pub(super) fixes: Option<Vec<FixDocument>>,
    /// How it ended where nothing was done and something was to be.
    pub(super) stopped: Option<Exit>,
}

impl<'a> Treatment<'a> {
    /// For who only wants to know.
    pub(super) fn none(examination: Examination<'a>) -> Self {
        Self { examination, fixes: None, stopped: None }
    }
}

impl<'a> Case<'a, '_> {
    /// Looks, does what is to be done, and looks again.
    pub(super) fn treat(
        &self,
        arguments: &Arguments,
        look: &mut dyn FnMut() -> Result<Examination<'a>, Failure>,
    ) -> Result<Treatment<'a>, Failure> {
        let before = look()?;
        let findings = doctor::diagnose(&before);
        let wrong = wrong(&before, &findings);
        let around = self.around(&wrong);
        let wrong = Request { only: Some(wrong), takeover: false };
        let mount = is_to_be_mounted(&before, &findings, &wrong);
        let mut fixes = Vec::new();
        if mount {
            fixes.push(FixDocument::of_host(format!("mount binfmt_misc on {MOUNT_POINT}")));
        }
        if before.trouble.is_none() || mount {
            let options = self.context.observing(true, self.limits);
            let seen = match reconcile::find_instance() {
                Ok(instance) => observe::observe(&instance, self.settings, &around, options)?,
                Err(_) => observe::observe_without_instance(self.settings, &around)?,
            };
            fixes.extend(planned(&self.plan(&wrong, &seen)?));
        }
        let is_idle = fixes.iter().all(|fix| fix.error.is_some());
        if arguments.dry_run || is_idle {
            self.tell(|out| text::steps(out, &fixes))?;
            let is_wrong = |finding: &Finding| finding.status == Status::Fail;
            let unexplained = fixes.is_empty() && findings.iter().any(is_wrong);
            // The service, or somebody, may have been quicker.
            let now = if unexplained { look()? } else { before };
            if unexplained && doctor::diagnose(&now).iter().any(is_wrong) {
                self.tell(text::nothing_to_fix)?;
            }
            return Ok(Treatment { examination: now, fixes: Some(fixes), stopped: None });
        }
        if let Some(service) = &before.service {
            tell_of(service);
        }
        if mount {
            self.tell(|out| text::steps(out, &fixes[..1]))?;
        }
        let mounted = match reconcile::writable_instance(Holder::Nobody).map_err(Failure::from) {
            Ok(mounted) => mounted,
            Err(Failure { kind, message, .. }) => {
                self.tell(|out| text::steps(out, &fixes[usize::from(mount)..]))?;
                tracing::error!("nothing was done: {message}");
                for fix in fixes.iter_mut().filter(|fix| fix.error.is_none()) {
                    fix.error = Some(message.clone());
                }
                let stopped = Some(kind.into());
                return Ok(Treatment { examination: before, fixes: Some(fixes), stopped });
            }
        };
        fixes.truncate(usize::from(mount));
        for fix in &mut fixes {
            fix.done = true;
        }
        let reconciler = Reconciler {
            planning: Planning::Custom(&|seen| {
                let plan = self.plan(&wrong, seen)?;
                self.tell(|out| text::steps(out, &planned(&plan)))?;
                Ok(plan)
            }),
            limits: self.limits,
            ..Reconciler::command(&mounted.instance, &self.context.runtime, self.settings, &around)
        };
        let outcomes = reconciler.run(&mut self.context.progress())?.outcomes;
        fixes.extend(outcomes.iter().filter_map(FixDocument::carried_out));
        self.tell(|out| text::fixes(out, &fixes))?;
        Ok(Treatment { examination: look()?, fixes: Some(fixes), stopped: None })
    }

    /// What `register` would do for these targets; and, where everything is asked about, for the rules of
    /// the configuration.
    fn plan(&self, wrong: &Request, seen: &Observation) -> Result<Plan, Failure> {
        let mut plan = plan::plan(self.settings, wrong, seen)?;
        if self.request.only.is_none() {
            let whole = plan::plan(self.settings, self.request, seen)?;
            plan.items.extend(whole.items.into_iter().filter(is_of_no_target));
        }
        Ok(plan)
    }

    /// What is to be looked at: all that is asked about, and what is wrong besides.
    fn around(&self, wrong: &[String]) -> Request {
        let names = match (&self.request.only, &self.settings.targets) {
            (Some(names), _) | (None, Targets::List(names)) => names,
            (None, Targets::Auto) => return self.request.clone(),
        };
        let more = wrong.iter().filter(|name| !names.contains(name));
        Request { only: Some(names.iter().chain(more).cloned().collect()), takeover: false }
    }

    fn tell(&self, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        if self.aloud { context::print(text) } else { Ok(()) }
    }
}

fn planned(plan: &Plan) -> Vec<FixDocument> {
    plan.items.iter().filter_map(FixDocument::planned).collect()
}

/// The foreign targets that something is said of. What is only a warning may be nothing to change: the plan
/// decides.
fn wrong(examination: &Examination<'_>, findings: &[Finding]) -> Vec<String> {
    let said: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| matches!(finding.status, Status::Fail | Status::Warn))
        .filter_map(|finding| finding.target.as_deref())
        .collect();
    let mut names: Vec<String> = Vec::new();
    for patient in examination.foreign() {
        let name = &patient.target.name;
        let is_wrong = said.contains(name.as_str()) || verdict(examination, patient).is_failure();
        if is_wrong && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Only the host's own instance is anybody's to mount: one of a user namespace would serve nobody outside of
/// it, and hide the host's rules within.
fn is_to_be_mounted(examination: &Examination<'_>, findings: &[Finding], wrong: &Request) -> bool {
    let may_help = matches!(
        examination.trouble,
        Some(
            InstanceError::NoFolder | InstanceError::NotMounted | InstanceError::BrokenAutomount(_)
        )
    );
    let is_missed = wrong.only.as_ref().is_some_and(|names| !names.is_empty())
        || findings
            .iter()
            .any(|finding| finding.id == "kernel.mounted" && finding.status == Status::Fail);
    may_help && is_missed && examination.first_namespace
}

/// A rule of ours that nobody asks for any more does no harm, and somebody may have asked for it by name.
fn is_of_no_target(item: &Item) -> bool {
    item.target.is_none()
        && item.rule.is_some()
        && match &item.decision {
            Decision::Change(Action::Remove { name, .. }) => {
                name.to_str().is_some_and(|name| unfinished_name(name).is_some())
            }
            _ => true,
        }
}

/// The service does the same by itself, and knows more.
fn tell_of(service: &State) {
    let trouble = service.trouble.as_ref().map(|why| format!("; it could not check: {why}"));
    let paused = service.paused_until.is_some().then(|| {
        "; it has paused, because somebody keeps undoing what it does: find out who (binfmtd status), or it goes on"
            .to_owned()
    });
    tracing::warn!(
        "the service (process {}) runs and puts rules right by itself; it reports: {}{}{}",
        service.pid,
        service.summary(),
        paused.unwrap_or_default(),
        trouble.unwrap_or_default()
    );
}
