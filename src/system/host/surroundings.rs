//! What else on the machine decides whether rules exist: kernel modules, the distribution, and the units that
//! register rules at boot.
//!
//! Each function takes a root folder, for tests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Whether the kernel could have `binfmt_misc`, going by the files of its modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Module {
    #[default]
    Unknown,
    /// The module's file exists; it can be loaded.
    Loadable,
    /// This kernel's configuration has it as a module, but the file is not installed.
    NotInstalled,
    /// The configuration of this kernel does not have it.
    NotBuilt,
    /// Only modules of other kernels exist: the running kernel was replaced on disk.
    OtherKernel,
}

/// Looks for the module of a kernel release.
pub fn module(root: &Path, release: &str) -> Module {
    let modules = root.join("lib/modules");
    let folder = modules.join(release);
    if !folder.is_dir() {
        let others = fs::read_dir(&modules).is_ok_and(|mut entries| entries.next().is_some());
        return if others { Module::OtherKernel } else { Module::Unknown };
    }
    // A line begins with the module's path, which may have no folder.
    let is_it = |line: &str| {
        let path = line.split(':').next().unwrap_or_default();
        path.rsplit('/').next().is_some_and(|name| name.starts_with("binfmt_misc.ko"))
    };
    let names = |list: &str| {
        fs::read_to_string(folder.join(list)).is_ok_and(|text| text.lines().any(is_it))
    };
    if names("modules.dep") {
        return Module::Loadable;
    }
    let files = [folder.join("config"), root.join(format!("boot/config-{release}"))];
    let Some(config) = files.iter().find_map(|file| fs::read_to_string(file).ok()) else {
        // The list of modules exists without this one, so its file is missing, whatever the reason.
        let listed = folder.join("modules.dep").is_file() && !names("modules.builtin");
        return if listed { Module::NotInstalled } else { Module::Unknown };
    };
    match config.lines().find_map(|line| line.strip_prefix("CONFIG_BINFMT_MISC=")) {
        Some("m") => Module::NotInstalled,
        Some(_) => Module::Unknown,
        None => Module::NotBuilt,
    }
}

/// Distributions by their packages (`os-release(5)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distribution {
    /// Debian and derivatives.
    Debian,
    /// Ubuntu: its cloud kernels have fewer modules.
    Ubuntu,
    /// Fedora, RHEL and derivatives.
    Fedora,
    Suse,
    Arch,
    Alpine,
    #[default]
    Other,
}

pub fn distribution(root: &Path) -> Distribution {
    let files = ["etc/os-release", "usr/lib/os-release"].map(|file| root.join(file));
    let text = files.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    let value = |key: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    // `ID` first, then `ID_LIKE`, closest first.
    let names = format!("{} {}", value("ID"), value("ID_LIKE"));
    let known = |name: &str| {
        Some(match name {
            "ubuntu" => Distribution::Ubuntu,
            "debian" => Distribution::Debian,
            "fedora" | "rhel" | "centos" => Distribution::Fedora,
            "suse" | "opensuse" | "sles" => Distribution::Suse,
            "arch" => Distribution::Arch,
            "alpine" => Distribution::Alpine,
            _ => return None,
        })
    };
    names.split_whitespace().find_map(known).unwrap_or_default()
}

/// Whether a unit is started at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boot {
    #[default]
    Absent,
    /// The unit exists, but no unit wants it.
    Off,
    Masked,
    /// A unit that is started wants it.
    Starts,
}

/// The units that register rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Units {
    /// `binfmtd.service`
    pub ours: Boot,
    /// `systemd-binfmt.service`
    pub systemd_binfmt: Boot,
    /// `binfmt-support.service`, which is update-binfmts at boot.
    pub binfmt_support: Boot,
}

/// Where systemd looks for units, in its order (`systemd.unit(5)`).
const UNIT_FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Reads the files of units, without asking systemd.
pub fn units(root: &Path) -> Units {
    Units {
        ours: boot(root, "binfmtd.service"),
        systemd_binfmt: boot(root, "systemd-binfmt.service"),
        binfmt_support: boot(root, "binfmt-support.service"),
    }
}

fn boot(root: &Path, unit: &str) -> Boot {
    let folders: Vec<PathBuf> = UNIT_FOLDERS.iter().map(|folder| root.join(folder)).collect();
    let Some(file) =
        folders.iter().map(|folder| folder.join(unit)).find(|file| file.symlink_metadata().is_ok())
    else {
        return Boot::Absent;
    };
    let is_null = fs::read_link(&file).is_ok_and(|link| link == Path::new("/dev/null"));
    if is_null || file.metadata().is_ok_and(|file| file.is_file() && file.len() == 0) {
        return Boot::Masked;
    }
    let wants = |folder: &PathBuf| {
        fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            (name.ends_with(".wants") || name.ends_with(".requires"))
                && entry.path().join(unit).symlink_metadata().is_ok()
        })
    };
    if folders.iter().any(wants) { Boot::Starts } else { Boot::Off }
}

/// Where systemd-binfmt reads its rules, in its order (`binfmt.d(5)`).
const BINFMT_D: [&str; 4] =
    ["etc/binfmt.d", "run/binfmt.d", "usr/local/lib/binfmt.d", "usr/lib/binfmt.d"];

/// The files that systemd-binfmt reads, with their content, by name. Of several with one name the first counts, which
/// may be empty or `/dev/null` to mask the others.
pub fn binfmt_d(root: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in BINFMT_D.map(|folder| root.join(folder)) {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let is_new = !files.iter().any(|known| known.file_name() == path.file_name());
            if path.extension().is_some_and(|extension| extension == "conf") && is_new {
                files.push(path);
            }
        }
    }
    files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    // An unreadable file is unreadable for systemd-binfmt as well, or has just been removed.
    Ok(files.into_iter().filter_map(|file| Some((file.clone(), fs::read(file).ok()?))).collect())
}

#[cfg(test)]
mod tests;
