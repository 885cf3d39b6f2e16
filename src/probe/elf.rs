//! The ELF file around a probe's code, made from the target's identity.

use super::code::code;
use crate::target::{Class, Identity, Target};

/// Where the file is mapped: above every `mmap_min_addr`, below 2 GiB, and free on every target.
const BASE: u64 = 0x40_0000;
/// The largest page that a host may have is 64 KiB.
const ALIGNMENT: u64 = 0x1_0000;
const PT_LOAD: u32 = 1;
/// Without this header some kernels make the stack executable, which SELinux forbids.
const PT_GNU_STACK: u32 = 0x6474_e551;
const READ_EXECUTE: u32 = 5;
const READ_WRITE: u32 = 6;
const DESCRIPTOR_SIZE: u64 = 24;

/// The whole file for one value of `e_machine`; `None` where there is no code for the target.
pub fn build(target: &Target, machine: u16) -> Option<Vec<u8>> {
    let code = code(&target.probe)?;
    let identity = &target.identity;
    let wide = identity.class == Class::Elf64;
    let (header, segment) = if wide { (64, 56) } else { (52, 32) };
    let after_headers = u64::from(header) + 2 * u64::from(segment);
    // Sixteen suits every instruction set; what is mapped begins on a page.
    let start = after_headers.next_multiple_of(16);
    let descriptor = if identity.descriptor { DESCRIPTOR_SIZE.next_multiple_of(16) } else { 0 };
    let code_at = start + descriptor;
    let entry = BASE + if identity.descriptor { start } else { code_at };
    let size = code_at + code.len() as u64;

    let mut file = Writer { identity, wide, bytes: Vec::new() };
    let ident = [identity.class_byte(), identity.order_byte(), 1, 0, identity.abi_version];
    file.bytes.extend_from_slice(b"\x7fELF");
    file.bytes.extend_from_slice(&ident);
    file.bytes.resize(16, 0);
    file.half(2); // ET_EXEC
    file.half(machine);
    file.word(1);
    file.address(entry);
    file.address(u64::from(header)); // e_phoff
    file.address(0); // e_shoff
    file.word(identity.e_flags);
    for value in [header, segment, 2, 0, 0, 0] {
        file.half(value);
    }
    file.segment(PT_LOAD, READ_EXECUTE, size, ALIGNMENT);
    file.segment(PT_GNU_STACK, READ_WRITE, 0, 16);
    file.pad_to(start);
    if identity.descriptor {
        file.address(BASE + code_at);
        file.address(0); // no table of contents
        file.address(0); // no environment
        file.pad_to(code_at);
    }
    file.bytes.extend_from_slice(code);
    Some(file.bytes)
}

struct Writer<'a> {
    identity: &'a Identity,
    wide: bool,
    bytes: Vec<u8>,
}

impl Writer<'_> {
    fn half(&mut self, value: u16) {
        self.bytes.extend_from_slice(&self.identity.order.u16(value));
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend_from_slice(&self.identity.order.u32(value));
    }

    /// An address, offset or size: four or eight bytes.
    fn address(&mut self, value: u64) {
        if self.wide {
            self.bytes.extend_from_slice(&self.identity.order.u64(value));
        } else {
            // Everything here lies far below 4 GiB.
            self.word(u32::try_from(value).unwrap_or(u32::MAX));
        }
    }

    /// A program header for the whole file from its first byte, or for nothing.
    fn segment(&mut self, kind: u32, flags: u32, size: u64, alignment: u64) {
        let address = if size == 0 { 0 } else { BASE };
        self.word(kind);
        if self.wide {
            self.word(flags);
        }
        for value in [0, address, address, size, size] {
            self.address(value);
        }
        if !self.wide {
            self.word(flags);
        }
        self.address(alignment);
    }

    fn pad_to(&mut self, at: u64) {
        let length = usize::try_from(at).unwrap_or(self.bytes.len());
        self.bytes.resize(length, 0);
    }
}
