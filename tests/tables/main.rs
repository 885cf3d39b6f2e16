//! The derived table against the facts: QEMU's and Debian's rules, byte by byte, and real headers.

mod facts;
mod headers;
