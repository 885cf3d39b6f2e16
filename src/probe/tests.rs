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
fn a_report_is_read_only_when_whole() {
    let report = Report::parse(b"aarch64\n./probe\nnonce\n\n").unwrap();
    assert_eq!(report.machine, "aarch64");
    assert_eq!(report.arguments, [b"./probe".to_vec(), b"nonce".to_vec()]);
    assert!(!Report::is_complete(b"aarch64\n./probe\nnonce\n"));
    assert_eq!(Report::parse(b"aarch64\n./probe\nnonce\n"), None);
    assert_eq!(Report::parse(b"\n\n"), None);
    assert_eq!(Report::parse(b""), None);
}
