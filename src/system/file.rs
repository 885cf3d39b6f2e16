//! Files: which one it is, its digest, and writing one whole or not at all.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::sys::statvfs::{FsFlags, statvfs};
use sha2::{Digest as _, Sha256};

use super::namespace;
use super::signal::Interrupt;
use super::trust::{Checked, Problem, Trust};
use crate::observation::FileId;
use crate::rule::to_hex;

/// Which file these facts are of.
pub fn id(metadata: &Metadata) -> FileId {
    FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
    }
}

/// Which file this path leads to now.
pub fn id_of(path: &Path) -> io::Result<FileId> {
    Ok(id(&fs::metadata(path)?))
}

/// Opens a regular file of this many bytes to read it. Whatever else a path leads to is not touched: to
/// read a named pipe may take for ever, and a device may have no end.
pub fn open_regular(path: &Path, size: u64) -> io::Result<File> {
    open_if(path, |metadata| metadata.is_file() && metadata.len() == size)
}

/// The same, of any size.
pub fn open_any_regular(path: &Path) -> io::Result<File> {
    open_if(path, Metadata::is_file)
}

fn open_if(path: &Path, is_it: impl Fn(&Metadata) -> bool) -> io::Result<File> {
    let is_it = |metadata: Metadata| {
        let is_it = is_it(&metadata);
        is_it.then_some(()).ok_or_else(|| io::Error::other("another kind of file, or another size"))
    };
    // To open a device may do something already.
    is_it(fs::metadata(path)?)?;
    // By now it may be something else.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    is_it(file.metadata()?)?;
    Ok(file)
}

/// The SHA-256 of a file's content from where it stands, as hex digits. A file may be of any size: who asks
/// us to end is heard.
pub fn sha256(file: &mut File, interrupt: &Interrupt) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        if interrupt.is_pending() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match file.read(&mut buffer)? {
            0 => break,
            length => digest.update(&buffer[..length]),
        }
    }
    Ok(to_hex(&digest.finalize()))
}

/// The digests of many files, over the cores: megabytes each, and nobody else of us is at work.
/// `None` for a file that cannot be read.
pub fn sha256_of_all(
    files: Vec<(FileId, File)>,
    interrupt: &Interrupt,
) -> HashMap<FileId, Option<String>> {
    let files = Mutex::new(files);
    let work = || {
        let mut digests = Vec::new();
        loop {
            let next = files.lock().map(|mut files| files.pop());
            let Ok(Some((id, mut file))) = next else { return digests };
            digests.push((id, sha256(&mut file, interrupt).ok()));
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..super::host::cores()).map(|_| scope.spawn(work)).collect();
        let mut digests: HashMap<_, _> = work().into_iter().collect();
        digests.extend(others.into_iter().filter_map(|other| other.join().ok()).flatten());
        digests
    })
}

/// Writes a file by rename, so that whoever reads it sees the old or the new one, whole.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(without_its_path)?;
    // The mode above is less the umask, and a service has one.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file_mut().write_all(content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The error of a file that is only to become another one. Its own name is another one each time: nobody knows it, and who
/// says a complaint once would say it for ever.
fn without_its_path(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.source());
    let code = inner.and_then(|inner| inner.downcast_ref::<io::Error>()?.raw_os_error());
    code.map_or(error, io::Error::from_raw_os_error)
}

/// A lock on a file, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

/// How long another one of us may take; probes have limits of their own.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Waits for the lock. Only who may write the file can hold it: whoever may read a file can lock it,
/// so others may not even read it.
pub fn lock(path: &Path) -> io::Result<Lock> {
    let begun = Instant::now();
    loop {
        // flock(2) has no time limit, and a blocking one would outlast every signal that we hold back.
        match try_lock(path)? {
            Some(lock) => return Ok(lock),
            None if begun.elapsed() < LONGEST_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            None => {
                let seconds = LONGEST_WAIT.as_secs();
                return Err(io::Error::other(format!(
                    "{}: another binfmtd has held this lock for {seconds} s (fuser {0} names it)",
                    path.display()
                )));
            }
        }
    }
}

/// The lock, unless somebody has it.
pub fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(Lock { _held: held })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Makes this process the only one that holds the file, or says which one does. Unlike [`lock`], it is
/// not inherited by a fork: who goes on working for a process that ended keeps nobody out.
pub fn hold(path: &Path) -> io::Result<Result<File, u32>> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let mut whole = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(&file, FcntlArg::F_SETLK(&whole)) {
        Ok(_) => Ok(Ok(file)),
        Err(Errno::EAGAIN | Errno::EACCES) => {
            fcntl(&file, FcntlArg::F_GETLK(&mut whole))?;
            Ok(Err(u32::try_from(whole.l_pid).unwrap_or_default()))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// A folder for programs to be started from: removed when dropped.
pub fn executable_folder() -> io::Result<tempfile::TempDir> {
    let from_environment = std::env::var_os("TMPDIR").map(PathBuf::from);
    let places = from_environment
        .into_iter()
        .chain(["/tmp", "/var/tmp", "/run", "/dev/shm"].map(PathBuf::from));
    let mut last = io::Error::other(
        "no folder to start programs from: TMPDIR, /tmp, /var/tmp, /run and /dev/shm are noexec or others may \
         change them (set TMPDIR to a folder on a filesystem that is mounted with exec)",
    );
    let of = |place: &Path, error: &dyn Display| {
        format!("write programs to {}: {error} (make room there, or set TMPDIR)", place.display())
    };
    let mut trust = Trust::new();
    for place in places {
        // Who may rename what is in there could have us start something else.
        let is_safe = |checked: Checked| checked.is_trusted() || closed_for_others(&checked);
        if !trust.check(&place).is_ok_and(is_safe) || is_noexec(&place).unwrap_or(true) {
            continue;
        }
        if is_full(&place).unwrap_or(false) {
            let full = io::ErrorKind::StorageFull;
            last = io::Error::new(full, of(&place, &"no space left"));
            continue;
        }
        match tempfile::Builder::new()
            .prefix("binfmtd-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(&place)
        {
            Ok(folder) => {
                fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
                return Ok(folder);
            }
            Err(error) => last = io::Error::new(error.kind(), of(&place, &error)),
        }
    }
    Err(last)
}

/// Makes a container's /tmp what /tmp is elsewhere, where it is a volume that belongs to us and that all may write:
/// Kubernetes' `emptyDir` has the mode 0777.
fn closed_for_others(checked: &Checked) -> bool {
    let [fault] = checked.faults.as_slice() else { return false };
    let is_ours = fault.owner == nix::unistd::geteuid().as_raw();
    namespace::in_pid_namespace()
        && is_ours
        && fault.path == checked.path
        && checked.path == Path::new("/tmp")
        && (fault.problem, fault.mode) == (Problem::Writable, 0o777)
        && fs::set_permissions(&checked.path, Permissions::from_mode(0o1777)).is_ok()
}

/// Whether a filesystem has no room for the probes of all targets.
fn is_full(path: &Path) -> io::Result<bool> {
    // Some count no files (Btrfs), and say that there are none.
    const FILES: u64 = 200;
    const BYTES: u64 = FILES * 4096;
    let facts = statvfs(path)?;
    let bytes = facts.blocks_available().saturating_mul(facts.fragment_size());
    Ok(bytes < BYTES || facts.files() > 0 && facts.files_available() < FILES)
}

/// Whether programs on this filesystem may not be started.
pub fn is_noexec(path: &Path) -> io::Result<bool> {
    Ok(statvfs(path)?.flags().contains(FsFlags::ST_NOEXEC))
}

/// Writes a program.
pub fn write_program(path: &Path, content: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = File::options().create_new(true).write(true).mode(0o755).open(path)?;
        file.set_permissions(Permissions::from_mode(0o755))?;
        file.write_all(content)
    };
    write()
        .map_err(|error| io::Error::new(error.kind(), format!("write {}: {error}", path.display())))
}

/// Writes a program that runs with the rights of another user than ours, and says whose.
pub fn write_set_user_id(path: &Path, content: &[u8]) -> io::Result<u32> {
    // Nobody's, and a system user's: no file of value belongs to either.
    const OTHERS: [u32; 2] = [65534, 1];
    write_program(path, content)?;
    let me = nix::unistd::geteuid();
    let owner = OTHERS.into_iter().find(|uid| *uid != me.as_raw()).unwrap_or(OTHERS[0]);
    std::os::unix::fs::chown(path, Some(owner), None)?;
    // After the owner: a change of that takes the bit away.
    fs::set_permissions(path, Permissions::from_mode(0o4755))?;
    Ok(owner)
}

/// Whether the set-user-ID bit means nothing on this filesystem.
pub fn is_nosuid(path: &Path) -> io::Result<bool> {
    Ok(statvfs(path)?.flags().contains(FsFlags::ST_NOSUID))
}

/// What the kernel would look at, of a regular file.
pub fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut start = Vec::new();
    File::open(path)?.take(crate::rule::HEADER_SIZE as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Every file of a folder with its content, by name; what cannot be read is left out.
pub fn read_folder(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((path.clone(), fs::read(path).ok()?)))
        .collect();
    files.sort();
    files
}
