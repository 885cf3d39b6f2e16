use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::fix::Reader;

const ROOT: Trusted = Trusted { me: 0, overflow: None };
const IN_NAMESPACE: Trusted = Trusted { me: 0, overflow: Some(OVERFLOW_UID) };

fn problems(
    trusted: Trusted,
    kind: StepKind,
    owner: u32,
    mode: u32,
    shared: bool,
) -> Vec<TrustProblem> {
    trusted.judge(kind, owner, mode, shared).into_iter().flatten().collect()
}

#[test]
fn root_owns_and_nobody_else_writes() {
    use StepKind::{File, Folder};
    for (kind, owner, mode, shared, wanted) in [
        (File, 0, 0o644, false, &[][..]),
        (Folder, 0, 0o755, false, &[]),
        (Folder, 0, 0o1777, false, &[]),
        (Folder, 0, 0o1775, false, &[]),
        (Folder, 0, 0o777, false, &[TrustProblem::Writable]),
        (Folder, 0, 0o775, false, &[TrustProblem::Writable]),
        (File, 0, 0o664, false, &[TrustProblem::Writable]),
        (File, 0, 0o646, false, &[TrustProblem::Writable]),
        // A sticky bit on a file protects nothing.
        (File, 0, 0o1666, false, &[TrustProblem::Writable]),
        (File, 1000, 0o644, false, &[TrustProblem::Owner]),
        (File, 1000, 0o666, false, &[TrustProblem::Owner, TrustProblem::Writable]),
        (File, 0, 0o644, true, &[]),
        (File, 1000, 0o600, true, &[TrustProblem::Owner]),
    ] {
        assert_eq!(problems(ROOT, kind, owner, mode, shared), wanted, "{kind:?} {owner} {mode:o}");
    }
}

#[test]
fn our_own_files_are_good() {
    let me = Trusted { me: 1000, overflow: None };
    assert_eq!(problems(me, StepKind::File, 1000, 0o644, false), []);
    assert_eq!(problems(me, StepKind::File, 1000, 0o644, true), []);
    assert_eq!(problems(me, StepKind::File, 1001, 0o644, false), [TrustProblem::Owner]);
    assert_eq!(problems(me, StepKind::File, 1000, 0o664, false), [TrustProblem::Writable]);
}

#[test]
fn a_link_counts_only_where_its_owner_could_replace_it() {
    assert_eq!(problems(ROOT, StepKind::Link, 1000, 0o777, false), []);
    assert_eq!(problems(ROOT, StepKind::Link, 1000, 0o777, true), [TrustProblem::LinkOwner]);
    assert_eq!(problems(ROOT, StepKind::Link, 0, 0o777, true), []);
}

#[test]
fn an_unmapped_owner_is_accepted_outside_shared_folders() {
    assert_eq!(problems(IN_NAMESPACE, StepKind::File, OVERFLOW_UID, 0o755, false), []);
    assert_eq!(
        problems(IN_NAMESPACE, StepKind::File, OVERFLOW_UID, 0o757, false),
        [TrustProblem::Writable]
    );
    assert_eq!(
        problems(IN_NAMESPACE, StepKind::File, OVERFLOW_UID, 0o755, true),
        [TrustProblem::Owner]
    );
    assert_eq!(problems(ROOT, StepKind::File, OVERFLOW_UID, 0o755, false), [TrustProblem::Owner]);
}

#[test]
fn only_the_whole_range_is_the_identity() {
    assert!(is_identity("         0          0 4294967295\n"));
    assert!(!is_identity("0 1000 1\n"));
    assert!(!is_identity("0 0 65536\n"));
    assert!(!is_identity("0 0 65536\n65536 65536 1\n"));
    assert!(!is_identity(""));
}

/// A folder that only we may write.
fn private() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o755);
    folder
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn faults_name_the_folder_and_the_command() {
    let folder = private();
    let inner = folder.path().join("in ner");
    fs::create_dir(&inner).unwrap();
    let file = inner.join("qemu");
    fs::write(&file, "").unwrap();
    chmod(&file, 0o666);
    chmod(&inner, 0o757);
    let checked = Trust::default().check(&file).unwrap();
    let fixes: Vec<_> =
        checked.faults.iter().map(|fault| fault.command().line(Reader::ROOT)).collect();
    let at = folder.path().display();
    assert_eq!(
        fixes,
        [format!("chmod go-w '{at}/in ner'"), format!("chmod go-w '{at}/in ner/qemu'")]
    );
    assert!(checked.faults[0].to_string().contains("mode 0757"), "{}", checked.faults[0]);
    assert!(!checked.is_trusted());
    chmod(&file, 0o644);
    chmod(&inner, 0o755);
    let checked = Trust::default().check(&file).unwrap();
    assert_eq!(checked.faults, []);
    assert_eq!(checked.path, file);
}

#[test]
fn the_folder_of_each_link_counts() {
    let folder = private();
    let at = |name: &str| folder.path().join(name);
    for name in ["good", "bad"] {
        fs::create_dir(at(name)).unwrap();
        chmod(&at(name), 0o755);
    }
    fs::write(at("good/qemu"), "").unwrap();
    chmod(&at("good/qemu"), 0o755);
    symlink("../good/qemu", at("bad/one")).unwrap();
    symlink(at("bad/one"), at("two")).unwrap();
    symlink("good", at("also-good")).unwrap();
    chmod(&at("bad"), 0o777);

    let mut trust = Trust::default();
    let checked = trust.check(&at("two")).unwrap();
    assert_eq!(checked.path, at("good/qemu"));
    assert_eq!(checked.faults.iter().map(|fault| &fault.path).collect::<Vec<_>>(), [&at("bad")]);
    assert!(trust.check(&at("good/qemu")).unwrap().is_trusted());
    assert!(trust.check(&at("also-good/qemu")).unwrap().is_trusted());
    assert!(!trust.check(&at("bad/../good/qemu")).unwrap().is_trusted());
    assert!(trust.check(&at("also-good/../good/qemu")).unwrap().is_trusted());
}

#[test]
fn a_folder_is_looked_at_once() {
    let folder = private();
    let file = folder.path().join("qemu");
    fs::write(&file, "").unwrap();
    chmod(&file, 0o755);
    let mut trust = Trust::default();
    assert!(trust.check(&file).unwrap().is_trusted());
    chmod(folder.path(), 0o777);
    assert!(trust.check(&file).unwrap().is_trusted(), "the folder is remembered");
    chmod(&file, 0o777);
    assert!(!trust.check(&file).unwrap().is_trusted(), "files are not");
    fs::remove_file(&file).unwrap();
    assert!(trust.check(&file).unwrap_err().is_not_found());
}

#[test]
fn loops_and_relative_paths_end() {
    let folder = private();
    let link = folder.path().join("loop");
    symlink("loop", &link).unwrap();
    let error = Trust::default().check(&link).unwrap_err();
    assert_eq!(error.source.raw_os_error(), Some(Errno::ELOOP as i32));
    assert!(Trust::default().check(Path::new("usr/bin")).is_err());
    assert!(Trust::default().check(Path::new("")).is_err());
    assert_eq!(Trust::default().check(Path::new("/..")).unwrap().path, Path::new("/"));
}
