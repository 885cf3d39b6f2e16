//! Which targets the kernel runs without a rule.

use std::fmt::Display;

use crate::config::Settings;
use crate::failure::Failure;
use crate::probe::{self, ElfType};
use crate::rule::Header;
use crate::system::binfmt_misc::native::{self, RunBy};
use crate::system::host::machine;
use crate::target::Target;

/// The target of this very program, which the kernel runs natively.
pub fn host_target(settings: &Settings) -> Result<&Target, Failure> {
    let header = machine::own_header().map_err(Failure::io("read this program's own header"))?;
    settings.table.of_header(&Header::new(&header)).ok_or_else(|| {
        Failure::unavailable(
            "this machine is none of the targets in the table, so its own programs could not be protected",
        )
    })
}

/// A failure, because the guard could not protect programs that may be native.
fn untold(why: impl Display) -> Failure {
    Failure::unavailable(format!(
        "cannot tell whether the kernel runs these programs by itself: {why}"
    ))
}

/// The host's own target, and those of its family that the kernel runs. The kernel is asked, because its
/// configuration decides.
pub(super) fn natives(settings: &Settings, host: &Target) -> Result<Vec<String>, Failure> {
    let relatives = settings
        .table
        .targets()
        .iter()
        .filter(|target| target.family == host.family && target.name != host.name);
    let family: Vec<&Target> = std::iter::once(host).chain(relatives).collect();
    let programs: Vec<Vec<u8>> =
        family.iter().map(|target| probe::truncated(target, ElfType::Executable)).collect();
    let mut answers = native::ask(&programs).map_err(untold)?;
    let taken: Vec<usize> =
        (0..answers.len()).filter(|place| answers[*place] == RunBy::Rule).collect();
    if !taken.is_empty() {
        // A rule comes before the kernel's own loader, so ask again in an instance without rules.
        let programs: Vec<Vec<u8>> = taken.iter().map(|place| programs[*place].clone()).collect();
        let alone = native::ask_without_rules(&programs).map_err(untold)?;
        for (place, answer) in taken.into_iter().zip(alone.into_iter().flatten()) {
            answers[place] = answer;
        }
    }
    native_ones(&family, answers)
}

/// The targets of the host's family that the kernel runs by itself, the host's own first. An unclear answer is an
/// error and never means foreign: the guard would let a rule take those programs away.
fn native_ones(family: &[&Target], answers: Vec<RunBy>) -> Result<Vec<String>, Failure> {
    let mut natives = Vec::new();
    // A rule may take everything, or the kernel answers so for everything, as Linux 5.10 does without /dev/fd. Then
    // the answer tells nothing about the other targets.
    let host_is_taken = answers.first() == Some(&RunBy::Rule);
    for (place, (target, answer)) in family.iter().zip(answers).enumerate() {
        let is_host = place == 0;
        let is_native = match answer {
            RunBy::Kernel => true,
            // The kernel gave this process no instance without rules. The host's own programs run by definition. The
            // others are taken by a rule already, so they lose nothing.
            RunBy::Rule => is_host || host_is_taken,
            // Then this answer is unreliable for the other targets too.
            RunBy::Nobody if is_host => {
                let why = format!("{}: the kernel does not know its own programs", target.name);
                return Err(untold(why));
            }
            RunBy::Nobody => false,
            RunBy::Unclear(why) => {
                return Err(untold(format_args!("{}: {why}", target.name)));
            }
        };
        if is_native {
            natives.push(target.name.clone());
        }
    }
    Ok(natives)
}

#[cfg(test)]
mod tests;
