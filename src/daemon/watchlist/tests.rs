use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// A folder whose own path has no links in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}

fn names_in<'a>(followed: &'a [Followed], folder: &Path) -> Option<&'a Names> {
    let mut same = followed.iter().filter(|one| one.folder == folder);
    let found = same.next().map(|one| &one.names);
    assert!(same.next().is_none(), "{} stands twice", folder.display());
    found
}

fn only(names: &[&str]) -> Names {
    Names::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_path_without_links_is_its_own_end() {
    let (_guard, at) = folder();
    let file = at.join("a/../file");
    assert_eq!(links_on(&file), [(at, "file".to_owned())]);
}

#[test]
fn links_are_followed_in_folders_and_files_relative_and_absolute() {
    let (_guard, at) = folder();
    fs::create_dir_all(at.join("real/deep")).unwrap();
    fs::write(at.join("real/deep/file"), "").unwrap();
    symlink("real/deep", at.join("relative")).unwrap();
    symlink(at.join("relative"), at.join("absolute")).unwrap();
    symlink("../deep/file", at.join("real/deep/link")).unwrap();
    let owned = |folder: &str, name: &str| {
        let folder = if folder.is_empty() { at.clone() } else { at.join(folder) };
        (folder, name.to_owned())
    };
    assert_eq!(
        links_on(&at.join("absolute/link")),
        [
            owned("", "absolute"),
            owned("", "relative"),
            owned("real/deep", "link"),
            owned("real/deep", "file")
        ]
    );
}

#[test]
fn a_loop_of_links_ends() {
    let (_guard, at) = folder();
    symlink("loop", at.join("loop")).unwrap();
    let found = links_on(&at.join("loop"));
    assert_eq!(found.len(), MOST_LINKS + 1);
    assert!(found.iter().all(|one| *one == (at.clone(), "loop".to_owned())));
}

#[test]
fn of_files_only_links_are_followed() {
    let (_guard, at) = folder();
    fs::create_dir(at.join("data")).unwrap();
    fs::write(at.join("data/mine.toml"), "").unwrap();
    fs::write(at.join("plain.toml"), "").unwrap();
    symlink("data/mine.toml", at.join("mine.toml")).unwrap();
    let files = ["plain.toml", "mine.toml", "missing.toml"].map(|name| at.join(name));
    let followed = follow_links(files.iter());
    assert_eq!(names_in(&followed, &at), Some(&only(&["mine.toml"])));
    assert_eq!(names_in(&followed, &at.join("data")), Some(&only(&["mine.toml"])));
    assert_eq!(followed.len(), 2);
}

#[test]
fn interpreters_are_followed_where_they_may_appear_and_where_links_lead() {
    let (_guard, at) = folder();
    fs::create_dir_all(at.join("store")).unwrap();
    fs::create_dir_all(at.join("real-bin")).unwrap();
    fs::write(at.join("store/qemu"), "").unwrap();
    symlink("real-bin", at.join("bin")).unwrap();
    symlink("../store/qemu", at.join("real-bin/qemu-aarch64-static")).unwrap();
    let settings = Settings {
        interpreter_directories: vec![at.join("bin"), at.join("later")],
        ..Settings::default()
    };
    let followed = follow_interpreters(&settings);
    for folder in ["bin", "later"] {
        let Some(Names::Only(names)) = names_in(&followed, &at.join(folder)) else {
            panic!("{folder} is not followed: {followed:?}");
        };
        assert!(names.contains("qemu-aarch64-static") && names.contains("qemu-riscv64"));
    }
    assert_eq!(names_in(&followed, &at), Some(&only(&["bin", "later", "real-bin"])));
    assert_eq!(names_in(&followed, &at.join("store")), Some(&only(&["qemu"])));
    assert_eq!(names_in(&followed, &at.join("real-bin")), Some(&only(&["qemu-aarch64-static"])));
}

#[test]
fn the_configuration_is_followed_in_each_of_its_places() {
    let names = |explicit: Option<&Path>| follow_configuration(explicit);
    let usual = names(None);
    let expected = |extra: &[&str]| {
        let folders = ["binfmtd.d", "tables.d"].iter().chain(extra);
        Names::Ending(".toml".to_owned(), folders.map(|name| (*name).to_owned()).collect())
    };
    assert_eq!(names_in(&usual, Path::new("/etc/binfmtd")), Some(&expected(&[])));
    let (_guard, at) = folder();
    let explicit = names(Some(&at.join("mine.conf")));
    assert_eq!(names_in(&explicit, &at), Some(&expected(&["mine.conf"])));
}
