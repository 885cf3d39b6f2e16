//! binfmtd: foreign executables run on this host, keep running, and it is proved.
pub mod config;
pub mod probe;
pub mod rule;
pub mod system;
pub mod target;
