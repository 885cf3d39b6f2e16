use super::*;
use crate::rule::Header;
use crate::target::Table;

#[test]
fn every_target_has_a_probe_that_its_own_rule_matches() {
    for target in Table::embedded().targets() {
        for (machine, (name, magic)) in target.identity.machines.iter().zip(target.rules()) {
            let file =
                build(target, *machine).unwrap_or_else(|| panic!("no code for {}", target.name));
            assert!(magic.matches(&Header::new(&file)), "{name}");
            assert!(file.len() < 1024, "{name}: {} bytes", file.len());
        }
    }
}

#[test]
fn every_probe_is_an_elf_file_that_others_can_read() {
    for target in Table::embedded().targets() {
        let file = build(target, target.identity.machines[0]).unwrap();
        let elf = goblin::elf::Elf::parse(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", target.name));
        assert_eq!(elf.header.e_flags, target.identity.e_flags, "{}", target.name);
        let load = &elf.program_headers[0];
        assert_eq!(load.p_filesz, file.len() as u64);
        assert!(load.vm_range().contains(&usize::try_from(elf.entry).unwrap()));
        assert!(elf.interpreter.is_none());
    }
}

#[test]
fn a_truncated_program_looks_like_its_target_and_ends_before_its_loader() {
    use goblin::elf::{Elf, ProgramHeader, program_header::PT_INTERP};

    for target in Table::embedded().targets() {
        let name = &target.name;
        for (kind, e_type) in [(ElfType::Executable, 2), (ElfType::Shared, 3)] {
            let file = truncated(target, kind);
            assert!(target.rules()[0].1.matches(&Header::new(&file)), "{name}");
            let header = Elf::parse_header(&file).unwrap();
            assert_eq!(
                (header.e_type, header.e_flags),
                (e_type, target.identity.e_flags),
                "{name}"
            );
            // By this size the kernel knows the class (`load_elf_phdrs`).
            let size = if header.e_ident[4] == 2 { 56 } else { 32 };
            assert_eq!((header.e_phnum, header.e_phentsize), (1, size), "{name}");
            let at = usize::try_from(header.e_phoff).unwrap();
            let context = goblin::container::Ctx::new(
                header.container().unwrap(),
                header.endianness().unwrap(),
            );
            let segment = &ProgramHeader::parse(&file, at, 1, context).unwrap()[0];
            // With less than two bytes it would be no path, and the file no program.
            assert_eq!((segment.p_type, segment.p_filesz), (PT_INTERP, 2), "{name}");
            assert_eq!(segment.p_offset, file.len() as u64, "{name}");
        }
    }
}

#[test]
fn a_report_is_read_only_when_whole() {
    let report = Report::parse(b"aarch64\n./probe\nnonce\n\n").unwrap();
    assert_eq!(report.machine, "aarch64");
    assert_eq!(report.arguments, [b"./probe".to_vec(), b"nonce".to_vec()]);
    assert!(!Report::is_complete(b"aarch64\n./probe\nnonce\n"));
    assert_eq!(Report::parse(b"aarch64\n./probe\nnonce\n"), None);
    assert_eq!(Report::parse(b"\n\n"), None);
    assert_eq!(Report::parse(b""), None);
}
