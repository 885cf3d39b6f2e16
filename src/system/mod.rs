//! The only code that touches the system: a review of privileges reads this folder alone.
//!
//! Every `unsafe` block and every raw system call of the project is in it. Each folder imports only from those above
//! it in this list (`tests/tree` holds that):
//!
//! - [`host`] what this machine and this process are, and what they may do
//! - [`files`] reading, writing, locking and watching files
//! - [`process`] children, signals, waiting
//! - [`binfmt_misc`] instances, their mounts, private ones, and what the kernel runs by itself

pub mod binfmt_misc;
pub mod files;
pub mod host;
pub mod process;
