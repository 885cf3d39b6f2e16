//! Runs probes through the kernel, because only an exec shows whether a rule works, and judges the results.

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
pub use subject::{Depth, ProbeSubject, Scope};
