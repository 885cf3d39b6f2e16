//! Trust: whether only root can change a file and every folder above it.
//!
//! A user who can write a file, or replace a folder or link on the way to it, controls its content. A path that
//! passes this check can be opened by name afterwards: only root could win the race.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use thiserror::Error;

use crate::observation::{TrustFault, TrustProblem};
use crate::shown::quote;

/// How many links the kernel follows in one path (`MAXSYMLINKS`, `path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Write permission for the group or others. With an ACL, the group's bit is the ACL's mask
/// (`acl(5)`), so a permission that an ACL grants shows here too.
const WRITABLE: u32 = 0o022;

const STICKY: u32 = 0o1000;

/// The kernel's default owner for files whose real owner has no number in the user namespace.
const OVERFLOW_UID: u32 = 65534;

/// Checks paths and caches the folders: each folder costs one `lstat`, however many files in it are checked.
///
/// Folders are not looked at again, so create a new one for each round of checks.
#[derive(Debug)]
pub struct Trust {
    me: u32,
    overflow: OnceCell<Option<u32>>,
    folders: HashMap<PathBuf, Rc<PathStep>>,
}

/// Where a path leads.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Without links.
    pub path: PathBuf,
    pub metadata: Metadata,
    /// Where somebody else could change it; empty when nobody can. The topmost folder comes first.
    pub faults: Vec<TrustFault>,
}

impl Checked {
    /// Whether nobody but root, or ourselves, can change the file.
    pub fn is_trusted(&self) -> bool {
        self.faults.is_empty()
    }
}

/// A path that could not be followed to its end.
#[derive(Debug, Error)]
#[error("{}: {source}", quote(path))]
pub struct TrustError {
    pub path: PathBuf,
    pub source: io::Error,
}

impl TrustError {
    /// Whether there is nothing of that name.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

#[derive(Debug, Clone, Copy)]
struct Trusted {
    /// Our own uid: our files make us do nothing that we could not do anyway.
    me: u32,
    /// The owner of files whose real owner has no number here; `None` where every uid has one.
    overflow: Option<u32>,
}

#[derive(Debug, Clone)]
struct PathStep {
    real: PathBuf,
    metadata: Metadata,
    faults: BTreeSet<TrustFault>,
}

impl Trust {
    pub fn new() -> Self {
        let me = nix::unistd::geteuid().as_raw();
        Self { me, overflow: OnceCell::new(), folders: HashMap::new() }
    }

    /// Whose files are trusted. Which uids this user namespace knows is read once, and only when a file belongs to a
    /// stranger.
    fn trusted(&self, owner: u32) -> Trusted {
        let is_stranger = owner != 0 && owner != self.me;
        let overflow = if is_stranger { *self.overflow.get_or_init(overflow_uid) } else { None };
        Trusted { me: self.me, overflow }
    }

    /// Follows an absolute path component by component and judges everything on the way: folders, links, the folders
    /// of links, and the file itself.
    ///
    /// Costs one `lstat` besides those of new folders, and two more calls for each link. An earlier `stat` or `fstat`
    /// cannot replace it, because they say nothing about links; its result can replace them.
    pub fn check(&mut self, path: &Path) -> Result<Checked, TrustError> {
        let step = self.step(path, MAX_LINKS)?;
        Ok(Checked {
            path: step.real.clone(),
            metadata: step.metadata.clone(),
            faults: step.faults.iter().cloned().collect(),
        })
    }

    fn step(&mut self, path: &Path, links: usize) -> Result<Rc<PathStep>, TrustError> {
        if let Some(folder) = self.folders.get(path) {
            return Ok(Rc::clone(folder));
        }
        let step = Rc::new(self.follow(path, links)?);
        if step.metadata.is_dir() {
            self.folders.insert(path.to_owned(), Rc::clone(&step));
        }
        Ok(step)
    }

    fn follow(&mut self, path: &Path, links: usize) -> Result<PathStep, TrustError> {
        let failed = |path: &Path, source| TrustError { path: path.to_owned(), source };
        let (above, name) = match (path.parent(), path.components().next_back()) {
            (Some(above), Some(Component::Normal(name))) => (self.step(above, links)?, name),
            (Some(above), Some(Component::ParentDir)) => {
                let below = self.step(above, links)?;
                let up = below.real.parent().unwrap_or(Path::new("/"));
                let up = self.step(up, links)?;
                return Ok(up.also(&below));
            }
            (None, Some(Component::RootDir)) => {
                let metadata =
                    fs::symlink_metadata("/").map_err(|source| failed(Path::new("/"), source))?;
                return Ok(self.judged(Path::new("/").to_owned(), metadata, None));
            }
            _ => return Err(failed(path, Errno::EINVAL.into())),
        };
        let real = above.real.join(name);
        if real != path
            && let Some(folder) = self.folders.get(&real)
        {
            return Ok(folder.also(&above));
        }
        let metadata = fs::symlink_metadata(&real).map_err(|source| failed(&real, source))?;
        if !metadata.is_symlink() {
            return Ok(self.judged(real, metadata, Some(&above)));
        }
        let Some(links) = links.checked_sub(1) else {
            return Err(failed(path, Errno::ELOOP.into()));
        };
        let target = fs::read_link(&real).map_err(|source| failed(&real, source))?;
        let target = above.real.join(target);
        let link = self.judged(real, metadata, Some(&above));
        let end = self.step(&target, links)?;
        Ok(end.also(&link))
    }

    /// Adds the faults of one step to those above it.
    fn judged(&self, real: PathBuf, metadata: Metadata, above: Option<&PathStep>) -> PathStep {
        let kind = if metadata.is_symlink() {
            StepKind::Link
        } else if metadata.is_dir() {
            StepKind::Folder
        } else {
            StepKind::File
        };
        let in_shared = above.is_some_and(|above| is_shared(above.metadata.mode()));
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        let problems = self.trusted(owner).judge(kind, owner, mode, in_shared);
        let mut faults = above.map(|above| above.faults.clone()).unwrap_or_default();
        faults.extend(problems.into_iter().flatten().map(|problem| TrustFault {
            path: real.clone(),
            owner,
            mode,
            problem,
        }));
        PathStep { real, metadata, faults }
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self::new()
    }
}

impl PathStep {
    /// The same file, reached by way of `other`.
    fn also(&self, other: &Self) -> Self {
        Self { faults: self.faults.union(&other.faults).cloned().collect(), ..self.clone() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepKind {
    File,
    Folder,
    Link,
}

/// A folder such as `/tmp`: everybody may write it, but only the owner of an entry may replace that entry.
fn is_shared(mode: u32) -> bool {
    mode & STICKY != 0 && mode & WRITABLE != 0
}

impl Trusted {
    /// At most two problems: who owns it, and who may write it.
    fn judge(
        self,
        kind: StepKind,
        owner: u32,
        mode: u32,
        in_shared: bool,
    ) -> [Option<TrustProblem>; 2] {
        let ours = owner == 0 || owner == self.me;
        // An owner without a number in this user namespace is normally the real root. In a folder such as /tmp it
        // may be anybody.
        let accepted = ours || (self.overflow == Some(owner) && !in_shared);
        let is_writable = mode & WRITABLE != 0;
        match kind {
            // A link has no permissions and cannot be written; its folder decides who can replace it.
            StepKind::Link => [(in_shared && !accepted).then_some(TrustProblem::LinkOwner), None],
            StepKind::File => [
                (!accepted).then_some(TrustProblem::Owner),
                is_writable.then_some(TrustProblem::Writable),
            ],
            StepKind::Folder => [
                (!accepted).then_some(TrustProblem::Owner),
                (is_writable && !is_shared(mode)).then_some(TrustProblem::Writable),
            ],
        }
    }
}

/// The uid that stands for all uids without a number here, if there are any.
fn overflow_uid() -> Option<u32> {
    // Without /proc be strict: take every uid at its word.
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    if is_identity(&map) {
        return None;
    }
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    Some(overflow.and_then(|uid| uid.trim().parse().ok()).unwrap_or(OVERFLOW_UID))
}

/// Whether a `uid_map` (`user_namespaces(7)`: inside, outside, length) gives every uid its own number.
fn is_identity(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
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
            assert_eq!(
                problems(ROOT, kind, owner, mode, shared),
                wanted,
                "{kind:?} {owner} {mode:o}"
            );
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
        assert_eq!(
            problems(ROOT, StepKind::File, OVERFLOW_UID, 0o755, false),
            [TrustProblem::Owner]
        );
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
        let checked = Trust::new().check(&file).unwrap();
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
        let checked = Trust::new().check(&file).unwrap();
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

        let mut trust = Trust::new();
        let checked = trust.check(&at("two")).unwrap();
        assert_eq!(checked.path, at("good/qemu"));
        assert_eq!(
            checked.faults.iter().map(|fault| &fault.path).collect::<Vec<_>>(),
            [&at("bad")]
        );
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
        let mut trust = Trust::new();
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
        let error = Trust::new().check(&link).unwrap_err();
        assert_eq!(error.source.raw_os_error(), Some(Errno::ELOOP as i32));
        assert!(Trust::new().check(Path::new("usr/bin")).is_err());
        assert!(Trust::new().check(Path::new("")).is_err());
        assert_eq!(Trust::new().check(Path::new("/..")).unwrap().path, Path::new("/"));
    }
}
