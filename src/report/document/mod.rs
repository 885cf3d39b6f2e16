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
pub use doctor::{
    Conclusion, DoctorDocument, DoctorTarget, HostDocument, InterpreterDocument, MachineDocument,
    PinnedDocument, Taker, TakerState, Tries,
};
pub use error::{EarlyEnd, ErrorDocument};
pub use export::{ExportDocument, FileDocument};
pub use fix::FixDocument;
pub use load::{LoadDocument, LoadRuns};
pub use register::{RegisterAction, RegisterDocument, RegisterLine};
pub use status::{MatcherKind, RuleDocument, RuleStatus, StatusDocument};
pub use targets::{TargetDocument, TargetRule, TargetsDocument};
pub use unregister::UnregisterDocument;
pub use which::{RuleVerdict, WhichDocument, WhichLine};
