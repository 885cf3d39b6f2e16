//! What is asked for: targets and flags, by the settings and by the caller.

use std::collections::BTreeSet;

use crate::config::{PreserveArgv0, Settings, Targets};
use crate::observation::Observation;
use crate::rule::Flags;
use crate::target::{Target, UnknownTarget};

/// What the caller asks for besides the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Targets by QEMU's names, in place of the settings'; rules of other targets stay as they are.
    pub only: Option<Vec<String>>,
    /// Replace what works and is not ours, too.
    pub takeover: bool,
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
