//! Carries out a plan: trial, make-before-break, rollback, record of ownership.

mod edge;
mod error;
mod in_place;
mod outcome;
mod prober;
mod record;
mod replace;
mod restore;
mod standing;
mod trial;
mod work;

use crate::config::Verify;
use crate::failure::Failure;
use crate::plan::{Decision, Plan};
use crate::system::process::batch::BatchError;
use crate::system::process::signal::Interrupt;

pub use edge::{Candidate, Edge, KernelRegistry, Prover, Registry, Tried};
pub use error::RuleError;
#[cfg(test)]
pub use error::TrialFault;
pub use outcome::{Given, Outcome, subject};
pub use prober::Prober;
pub use restore::restore;

use outcome::{may_drop_p, new_rules};
use record::Moment;
use work::Work;

/// Carries out `plan` line by line; a line that fails never stops the others.
pub fn apply(plan: Plan, given: Given<'_>, edge: Edge<'_>) -> Result<Vec<Outcome>, Failure> {
    let mut work = Work::new(plan, given, edge);
    if work.writes() {
        work.carry_out()?;
    } else if !given.seen.record.coming.is_empty() {
        work.save(Moment::After)?;
    }
    if given.settings.verify != Verify::Off {
        work.prove_standing()?;
        if work.remove_what_fails() {
            work.save(Moment::After)?;
        }
    }
    Ok(work.end())
}

/// Proves the rules of a plan without changes, which needs no lock.
pub fn prove(plan: Plan, given: Given<'_>, edge: Edge<'_>) -> Result<Vec<Outcome>, Failure> {
    let mut work = Work::new(plan, given, edge);
    if given.settings.verify != Verify::Off {
        work.prove_standing()?;
    }
    Ok(work.outcomes)
}

impl Work<'_, '_> {
    fn writes(&self) -> bool {
        let mut lines = self.outcomes.iter();
        lines.any(|outcome| matches!(outcome.item.decision, Decision::Change(_)))
    }

    fn carry_out(&mut self) -> Result<(), Failure> {
        self.edge.registry.open().map_err(Failure::io("open register"))?;
        let verify = self.given.settings.verify;
        let tried = verify == Verify::Before && !self.given.private && self.trial()?;
        // Recorded before the first write to the kernel: if this process is killed, the next one still knows which
        // rules are ours.
        let announced = self.save(Moment::Before)?;
        // From here on a signal has to wait until no replacement is half done.
        let _interrupt = Interrupt::catch().map_err(BatchError::from)?;
        self.register();
        if verify != Verify::Off
            && !tried
            && let Err(error) = self.prove_pending()
        {
            self.take_back_all();
            let _ = self.save(Moment::After);
            return Err(error.into());
        }
        self.commit();
        if self.record(Moment::After) != announced {
            self.save(Moment::After)?;
        }
        Ok(())
    }

    /// Tries every new rule in a private instance. Returns false if the kernel gives this process none: then rules
    /// are proved in place, before the old ones are removed.
    fn trial(&mut self) -> Result<bool, BatchError> {
        let given = self.given;
        let candidates: Vec<Candidate<'_>> = new_rules(&self.outcomes)
            .map(|(place, outcome, rule, _)| Candidate {
                place,
                rule,
                subject: subject(given, &outcome.item),
                may_drop_p: may_drop_p(given.settings, &outcome.item, rule),
            })
            .collect();
        if candidates.is_empty() {
            return Ok(true);
        }
        let Some(tried) = self.edge.prover.trial(&candidates)? else { return Ok(false) };
        for (place, tried) in tried {
            match tried {
                Tried::Works => {}
                Tried::WorksWithoutP => self.drop_p(place),
                Tried::Fails(fault) => self.outcomes[place].error = Some(RuleError::Trial(fault)),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
