//! Exec is the truth: runs probes through the kernel and says what came of it.

mod batch;
mod proof;

pub use batch::{Ended, Limits, Run, VerifyError};
pub use proof::{Depth, Laboratory, Level, Outcome, Pinned, Proof, Subject};
