//! Which rules take a target's programs, and whose they are.

use std::path::Path;

use super::facts::{HostFacts, RuleFile, TargetFacts};
use crate::observation::Owner;
use crate::plan::others;
use crate::rule::{Entry, winner};
use crate::target::Target;

impl HostFacts<'_> {
    /// The rule that takes a target's programs.
    pub fn rule(&self, asked: &TargetFacts<'_>) -> Option<&Entry> {
        self.winner(asked.target, asked.machine)
    }

    /// The same for a target that is not asked about.
    pub fn winner(&self, target: &Target, machine: u16) -> Option<&Entry> {
        winner(&self.seen.instance.entries, &target.header(machine)?, Path::new("/"))
    }

    /// What the interpreter's path in that rule leads to.
    pub fn rule_file(&self, asked: &TargetFacts<'_>) -> Option<&RuleFile> {
        self.files.get(&self.rule(asked)?.interpreter)
    }

    /// All rules that would take a target's programs, enabled or not, in the kernel's order.
    pub fn takers(&self, asked: &TargetFacts<'_>) -> Vec<&Entry> {
        let Some(header) = asked.target.header(asked.machine) else { return Vec::new() };
        let entries = self.seen.instance.entries.iter();
        entries.filter(|entry| entry.matcher.matches(&header, Path::new("/"))).collect()
    }

    /// Who registers a rule. An emulator with a runtime of its own may leave that to systemd-binfmt, for example.
    pub fn owner(&self, entry: &Entry) -> &Owner {
        Owner::of(entry, &self.seen.record, &self.owners)
    }

    /// Whether binfmtd registered a rule as it is now.
    pub(in crate::doctor) fn is_ours(&self, entry: &Entry) -> bool {
        self.seen.record.owns(entry)
    }

    /// The same for a report, which names the emulator's runtime if it is known.
    pub fn whose(&self, entry: &Entry) -> Owner {
        others::owner(entry).map_or_else(|| self.owner(entry).clone(), Owner::Runtime)
    }

    /// Enabled rules that come before the one that takes a target's programs, and take some of them: those of
    /// one `e_type` or `EI_OSABI`. In the kernel's order.
    pub fn partly_before(&self, asked: &TargetFacts<'_>) -> Vec<&Entry> {
        let winner = self.rule(asked).map(|winner| &winner.name);
        let programs = asked.target.identity.programs(asked.machine);
        let takes_some = |entry: &&Entry| {
            let magic = entry.matcher.magic().filter(|_| entry.enabled);
            magic.is_some_and(|magic| programs.iter().any(|program| program.overlaps(magic)))
        };
        let entries = self.seen.instance.entries.iter();
        entries.take_while(|entry| Some(&entry.name) != winner).filter(takes_some).collect()
    }

    /// Whether a target's rule is there, enabled and not used, because the kernel uses another instance.
    pub fn is_masked(&self, asked: &TargetFacts<'_>) -> bool {
        // Above the first user namespace there is no instance to hide.
        !self.first_namespace
            && self.instance().is_some_and(|seen| seen.instance.enabled)
            && self.rule(asked).is_some()
            && asked.proof.as_ref().is_some_and(|proof| proof.nobody)
    }

    /// Rules in the record of ownership that the kernel no longer has, or not as they were registered.
    pub fn lost(&self) -> Vec<&str> {
        let entries = &self.seen.instance.entries;
        let is_there = |name: &str| {
            entries.iter().any(|entry| entry.name == name && self.seen.record.owns(entry))
        };
        let names = self.seen.record.rules.keys().map(String::as_str);
        names.filter(|name| !is_there(name)).collect()
    }
}
