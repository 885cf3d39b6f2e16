//! The documents, as plain data: one file for each command.

mod binfmt;
mod builder;
mod checks;
mod config;
mod doctor;
mod error;
mod export;
mod fix;
mod load;
mod register;
mod status;
mod target;
mod targets;
mod unregister;
mod which;

pub use binfmt::BinfmtDocument;
pub use builder::{
    BuilderDocument, BuilderState, BuiltDocument, EmbeddedDocument, EngineDocument, KernelDocument,
    NodeDocument, OrphanDocument, PlatformDocument, RemovalDocument,
};
pub use checks::{CheckDocument, CheckText, ChecksDocument};
pub use config::ConfigDocument;
pub use doctor::{Conclusion, DoctorDocument, HostDocument};
pub use error::{EarlyEnd, ErrorDocument};
pub use export::{ExportDocument, ExportTool, FileDocument};
pub use fix::FixDocument;
pub use load::{LoadDocument, LoadRuns};
pub use register::{RegisterAction, RegisterDocument, RegisterLine};
pub use status::{MatcherKind, RuleDocument, RuleStatus, StatusDocument};
pub use target::{
    DoctorTarget, InterpreterDocument, MachineDocument, MatchState, MatchingRule, PinnedDocument,
    Tries,
};
pub use targets::{TargetDocument, TargetRule, TargetsDocument};
pub use unregister::UnregisterDocument;
pub use which::{RuleVerdict, WhichDocument, WhichLine};
