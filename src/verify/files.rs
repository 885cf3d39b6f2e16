//! The files of probes, in a folder of their own.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::judge::NoSetUserId;
use super::subject::{Depth, ProbeSubject};
use crate::observation::FileId;
use crate::probe;
use crate::system::files::identity;
use crate::system::files::programs;
use crate::system::host::privilege;
use crate::system::process::signal::Interrupt;

/// Where probes are written; removed when dropped.
pub(super) struct ProbeFolder {
    folder: TempDir,
    /// A signal waits until the folder is gone: fields are dropped in this order.
    interrupt: Interrupt,
}

/// The programs of one subject.
pub(super) struct ProbeFiles {
    pub(super) path: PathBuf,
    /// The same file, as seen from the folder as a root.
    pub(super) inside: PathBuf,
    id: FileId,
    /// The position-independent kind, as seen from within.
    pub(super) shared: Option<(PathBuf, FileId)>,
    pub(super) set_user_id: Result<SetUserId, NoSetUserId>,
    /// The program that reports the CPU that it sees.
    pub(super) cpu: Option<PathBuf>,
}

pub(super) struct SetUserId {
    pub(super) path: PathBuf,
    pub(super) owner: u32,
}

impl ProbeFolder {
    pub(super) fn make() -> io::Result<Self> {
        let interrupt = Interrupt::catch()?;
        Ok(Self { folder: programs::executable_folder()?, interrupt })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Writes a subject's programs; `number` keeps two subjects of one target apart. `None` for a target without a probe.
    pub(super) fn write(
        &self,
        number: usize,
        subject: &ProbeSubject<'_>,
        depth: Depth,
    ) -> io::Result<Option<ProbeFiles>> {
        let Some(content) = probe::build(subject.target, subject.machine) else { return Ok(None) };
        let name = format!("{number}-{}", subject.target.name);
        let path = self.path().join(&name);
        programs::write_program(&path, &content)?;
        let (shared, set_user_id, cpu) = match depth {
            Depth::Quick => (None, Err(NoSetUserId::NotAsked), None),
            Depth::Full => (
                self.write_shared(&name, subject)?,
                self.write_set_user_id(&name, subject, &content),
                self.write_if(
                    &format!("{name}-cpu"),
                    probe::build_cpu(subject.target, subject.machine),
                )?,
            ),
        };
        let inside = Path::new("/").join(&name);
        let id = identity::id_of(&path)?;
        Ok(Some(ProbeFiles { path, inside, id, shared, set_user_id, cpu }))
    }

    fn write_shared(
        &self,
        name: &str,
        subject: &ProbeSubject<'_>,
    ) -> io::Result<Option<(PathBuf, FileId)>> {
        let name = format!("{name}-pie");
        let content = probe::build_shared(subject.target, subject.machine);
        let Some(path) = self.write_if(&name, content)? else { return Ok(None) };
        Ok(Some((Path::new("/").join(name), identity::id_of(&path)?)))
    }

    fn write_if(&self, name: &str, content: Option<Vec<u8>>) -> io::Result<Option<PathBuf>> {
        let Some(content) = content else { return Ok(None) };
        let path = self.path().join(name);
        programs::write_program(&path, &content)?;
        Ok(Some(path))
    }

    fn write_set_user_id(
        &self,
        name: &str,
        subject: &ProbeSubject<'_>,
        content: &[u8],
    ) -> Result<SetUserId, NoSetUserId> {
        if !subject.credentials {
            return Err(NoSetUserId::NoFlag);
        }
        if privilege::has_no_new_privileges() {
            return Err(NoSetUserId::NoNewPrivileges);
        }
        if identity::is_nosuid(self.path()).unwrap_or(true) {
            let folder = self.path().parent().unwrap_or(self.path());
            return Err(NoSetUserId::Nosuid(folder.to_owned()));
        }
        let path = self.path().join(format!("{name}-set-user-id"));
        let owner = programs::write_set_user_id(&path, content)
            .map_err(|error| NoSetUserId::Unmakable(error.to_string()))?;
        Ok(SetUserId { path, owner })
    }
}

impl ProbeFiles {
    /// The files that are executed when no interpreter is.
    pub(super) fn ids(&self) -> Vec<FileId> {
        let shared = self.shared.as_ref().map(|(_, id)| *id);
        [Some(self.id), shared].into_iter().flatten().collect()
    }
}
