//! A report is read when it is complete, and says what was written.
#![no_main]

use binfmtd::testing::probe::Report;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(report) = Report::parse(data) else { return };
    assert!(Report::is_complete(data));
    assert!(!report.machine.is_empty());
    let mut again = report.machine.clone().into_bytes();
    for argument in &report.arguments {
        again.push(b'\n');
        again.extend_from_slice(argument);
    }
    again.extend_from_slice(b"\n\n");
    if std::str::from_utf8(data).is_ok() {
        assert_eq!(again, data);
    }
    assert_eq!(Report::parse(&again), Some(report));
});
