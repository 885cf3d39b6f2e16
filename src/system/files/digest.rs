//! SHA-256 of files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use crate::observation::FileId;
use crate::rule::to_hex;
use crate::system::host::machine;

/// The SHA-256 of a file from the current position, as hex digits. The file may be large, so `is_interrupted` is
/// called between chunks; when it returns true, the error is `ErrorKind::Interrupted`.
pub fn sha256(file: &mut File, is_interrupted: &impl Fn() -> bool) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        if is_interrupted() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match file.read(&mut buffer)? {
            0 => break,
            length => digest.update(&buffer[..length]),
        }
    }
    Ok(to_hex(&digest.finalize()))
}

/// The digests of many files, in parallel: they have megabytes each. `None` for a file that cannot be read.
pub fn sha256_of_all(
    files: Vec<(FileId, File)>,
    is_interrupted: &(impl Fn() -> bool + Sync),
) -> HashMap<FileId, Option<String>> {
    let files = Mutex::new(files);
    let work = || {
        let mut digests = Vec::new();
        loop {
            let next = files.lock().map(|mut files| files.pop());
            let Ok(Some((id, mut file))) = next else { return digests };
            digests.push((id, sha256(&mut file, is_interrupted).ok()));
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..machine::cores()).map(|_| scope.spawn(work)).collect();
        let mut digests: HashMap<_, _> = work().into_iter().collect();
        digests.extend(others.into_iter().filter_map(|other| other.join().ok()).flatten());
        digests
    })
}
