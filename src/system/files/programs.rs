//! Writes programs in order to start them: the probes.

use std::fmt::Display;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::identity::is_noexec;
use super::trust::{Checked, Trust};
use crate::observation::TrustProblem;
use crate::system::host::{namespace, privilege};

/// A folder from which programs can be started; removed when dropped.
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
    let mut trust = Trust::default();
    for place in places {
        // Somebody who may rename files in it could make us start another program.
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

/// Sets the sticky bit on a container's /tmp when it is our own volume without one: Kubernetes' `emptyDir` has the
/// mode 0777.
fn closed_for_others(checked: &Checked) -> bool {
    let [fault] = checked.faults.as_slice() else { return false };
    let is_ours = fault.owner == privilege::uid();
    namespace::in_pid_namespace()
        && is_ours
        && fault.path == checked.path
        && checked.path == Path::new("/tmp")
        && (fault.problem, fault.mode) == (TrustProblem::Writable, 0o777)
        && fs::set_permissions(&checked.path, Permissions::from_mode(0o1777)).is_ok()
}

/// Whether a filesystem has no room for the probes of all targets.
fn is_full(path: &Path) -> io::Result<bool> {
    // Some filesystems (Btrfs) do not count files, and report 0.
    const FILES: u64 = 200;
    const BYTES: u64 = FILES * 4096;
    let facts = statvfs(path)?;
    let bytes = facts.blocks_available().saturating_mul(facts.fragment_size());
    Ok(bytes < BYTES || facts.files() > 0 && facts.files_available() < FILES)
}

pub fn write_program(path: &Path, content: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = File::options().create_new(true).write(true).mode(0o755).open(path)?;
        file.set_permissions(Permissions::from_mode(0o755))?;
        file.write_all(content)
    };
    write()
        .map_err(|error| io::Error::new(error.kind(), format!("write {}: {error}", path.display())))
}

/// Writes a set-user-ID program of another user, and returns that user's uid.
pub fn write_set_user_id(path: &Path, content: &[u8]) -> io::Result<u32> {
    // nobody and a system user: no file of value belongs to either.
    const OTHERS: [u32; 2] = [65534, 1];
    write_program(path, content)?;
    let owner = OTHERS.into_iter().find(|uid| *uid != privilege::uid()).unwrap_or(OTHERS[0]);
    std::os::unix::fs::chown(path, Some(owner), None)?;
    // After chown(2), which clears the bit.
    fs::set_permissions(path, Permissions::from_mode(0o4755))?;
    Ok(owner)
}
