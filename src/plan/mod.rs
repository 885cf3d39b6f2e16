//! The plan: settings × observation → actions. Pure; what `--dry-run` prints is what apply carries out.

mod decide;
pub mod guard;
pub mod others;
mod restore;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;

use crate::config::{PreserveArgv0, Settings, Targets};
use crate::observation::Observation;
use crate::rule::{Entry, Flags, Rule};
use crate::target::{Target, UnknownTarget};

pub use decide::WITHOUT_INTERPRETER;
pub use guard::{Native, Refusal};
pub use restore::{missing, restore};

/// What the caller asks for besides the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Targets by QEMU's names, in place of the settings'; rules of other targets stay as they are.
    pub only: Option<Vec<String>>,
    /// Replace what works and is not ours, too.
    pub takeover: bool,
}

/// One thing to do in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Switch the instance on.
    EnableInstance,
    /// Register a rule.
    Add(Rule),
    /// Switch on a rule of ours.
    Enable(Rule),
    /// Register a rule in place of others, without a gap.
    Replace {
        /// The rule.
        rule: Rule,
        /// Names of the entries that go.
        old: Vec<OsString>,
        /// What is wrong with them.
        why: String,
    },
    /// Remove a rule of ours.
    Remove {
        /// Its name.
        name: OsString,
        /// Why it goes.
        why: String,
    },
}

/// What is to become of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The host runs these programs itself.
    Native,
    /// Ours, and as it should be; a remark where something is to be said all the same.
    Kept {
        /// Name of the entry.
        name: OsString,
        /// For example that its interpreter is gone from the disk.
        remark: Option<String>,
    },
    /// Somebody else's rule does it already.
    Served {
        /// Name of the entry.
        by: OsString,
    },
    /// Something is to be done.
    Change(Action),
    /// Something should be done and must not.
    Refused(Refusal),
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The target, for rules of the table.
    pub target: Option<String>,
    /// Its `e_machine` that the rule is for, for rules of the table.
    pub machine: Option<u16>,
    /// The name that the rule has or would have; `None` for the instance as a whole.
    pub rule: Option<String>,
    /// What to do.
    pub decision: Decision,
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Every rule that was thought about.
    pub items: Vec<Item>,
}

impl Plan {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        !self.items.iter().any(|item| matches!(item.decision, Decision::Change(_)))
    }
}

/// The targets that the settings, or the request, ask for.
///
/// `auto` takes each one with an interpreter, and each one that we have a rule for: its pinned
/// interpreter goes on when the file is gone.
pub fn wanted<'a>(
    settings: &'a Settings,
    request: &Request,
    seen: &Observation,
) -> Result<Vec<&'a Target>, UnknownTarget> {
    let named = match (&request.only, &settings.targets) {
        (Some(names), _) | (None, Targets::List(names)) => names,
        (None, Targets::Auto) => {
            let recorded: BTreeSet<&str> =
                seen.record.rules.values().filter_map(|owned| owned.target.as_deref()).collect();
            let is_wanted = |target: &&Target| {
                let found =
                    seen.interpreters.get(&target.name).is_some_and(|found| found.usable.is_some());
                (found || recorded.contains(target.name.as_str()))
                    && !seen.natives.contains(&target.name)
            };
            return Ok(settings.table.targets().iter().filter(is_wanted).collect());
        }
    };
    named.iter().map(|name| settings.table.find(name)).collect()
}

/// Whether a trial may drop `P`: nobody said that the target's rule has to have it.
pub fn may_drop_p(settings: &Settings, target: &str) -> bool {
    let said = settings.overrides.get(target).is_some_and(|own| own.flags.is_some());
    settings.preserve_argv0 == PreserveArgv0::Auto && !said
}

/// The flags that a target's rule gets. `auto` begins with `P`; a trial may drop it.
pub fn flags(settings: &Settings, target: &str) -> Flags {
    settings.overrides.get(target).and_then(|own| own.flags).unwrap_or(Flags {
        preserve_argv0: settings.preserve_argv0 != PreserveArgv0::No,
        open_binary: true,
        credentials: settings.credentials,
        fix_binary: true,
    })
}

/// Makes the plan.
pub fn plan(
    settings: &Settings,
    request: &Request,
    seen: &Observation,
) -> Result<Plan, UnknownTarget> {
    let targets = wanted(settings, request, seen)?;
    let native = Native::new(&settings.table, &seen.natives);
    let decider = decide::Decider::new(settings, request, seen, &native);
    let mut items = Vec::new();
    if !seen.instance.enabled {
        items.push(Item {
            target: None,
            machine: None,
            rule: None,
            decision: Decision::Change(Action::EnableInstance),
        });
    }
    items.extend(decider.superfluous(&targets));
    for target in targets {
        for ((name, magic), machine) in target.rules().into_iter().zip(&target.identity.machines) {
            let rule = Some(name.to_string());
            let decision = decider.target_rule(target, *machine, name, magic);
            items.push(Item {
                target: Some(target.name.clone()),
                machine: Some(*machine),
                rule,
                decision,
            });
        }
    }
    if request.only.is_none() {
        for custom in &settings.rules {
            items.push(Item {
                target: None,
                machine: None,
                rule: Some(custom.rule.name().to_string()),
                decision: decider.custom_rule(&custom.rule),
            });
        }
    }
    Ok(Plan { items })
}

/// Whether a rule is one of QEMU's, which we may replace; all others (FEX, box64, Rosetta, wine,
/// `WSLInterop`) are never touched. Both its name and what it runs must say so.
pub fn is_qemu(entry: &Entry) -> bool {
    let file = entry
        .interpreter
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = entry.display_name();
    let runs_qemu = file.starts_with("qemu-")
        || file.ends_with("-binfmt-P")
        || entry.interpreter.starts_with("/usr/libexec/qemu-binfmt");
    runs_qemu && (name.starts_with("qemu-") || name.starts_with("buildkit-qemu-"))
}

/// Whether a rule that takes a target's programs may be replaced when it is stale or broken, or when somebody
/// insists: QEMU's, and what has the very name that ours is to have (`own`), while its interpreter is of no other
/// emulator that is known: a `qemu-aarch64` that leads nowhere.
pub fn is_replaceable(entry: &Entry, own: &str) -> bool {
    is_qemu(entry) || entry.name == own && others::owner(entry).is_none()
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnableInstance => f.write_str("enable binfmt_misc as a whole"),
            Self::Add(rule) => {
                write!(f, "add {} → {} [{}]", rule.name(), rule.interpreter(), rule.flags())
            }
            Self::Enable(rule) => write!(f, "enable {}", rule.name()),
            Self::Replace { rule, old, why } => {
                let old: Vec<_> = old.iter().map(|name| name.to_string_lossy()).collect();
                write!(
                    f,
                    "replace {} by {} → {} [{}]: {why}",
                    old.join(", "),
                    rule.name(),
                    rule.interpreter(),
                    rule.flags()
                )
            }
            Self::Remove { name, why } => write!(f, "remove {}: {why}", name.to_string_lossy()),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native: the host runs it itself"),
            Self::Kept { name, remark: None } => write!(f, "keep {}", name.to_string_lossy()),
            Self::Kept { name, remark: Some(remark) } => {
                write!(f, "keep {}: {remark}", name.to_string_lossy())
            }
            Self::Served { by } => {
                write!(f, "leave alone: served by {}, which is not ours", by.to_string_lossy())
            }
            Self::Change(action) => action.fmt(f),
            Self::Refused(refusal) => write!(f, "refuse: {refusal}"),
        }
    }
}

impl fmt::Display for Plan {
    /// A line for each item: target, and what is to be done.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| {
            writeln!(f, "{:<14} {}", item.target.as_deref().unwrap_or("-"), item.decision)
        })
    }
}

#[cfg(test)]
mod tests;
