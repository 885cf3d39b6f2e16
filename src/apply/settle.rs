//! Doing again what somebody undid meanwhile.

use super::Outcome;
use crate::plan::{Action, Decision};

/// How often work that somebody undoes meanwhile is done, in all. A flush, as at each start of systemd-binfmt,
/// comes once; whoever goes on is not to be outrun.
const ROUNDS: usize = 3;

/// Observes, plans and applies; and does it again where somebody undid it before it was proved.
pub fn settle<E>(mut round: impl FnMut() -> Result<Vec<Outcome>, E>) -> Result<Vec<Outcome>, E> {
    let mut outcomes = round()?;
    for _ in 1..ROUNDS {
        let Some(undone) = outcomes.iter().find(|outcome| outcome.undone) else { break };
        tracing::info!(
            "{} was gone before it was proved; once more",
            undone.item.rule.as_deref().unwrap_or("a rule")
        );
        outcomes = join(outcomes, round()?);
    }
    Ok(outcomes)
}

/// What became of all lines, where the later ones begin with what the earlier ones left.
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
        // As it was told: what was added is added, though the second look found it there.
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
