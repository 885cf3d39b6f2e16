//! The only edge to the system: whoever reviews privilege reads this folder alone.
//!
//! Every `unsafe` block and every raw system call of the project is in here.

pub mod batch;
pub mod child;
pub mod file;
pub mod fork;
pub mod helper;
pub mod host;
pub mod instance;
pub mod interpreter;
pub mod limits;
pub mod mount;
pub mod namespace;
pub mod native;
pub mod orphan;
pub mod poller;
pub mod privilege;
pub mod record;
pub mod rootfs;
pub mod service;
pub mod signal;
pub mod supervise;
pub mod surroundings;
pub mod trust;
pub mod watch;
