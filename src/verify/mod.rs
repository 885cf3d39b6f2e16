//! Exec is the truth: runs probes through the kernel and says what came of it.

mod laboratory;
pub mod load;
mod probes;
mod proof;

pub use laboratory::{Depth, Laboratory, Scope, Subject, nonce, version_of};
pub use probes::Run;
pub use proof::{Failure, Level, Outcome, Pinned, Proof};
