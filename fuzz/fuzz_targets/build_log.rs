//! A build's log is read whatever it is; what was said beside the progress is kept, and there is a reason always.
#![no_main]

use binfmtd::testing::buildx::test_build::BuildLog;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let log = BuildLog::read(data);
    assert!(!log.why().is_empty());
    assert!(log.text.ends_with(&log.rest));
    for line in log.rest.lines() {
        assert!(data.contains(line));
    }
    // Without a document all of it is for people.
    if !data.contains('{') {
        assert!(log.outputs.is_empty() && log.errors.is_empty());
        assert_eq!(log.rest, data.trim());
    }
});
