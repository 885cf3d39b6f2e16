//! What is read and can be written is read again; only the flag `O` has no word there.
#![no_main]

use binfmtd::rule::{Flags, parse_debian, write_debian};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let Ok(file) = parse_debian("name", data) else { return };
    let package = file.package.as_deref().unwrap_or("package");
    let text = write_debian(&file.rule, package).expect("what came from such a file fits into one");
    let again = parse_debian("name", &text).expect("what we wrote");
    let flags = Flags { open_binary: false, ..file.rule.flags() };
    assert_eq!(Ok(&again.rule), file.rule.with_flags(flags).as_ref());
    assert_eq!(again.package.as_deref(), Some(package));
});
