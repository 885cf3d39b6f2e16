mod arguments;
mod environment;
mod image;

use super::*;

#[test]
fn it_is_called_by_its_name_alone() {
    for (called, wanted) in [
        ("binfmt", true),
        ("/usr/bin/binfmt", true),
        ("binfmtd", false),
        ("/opt/binfmt/binfmtd", false),
        ("", false),
    ] {
        assert_eq!(is_called(&[called.into(), "binfmt".into()]), wanted, "{called}");
    }
    assert!(!is_called(&[]));
}
