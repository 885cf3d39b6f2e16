//! The ELF identity of a target: the header fields that its kernel checks, and the magic that follows from them.

use serde::Deserialize;

use crate::rule::Magic;

/// Word size, `EI_CLASS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `ELFCLASS32`.
    Elf32,
    /// `ELFCLASS64`.
    Elf64,
}

/// Byte order, `EI_DATA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ByteOrder {
    /// `ELFDATA2LSB`.
    Little,
    /// `ELFDATA2MSB`.
    Big,
}

impl ByteOrder {
    pub fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// Bits of `e_flags` that distinguish targets whose headers are otherwise the same (MIPS o32 and n32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FlagBits {
    pub mask: u32,
    pub value: u32,
}

/// What the programs of a target look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub class: Class,
    pub order: ByteOrder,
    /// Values of `e_machine` that real files carry; the first is what today's linkers write.
    pub machines: Vec<u16>,
    pub match_flags: Option<FlagBits>,
    /// The `e_flags` of the probe: what today's compilers write.
    pub e_flags: u32,
    /// The `EI_ABIVERSION` of the probe. Rules ignore it.
    pub abi_version: u8,
    /// Whether `e_entry` points to a function descriptor (ppc64, ELFv1).
    pub descriptor: bool,
}

const EM_MIPS: u16 = 8;
const EI_CLASS: usize = 4;
const EI_DATA: usize = 5;
const EI_VERSION: usize = 6;
const EI_OSABI: usize = 7;
const EI_ABIVERSION: usize = 8;
const EI_PAD: usize = 9;
const E_TYPE: usize = 16;
const E_MACHINE: usize = 18;
const E_VERSION: usize = 20;
/// `ELFOSABI_LINUX`: linkers write it for programs that use GNU's symbol types (`STT_GNU_IFUNC`, `STB_GNU_UNIQUE`).
const LINUX: u8 = 3;

impl Identity {
    /// The magic and mask for each `e_machine`.
    ///
    /// Exact: ELF magic, class, byte order, version, `ET_EXEC` or `ET_DYN`, `e_machine`, the bits of
    /// `e_flags`. `EI_OSABI` may be 0 to 3 (System V to Linux: not FreeBSD's 9). Free: ABI version and
    /// padding, which no kernel looks at, MIPS files fill (5) and so do AppImages (`AI\x02`).
    pub fn magics(&self) -> Vec<Magic> {
        self.headers(|bytes, mask| {
            bytes[EI_VERSION] = 1;
            mask[EI_VERSION] = 0xff;
            mask[EI_OSABI] = 0xfc;
        })
    }

    /// Every header that this target's own kernel could accept; it checks neither version nor OSABI
    /// (`load_elf_binary`). A rule that overlaps one of these could capture a native program.
    pub fn accepted(&self) -> Vec<Magic> {
        // Only MIPS kernels distinguish programs by `e_flags`; others ignore them.
        let match_flags = self.match_flags.filter(|_| self.machines.contains(&EM_MIPS));
        Self { match_flags, ..self.clone() }.headers(|_, _| {})
    }

    /// The headers of real programs with one `e_machine`: `ET_EXEC` or `ET_DYN`, with any `e_flags` that the target
    /// allows; one magic for each `EI_OSABI` and `EI_ABIVERSION` that linkers write. A rule serves the target only if
    /// it matches all of them.
    pub fn programs(&self, machine: u16) -> Vec<Magic> {
        let mut versions = vec![0, self.abi_version];
        versions.dedup();
        let kinds = versions.into_iter().flat_map(|version| [(0, version), (LINUX, version)]);
        let program = |(abi, version)| {
            let magic = self.header(machine, |bytes, mask| {
                bytes[EI_VERSION] = 1;
                bytes[EI_OSABI] = abi;
                bytes[EI_ABIVERSION] = version;
                mask[EI_VERSION..E_TYPE].fill(0xff);
            })?;
            // Every linker writes version 1 here, and zeros into the padding.
            let (mut bytes, mut mask) = (magic.magic().to_vec(), magic.mask().to_vec());
            bytes.resize(bytes.len().max(E_VERSION + 4), 0);
            mask.resize(bytes.len(), 0);
            bytes[E_VERSION..E_VERSION + 4].copy_from_slice(&self.order.u32(1));
            mask[E_VERSION..E_VERSION + 4].fill(0xff);
            Magic::new(0, bytes, Some(mask)).ok()
        };
        kinds.filter_map(program).collect()
    }

    /// The name of a header byte as in elf(5).
    pub fn field(&self, at: usize) -> &'static str {
        let flags = self.e_flags_at();
        match at {
            0..EI_CLASS => "EI_MAG",
            EI_CLASS => "EI_CLASS",
            EI_DATA => "EI_DATA",
            EI_VERSION => "EI_VERSION",
            EI_OSABI => "EI_OSABI",
            EI_ABIVERSION => "EI_ABIVERSION",
            EI_PAD..E_TYPE => "EI_PAD",
            E_TYPE..E_MACHINE => "e_type",
            E_MACHINE..E_VERSION => "e_machine",
            E_VERSION..24 => "e_version",
            at if (flags..flags + 4).contains(&at) => "e_flags",
            _ => "a field that says nothing about the CPU",
        }
    }

    fn headers(&self, narrow: impl Fn(&mut [u8], &mut [u8])) -> Vec<Magic> {
        self.machines.iter().filter_map(|machine| self.header(*machine, &narrow)).collect()
    }

    fn header(&self, machine: u16, narrow: impl Fn(&mut [u8], &mut [u8])) -> Option<Magic> {
        let flags_at = self.e_flags_at();
        let length = if self.match_flags.is_some() { flags_at + 4 } else { E_MACHINE + 2 };
        let (mut bytes, mut mask) = (vec![0; length], vec![0; length]);
        let exact = |bytes: &mut [u8], mask: &mut [u8], at: usize, value: &[u8]| {
            bytes[at..at + value.len()].copy_from_slice(value);
            mask[at..at + value.len()].fill(0xff);
        };
        exact(&mut bytes, &mut mask, 0, b"\x7fELF");
        exact(&mut bytes, &mut mask, EI_CLASS, &[self.class_byte()]);
        exact(&mut bytes, &mut mask, EI_DATA, &[self.order_byte()]);
        exact(&mut bytes, &mut mask, E_MACHINE, &self.order.u16(machine));
        // ET_EXEC is 2 and ET_DYN is 3: the lowest bit is free.
        bytes[E_TYPE..E_TYPE + 2].copy_from_slice(&self.order.u16(2));
        mask[E_TYPE..E_TYPE + 2].copy_from_slice(&self.order.u16(0xfffe));
        narrow(&mut bytes, &mut mask);
        if let Some(bits) = self.match_flags {
            bytes[flags_at..].copy_from_slice(&self.order.u32(bits.value));
            mask[flags_at..].copy_from_slice(&self.order.u32(bits.mask));
        }
        Magic::new(0, bytes, Some(mask)).ok()
    }

    /// `EI_CLASS`.
    pub fn class_byte(&self) -> u8 {
        match self.class {
            Class::Elf32 => 1,
            Class::Elf64 => 2,
        }
    }

    /// `EI_DATA`.
    pub fn order_byte(&self) -> u8 {
        match self.order {
            ByteOrder::Little => 1,
            ByteOrder::Big => 2,
        }
    }

    /// Offset of `e_flags` in the header.
    pub fn e_flags_at(&self) -> usize {
        match self.class {
            Class::Elf32 => 36,
            Class::Elf64 => 48,
        }
    }
}
