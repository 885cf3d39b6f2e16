//! Probes: for each target a program of a few hundred bytes that says what it sees.
//!
//! Started as `PROBE NONCE`, it writes to standard output, a line each: the machine that `uname` tells
//! it, every argument from argv\[0\] on, and an empty line. Then it reads one byte from standard
//! input, which holds it, and exits with that byte as its status (0 at the end of input).

mod code;
mod cpu;
mod elf;
mod report;

pub use cpu::CpuLevel;
pub use elf::{ElfType, build, build_cpu, build_shared, truncated};
pub use report::Report;

#[cfg(test)]
mod tests;
