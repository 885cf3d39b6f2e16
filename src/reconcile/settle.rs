//! Repeats a reconciliation whose changes somebody has undone in the meantime.

use super::reconciliation::Reconciliation;
use crate::apply::Outcome;
use crate::failure::Failure;
use crate::plan::{Action, Decision};

/// systemd-binfmt removes all rules once each time it starts; a program that removes them again and again cannot be
/// outrun.
const ROUNDS: usize = 3;

/// Runs another round if a rule was gone before it was proved.
pub(super) fn settle(
    mut round: impl FnMut() -> Result<Reconciliation, Failure>,
) -> Result<Reconciliation, Failure> {
    let mut done = round()?;
    for _ in 1..ROUNDS {
        let Some(undone) = done.outcomes.iter().find(|outcome| outcome.is_undone()) else { break };
        tracing::info!(
            "{} was gone before it was proved; trying again",
            undone.item.rule.as_deref().unwrap_or("a rule")
        );
        let Reconciliation { seen, outcomes } = round()?;
        done = Reconciliation { seen, outcomes: join(done.outcomes, outcomes) };
    }
    Ok(done)
}

/// Merges the outcomes of two rounds: the later one finds in the kernel what the earlier one wrote.
fn join(earlier: Vec<Outcome>, mut later: Vec<Outcome>) -> Vec<Outcome> {
    let mut only_earlier = Vec::new();
    for done in earlier.into_iter().filter(|outcome| outcome.changed) {
        let registers = !matches!(
            done.item.decision,
            Decision::Change(Action::Remove { .. } | Action::EnableInstance)
        );
        let is_kept = |outcome: &&mut Outcome| {
            matches!(outcome.item.decision, Decision::Kept { .. })
                && outcome.item.rule == done.item.rule
        };
        // A rule that the first round added is reported as added, though the second found it there.
        match later.iter_mut().find(is_kept) {
            Some(outcome) if registers => {
                outcome.item = done.item;
                outcome.changed = true;
            }
            _ if registers => {}
            _ => only_earlier.push(done),
        }
    }
    later.splice(..0, only_earlier);
    later
}

#[cfg(test)]
mod tests;
