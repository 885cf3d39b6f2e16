use std::fs;

use super::*;

fn only(names: &[&str]) -> Names {
    Names::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn only_what_matters_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::new().unwrap();
    let toml = Names::Ending(".toml".to_owned(), BTreeSet::new());
    let followed =
        [only(&["qemu-arm"]), toml].map(|names| Followed::new(folder.path().to_owned(), names));
    assert!(!watcher.follow(followed.to_vec()).unwrap());
    fs::write(folder.path().join("ls"), "").unwrap();
    fs::write(folder.path().join(".new.toml"), "").unwrap();
    assert_eq!(watcher.read().unwrap(), []);
    fs::write(folder.path().join("new"), "").unwrap();
    fs::rename(folder.path().join("new"), folder.path().join("qemu-arm")).unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
    fs::write(folder.path().join("10-mine.toml"), "").unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
}

#[test]
fn a_folder_above_that_is_moved_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("a/b/c")).unwrap();
    let mut watcher = Watcher::new().unwrap();
    let follow = || vec![Followed::new(path("a/b/c"), only(&["qemu-arm"]))];
    watcher.follow(follow()).unwrap();
    fs::write(path("a/b/other"), "").unwrap();
    fs::create_dir(path("a/other")).unwrap();
    assert_eq!(watcher.read().unwrap(), [], "what else is in them is of no matter");
    fs::rename(path("a"), path("old")).unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
    // The folder above is watched, so its return is reported.
    watcher.follow(follow()).unwrap();
    fs::rename(path("old"), path("a")).unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
}

#[test]
fn a_folder_that_is_not_there_is_told_of_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = folder.path().join("etc/binfmtd");
    let mut watcher = Watcher::new().unwrap();
    let follow = || vec![Followed::new(wanted.clone(), only(&["binfmtd.toml"]))];
    watcher.follow(follow()).unwrap();
    fs::write(folder.path().join("other"), "").unwrap();
    assert_eq!(watcher.read().unwrap(), []);
    fs::create_dir(folder.path().join("etc")).unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
    watcher.follow(follow()).unwrap();
    fs::create_dir(&wanted).unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
    let before = follow();
    fs::write(wanted.join("binfmtd.toml"), "").unwrap();
    assert!(watcher.follow(before).unwrap(), "changed after the look");
    fs::write(wanted.join("binfmtd.toml"), "targets = []").unwrap();
    assert_eq!(watcher.read().unwrap(), [WatchEvent::Files]);
}
