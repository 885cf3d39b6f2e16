use super::*;
use crate::probe::{self, ElfType, truncated};
use crate::rule::Header;
use crate::target::{Table, Target};

fn own_target() -> Target {
    let header = crate::system::host::machine::own_header().unwrap();
    Table::embedded().of_header(&Header::new(&header)).unwrap().clone()
}

/// Truncated programs of this machine, as two kinds of file.
fn own() -> [Vec<u8>; 2] {
    [ElfType::Executable, ElfType::Shared].map(|kind| truncated(&own_target(), kind))
}

/// The same for a machine that does not exist.
fn of_no_machine() -> Vec<u8> {
    let [mut program, _] = own();
    program[18..20].fill(0xfe);
    program
}

#[test]
fn the_kernel_knows_its_own() {
    let [executable, shared] = own();
    let answers = ask(&[executable, of_no_machine(), shared]).unwrap();
    assert_eq!(answers, [RunBy::Kernel, RunBy::Nobody, RunBy::Kernel]);
    assert_eq!(ask(&[]).unwrap(), []);
}

#[test]
fn nobody_can_write_to_what_is_executed() {
    let mut file = in_memory(b"text").unwrap();
    let error = file.write_all(b"more").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

#[test]
fn what_runs_all_the_same_is_ended_and_the_rest_is_asked() {
    let target = own_target();
    let program = probe::build(&target, target.identity.machines[0]).unwrap();
    let [executable, shared] = own();
    let answers = ask(&[executable, program, shared]).unwrap();
    assert_eq!(answers, [RunBy::Kernel, RunBy::Rule, RunBy::Kernel]);
}
