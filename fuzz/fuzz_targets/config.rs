//! A fragment is read or refused with every error named; reading it twice gives the same.
#![no_main]

use std::path::Path;

use binfmtd::testing::config::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let file = Path::new("/etc/binfmtd/binfmtd.toml");
    match parse(data, file) {
        Ok(fragment) => assert_eq!(parse(data, file), Ok(fragment)),
        Err(errors) => {
            assert!(errors.iter().count() > 0);
            for error in errors.iter() {
                assert!(!error.to_string().is_empty());
            }
        }
    }
});
