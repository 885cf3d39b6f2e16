use std::path::PathBuf;

use super::*;
use crate::observation::FileId;
use crate::target::Table;

fn pinned(fixed_address: Option<bool>) -> Pinned {
    Pinned {
        id: FileId { device: 0, inode: 0, size: 0, modified: 0 },
        path: PathBuf::new(),
        sha256: None,
        is_on_disk: true,
        is_elsewhere: false,
        fixed_address,
    }
}

#[test]
fn a_version_is_read_from_qemus_own_words() {
    let debian = "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)";
    assert_eq!(Version::read(debian), Some(Version(7, 2, 22)));
    assert_eq!(Version::read("qemu-arm version 9.2.0"), Some(Version(9, 2, 0)));
    assert_eq!(Version::read("qemu-arm version 8.1"), Some(Version(8, 1, 0)));
    assert_eq!(Version::read("qemu-arm version 9.1.50 (v9.1.0-rc1-2)"), Some(Version(9, 1, 50)));
    for other in ["", "qemu-arm version x", "box64 v0.2", "version 1.2"] {
        assert_eq!(Version::read(other), None, "{other}");
    }
}

#[test]
fn a_version_is_known_for_its_targets_only() {
    let is_known = |version, target| known(version, target, None, Some(2)).is_some();
    assert!(is_known(Version(10, 0, 2), "microblazeel"));
    assert!(is_known(Version(10, 1, 1), "microblazeel"));
    assert!(!is_known(Version(10, 1, 2), "microblazeel"));
    assert!(!is_known(Version(10, 0, 2), "microblaze"));
    assert!(is_known(Version(9, 2, 1), "aarch64"));
    assert!(!is_known(Version(9, 2, 1), "arm"));
    assert!(!is_known(Version(10, 0, 2), "aarch64"));
    // What Debian 12 and 13 and sid have, and what the tests run.
    for version in [Version(7, 2, 22), Version(10, 0, 2), Version(11, 1, 3)] {
        let movable = pinned(Some(false));
        assert!(known(version, "aarch64", Some(&movable), Some(2)).is_none(), "{version}");
    }
}

#[test]
fn an_address_matters_only_where_the_kernel_chooses_it() {
    let is_known = |fixed, randomize| {
        known(Version(7, 0, 0), "s390x", Some(&pinned(fixed)), randomize).is_some()
    };
    assert!(is_known(Some(true), Some(2)));
    assert!(!is_known(Some(true), Some(0)));
    assert!(!is_known(Some(true), Some(1)));
    assert!(!is_known(Some(true), None));
    assert!(!is_known(Some(false), Some(2)));
    assert!(!is_known(None, Some(2)));
    assert!(known(Version(8, 1, 0), "s390x", Some(&pinned(Some(true))), Some(2)).is_none());
}

#[test]
fn every_entry_is_whole() {
    let table = Table::embedded();
    for known in KNOWN {
        assert!(known.first <= known.last, "{known:?}");
        assert!(known.targets.iter().all(|name| table.find(name).is_ok()), "{known:?}");
        assert!(known.source.contains('#') || known.source.contains("commit"), "{known:?}");
        for sentence in [known.what, known.way_out] {
            assert!(!sentence.is_empty() && !sentence.ends_with('.'), "{sentence}");
        }
    }
}
