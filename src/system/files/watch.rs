//! Watches rules, interpreters, configuration and mounts for changes.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Names {
    Only(BTreeSet<String>),
    /// Names with this ending, without hidden ones, and these names.
    Ending(String, BTreeSet<String>),
}

impl Names {
    fn matter(&self, name: &OsStr) -> bool {
        let is_in =
            |names: &BTreeSet<String>| name.to_str().is_some_and(|name| names.contains(name));
        match self {
            Self::Only(names) => is_in(names),
            Self::Ending(end, names) => {
                let bytes = name.as_bytes();
                (bytes.ends_with(end.as_bytes()) && !bytes.starts_with(b".")) || is_in(names)
            }
        }
    }
}

/// A folder to watch, whether it exists or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    pub folder: PathBuf,
    pub names: Names,
    /// A digest of the relevant files when the folder was last read; `None` when it did not exist. A change between
    /// that read and the watch is reported at once.
    pub looked: Option<u64>,
}

impl Followed {
    /// Create it before the folder is read.
    pub fn new(folder: PathBuf, names: Names) -> Self {
        let looked = digest(&folder, &names);
        Self { folder, names, looked }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchEvent {
    /// A rule, or the instance's switch.
    Instance,
    /// A relevant file in a watched folder.
    Files,
    /// The kernel's queue overflowed: anything may have changed.
    Lost,
}

/// Watches one instance and any number of folders.
#[derive(Debug)]
pub struct Watcher {
    inotify: Inotify,
    instance: Option<WatchDescriptor>,
    followed: Vec<Followed>,
    /// The folder's index, and the only relevant name when this folder is merely on the way to it.
    places: HashMap<WatchDescriptor, Vec<(usize, Option<OsString>)>>,
    /// Which folder each path led to. inotify does not report a mount over a watched folder.
    folders: Vec<Option<(u64, u64)>>,
}

/// The same mask for every folder, because the kernel keeps one watch for a folder that is added twice.
fn folder_events() -> AddWatchFlags {
    AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

impl Watcher {
    pub fn new() -> io::Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let inotify = Inotify::init(flags).map_err(|errno| match errno {
            Errno::EMFILE => io::Error::other(
                "no more inotify instances for root (raise fs.inotify.max_user_instances, or \
                 user.max_inotify_instances)",
            ),
            other => other.into(),
        })?;
        Ok(Self {
            inotify,
            instance: None,
            followed: Vec::new(),
            places: HashMap::new(),
            folders: Vec::new(),
        })
    }

    /// Watches this instance in place of another.
    ///
    /// The kernel reports a registration as a change of `register`, a removal as a deletion (older kernels: as a
    /// change of the rule's file), and switching as a change.
    pub fn follow_instance(&mut self, root: BorrowedFd<'_>) -> io::Result<()> {
        if let Some(old) = self.instance.take() {
            // The kernel removes the watch together with the instance.
            let _ = self.inotify.rm_watch(old);
        }
        // By descriptor, because the instance may no longer be mounted anywhere.
        let path = format!("/proc/self/fd/{}", root.as_raw_fd());
        let events = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE;
        let watch = self.inotify.add_watch(Path::new(&path), events).map_err(out_of_watches)?;
        self.instance = Some(watch);
        Ok(())
    }

    /// Watches these folders in place of the former ones. Returns whether one has changed since it was read.
    pub fn follow(&mut self, folders: Vec<Followed>) -> io::Result<bool> {
        let mut places: HashMap<_, Vec<_>> = HashMap::new();
        for (place, followed) in folders.iter().enumerate() {
            if let Some((watch, on_the_way)) = self.watch(&followed.folder)? {
                places.entry(watch).or_default().push((place, on_the_way));
            }
            for (watch, on_the_way) in self.watch_above(&followed.folder)? {
                places.entry(watch).or_default().push((place, Some(on_the_way)));
            }
        }
        for watch in self.places.keys().filter(|watch| !places.contains_key(*watch)) {
            // The kernel removes the watch together with the folder.
            let _ = self.inotify.rm_watch(*watch);
        }
        self.places = places;
        self.followed = folders;
        self.folders = self.where_paths_lead();
        let mut followed = self.followed.iter();
        Ok(followed.any(|followed| digest(&followed.folder, &followed.names) != followed.looked))
    }

    /// Whether a path leads to another folder than the watched one, for example because of a mount over it.
    pub fn is_mistaken(&self) -> bool {
        self.where_paths_lead() != self.folders
    }

    fn where_paths_lead(&self) -> Vec<Option<(u64, u64)>> {
        let folders = self.followed.iter().map(|followed| std::fs::metadata(&followed.folder));
        folders.map(|found| found.ok().map(|folder| (folder.dev(), folder.ino()))).collect()
    }

    /// Watches a folder, or the nearest existing one above it for the name that leads on.
    fn watch(&self, folder: &Path) -> io::Result<Option<(WatchDescriptor, Option<OsString>)>> {
        let mut on_the_way = None;
        let mut at = folder;
        loop {
            match self.inotify.add_watch(at, folder_events()) {
                Ok(watch) => return Ok(Some((watch, on_the_way))),
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP) => {}
                Err(errno) => {
                    let error = out_of_watches(errno);
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", at.display())));
                }
            }
            let (Some(above), Some(name)) = (at.parent(), at.file_name()) else { return Ok(None) };
            on_the_way = Some(name.to_owned());
            at = above;
        }
    }

    /// Watches the folders above for being moved: the path then leads elsewhere, and nothing in the folder itself
    /// reports that.
    fn watch_above(&self, folder: &Path) -> io::Result<Vec<(WatchDescriptor, OsString)>> {
        // Adds to an existing watch (`IN_MASK_ADD`); the crate does not have this flag.
        let beside = AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        let events = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ONLYDIR | beside;
        let mut watches = Vec::new();
        let mut at = folder;
        while let (Some(above), Some(name)) = (at.parent(), at.file_name()) {
            // The root cannot be moved.
            if above.parent().is_some() {
                match self.inotify.add_watch(above, events) {
                    Ok(watch) => watches.push((watch, name.to_owned())),
                    Err(errno @ (Errno::ENOSPC | Errno::ENOMEM)) => {
                        return Err(out_of_watches(errno));
                    }
                    // It does not exist, or is not accessible.
                    Err(_) => {}
                }
            }
            at = above;
        }
        Ok(watches)
    }

    /// All events since the last call, each once; never blocks.
    pub fn read(&mut self) -> io::Result<Vec<WatchEvent>> {
        let mut seen = Vec::new();
        let mut add = |one| {
            if !seen.contains(&one) {
                seen.push(one);
            }
        };
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(seen),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    add(WatchEvent::Lost);
                }
                if Some(event.wd) == self.instance {
                    add(WatchEvent::Instance);
                }
                for (place, on_the_way) in self.places.get(&event.wd).into_iter().flatten() {
                    let matters = match (&event.name, on_the_way) {
                        // The folder itself.
                        (None, _) => !event.mask.contains(AddWatchFlags::IN_ATTRIB),
                        (Some(name), Some(wanted)) => name == wanted,
                        (Some(name), None) => self.followed[*place].names.matter(name),
                    };
                    if matters {
                        add(WatchEvent::Files);
                    }
                }
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.places.remove(&event.wd);
                }
            }
        }
    }
}

fn out_of_watches(errno: Errno) -> io::Error {
    match errno {
        Errno::ENOSPC => io::Error::other(
            "no more inotify watches for root (raise fs.inotify.max_user_watches, or \
             user.max_inotify_watches)",
        ),
        other => other.into(),
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// A digest of the relevant names and their times. The hasher's keys are fixed, so that another process computes the
/// same.
fn digest(folder: &Path, names: &Names) -> Option<u64> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|entry| names.matter(&entry.file_name()))
        .map(|entry| {
            let link = entry.metadata().map(|it| (it.ino(), it.ctime(), it.ctime_nsec()));
            let file = std::fs::metadata(entry.path()).map(|it| (it.ino(), it.ctime_nsec()));
            (entry.file_name(), link.ok(), file.ok())
        })
        .collect();
    found.sort();
    let mut hasher = DefaultHasher::new();
    found.hash(&mut hasher);
    Some(hasher.finish())
}

/// mountinfo of this namespace: poll(2) reports an exceptional condition whenever a mount comes or goes.
pub fn mounts() -> io::Result<File> {
    File::open("/proc/self/mountinfo")
}

/// `st_dev` of what is on this mount point now; does not trigger an automount.
pub fn mounted_device(on: &Path) -> io::Result<u64> {
    Ok(nix::sys::stat::fstatat(AT_FDCWD, on, AtFlags::AT_NO_AUTOMOUNT)?.st_dev)
}

#[cfg(test)]
mod tests;
