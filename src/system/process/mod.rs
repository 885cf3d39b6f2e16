//! Processes: children with time limits, signals, and waiting for several things at once.

pub mod batch;
pub mod child;
pub mod fork;
pub mod helper;
pub mod orphan;
pub mod poller;
pub mod signal;
pub mod supervise;
