//! Which program ran a probe, inspected while the probe waited.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use super::judge::{AtPath, Executed};
use super::proof::Pinned;
use crate::observation::FileId;
use crate::system::binfmt_misc::mount;
use crate::system::files::digest;
use crate::system::files::identity;
use crate::system::files::read;
use crate::system::host::namespace;
use crate::system::process::child::Executable;
use crate::system::process::signal::Interrupt;

/// `ET_DYN`, where the kernel chooses the address of a program.
const ET_DYN: u16 = 3;

/// Digests by file, so that each file is read once. A signal ends the reading.
pub(super) struct Digests<'a> {
    known: HashMap<FileId, Option<String>>,
    interrupt: &'a Interrupt,
}

impl<'a> Digests<'a> {
    pub(super) fn new(interrupt: &'a Interrupt) -> Self {
        Self { known: HashMap::new(), interrupt }
    }

    /// Takes the digests of all these files, as many at once as there are cores.
    pub(super) fn take(&mut self, files: HashMap<FileId, File>) {
        let files = files.into_iter().collect();
        self.known = digest::sha256_of_all(files, &|| self.interrupt.is_pending());
    }

    fn knows(&self, id: FileId) -> bool {
        self.known.contains_key(&id)
    }

    fn get(&mut self, id: FileId, mut file: File) -> Option<String> {
        let is_interrupted = || self.interrupt.is_pending();
        let digest = || digest::sha256(&mut file, &is_interrupted).ok();
        self.known.entry(id).or_insert_with(digest).clone()
    }
}

/// What ran; `probes` are the files of the probe itself, `rule_path` is the rule's path of the interpreter.
pub(super) fn executed(
    executable: Option<Executable>,
    probes: &[FileId],
    rule_path: Option<&Path>,
    digests: &mut Digests<'_>,
) -> Executed {
    let Some(executable) = executable else { return Executed::Unknown };
    if probes.iter().any(|probe| executable.id.is_same_file(probe)) {
        return Executed::Itself;
    }
    let pinned = pinned(executable, rule_path, digests);
    let at_path = match rule_path {
        Some(path) if !pinned.is_on_disk && !pinned.is_elsewhere => at(path),
        _ => AtPath::File,
    };
    Executed::Interpreter(pinned, at_path)
}

fn at(path: &Path) -> AtPath {
    match () {
        () if !path.exists() => AtPath::Nothing,
        () if !path.is_file() => AtPath::NoFile,
        () => AtPath::File,
    }
}

fn pinned(executable: Executable, rule_path: Option<&Path>, digests: &mut Digests<'_>) -> Pinned {
    let Executable { file, id, path } = executable;
    let fixed_address = fixed_address(&file);
    let there = rule_path.and_then(|on_disk| Some((on_disk, identity::id_of(on_disk).ok()?)));
    let same = there.is_some_and(|(_, there)| there == id);
    let of_another_root = !same && rule_path.is_some() && is_of_another_root(&file, there);
    // A file of another size has other bytes.
    let copy = there.filter(|_| !same);
    let copy =
        copy.and_then(|(on_disk, there)| Some((there, read::open_regular(on_disk, id.size).ok()?)));
    // A digest reads megabytes for each target: only if somebody asks for it, or nothing else tells the files apart.
    let wanted = digests.knows(id) || copy.is_some();
    let sha256 = if wanted { digests.get(id, file) } else { None };
    // The same bytes on another mount (an image's own copy) count as the same file.
    let is_copy =
        copy.is_some_and(|(there, file)| sha256.is_some() && digests.get(there, file) == sha256);
    let is_on_disk = same || is_copy;
    let is_elsewhere = of_another_root && !is_on_disk;
    Pinned { id, path, sha256, is_on_disk, is_elsewhere, fixed_address }
}

/// Whether a file that runs, and that is not the one at the rule's path (`there`), belongs to another root: this is a
/// container, the file is not deleted, and none of our mounts has it. On the host a path means what it says: a file that
/// only a container's image has is one that nobody will upgrade.
fn is_of_another_root(file: &File, there: Option<(&Path, FileId)>) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    namespace::has_another_root()
        && metadata.nlink() > 0
        && there.is_none_or(|(_, there)| there.device != metadata.dev())
        && mount::is_elsewhere(file).unwrap_or(false)
}

/// By `e_type`, in this program's byte order, which an interpreter that runs here has too.
fn fixed_address(file: &File) -> Option<bool> {
    let mut kind = [0; 2];
    file.read_exact_at(&mut kind, 16).ok()?;
    Some(u16::from_ne_bytes(kind) != ET_DYN)
}
