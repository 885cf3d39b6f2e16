//! A table is taken whole or not at all, and what is taken makes rules and probes.
#![no_main]

use std::sync::LazyLock;

use binfmtd::testing::probe;
use binfmtd::testing::rule::Header;
use binfmtd::testing::target::Table;
use libfuzzer_sys::fuzz_target;

/// Read once: that takes longer than all the rest.
static EMBEDDED: LazyLock<Table> = LazyLock::new(Table::embedded);

fuzz_target!(|data: &str| {
    let mut table = EMBEDDED.clone();
    if table.extend(data).is_err() {
        assert_eq!(table, *EMBEDDED);
        return;
    }
    for target in table.targets().iter().filter(|target| !EMBEDDED.targets().contains(target)) {
        assert_eq!(table.find(&target.name).map(|found| &found.name), Ok(&target.name));
        assert_eq!(target.rules().len(), target.identity.machines.len());
        for (machine, (_, magic)) in target.identity.machines.iter().zip(target.rules()) {
            assert!(target.identity.accepted().iter().any(|accepted| accepted.overlaps(&magic)));
            if let Some(file) = probe::build(target, *machine) {
                assert!(magic.matches(&Header::new(&file)), "{}", target.name);
            }
        }
    }
    // A name of any kind gives an answer.
    let _ = table.find(data);
});
