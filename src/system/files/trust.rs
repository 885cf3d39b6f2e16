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
use crate::system::host::privilege;

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
#[derive(Debug, Default)]
pub struct Trust {
    me: OnceCell<u32>,
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
    /// Whose files are trusted. Which uids this user namespace knows is read once, and only when a file belongs to a
    /// stranger.
    fn trusted(&self, owner: u32) -> Trusted {
        let me = *self.me.get_or_init(privilege::uid);
        let is_stranger = owner != 0 && owner != me;
        let overflow = if is_stranger { *self.overflow.get_or_init(overflow_uid) } else { None };
        Trusted { me, overflow }
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
mod tests;
