//! Where the drop-in works: its settings, the rules of its image, and the instance of `binfmt_misc`.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::image::ImageRules;
use crate::config::Settings;
use crate::failure::Failure;
use crate::system::binfmt_misc::instance::{Instance, InstanceError, MOUNT_POINT};
use crate::system::binfmt_misc::mount::{self, Lifetime, Mount, MountError};
use crate::system::binfmt_misc::record;
use crate::system::host::namespace;

/// What the steps share.
pub(super) struct Binfmt {
    pub(super) settings: Settings,
    pub(super) image: ImageRules,
    pub(super) instance: Instance,
    pub(super) lifetime: Lifetime,
    /// Held if the rules end with our mount.
    _mount: Option<Mount>,
    /// The folder of the record of ownership.
    pub(super) runtime: PathBuf,
    /// Whether paths in rules may belong to another root filesystem.
    pub(super) in_container: bool,
}

/// The instance that `--mount` names, unless that is the usual mount point. If nothing is mounted there, the usual
/// mount point will do: a user namespace has one instance, however often it is mounted.
fn elsewhere(at: &Path) -> Result<Option<Instance>, Failure> {
    if at == Path::new(MOUNT_POINT) {
        return Ok(None);
    }
    let failed = |why| Failure::unavailable(format!("--mount {}: {why}", at.display()));
    match Instance::open(at) {
        Ok(instance) => Ok(Some(instance)),
        Err(InstanceError::NotMounted | InstanceError::Foreign(_)) => Ok(None),
        Err(InstanceError::NoFolder) => Err(failed("no such folder")),
        Err(InstanceError::BrokenAutomount(_) | InstanceError::Io(_)) => {
            Err(failed("cannot be opened"))
        }
    }
}

impl Binfmt {
    pub(super) fn open(
        settings: Settings,
        environment: &Environment,
        at: &Path,
    ) -> Result<Self, Failure> {
        let in_container = namespace::in_container();
        let (instance, lifetime, mount) = if let Some(instance) = elsewhere(at)? {
            (instance, Lifetime::Host, None)
        } else {
            let mounted = mount::ensure().map_err(|error| match error {
                MountError::NotPermitted if in_container => {
                    Failure::not_permitted(format!("{error}: docker run --privileged"))
                }
                other => other.into(),
            })?;
            (mounted.instance, mounted.lifetime, mounted.mount)
        };
        Ok(Self {
            image: ImageRules::new(&settings, &environment.folder, &environment.prefix),
            settings,
            instance,
            lifetime,
            _mount: mount,
            runtime: record::folder(),
            in_container,
        })
    }
}
