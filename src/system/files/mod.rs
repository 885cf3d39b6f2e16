//! Files: which one a path leads to, who could change it, and reading, writing, locking and watching them.

pub mod digest;
pub mod identity;
pub mod interpreter;
pub mod lock;
pub mod programs;
pub mod read;
pub mod rootfs;
pub mod trust;
pub mod watch;
pub mod write;
