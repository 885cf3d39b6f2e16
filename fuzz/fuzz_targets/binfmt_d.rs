//! Each line stands for itself: a file of the rules that were read reads as those rules.
#![no_main]

use binfmtd::testing::rule::parse_binfmt_d;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let file = parse_binfmt_d(data);
    let lines = data.split(|byte| *byte == b'\n').count();
    assert!(file.0.iter().all(|(number, _)| (1..=lines).contains(number)));
    assert!(file.0.is_sorted_by(|(one, _), (other, _)| one < other));

    let mut again = Vec::new();
    for rule in file.rules() {
        again.extend_from_slice(b"# a comment\n");
        again.extend_from_slice(rule.register_string());
        again.push(b'\n');
    }
    let reread = parse_binfmt_d(&again);
    assert!(reread.rules().eq(file.rules()));
    assert!(reread.0.iter().all(|(_, rule)| rule.is_ok()));
});
