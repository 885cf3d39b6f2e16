//! Exec is the truth: runs probes through the kernel and says what came of it.

mod files;
mod judge;
mod level;
pub mod load;
mod pinned;
mod proof;
mod prove;
mod run;
mod subject;

pub use level::{Level, LevelOutcome};
pub use proof::{FailedRun, Pinned, Proof};
pub use prove::{nonce, prove, version_of};
pub use subject::{Depth, Scope, Subject};
