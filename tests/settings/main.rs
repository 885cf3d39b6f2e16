//! The golden trees of `tests/config`: each folder is a root, `expected` what `config show` or the
//! errors say of it.
//!
//! Beside the tree, a folder may have `explicit` (what `--config` names) and `modes` (`MODE PATH`, since
//! git keeps none). `BINFMTD_BLESS=1` writes `expected` anew.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use binfmtd::testing::config::{Settings, load};
use tempfile::TempDir;

/// A tree that only we may write, whatever the checkout is like.
fn copy(from: &Path) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    copy_into(from, root.path());
    if let Ok(modes) = fs::read_to_string(from.join("modes")) {
        for line in modes.lines() {
            let (mode, path) = line.split_once(' ').unwrap();
            chmod(&root.path().join(path), u32::from_str_radix(mode, 8).unwrap());
        }
    }
    root
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(path).unwrap(), copy).unwrap();
        } else if kind.is_dir() {
            fs::create_dir(&copy).unwrap();
            chmod(&copy, 0o755);
            copy_into(&path, &copy);
        } else {
            fs::write(&copy, fs::read(path).unwrap()).unwrap();
            chmod(&copy, 0o644);
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What is said of a tree, without what differs from machine to machine.
fn said(root: &Path, text: &str) -> String {
    let me = fs::metadata(root).unwrap().uid();
    text.replace(root.to_str().unwrap(), "").replace(&format!("(owner {me},"), "(owner ME,")
}

/// Settings without where they were written.
fn content(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.sources = Settings::default().sources;
    settings.rules.clear();
    settings
}

#[test]
fn every_tree_says_what_is_expected() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut folders: Vec<_> =
        fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 22, "{folders:?}");
    let mut wrong = Vec::new();
    for folder in folders {
        let root = copy(&folder);
        let explicit = fs::read_to_string(folder.join("explicit")).ok();
        let explicit = explicit.map(|name| root.path().join(name.trim()));
        let found = match load(root.path(), explicit.as_deref()) {
            Ok(settings) => {
                let shown = settings.show().to_string();
                let file = root.path().join("shown.toml");
                fs::write(&file, &shown).unwrap();
                chmod(&file, 0o644);
                let again = load(root.path(), Some(&file)).unwrap();
                assert_eq!(content(&again), content(&settings), "{}", folder.display());
                said(root.path(), &shown)
            }
            Err(errors) => said(root.path(), &format!("{errors}\n")),
        };
        let expected = folder.join("expected");
        if std::env::var_os("BINFMTD_BLESS").is_some() {
            fs::write(expected, found).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}\nfound:\n{found}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\n(BINFMTD_BLESS=1 accepts these)", wrong.join("\n"));
}

fn error_of(content: &[u8]) -> String {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("x.toml");
    fs::write(&file, content).unwrap();
    chmod(&file, 0o644);
    said(root.path(), &load(root.path(), Some(&file)).unwrap_err().to_string())
}

#[test]
fn large_files_are_refused() {
    let comment = vec![b'#'; 1024 * 1024 + 1];
    assert_eq!(error_of(&comment), "/x.toml: has 1048577 bytes; at most 1048576 are read");
}

#[test]
fn a_pipe_is_refused_without_waiting() {
    let root = tempfile::tempdir().unwrap();
    let pipe = root.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let error = load(root.path(), Some(&pipe)).unwrap_err();
    assert_eq!(said(root.path(), &error.to_string()), "/pipe: not a regular file");
    let error = load(root.path(), Some(Path::new("/dev/null"))).unwrap_err().to_string();
    assert!(error.starts_with("/dev/null: "), "{error}");
}
