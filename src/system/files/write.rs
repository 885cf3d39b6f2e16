//! Writes a file whole or not at all.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes a file by rename, so that readers see the whole old or the whole new content.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(without_its_path)?;
    // The mode above is reduced by the umask.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file_mut().write_all(content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Drops the random name of the temporary file from the error, so that a repeated failure is logged once.
fn without_its_path(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.source());
    let code = inner.and_then(|inner| inner.downcast_ref::<io::Error>()?.raw_os_error());
    code.map_or(error, io::Error::from_raw_os_error)
}
