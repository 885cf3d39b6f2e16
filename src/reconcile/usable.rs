//! Whether there is anything to register at all.

use crate::config::{Settings, Targets};
use crate::failure::Failure;
use crate::observation::Observation;
use crate::plan::Refusal;
use crate::plan::Request;

/// `targets = "auto"` asks for nothing by name, so without any interpreter every line of the plan would be well.
pub(super) fn check(
    settings: &Settings,
    request: &Request,
    seen: &Observation,
) -> Result<(), Failure> {
    let auto =
        request.only.is_none() && settings.targets == Targets::Auto && settings.rules.is_empty();
    let found = || seen.interpreters.values().any(|found| found.usable.is_some());
    if !auto || found() || !seen.record.rules.is_empty() {
        return Ok(());
    }
    let folders = settings.interpreter_directories.iter();
    let folders: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
    let faulty = seen.interpreters.values().flat_map(|found| &found.faulty).next();
    let why = faulty.map(|(path, fault)| format!("; {}", Refusal::of_interpreter(path, fault)));
    Err(Failure::unavailable(format!(
        "no usable QEMU interpreter in {}{}; install qemu-user-static, or set interpreter-directories",
        folders.join(", "),
        why.unwrap_or_default()
    )))
}

#[cfg(test)]
mod tests;
