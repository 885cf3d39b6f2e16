//! binfmtd makes foreign executables run on a Linux host, keeps them running, and proves it.
//!
//! The layers; a module imports only from those above it in this list (`tests/tree` holds that):
//!
//! - `shown` pure: what others named, as a terminal and a shell can take it
//! - `failure` pure: why a command ended early
//! - `phrase` pure: sentences in parts, said of one target or of several
//! - `fix` pure: a way out, as commands and edits
//! - `rule` pure: one entry of `binfmt_misc` and the formats it is written in
//! - `target` pure: the CPUs, their names, and the magic that follows from their ELF identity
//! - `probe` pure: a tiny program for each target
//! - `observation` pure: what was seen, as plain data
//! - `system` the only edge: instances, namespaces, mounts, processes, files
//! - `config` fragments → merged → validated settings
//! - `plan` pure: settings × observation → actions, and the guard
//! - `verify` runs probes: exec is the truth
//! - `observe` system → observation
//! - `apply` carries actions out: trial, make-before-break, rollback, record of ownership
//! - `reconcile` the one road from settings to the kernel: lock, observe, plan, apply
//! - `buildx` builders: observe → plan → apply through docker, and the proof that they build
//! - `daemon` the service: event loop, state, metrics
//! - `doctor` checks as data, findings, verdicts
//! - `report` documents, and one file per output format
//! - `compat` the drop-in for tonistiigi/binfmt
//! - [`cli`] one file per subcommand; exit codes
//!
//! Only [`cli`] is for other crates: the binary, and the one that writes the man pages.

mod apply;
mod buildx;
pub mod cli;
mod compat;
mod config;
mod daemon;
mod doctor;
mod failure;
mod fix;
mod observation;
mod observe;
mod phrase;
mod plan;
mod probe;
mod reconcile;
mod report;
mod rule;
mod shown;
mod system;
mod target;
mod verify;

#[doc(hidden)]
pub mod testing;

// So that a test's file can be read by the tests outside of the library too.
#[cfg(test)]
extern crate self as binfmtd;
