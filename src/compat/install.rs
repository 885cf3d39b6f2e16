//! `--install`.

use std::ffi::OsString;

use super::arguments;
use super::binfmt::Binfmt;
use super::output::{Worst, report, say};
use crate::apply::Outcome;
use crate::daemon::State;
use crate::failure::{Failure, FailureKind};
use crate::observation::{InterpreterFault, Observation, Serving};
use crate::observe;
use crate::plan::{self, Action, Decision, Refusal, Request};
use crate::reconcile::{self, Change, Planning, Reconciler, Unmounted};
use crate::target::Target;
use crate::verify::Proof;

impl Binfmt {
    /// Registers the targets of a list; a target that fails does not stop the others.
    pub(super) fn install(&self, words: &str) -> Result<Worst, Failure> {
        reconcile::check_lifetime(self.lifetime).map_err(would_vanish)?;
        let writable = reconcile::check_writable(&self.instance, Change::Register);
        writable.map_err(Failure::not_permitted)?;
        let (targets, mut worst) = self.wanted(words)?;
        if targets.is_empty() {
            return Ok(worst);
        }
        if let Some(state) = State::load(&self.runtime) {
            say(&format!(
                "note: the service runs (process {}), and removes the rules that its configuration does not ask for",
                state.pid
            ));
        }
        let only = targets.iter().map(|target| target.name.clone()).collect();
        let request = Request { only: Some(only), takeover: false };
        let (outcomes, others) = self.carry_out(&request)?;
        for outcome in outcomes.iter().filter(|outcome| outcome.item.target.is_none()) {
            if let Some(why) = self.failure(outcome) {
                worst = worst.max(Some(report(&Failure::unavailable(why))));
            }
        }
        for target in targets {
            let of_target = || {
                let name = Some(&target.name);
                outcomes.iter().filter(move |outcome| outcome.item.target.as_ref() == name)
            };
            let why = of_target().find_map(|outcome| self.failure(outcome));
            let answer = why.as_deref().unwrap_or("OK");
            say(&format!("installing: {} {answer}", architecture(target)));
            let well = of_target().filter(|_| why.is_none());
            for note in well.filter_map(|outcome| note(target, outcome, &others)) {
                say(&format!("note: {note}"));
            }
            worst = worst.max(why.map(|_| FailureKind::Failed));
        }
        Ok(worst)
    }

    /// The targets that a list names, each once; unknown names are reported and left out.
    fn wanted(&self, words: &str) -> Result<(Vec<&Target>, Worst), Failure> {
        let mut worst = None;
        let is_all = |word: &&str| *word == "all";
        let mut targets: Vec<&Target> =
            if arguments::list(words).any(|word| is_all(&word)) { self.all()? } else { Vec::new() };
        for word in arguments::list(words).filter(|word| !is_all(word)) {
            match self.settings.table.find(word) {
                Ok(target) if targets.iter().any(|known| known.name == target.name) => {}
                Ok(target) => targets.push(target),
                Err(error) => {
                    say(&format!("installing: {word} {error}"));
                    worst = Some(FailureKind::Usage);
                }
            }
        }
        Ok((targets, worst))
    }

    /// Every target that has an emulator, except those that this machine runs natively.
    fn all(&self) -> Result<Vec<&Target>, Failure> {
        let request = Request::default();
        let seen = observe::observe_without_instance(&self.settings, &request)?;
        let is_there = |target: &&Target| {
            seen.interpreters.get(&target.name).is_some_and(|found| {
                let there = |(_, fault): &(_, _)| *fault != InterpreterFault::Missing;
                found.usable.is_some() || found.faulty.iter().any(there)
            })
        };
        let targets: Vec<&Target> = self.settings.table.targets().iter().filter(is_there).collect();
        if targets.is_empty() {
            return Err(Failure::unavailable(format!(
                "no QEMU interpreter in {} (set QEMU_BINARY_PATH and QEMU_BINARY_PREFIX to where they are)",
                self.image.folder().display()
            )));
        }
        Ok(targets)
    }

    /// Registers as `binfmtd register` does. Returns the outcomes, and the names of the rules that are not of this
    /// image.
    fn carry_out(&self, request: &Request) -> Result<(Vec<Outcome>, Vec<OsString>), Failure> {
        let reconciler = Reconciler {
            planning: Planning::Custom(&|seen| {
                if self.in_container {
                    let others = self.others(seen);
                    judge_by_owner(seen, &others);
                }
                Ok(plan::plan(&self.settings, request, seen)?)
            }),
            ..Reconciler::command(&self.instance, &self.runtime, &self.settings, request)
        };
        let done = reconciler.run(&mut |_, _, _| {})?;
        Ok((done.outcomes, self.others(&done.seen)))
    }

    fn others(&self, seen: &Observation) -> Vec<OsString> {
        let entries = seen.instance.entries.iter();
        let theirs = entries.filter(|entry| self.image.check(entry, &seen.record).is_err());
        theirs.map(|entry| entry.name.clone()).collect()
    }

    /// Why a line of the plan is not as it was asked for. In a container, a rule of somebody else's that runs another
    /// file than its path names in this root is well: see [`judge_by_owner`].
    fn failure(&self, outcome: &Outcome) -> Option<String> {
        let is_stale = |proof: &Proof| matches!(proof.serving(), Serving::Stale(_));
        match (&outcome.error, &outcome.item.decision) {
            (Some(_), Decision::Served { .. })
                if self.in_container && outcome.proof.as_ref().is_some_and(is_stale) =>
            {
                None
            }
            (Some(error), _) => Some(error.to_string()),
            // No configuration is read here, so it is not what says where interpreters are.
            (None, Decision::Refused(refusal @ Refusal::NoInterpreter { .. })) => {
                let fix = "QEMU_BINARY_PATH and QEMU_BINARY_PREFIX say where it is";
                Some(format!("{} ({fix})", refusal.why()))
            }
            (None, Decision::Refused(refusal)) => Some(refusal.to_string()),
            (None, _) => None,
        }
    }
}

/// In a container it is enough that somebody else's rule works: its path means another file in the host's root
/// filesystem. But a rule of this image that runs a file from elsewhere is left over from an older image.
fn judge_by_owner(seen: &mut Observation, others: &[OsString]) {
    for (name, serving) in &mut seen.serving {
        match serving {
            Serving::Stale(_) if others.contains(name) => *serving = Serving::Works,
            Serving::Elsewhere if !others.contains(name) => {
                *serving =
                    Serving::Stale("it runs the interpreter of another container".to_owned());
            }
            _ => {}
        }
    }
}

/// A note about a target that works; `others` are the rules that are not of this image.
fn note(target: &Target, outcome: &Outcome, others: &[OsString]) -> Option<String> {
    let target = architecture(target);
    match &outcome.item.decision {
        Decision::Native => Some(format!("{target} is native: this machine needs no rule for it")),
        Decision::Served { by } if others.contains(by) => {
            let by = by.display();
            Some(format!("{target} is served by {by}, which is not of this image and works"))
        }
        Decision::Change(Action::Replace { rule, why, .. }) => {
            Some(format!("{} was replaced without a gap: {why}", rule.name()))
        }
        _ => None,
    }
}

/// tonistiigi/binfmt's name for it (`arm64`), or QEMU's if there is no platform for it.
fn architecture(target: &Target) -> &str {
    let platform = target.platforms.first().and_then(|platform| platform.split('/').nth(1));
    platform.unwrap_or(&target.name)
}

fn would_vanish(unmounted: Unmounted) -> Failure {
    let more = match unmounted {
        Unmounted::Host => "let this container do that (docker run --privileged --pid=host), ",
        Unmounted::UserNamespace => "",
    };
    Failure::unavailable(format!(
        "{unmounted}, so rules registered in this container would vanish when it ends; mount it on the host first \
         (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc), {more}or have a container that stays hold \
         the rules: docker run --privileged --detach --entrypoint binfmtd IMAGE daemon"
    ))
}
