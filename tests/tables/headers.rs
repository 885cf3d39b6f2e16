//! Headers of real files: which rule takes them, and which none may take.

use binfmtd::testing::probe;
use binfmtd::testing::rule::Header;
use binfmtd::testing::target::{Table, Target};

/// The targets whose rules take a file.
fn takers<'a>(table: &'a Table, file: &[u8]) -> Vec<&'a str> {
    let header = Header::new(file);
    let takes = |target: &&Target| target.rules().iter().any(|(_, magic)| magic.matches(&header));
    table.targets().iter().filter(takes).map(|target| target.name.as_str()).collect()
}

fn header(table: &Table, target: &str) -> Vec<u8> {
    let target = table.find(target).unwrap();
    probe::build(target, target.identity.machines[0])
        .unwrap_or_else(|| panic!("no probe for {}", target.name))
}

/// The lower byte of `e_type`.
fn type_at(table: &Table, target: &str) -> usize {
    usize::from(table.find(target).unwrap().identity.order_byte()) + 15
}

fn names(table: &Table) -> impl Iterator<Item = &str> {
    table.targets().iter().map(|target| target.name.as_str())
}

#[test]
fn no_two_rules_overlap() {
    let table = Table::embedded();
    let rules: Vec<_> = table.targets().iter().flat_map(Target::rules).collect();
    for (index, (name, magic)) in rules.iter().enumerate() {
        for (other_name, other) in &rules[index + 1..] {
            assert!(!magic.overlaps(other), "{name} and {other_name} take the same files");
            assert_ne!(name, other_name);
        }
    }
}

/// A rule may capture a program of its own target's kernel, and no other's.
#[test]
fn no_rule_takes_what_another_targets_kernel_accepts() {
    let table = Table::embedded();
    for target in table.targets() {
        for (name, magic) in target.rules() {
            for other in table.targets() {
                let captured =
                    other.identity.accepted().iter().any(|accepted| accepted.overlaps(&magic));
                assert_eq!(captured, other.name == target.name, "{name} against {}", other.name);
            }
        }
    }
}

/// What is registered is at most what the target's own kernel would take.
#[test]
fn a_rule_is_narrower_than_its_targets_kernel() {
    let table = Table::embedded();
    for target in table.targets() {
        for (magic, accepted) in target.identity.magics().iter().zip(target.identity.accepted()) {
            assert_eq!(magic.magic().len(), accepted.magic().len());
            for (ours, kernels) in magic.mask().iter().zip(accepted.mask()) {
                assert_eq!(ours & kernels, *kernels, "{}", target.name);
            }
            assert!(magic.overlaps(&accepted) && !magic.is_same(&accepted), "{}", target.name);
        }
    }
}

#[test]
fn each_probe_has_one_taker() {
    let table = Table::embedded();
    for target in table.targets() {
        for machine in &target.identity.machines {
            let probe = probe::build(target, *machine).unwrap();
            assert_eq!(takers(&table, &probe), [&target.name], "{machine}");
        }
    }
}

#[test]
fn position_independent_programs_are_taken_too() {
    let table = Table::embedded();
    for name in names(&table) {
        let mut file = header(&table, name);
        file[type_at(&table, name)] = 3; // ET_DYN
        assert_eq!(takers(&table, &file), [name]);
    }
}

#[test]
fn objects_and_core_dumps_are_not() {
    let table = Table::embedded();
    for name in names(&table) {
        // ET_NONE, ET_REL, ET_CORE, ET_LOOS
        for e_type in [0, 1, 4, 0xfe] {
            let mut file = header(&table, name);
            file[type_at(&table, name)] = e_type;
            assert_eq!(takers(&table, &file), [""; 0], "{name}, e_type {e_type}");
        }
    }
}

#[test]
fn linuxs_own_osabis_are_taken_and_others_are_not() {
    let table = Table::embedded();
    for name in names(&table) {
        // System V; GNU/Linux, which ifuncs and C++ make.
        for osabi in [0, 3] {
            let mut file = header(&table, name);
            file[7] = osabi;
            assert_eq!(takers(&table, &file), [name], "OSABI {osabi}");
        }
        // Solaris, FreeBSD, OpenBSD, CloudABI, standalone.
        for osabi in [6, 9, 12, 17, 255] {
            let mut file = header(&table, name);
            file[7] = osabi;
            assert_eq!(takers(&table, &file), [""; 0], "{name}, OSABI {osabi}");
        }
    }
}

#[test]
fn abi_versions_and_appimages_are_taken() {
    let table = Table::embedded();
    for name in names(&table) {
        // BuildKit's mips64 probe carries 5; glibc itself goes to 8 on some.
        for version in [1, 5, 8] {
            let mut file = header(&table, name);
            file[8] = version;
            assert_eq!(takers(&table, &file), [name], "ABI version {version}");
        }
        let mut file = header(&table, name);
        file[8..11].copy_from_slice(b"AI\x02");
        assert_eq!(takers(&table, &file), [name], "AppImage");
    }
}

#[test]
fn o32_and_n32_are_told_apart() {
    let table = Table::embedded();
    for (o32, n32, flags_at) in [("mips", "mipsn32", 36..40), ("mipsel", "mipsn32el", 36..40)] {
        let big = o32 == "mips";
        let with = |e_flags: u32| {
            let mut file = header(&table, o32);
            let bytes = if big { e_flags.to_be_bytes() } else { e_flags.to_le_bytes() };
            file[flags_at.clone()].copy_from_slice(&bytes);
            file
        };
        // As Debian's, Go's (softfloat, mips32) and Octeon's compilers write them.
        for e_flags in [0x5000_1007, 0x7000_1405, 0x0000_1004, 0x5000_1000, 0] {
            assert_eq!(takers(&table, &with(e_flags)), [o32], "{e_flags:#x}");
        }
        for e_flags in [0x6000_0027, 0x8000_0020, 0x808b_0026, 0x20] {
            assert_eq!(takers(&table, &with(e_flags)), [n32], "{e_flags:#x}");
        }
    }
}

/// A wrong byte order, class or version: no program, or another target's.
#[test]
fn the_identification_is_exact() {
    let table = Table::embedded();
    for name in names(&table) {
        for (at, values) in [(4, [0, 3]), (5, [0, 3]), (6, [0, 2])] {
            for value in values {
                let mut file = header(&table, name);
                file[at] = value;
                assert_eq!(takers(&table, &file), [""; 0], "{name}, byte {at} is {value}");
            }
        }
        for at in 0..4 {
            let mut file = header(&table, name);
            file[at] ^= 0x20;
            assert_eq!(takers(&table, &file), [""; 0]);
        }
    }
}

/// No table covers x32 (class 32 with `EM_X86_64`): no rule may take its files by accident.
#[test]
fn files_of_no_target_are_left_alone() {
    let table = Table::embedded();
    let mut x32 = header(&table, "i386");
    x32[18] = 62;
    assert_eq!(takers(&table, &x32), [""; 0]);
    for file in [
        &b""[..],
        b"#!/bin/sh\n",
        b"MZ\x90\0",
        b"\x7fELF",
        b"\xca\xfe\xba\xbe\0\0\0\x34",
        b"PK\x03\x04",
        b"BC\xc0\xde",
    ] {
        assert_eq!(takers(&table, file), [""; 0]);
    }
    let elf: Vec<u8> = [b"\x7fELF\x02\x01\x01", &[0; 249][..]].concat();
    assert_eq!(takers(&table, &elf), [""; 0]);
}
