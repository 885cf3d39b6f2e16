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
    BuilderDocument, BuilderState, EngineDocument, NodeDocument, OrphanDocument, PlatformDocument,
    RemovalDocument,
};
pub use checks::{CheckDocument, ChecksDocument};
pub use config::ConfigDocument;
#[cfg(test)]
pub use doctor::HostDocument;
pub use doctor::{Conclusion, DoctorDocument};
pub use error::ErrorDocument;
pub use export::{ExportDocument, ExportTool};
pub use fix::FixDocument;
pub use register::{RegisterAction, RegisterDocument, RegisterLine};
pub use status::{RuleStatus, StatusDocument};
#[cfg(test)]
pub use target::MachineDocument;
pub use target::{DoctorTarget, MatchState, MatchingRule};
pub use targets::TargetsDocument;
pub use unregister::UnregisterDocument;
pub use which::{RuleVerdict, WhichDocument};
