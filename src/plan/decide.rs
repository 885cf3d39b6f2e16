//! Decides what happens to one rule.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};

use super::action::{Action, Decision, Item, Reason};
use super::guard::Native;
use super::others::{is_qemu, is_replaceable};
use super::refusal::{Refusal, ServingFault};
use super::request::{Request, flags, may_drop_p};
use crate::config::Settings;
use crate::observation::{Candidates, FileId, Observation, Serving, unfinished_name};
use crate::rule::{Entry, Header, InterpreterPath, Magic, Matcher, Name, Rule, winner};
use crate::target::Target;

/// A rule of the table with the file of its interpreter, or why there is none.
type TableRule = Result<(Rule, FileId), Refusal>;

pub(super) struct Decider<'a> {
    settings: &'a Settings,
    request: &'a Request,
    seen: &'a Observation,
    native: &'a Native,
    by_name: HashMap<&'a OsStr, &'a Entry>,
    /// What interrupted replacements left, by the rule's name. It may be all that serves the target.
    leftovers: HashMap<String, Vec<OsString>>,
    /// The entries without leftovers.
    settled: Vec<&'a Entry>,
}

impl<'a> Decider<'a> {
    /// Indexes the entries once, so that deciding a rule does not search all of them.
    pub(super) fn new(
        settings: &'a Settings,
        request: &'a Request,
        seen: &'a Observation,
        native: &'a Native,
    ) -> Self {
        let entries = &seen.instance.entries;
        let by_name = entries.iter().map(|entry| (entry.name.as_os_str(), entry)).collect();
        let mut leftovers: HashMap<String, Vec<OsString>> = HashMap::new();
        let mut settled = Vec::with_capacity(entries.len());
        for entry in entries {
            match unfinished(entry, seen) {
                Some(rule) => leftovers.entry(rule).or_default().push(entry.name.clone()),
                None => settled.push(entry),
            }
        }
        Self { settings, request, seen, native, by_name, leftovers, settled }
    }

    /// Rules of ours that are no longer wanted, and what interrupted replacements of them left.
    pub(super) fn superfluous(&self, targets: &[&Target]) -> Vec<Item> {
        let mut names: BTreeSet<String> =
            self.settings.rules.iter().map(|custom| custom.rule.name().to_string()).collect();
        for target in targets.iter().filter(|target| !self.seen.natives.contains(&target.name)) {
            names.extend(target.rules().into_iter().map(|(name, _)| name.to_string()));
        }
        if self.request.only.is_some() {
            return Vec::new();
        }
        let why = |entry: &Entry| match unfinished(entry, self.seen) {
            Some(rule) if !names.contains(&rule) => Some(Reason::Interrupted),
            None if self.seen.record.owns(entry) && !names.contains(&entry.display_name()) => {
                Some(Reason::Unwanted)
            }
            _ => None,
        };
        let entries = self.seen.instance.entries.iter();
        entries
            .filter_map(|entry| {
                let action = Action::Remove { name: entry.name.clone(), why: why(entry)? };
                let rule = Some(entry.display_name());
                Some(Item::without_target(rule, Decision::Change(action)))
            })
            .collect()
    }

    /// A rule of the table.
    pub(super) fn target_rule(
        &self,
        target: &Target,
        machine: u16,
        name: Name,
        magic: Magic,
    ) -> Decision {
        if self.seen.natives.contains(&target.name) {
            return Decision::Native;
        }
        let header = target.header(machine).unwrap_or_else(|| Header::new(magic.magic()));
        let leftovers = self.leftovers(name.as_str());
        let rule = self.build(target, name, magic);
        let whole = rule.as_ref().ok().map(|(rule, _)| rule.clone());
        let decision = match winner(self.settled.iter().copied(), &header, "/".as_ref()) {
            Some(entry) if self.seen.record.owns(entry) => self.ours(target, entry, rule),
            Some(entry) => self.somebody_elses(target, entry, rule),
            None => self.unserved(target, rule),
        };
        finish(decision, whole.as_ref(), leftovers)
    }

    fn leftovers(&self, rule: &str) -> Vec<OsString> {
        self.leftovers.get(rule).cloned().unwrap_or_default()
    }

    /// A rule of the configuration.
    pub(super) fn custom_rule(&self, rule: &Rule) -> Decision {
        finish(self.custom(rule), Some(rule), self.leftovers(rule.name().as_str()))
    }

    fn custom(&self, rule: &Rule) -> Decision {
        let file = match self.seen.others.get(rule.interpreter().as_path()) {
            Some(Ok(file)) => Some(file),
            Some(Err(fault)) => {
                return Decision::Refused(Refusal::Interpreter {
                    rule: Some(rule.name().clone()),
                    path: rule.interpreter().as_path().to_owned(),
                    fault: fault.clone(),
                });
            }
            None => None,
        };
        if let Err(refusal) = self.native.guard(rule) {
            return Decision::Refused(refusal);
        }
        if let Matcher::Extension(extension) = rule.matcher()
            && let Some(path) = self.seen.captured.get(extension.as_str())
        {
            return Decision::Refused(Refusal::TakesProgram {
                rule: rule.name().clone(),
                extension: extension.clone(),
                program: path.clone(),
            });
        }
        let Some(entry) = self.named(rule.name().as_str()) else {
            return Decision::Change(Action::Add(rule.clone()));
        };
        let owned = self.seen.record.owned(entry);
        let ours = owned.is_some();
        let recorded = owned.and_then(|owned| owned.interpreter);
        let same = rule.serves_like(entry);
        let changed =
            recorded.is_some() && rule.flags().fix_binary && recorded != file.map(|file| file.id);
        match (ours, same) {
            (true, true) if !entry.enabled => Decision::Change(Action::Enable(rule.clone())),
            (true, true) if !changed => Decision::Kept { name: entry.name.clone(), gone: None },
            (true, true) => self.replace(rule, entry, Reason::InterpreterReplaced),
            (true, false) => self.replace(rule, entry, Reason::SettingsChanged),
            (false, true) if entry.enabled => Decision::Served { by: entry.name.clone() },
            (false, _) if self.request.takeover => self.replace(rule, entry, Reason::TakenOver),
            (false, _) => Decision::Refused(Refusal::NameInUse { name: rule.name().clone() }),
        }
    }

    fn build(&self, target: &Target, name: Name, magic: Magic) -> TableRule {
        let candidates = self.seen.interpreters.get(&target.name);
        let usable = candidates.and_then(|found| found.usable.as_ref());
        let Some(file) = usable else {
            return Err(match candidates.and_then(Candidates::culprit) {
                Some((path, fault)) => Refusal::of_interpreter(path, fault),
                None => Refusal::NoInterpreter {
                    target: target.label(),
                    names: target.interpreters.clone(),
                },
            });
        };
        let path = InterpreterPath::new(&file.path).map_err(Refusal::Path)?;
        let rule = Rule::new(name, Matcher::Magic(magic), path, flags(self.settings, &target.name))
            .map_err(Refusal::Rule)?;
        self.native.guard(&rule)?;
        Ok((rule, file.id))
    }

    fn ours(&self, target: &Target, entry: &Entry, rule: TableRule) -> Decision {
        let (rule, file) = match rule {
            Ok(built) => built,
            // With F the kernel keeps the file that it opened.
            Err(refusal) if self.has_vanished(target) => {
                return Decision::Kept { name: entry.name.clone(), gone: Some(refusal) };
            }
            Err(refusal) => return Decision::Refused(Refusal::OldStays(Box::new(refusal))),
        };
        let recorded = self.seen.record.owned(entry).and_then(|owned| owned.interpreter);
        if !self.is_as_wanted(target, &rule, entry) {
            self.replace(&rule, entry, Reason::SettingsChanged)
        } else if recorded.is_some_and(|recorded| recorded != file) {
            self.replace(&rule, entry, Reason::InterpreterReplaced)
        } else if let Some(before) =
            self.partly_before(target, entry).filter(|_| self.request.takeover)
        {
            self.replace(&rule, entry, Reason::PartlyBehind(before.display_name()))
        } else {
            Decision::Kept { name: entry.name.clone(), gone: None }
        }
    }

    /// An enabled rule before `entry` that takes some of the target's programs.
    fn partly_before(&self, target: &Target, entry: &Entry) -> Option<&Entry> {
        let own = entry.matcher.magic()?;
        let machines = target.identity.machines.iter();
        let programs: Vec<Magic> = machines
            .flat_map(|machine| target.identity.programs(*machine))
            .filter(|program| own.overlaps(program))
            .collect();
        let entries = self.seen.instance.entries.iter();
        entries.take_while(|before| before.name != entry.name).find(|before| {
            let magic = before.matcher.magic().filter(|_| before.enabled);
            magic.is_some_and(|magic| programs.iter().any(|program| program.overlaps(magic)))
        })
    }

    /// Whether no interpreter is left on disk, and the settings do not name one.
    fn has_vanished(&self, target: &Target) -> bool {
        let own = self.settings.overrides.get(&target.name);
        let named = own.is_some_and(|own| own.interpreter.is_some());
        let found = self.seen.interpreters.get(&target.name);
        !named && found.is_none_or(|found| found.usable.is_none() && found.faulty.is_empty())
    }

    /// Whether an entry of ours is what the settings ask for. With `auto`, `P` may differ: the trial decided it.
    fn is_as_wanted(&self, target: &Target, rule: &Rule, entry: &Entry) -> bool {
        if rule.is(entry) {
            return true;
        }
        may_drop_p(self.settings, &target.name) && rule.without_p().is_ok_and(|rule| rule.is(entry))
    }

    fn somebody_elses(&self, target: &Target, entry: &Entry, rule: TableRule) -> Decision {
        let serving = self.seen.serving.get(&entry.name);
        let trouble = match serving {
            Some(Serving::Stale(why) | Serving::Fails(why)) => {
                Some(ServingFault::Seen(why.clone()))
            }
            // Nothing was run, so only the flags can tell.
            None if !entry.flags.known.fix_binary => Some(ServingFault::WithoutF),
            // Elsewhere: the host's rule, seen from a container. Which file it runs is the host's concern.
            Some(Serving::Works | Serving::Elsewhere) | None => None,
        };
        match (trouble, rule) {
            (None, Ok((rule, _))) if self.request.takeover => {
                self.take_over(target, entry, &rule, Reason::TakenOver)
            }
            (None, _) => Decision::Served { by: entry.name.clone() },
            // An outdated interpreter that runs is better than none.
            (Some(_), Err(_)) if matches!(serving, Some(Serving::Stale(_))) => {
                Decision::Served { by: entry.name.clone() }
            }
            (Some(_), Err(refusal)) => Decision::Refused(refusal),
            (Some(trouble), Ok((rule, _)))
                if is_replaceable(entry, rule.name().as_str()) || self.request.takeover =>
            {
                self.take_over(target, entry, &rule, Reason::Serving(trouble))
            }
            (Some(trouble), Ok(_)) => {
                Decision::Refused(Refusal::BrokenOther { name: entry.display_name(), trouble })
            }
        }
    }

    /// Replaces QEMU's rules. Rules of other emulators stay; ours is newer and therefore wins. A rule of QEMU's that
    /// also takes another target's programs stays, too: it may be all that runs those.
    fn take_over(&self, target: &Target, entry: &Entry, rule: &Rule, why: Reason) -> Decision {
        let takes = |other: &Target| {
            let magics = other.identity.magics();
            entry.matcher.magic().is_some_and(|magic| magics.iter().any(|own| own.overlaps(magic)))
        };
        let mut others =
            self.settings.table.targets().iter().filter(|other| other.name != target.name);
        if is_replaceable(entry, rule.name().as_str()) && !others.any(takes) {
            self.replace(rule, entry, why)
        } else {
            match self.named(rule.name().as_str()) {
                Some(older) if is_qemu(older) => {
                    self.replace(rule, older, Reason::Behind(entry.display_name()))
                }
                Some(older) => taken(older),
                None => Decision::Change(Action::Add(rule.clone())),
            }
        }
    }

    /// No enabled rule takes these programs.
    fn unserved(&self, target: &Target, rule: TableRule) -> Decision {
        let rule = match rule {
            Ok((rule, _)) => rule,
            Err(refusal) => return Decision::Refused(refusal),
        };
        let Some(entry) = self.named(rule.name().as_str()) else {
            return Decision::Change(Action::Add(rule));
        };
        if self.seen.record.owns(entry) && self.is_as_wanted(target, &rule, entry) {
            Decision::Change(Action::Enable(rule))
        } else if is_qemu(entry) || self.seen.record.owns(entry) {
            let why = if entry.enabled { Reason::OtherPrograms } else { Reason::Disabled };
            self.replace(&rule, entry, why)
        } else {
            taken(entry)
        }
    }

    /// Replaces `entry`, and the entry that has the new rule's name.
    fn replace(&self, rule: &Rule, entry: &Entry, why: Reason) -> Decision {
        let mut old: Vec<OsString> = vec![entry.name.clone()];
        if let Some(namesake) =
            self.named(rule.name().as_str()).filter(|namesake| namesake.name != entry.name)
        {
            if !is_qemu(namesake) && !self.seen.record.owns(namesake) {
                return taken(namesake);
            }
            old.push(namesake.name.clone());
        }
        Decision::Change(Action::Replace { rule: rule.clone(), old, why })
    }

    fn named(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(OsStr::new(name)).copied()
    }
}

/// If an interrupted replacement left `entry`: the final name of the rule.
fn unfinished(entry: &Entry, seen: &Observation) -> Option<String> {
    let name = entry.display_name();
    let rule = unfinished_name(&name)?;
    (is_qemu(entry) || seen.record.owns(entry)).then(|| rule.to_owned())
}

/// Removes what interrupted replacements left, together with the next replacement. Until then it stays, because it
/// may be all that serves the target.
fn finish(decision: Decision, rule: Option<&Rule>, mut leftovers: Vec<OsString>) -> Decision {
    if leftovers.is_empty() {
        return decision;
    }
    let replace = |rule: Rule, old: Vec<OsString>| {
        Decision::Change(Action::Replace { rule, old, why: Reason::Interrupted })
    };
    match (decision, rule) {
        (Decision::Change(Action::Add(rule)), _) => replace(rule, leftovers),
        (Decision::Change(Action::Enable(rule)), _) => {
            leftovers.insert(0, rule.name().as_str().into());
            replace(rule, leftovers)
        }
        (Decision::Change(Action::Replace { rule, mut old, why }), _) => {
            old.append(&mut leftovers);
            Decision::Change(Action::Replace { rule, old, why })
        }
        // It is unknown which file either of them pinned.
        (Decision::Kept { name, .. }, Some(rule)) => {
            leftovers.insert(0, name);
            replace(rule.clone(), leftovers)
        }
        // The entry with this name is not somebody else's: it is the new rule, or the old one that was being
        // replaced.
        (Decision::Served { by }, Some(rule)) if by == rule.name().as_str() => {
            leftovers.insert(0, by);
            replace(rule.clone(), leftovers)
        }
        // Somebody else's rule serves the target, so ours is not needed.
        (Decision::Served { .. }, _) => Decision::Change(Action::Remove {
            name: leftovers.swap_remove(0),
            why: Reason::Interrupted,
        }),
        (other, _) => other,
    }
}

fn taken(entry: &Entry) -> Decision {
    Decision::Refused(Refusal::NameOfOther { name: entry.display_name() })
}
