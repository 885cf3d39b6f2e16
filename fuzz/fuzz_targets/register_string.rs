//! What we read we can write, and the kernel would take it.
#![no_main]

use binfmtd::testing::rule::{MAX_REGISTER_STRING, MIN_REGISTER_STRING, parse_register};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(rule) = parse_register(data) else { return };
    let string = rule.register_string();
    assert!((MIN_REGISTER_STRING..=MAX_REGISTER_STRING).contains(&string.len()));
    assert!(!string.contains(&0) && !string.contains(&b'\n'));
    assert_eq!(parse_register(string).as_ref(), Ok(&rule));
    assert_eq!(rule.renamed(rule.name().clone()).as_ref(), Ok(&rule));
    assert_eq!(rule.with_flags(rule.flags()).as_ref(), Ok(&rule));
    if let Some(magic) = rule.matcher().magic() {
        assert!(magic.mask().iter().any(|byte| *byte != 0));
        assert!(magic.is_same(magic) && magic.overlaps(magic));
    }
});
