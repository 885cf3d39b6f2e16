//! Carries a plan out: trial, make-before-break, rollback, record of ownership.

mod replace;
mod restore;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use crate::config::{Settings, Verify};
use crate::failure::Failure;
use crate::observation::{FileId, Observation, Owned, Record, Serving, unfinished_name};
use crate::plan::{self, Action, Decision, Item, Plan};
use crate::rule::{Entry, Rule};
use crate::system::binfmt_misc::instance::{Instance, Registrar};
use crate::system::binfmt_misc::record::Store;
use crate::system::process::batch::{BatchError, Limits};
use crate::system::process::signal::Interrupt;
use crate::target::Target;
use crate::verify::{Depth, Laboratory, Proof, Subject};

pub use replace::replace;
use replace::{Pending, begin, finish};
pub use restore::restore;

/// What is said of a rule that somebody else took away: what its probe met tells nothing about it.
const UNDONE: &str = "somebody removed or disabled the rule before it was proved";

/// How to go about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When rules are proved.
    pub verify: Verify,
    /// The instance is our own and empty: a trial elsewhere would prove nothing more.
    pub private: bool,
    /// For the probes.
    pub limits: Limits,
}

/// What became of one line of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The line, with the rule as it was registered in the end.
    pub item: Item,
    /// Whether something was written to the kernel and stands.
    pub changed: bool,
    /// What went wrong.
    pub error: Option<String>,
    /// What was proved on the real instance.
    pub proof: Option<Proof>,
    /// Whether somebody removed the rule, or switched it off, between our look and our proof: then what its
    /// probe met says nothing about it.
    pub undone: bool,
}

impl Outcome {
    /// Whether what was asked for is so.
    pub fn is_well(&self) -> bool {
        self.error.is_none() && !matches!(self.item.decision, Decision::Refused(_))
    }

    /// For a line that nothing was done about yet.
    pub fn of(item: Item) -> Self {
        Self { item, changed: false, error: None, proof: None, undone: false }
    }

    fn undo(&mut self) {
        self.undone = true;
        self.error = Some(UNDONE.to_owned());
    }
}

/// Carries `plan` out, one line at a time; one that fails never stops the others.
///
/// The store is locked since before `seen` was seen, so nobody else of us changed anything meanwhile.
pub fn apply(
    plan: Plan,
    instance: &Instance,
    store: &Store,
    settings: &Settings,
    seen: &Observation,
    options: Options,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<Outcome>, Failure> {
    let mut work = Work::new(plan, instance, settings, seen, options);
    let writes =
        work.outcomes.iter().any(|outcome| matches!(outcome.item.decision, Decision::Change(_)));
    if writes {
        let mut registrar = instance.registrar().map_err(Failure::io("open register"))?;
        let proved =
            options.verify == Verify::Before && !options.private && work.trial(progress)?;
        // Before the kernel hears of it: whatever happens to us, what is ours is known to be.
        let announced = work.record(Moment::Before);
        store.save(&announced).map_err(Failure::io("record of ownership"))?;
        // From here to the end, whoever asks us to end has to wait until nothing is half done.
        let _interrupt = Interrupt::catch().map_err(BatchError::from)?;
        work.register(&mut registrar);
        if options.verify != Verify::Off
            && !proved
            && let Err(error) = work.prove_pending(&mut registrar, progress)
        {
            work.take_back_all();
            let _ = store.save(&work.record(Moment::After));
            return Err(error.into());
        }
        work.commit(&mut registrar);
        let record = work.record(Moment::After);
        if record != announced {
            store.save(&record).map_err(Failure::io("record of ownership"))?;
        }
    }
    if !writes && !seen.record.coming.is_empty() {
        store.save(&work.record(Moment::After)).map_err(Failure::io("record of ownership"))?;
    }
    if options.verify != Verify::Off {
        work.prove_rest(progress)?;
        if work.remove_what_fails() {
            store.save(&work.record(Moment::After)).map_err(Failure::io("record of ownership"))?;
        }
    }
    Ok(work.end())
}

/// Proves what stands without any change, for a plan that has none: needs no lock.
pub fn prove(
    plan: Plan,
    instance: &Instance,
    settings: &Settings,
    seen: &Observation,
    options: Options,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<Vec<Outcome>, Failure> {
    let mut work = Work::new(plan, instance, settings, seen, options);
    if options.verify != Verify::Off {
        work.prove_rest(progress)?;
    }
    Ok(work.outcomes)
}

/// When a record is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

struct Work<'a> {
    instance: &'a Instance,
    settings: &'a Settings,
    seen: &'a Observation,
    options: Options,
    outcomes: Vec<Outcome>,
    pending: BTreeMap<usize, Pending>,
}

impl<'a> Work<'a> {
    fn new(
        plan: Plan,
        instance: &'a Instance,
        settings: &'a Settings,
        seen: &'a Observation,
        options: Options,
    ) -> Self {
        let outcomes = plan.items.into_iter().map(Outcome::of).collect();
        Self { instance, settings, seen, options, outcomes, pending: BTreeMap::new() }
    }
}

impl Work<'_> {
    /// The lines that would register a rule: their places, rules and the names that go.
    fn rules(&self) -> Vec<(usize, Rule, Vec<OsString>)> {
        let outcomes =
            self.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.error.is_none());
        outcomes
            .filter_map(|(index, outcome)| match &outcome.item.decision {
                Decision::Change(Action::Add(rule)) => Some((index, rule.clone(), Vec::new())),
                Decision::Change(Action::Replace { rule, old, .. }) => {
                    Some((index, rule.clone(), old.clone()))
                }
                _ => None,
            })
            .collect()
    }

    /// What became of all lines. A rule that somebody took away is no change that stands; it stays recorded as ours, for
    /// whoever puts it back.
    fn end(mut self) -> Vec<Outcome> {
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.undone) {
            outcome.changed = false;
        }
        self.outcomes
    }

    fn subject<'b>(&'b self, item: &Item, rule: &'b Rule) -> Option<Subject<'b>> {
        let target = self.target(item)?;
        Some(Subject {
            target,
            machine: item.machine?,
            interpreter: Some(rule.interpreter().as_path()),
            credentials: rule.flags().credentials,
        })
    }

    fn target(&self, item: &Item) -> Option<&Target> {
        self.settings
            .table
            .targets()
            .iter()
            .find(|target| Some(&target.name) == item.target.as_ref())
    }

    fn may_drop_p(&self, index: usize, rule: &Rule) -> bool {
        let target = self.outcomes[index].item.target.as_ref();
        rule.flags().preserve_argv0
            && target.is_some_and(|target| plan::may_drop_p(self.settings, target))
    }

    /// Runs the probe of each rule; `None` where there is none.
    fn prove(
        &self,
        rules: &[(usize, Rule)],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Option<Proof>>, BatchError> {
        let subjects: Vec<Option<Subject<'_>>> = rules
            .iter()
            .map(|(index, rule)| self.subject(&self.outcomes[*index].item, rule))
            .collect();
        let known: Vec<Subject<'_>> = subjects.iter().flatten().copied().collect();
        if known.is_empty() {
            return Ok(rules.iter().map(|_| None).collect());
        }
        let mut proofs = Laboratory::open()?
            .prove(&known, Depth::Quick, self.options.limits, progress)?
            .into_iter();
        Ok(subjects.iter().map(|subject| subject.and_then(|_| proofs.next().flatten())).collect())
    }

    fn drop_p(&mut self, index: usize) {
        if let Decision::Change(Action::Add(rule) | Action::Replace { rule, .. }) =
            &mut self.outcomes[index].item.decision
            && let Some(plain) = without_p(rule)
        {
            *rule = plain;
        }
    }

    /// Puts every new rule into the kernel, beside what is there.
    fn register(&mut self, registrar: &mut Registrar) {
        for outcome in &mut self.outcomes {
            let result = match &outcome.item.decision {
                Decision::Change(Action::EnableInstance) => self.instance.enable_all(),
                Decision::Change(Action::Enable(rule)) => {
                    self.instance.enable(OsStr::new(rule.name().as_str()))
                }
                _ => continue,
            };
            outcome.changed = result.is_ok();
            outcome.error = result.err().map(|error| error.to_string());
        }
        for (index, rule, old) in self.rules() {
            match begin(registrar, &rule, &old) {
                Ok(pending) => {
                    self.pending.insert(index, pending);
                }
                Err(why) => self.outcomes[index].error = Some(why),
            }
        }
    }

    /// Proves what is pending where it stands: it is newest, so it wins, and nothing has gone yet.
    fn prove_pending(
        &mut self,
        registrar: &mut Registrar,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<(), BatchError> {
        let rules = self.pending_rules();
        let proofs =
            self.prove(&rules, &mut |done, total| progress("proving rules in place", done, total))?;
        let mut again = Vec::new();
        for ((index, rule), proof) in rules.into_iter().zip(proofs) {
            let Some(proof) = proof else { continue };
            if proof.arguments_are_shifted() && self.may_drop_p(index, &rule) {
                again.push(index);
            } else {
                self.judge_pending(index, proof);
            }
        }
        for index in again {
            self.drop_p(index);
            let old =
                self.pending.get(&index).map(|pending| pending.old.clone()).unwrap_or_default();
            let Some((_, rule, _)) = self.rules().into_iter().find(|(at, ..)| *at == index) else {
                continue;
            };
            self.take_back(index, "");
            self.outcomes[index].error = None;
            match begin(registrar, &rule, &old) {
                Err(why) => self.outcomes[index].error = Some(why),
                Ok(pending) => {
                    self.pending.insert(index, pending);
                    let proof = self.prove(&[(index, rule)], &mut |_, _| {})?.pop().flatten();
                    if let Some(proof) = proof {
                        self.judge_pending(index, proof);
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets a pending rule stand, or takes it back.
    fn judge_pending(&mut self, index: usize, proof: Proof) {
        let name = self.pending.get(&index).map(|pending| pending.name.clone());
        if proof.nobody && !name.is_some_and(|name| self.stands(&name)) {
            self.pending.remove(&index);
            self.outcomes[index].undo();
        } else if let Some(why) = proof.failure() {
            self.take_back(index, why);
        } else {
            self.outcomes[index].proof = Some(proof);
        }
    }

    fn pending_rules(&self) -> Vec<(usize, Rule)> {
        let rules = self.rules().into_iter();
        rules
            .filter(|(index, ..)| self.pending.contains_key(index))
            .map(|(index, rule, _)| (index, rule))
            .collect()
    }

    /// Removes a pending rule; what it was to replace still stands.
    fn take_back(&mut self, index: usize, why: &str) {
        if let Some(pending) = self.pending.remove(&index) {
            let removed = self.instance.remove(&pending.name);
            let name = pending.name.to_string_lossy().into_owned();
            self.outcomes[index].error = Some(match removed {
                Ok(()) => format!("{why}; the rule was taken back"),
                Err(error) => format!("{why}; and {name} could not be taken back: {error}"),
            });
        }
    }

    fn take_back_all(&mut self) {
        for index in self.pending.keys().copied().collect::<Vec<_>>() {
            self.take_back(index, "it could not be proved");
        }
    }

    /// Makes pending rules final, and removes what is to go.
    fn commit(&mut self, registrar: &mut Registrar) {
        let mut gone: BTreeSet<OsString> = BTreeSet::new();
        for (index, rule) in self.pending_rules() {
            let Some(mut pending) = self.pending.remove(&index) else { continue };
            // One entry may make way for several rules, of which one may have its name by now.
            pending.old.retain(|old| !gone.contains(old));
            let result = finish(self.instance, registrar, &rule, &pending);
            gone.extend(pending.old);
            self.outcomes[index].changed = true;
            self.outcomes[index].error = result.err();
        }
        for outcome in &mut self.outcomes {
            if let Decision::Change(Action::Remove { name, .. }) = &outcome.item.decision {
                let result = self.instance.remove(name);
                outcome.changed = result.is_ok();
                outcome.error =
                    result.err().map(|error| format!("remove {}: {error}", name.to_string_lossy()));
            }
        }
    }

    /// Proves, on the real instance, everything that is asked for and was not proved there yet.
    fn prove_rest(
        &mut self,
        progress: &mut dyn FnMut(&str, usize, usize),
    ) -> Result<(), BatchError> {
        let mut subjects = Vec::new();
        let mut places = Vec::new();
        for (index, outcome) in self.outcomes.iter().enumerate() {
            let is_rule = match &outcome.item.decision {
                Decision::Kept { .. } | Decision::Served { .. } => true,
                Decision::Change(Action::Add(_) | Action::Enable(_) | Action::Replace { .. }) => {
                    outcome.changed
                }
                _ => false,
            };
            let (Some(target), Some(machine)) = (self.target(&outcome.item), outcome.item.machine)
            else {
                continue;
            };
            if is_rule && outcome.proof.is_none() {
                subjects.push(Subject {
                    target,
                    machine,
                    interpreter: self.interpreter(&outcome.item),
                    credentials: self.settings.credentials,
                });
                places.push(index);
            }
        }
        if subjects.is_empty() {
            return Ok(());
        }
        let laboratory = Laboratory::open()?;
        let limits = self.options.limits;
        let mut proofs =
            laboratory.prove(&subjects, Depth::Quick, limits, &mut |done, total| {
                progress("proving every target", done, total);
            })?;
        // What nobody took and is in force now may have been away for that moment: the service puts rules back.
        let is_back = |place: &usize| {
            let proof: Option<&Proof> = proofs[*place].as_ref();
            let name = Self::server(&self.outcomes[places[*place]].item);
            proof.is_some_and(|proof| proof.nobody) && name.is_some_and(|name| self.stands(name))
        };
        let back: Vec<usize> = (0..subjects.len()).filter(is_back).collect();
        if !back.is_empty() {
            let once_more: Vec<Subject<'_>> = back.iter().map(|place| subjects[*place]).collect();
            let new = laboratory.prove(&once_more, Depth::Quick, limits, &mut |_, _| {})?;
            for (place, proof) in back.into_iter().zip(new) {
                proofs[place] = proof;
            }
        }
        for (index, proof) in places.into_iter().zip(proofs) {
            let why = proof.as_ref().and_then(Proof::failure).map(str::to_owned);
            let is_gone = proof.as_ref().is_some_and(|proof| proof.nobody)
                && !Self::server(&self.outcomes[index].item).is_some_and(|name| self.stands(name));
            let outcome = &mut self.outcomes[index];
            outcome.proof = proof;
            if is_gone {
                outcome.undo();
            } else if let Some(why) = why.filter(|_| outcome.error.is_none()) {
                outcome.error = Some(why);
            }
        }
        Ok(())
    }

    /// Removes rules that were only added and do not work: before, nothing took these programs, and
    /// that is the better error. What replaced something stays; there is nothing to go back to.
    fn remove_what_fails(&mut self) -> bool {
        let mut removed = false;
        for outcome in &mut self.outcomes {
            // An old interpreter that runs is better than none.
            let fails = outcome.proof.as_ref().is_some_and(|proof| {
                !proof.works() && !matches!(proof.serving(), Serving::Stale(_))
            });
            if let Decision::Change(Action::Add(rule)) = &outcome.item.decision
                && fails
                && outcome.changed
                && is_in_force(self.instance, |entry| rule.is(entry))
                && self.instance.remove(OsStr::new(rule.name().as_str())).is_ok()
            {
                outcome.changed = false;
                removed = true;
            }
        }
        removed
    }

    /// Whether a rule of this name is in force at this moment.
    fn stands(&self, name: &OsStr) -> bool {
        is_in_force(self.instance, |entry| entry.name == name)
    }

    /// The name of the serving rule.
    fn server(item: &Item) -> Option<&OsStr> {
        match &item.decision {
            Decision::Kept { name, .. } | Decision::Served { by: name } => Some(name),
            Decision::Change(
                Action::Add(rule) | Action::Enable(rule) | Action::Replace { rule, .. },
            ) => Some(OsStr::new(rule.name().as_str())),
            _ => None,
        }
    }

    /// The path that the serving rule names.
    fn interpreter<'b>(&'b self, item: &'b Item) -> Option<&'b std::path::Path> {
        let named =
            |name: &OsStr| self.seen.instance.entries.iter().find(|entry| entry.name == name);
        match &item.decision {
            Decision::Kept { name, .. } | Decision::Served { by: name } => {
                named(name).map(|entry| entry.interpreter.as_path())
            }
            Decision::Change(
                Action::Add(rule) | Action::Enable(rule) | Action::Replace { rule, .. },
            ) => Some(rule.interpreter().as_path()),
            _ => None,
        }
    }

    /// What is ours once every line that has no error is carried out; or, before it is, what was and
    /// what will be: whoever is killed in the middle knows both again.
    fn record(&self, moment: Moment) -> Record {
        let seen = &self.seen.record;
        let entries = self.seen.instance.entries.iter();
        // What was removed from outside is not ours any more, should the name come back.
        let rules = entries.filter_map(|entry| {
            let name = entry.name.to_str().filter(|name| unfinished_name(name).is_none())?;
            Some((name.to_owned(), seen.owned(entry)?.clone()))
        });
        let mut record = Record { rules: rules.collect(), ..seen.clone() };
        // Of an interrupted replacement that left nothing, what is there tells all.
        record.coming.retain(|rule, _| {
            let mut names =
                self.seen.instance.entries.iter().filter_map(|entry| entry.name.to_str());
            names.any(|name| unfinished_name(name) == Some(rule))
        });
        // What was put there is ours, even if it does not work.
        let stands = |outcome: &&Outcome| outcome.error.is_none() || outcome.changed;
        for outcome in self.outcomes.iter().filter(stands) {
            let Decision::Change(action) = &outcome.item.decision else { continue };
            let owned = |rule: &Rule| Owned {
                register: String::from_utf8_lossy(rule.register_string()).into_owned(),
                target: outcome.item.target.clone(),
                interpreter: self.file_of(&outcome.item, rule),
            };
            match action {
                Action::Replace { rule, .. } if moment == Moment::Before => {
                    record.coming.insert(rule.name().to_string(), owned(rule));
                }
                Action::Add(rule) => {
                    record.rules.insert(rule.name().to_string(), owned(rule));
                }
                Action::Replace { rule, old, .. } => {
                    for name in old.iter().filter_map(|name| name.to_str()) {
                        record.forget(name);
                    }
                    record.coming.remove(rule.name().as_str());
                    record.rules.insert(rule.name().to_string(), owned(rule));
                }
                Action::Remove { name, .. } if moment == Moment::After => {
                    record.forget(&name.to_string_lossy());
                }
                Action::Remove { .. } | Action::Enable(_) | Action::EnableInstance => {}
            }
        }
        record
    }

    fn file_of(&self, item: &Item, rule: &Rule) -> Option<FileId> {
        let of_table = item.target.as_ref().and_then(|target| {
            self.seen.interpreters.get(target)?.usable.as_ref().map(|file| file.id)
        });
        let other = || {
            self.seen.others.get(rule.interpreter().as_path())?.as_ref().ok().map(|file| file.id)
        };
        of_table.or_else(other)
    }
}

/// Whether a rule is there and enabled. If somebody took it away or switched it off meanwhile, a failed
/// probe says nothing about it.
fn is_in_force(instance: &Instance, is_it: impl Fn(&Entry) -> bool) -> bool {
    instance.look().is_ok_and(|facts| {
        facts.enabled && facts.entries.iter().any(|entry| entry.enabled && is_it(entry))
    })
}

fn without_p(rule: &Rule) -> Option<Rule> {
    let mut flags = rule.flags();
    flags.preserve_argv0 = false;
    rule.with_flags(flags).ok()
}
