//! The ELF file around a probe's code, made from the target's identity.

use std::ops::Range;

use super::code::code;
use crate::target::{Class, Identity, Target};

/// Where the file is mapped: above every `mmap_min_addr`, below 2 GiB, and free on every target.
const BASE: u64 = 0x40_0000;
/// The largest page that a host may have is 64 KiB.
const ALIGNMENT: u64 = 0x1_0000;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
/// Without this header some kernels make the stack executable, which SELinux forbids.
const PT_GNU_STACK: u32 = 0x6474_e551;
const READ: u32 = 4;
const READ_EXECUTE: u32 = 5;
const READ_WRITE: u32 = 6;
const DESCRIPTOR_SIZE: u64 = 24;

/// The whole file for one value of `e_machine`; `None` where there is no code for the target.
pub fn build(target: &Target, machine: u16) -> Option<Vec<u8>> {
    Some(around(code(&target.probe)?, target, machine, ElfType::Executable))
}

/// The same as a position-independent program (`ET_DYN`), as most programs are today. The code is the same, because
/// it uses no address but the stack's.
pub fn build_shared(target: &Target, machine: u16) -> Option<Vec<u8>> {
    Some(around(code(&target.probe)?, target, machine, ElfType::Shared))
}

/// The program that reports its CPU's level (`CpuLevel`); for x86-64 only, whose distributions require levels.
pub fn build_cpu(target: &Target, machine: u16) -> Option<Vec<u8>> {
    let code = code(&format!("{}-level", target.probe))?;
    Some(around(code, target, machine, ElfType::Executable))
}

fn around(code: &[u8], target: &Target, machine: u16, kind: ElfType) -> Vec<u8> {
    let identity = &target.identity;
    let mut file = Writer::new(identity);
    let after_headers = file.after_headers(2);
    // 16 is a valid alignment on every instruction set; the segment begins on a page.
    let start = after_headers.next_multiple_of(16);
    let descriptor = if identity.descriptor { DESCRIPTOR_SIZE.next_multiple_of(16) } else { 0 };
    let code_at = start + descriptor;
    let entry = BASE + if identity.descriptor { start } else { code_at };
    let size = code_at + code.len() as u64;

    file.header(kind, machine, entry, 2);
    file.segment(PT_LOAD, READ_EXECUTE, 0..size, ALIGNMENT);
    file.segment(PT_GNU_STACK, READ_WRITE, 0..0, 16);
    file.pad_to(start);
    if identity.descriptor {
        file.address(BASE + code_at);
        file.address(0); // no table of contents
        file.address(0); // no environment
        file.pad_to(code_at);
    }
    file.bytes.extend_from_slice(code);
    file.bytes
}

/// A program's `e_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElfType {
    /// `ET_EXEC`.
    Executable,
    /// `ET_DYN`: what compilers make by default today.
    Shared,
}

/// A program file that ends before the path of its loader.
///
/// The kernel's ELF loader reads that path after it has accepted the file's machine, class and flags, and before it
/// replaces the process (`load_elf_binary`). So EIO means that the kernel would run such programs itself.
pub fn truncated(target: &Target, kind: ElfType) -> Vec<u8> {
    // The first is what today's linkers write.
    let machine = target.identity.machines.first().copied().unwrap_or_default();
    let mut file = Writer::new(&target.identity);
    file.header(kind, machine, BASE, 1);
    let end = file.after_headers(1);
    // The shortest possible path: a character and a NUL.
    file.segment(PT_INTERP, READ, end..end + 2, 1);
    file.bytes
}

struct Writer<'a> {
    identity: &'a Identity,
    wide: bool,
    bytes: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(identity: &'a Identity) -> Self {
        Self { identity, wide: identity.class == Class::Elf64, bytes: Vec::new() }
    }

    /// The sizes of the file's header and of a program header.
    fn sizes(&self) -> (u16, u16) {
        if self.wide { (64, 56) } else { (52, 32) }
    }

    fn after_headers(&self, segments: u16) -> u64 {
        let (header, segment) = self.sizes();
        u64::from(header) + u64::from(segments) * u64::from(segment)
    }

    fn header(&mut self, kind: ElfType, machine: u16, entry: u64, segments: u16) {
        let identity = self.identity;
        let (header, segment) = self.sizes();
        let ident = [identity.class_byte(), identity.order_byte(), 1, 0, identity.abi_version];
        self.bytes.extend_from_slice(b"\x7fELF");
        self.bytes.extend_from_slice(&ident);
        self.bytes.resize(16, 0);
        self.half(match kind {
            ElfType::Executable => 2,
            ElfType::Shared => 3,
        });
        self.half(machine);
        self.word(1);
        self.address(entry);
        self.address(u64::from(header)); // e_phoff
        self.address(0); // e_shoff
        self.word(identity.e_flags);
        for value in [header, segment, segments, 0, 0, 0] {
            self.half(value);
        }
    }

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

    /// A program header for these bytes of the file, or for nothing.
    fn segment(&mut self, kind: u32, flags: u32, bytes: Range<u64>, alignment: u64) {
        let size = bytes.end - bytes.start;
        let address = if size == 0 { 0 } else { BASE + bytes.start };
        self.word(kind);
        if self.wide {
            self.word(flags);
        }
        for value in [bytes.start, address, address, size, size] {
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
