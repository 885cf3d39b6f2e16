//! One mounted `binfmt_misc`, held by a descriptor of its root.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{AccessFlags, faccessat};
use procfs::process::Process;
use thiserror::Error;

use crate::observation::InstanceFacts;
use crate::rule::{Entry, Rule};
use crate::system::host::namespace;

/// The kernel's own mount point.
pub const MOUNT_POINT: &str = "/proc/sys/fs/binfmt_misc";

/// `BINFMTFS_MAGIC` of `include/uapi/linux/magic.h`.
const BINFMT_MAGIC: FsType = FsType(0x4249_4e4d);
/// `AUTOFS_SUPER_MAGIC`.
const AUTOFS_MAGIC: FsType = FsType(0x0187);

/// More than the kernel writes for a rule: register strings have at most 1,920 bytes, and magic and mask at most 256
/// each, as hex digits (`bm_entry_read` has one page for all).
const ENTRY_SIZE: usize = 4096;

/// Why there is no instance to work on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InstanceError {
    /// The folder does not exist: the module is not loaded, or the kernel has none.
    #[error("{MOUNT_POINT} does not exist")]
    NoFolder,
    /// The folder exists, but nothing is mounted on it.
    #[error("binfmt_misc is not mounted on {MOUNT_POINT}")]
    NotMounted,
    /// systemd's automount exists, but its daemon no longer answers.
    #[error("the automount on {MOUNT_POINT} is broken ({0})")]
    BrokenAutomount(String),
    #[error("the filesystem on {MOUNT_POINT} is not binfmt_misc (type {0:#x})")]
    Foreign(u64),
    #[error("{MOUNT_POINT}: {0}")]
    Io(String),
}

/// A mounted instance. Its rules exist as long as a mount of it, or an open descriptor such as this one.
#[derive(Debug)]
pub struct Instance {
    root: OwnedFd,
    device: u64,
    place: PathBuf,
}

impl Instance {
    /// Opens the instance on the kernel's mount point; if nothing is mounted there, one that is mounted elsewhere.
    ///
    /// The latter is for containers without the right to mount: they get the host's instance as a volume, and
    /// runtimes allow no volume below `/proc`.
    pub fn find() -> Result<Self, InstanceError> {
        Self::open(Path::new(MOUNT_POINT)).or_else(|error| match error {
            InstanceError::NotMounted
            | InstanceError::NoFolder
            | InstanceError::BrokenAutomount(_) => Self::elsewhere().ok_or(error),
            other => Err(other),
        })
    }

    /// The last instance that was mounted anywhere in this mount namespace.
    fn elsewhere() -> Option<Self> {
        let mounts = namespace::mounts(Process::myself()).ok()?;
        let ours = mounts.iter().rev().filter(|mount| mount.fs_type == "binfmt_misc");
        ours.map(|mount| Self::open(&mount.mount_point)).find_map(Result::ok)
    }

    /// Opens the filesystem mounted at `path`, which triggers an automount, and checks that it is `binfmt_misc`.
    pub fn open(path: &Path) -> Result<Self, InstanceError> {
        // Not O_PATH, which would not trigger an automount.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            // The kernel reports ENOENT for an automount whose daemon has gone; the folder itself still exists.
            Errno::ENOENT
                if nix::fcntl::open(path, flags | OFlag::O_PATH, Mode::empty()).is_ok() =>
            {
                InstanceError::BrokenAutomount(errno.to_string())
            }
            Errno::ENOENT | Errno::ENOTDIR => InstanceError::NoFolder,
            // With a dead automount daemon the kernel returns one of these.
            Errno::ELOOP | Errno::EHOSTDOWN | Errno::ENODEV => {
                InstanceError::BrokenAutomount(errno.to_string())
            }
            other => InstanceError::Io(other.to_string()),
        })?;
        let io = |errno: Errno| InstanceError::Io(errno.to_string());
        let filesystem = fstatfs(&root).map_err(io)?;
        match filesystem.filesystem_type() {
            BINFMT_MAGIC => {}
            AUTOFS_MAGIC => {
                return Err(InstanceError::BrokenAutomount("it did not mount".to_owned()));
            }
            nix::sys::statfs::PROC_SUPER_MAGIC => return Err(InstanceError::NotMounted),
            #[allow(clippy::cast_sign_loss, reason = "a magic number is a row of bits")]
            other => return Err(InstanceError::Foreign(other.0 as u64)),
        }
        let device = fstat(&root).map_err(io)?.st_dev;
        Ok(Self { root, device, place: path.to_owned() })
    }

    pub fn place(&self) -> &Path {
        &self.place
    }

    /// `st_dev`, unique for each instance.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The owner's uid in this user namespace, which has none for another namespace's root.
    pub fn owner(&self) -> io::Result<u32> {
        Ok(fstat(&self.root)?.st_uid)
    }

    /// An upper bound for the creation time of the instance, in nanoseconds since 1970: the earlier of the times of
    /// its root, which removing a rule changes, and of a control file, which a truncating write changes.
    pub fn born(&self) -> io::Result<i64> {
        let time =
            |stat: nix::sys::stat::FileStat| stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec;
        let file = nix::sys::stat::fstatat(&self.root, "register", AtFlags::empty())?;
        Ok(time(fstat(&self.root)?).min(time(file)))
    }

    /// Whether this process may register; asks the kernel, not the mode bits.
    pub fn is_writable(&self) -> bool {
        faccessat(&self.root, "register", AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok()
    }

    /// Whether the filesystem or this mount of it is read-only.
    pub fn is_read_only(&self) -> bool {
        fstatvfs(&self.root).is_ok_and(|filesystem| filesystem.flags().contains(FsFlags::ST_RDONLY))
    }

    pub fn look(&self) -> io::Result<InstanceFacts> {
        let enabled = self.read("status".as_ref())?.starts_with(b"enabled");
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        for name in self.names()? {
            match self.read(&name) {
                Ok(content) => match Entry::parse(&name, &content) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => unreadable.push((name, error.to_string())),
                },
                // Removed between listing and reading.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => unreadable.push((name, error.to_string())),
            }
        }
        Ok(InstanceFacts {
            device: self.device,
            enabled,
            writable: self.is_writable(),
            entries,
            unreadable,
        })
    }

    /// Names in the folder's order, which is the kernel's order of rules: newest first (measured; a property test
    /// checks it).
    fn names(&self) -> io::Result<Vec<OsString>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = nix::dir::Dir::openat(&self.root, ".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for item in folder {
            let item = item?;
            let name = OsStr::from_bytes(item.file_name().to_bytes());
            if !matches!(name.as_bytes(), b"." | b".." | b"register" | b"status") {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// One read: the kernel generates the text for each read, and returns all of it.
    fn read(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mut file = File::from(openat(&self.root, name, flags, Mode::empty())?);
        let mut content = vec![0; ENTRY_SIZE];
        let length = file.read(&mut content)?;
        content.truncate(length);
        Ok(content)
    }

    /// Opens `register`, for any number of rules.
    pub fn registrar(&self) -> io::Result<Registrar> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        Ok(Registrar(File::from(openat(&self.root, "register", flags, Mode::empty())?)))
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.command(name, b"-1")
    }

    pub fn enable(&self, name: &OsStr) -> io::Result<()> {
        self.command(name, b"1")
    }

    /// Switches the instance as a whole on.
    pub fn enable_all(&self) -> io::Result<()> {
        self.command(OsStr::new("status"), b"1")
    }

    fn command(&self, name: &OsStr, command: &[u8]) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        File::from(openat(&self.root, name, flags, Mode::empty())?).write_all(command)
    }

    /// The root's descriptor, to hold or watch.
    pub fn root(&self) -> std::os::fd::BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// The open control file through which rules are registered.
#[derive(Debug)]
pub struct Registrar(File);

impl Registrar {
    /// Registers one rule with one `write(2)`: the kernel takes no rule in parts.
    pub fn register(&mut self, rule: &Rule) -> Result<(), Refused> {
        let string = rule.register_string();
        match self.0.write(string) {
            Ok(written) if written == string.len() => Ok(()),
            Ok(_) => Err(Refused::Short),
            Err(error) => Err(Refused::of(&error)),
        }
    }
}

/// Why the kernel refused a rule, by its errno.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// EINVAL. A `Rule` is never malformed, so the kernel does not know a flag.
    #[error(
        "the kernel does not take the rule or one of its flags (EINVAL; the F flag needs Linux 4.8)"
    )]
    Invalid,
    /// EEXIST.
    #[error("a rule of that name exists already")]
    Exists,
    /// ENOENT, with F.
    #[error("the interpreter is not there")]
    NoInterpreter,
    /// EACCES, with F.
    #[error("the interpreter is not executable, or its filesystem is mounted noexec")]
    NotExecutable,
    /// ENOSPC.
    #[error("the limit of rules is reached (see user.max_binfmt_misc_interpreters)")]
    Limit,
    /// EPERM.
    #[error("not permitted: this instance belongs to another user namespace")]
    NotPermitted,
    /// A short write, which no known kernel makes.
    #[error("the kernel took only a part of the rule")]
    Short,
    #[error("{0}")]
    Other(String),
}

impl Refused {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EINVAL) => Self::Invalid,
            Some(Errno::EEXIST) => Self::Exists,
            Some(Errno::ENOENT) => Self::NoInterpreter,
            Some(Errno::EACCES) => Self::NotExecutable,
            Some(Errno::ENOSPC) => Self::Limit,
            Some(Errno::EPERM) => Self::NotPermitted,
            _ => Self::Other(error.to_string()),
        }
    }
}
