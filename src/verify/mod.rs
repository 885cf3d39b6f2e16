//! Exec is the truth: runs probes through the kernel and says what came of it.

mod batch;
mod laboratory;
pub mod load;
mod proof;

pub use batch::{Ended, Limits, Run, VerifyError};
pub use laboratory::{Depth, Laboratory, Scope, Subject};
pub use proof::{Failure, Level, Outcome, Pinned, Proof};
