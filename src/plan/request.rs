//! What is asked for: targets and flags, by the settings and by the caller.

use std::collections::BTreeSet;

use crate::config::{PreserveArgv0, Settings, Targets};
use crate::observation::Observation;
use crate::rule::Flags;
use crate::target::{Target, UnknownTarget};

/// What the command line adds to the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// QEMU's names, in place of the settings' targets; rules of other targets stay as they are.
    pub only: Option<Vec<String>>,
    /// Also replace rules of others that work.
    pub takeover: bool,
}

impl Request {
    /// The names of targets that are asked for; `None` for `auto`.
    pub fn named<'a>(&'a self, settings: &'a Settings) -> Option<&'a [String]> {
        match (&self.only, &settings.targets) {
            (Some(names), _) | (None, Targets::List(names)) => Some(names),
            (None, Targets::Auto) => None,
        }
    }
}

/// The targets that the request asks for, else the settings.
///
/// `auto` means every target with an interpreter, and every target that we have a rule for: the kernel keeps the
/// pinned interpreter when the file is gone.
pub fn wanted<'a>(
    settings: &'a Settings,
    request: &Request,
    seen: &Observation,
) -> Result<Vec<&'a Target>, UnknownTarget> {
    if let Some(named) = request.named(settings) {
        return named.iter().map(|name| settings.table.find(name)).collect();
    }
    let recorded: BTreeSet<&str> =
        seen.record.rules.values().filter_map(|owned| owned.target.as_deref()).collect();
    let is_wanted = |target: &&Target| {
        let found = seen.interpreters.get(&target.name).is_some_and(|it| it.usable.is_some());
        (found || recorded.contains(target.name.as_str())) && !seen.natives.contains(&target.name)
    };
    Ok(settings.table.targets().iter().filter(is_wanted).collect())
}

/// Whether a trial may drop `P`: the settings leave it open.
pub fn may_drop_p(settings: &Settings, target: &str) -> bool {
    let said = settings.overrides.get(target).is_some_and(|own| own.flags.is_some());
    settings.preserve_argv0 == PreserveArgv0::Auto && !said
}

/// The flags of a target's rule. `auto` begins with `P`; a trial may drop it.
pub fn flags(settings: &Settings, target: &str) -> Flags {
    settings.overrides.get(target).and_then(|own| own.flags).unwrap_or(Flags {
        preserve_argv0: settings.preserve_argv0 != PreserveArgv0::No,
        open_binary: true,
        credentials: settings.credentials,
        fix_binary: true,
    })
}
