//! Targets: the CPUs that QEMU emulates, their names, and what their programs look like.

mod cpu;
mod identity;
mod raw;
mod table;

pub use cpu::Target;
pub use identity::{Class, Identity};
pub use table::{Table, TableError, UnknownTarget};

#[cfg(test)]
mod tests;
