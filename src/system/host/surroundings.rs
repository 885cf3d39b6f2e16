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
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Root(tempfile::TempDir);

    impl Root {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        fn file(&self, path: &str, content: &str) -> &Self {
            let path = self.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            self
        }

        fn link(&self, path: &str, to: &str) -> &Self {
            let path = self.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(to, path).unwrap();
            self
        }
    }

    #[test]
    fn where_the_module_is() {
        let root = Root::new();
        let module = |root: &Root| super::module(root.path(), "6.1.0");
        assert_eq!(module(&root), Module::Unknown);
        root.file("lib/modules/6.2.0/modules.dep", "kernel/fs/binfmt_misc.ko.xz:\n");
        assert_eq!(module(&root), Module::OtherKernel);
        root.file("lib/modules/6.1.0/modules.dep", "kernel/fs/ext4/ext4.ko: kernel/x.ko\n");
        assert_eq!(module(&root), Module::NotInstalled);
        root.file("boot/config-6.1.0", "# CONFIG_BINFMT_MISC is not set\nCONFIG_X=y\n");
        assert_eq!(module(&root), Module::NotBuilt);
        root.file("boot/config-6.1.0", "CONFIG_BINFMT_MISC=m\n");
        assert_eq!(module(&root), Module::NotInstalled);
        for path in ["kernel/fs/binfmt_misc.ko.zst:\n", "binfmt_misc.ko: x.ko\n"] {
            root.file("lib/modules/6.1.0/modules.dep", path);
            assert_eq!(module(&root), Module::Loadable);
        }
    }

    #[test]
    fn what_is_built_in_needs_no_file() {
        let root = Root::new();
        root.file("lib/modules/6.1.0/modules.dep", "")
            .file("lib/modules/6.1.0/modules.builtin", "kernel/fs/binfmt_misc.ko\n");
        assert_eq!(module(root.path(), "6.1.0"), Module::Unknown);
        root.file("lib/modules/6.1.0/config", "CONFIG_BINFMT_MISC=y\n");
        assert_eq!(module(root.path(), "6.1.0"), Module::Unknown);
    }

    #[test]
    fn distributions_by_their_own_words() {
        for (text, wanted) in [
            ("ID=debian\n", Distribution::Debian),
            ("ID=ubuntu\nID_LIKE=debian\n", Distribution::Ubuntu),
            ("NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Distribution::Ubuntu),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Distribution::Fedora),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Distribution::Suse),
            ("ID=arch\n", Distribution::Arch),
            ("ID=alpine\nVERSION_ID=3\n", Distribution::Alpine),
            ("ID=talos\n", Distribution::Other),
            ("", Distribution::Other),
        ] {
            let root = Root::new();
            root.file("etc/os-release", text);
            assert_eq!(distribution(root.path()), wanted, "{text}");
        }
        assert_eq!(distribution(Root::new().path()), Distribution::Other);
    }

    #[test]
    fn what_starts_at_boot() {
        let root = Root::new();
        let ours = |root: &Root| units(root.path()).ours;
        assert_eq!(units(root.path()), Units::default());
        root.file("usr/lib/systemd/system/binfmtd.service", "[Unit]\n");
        assert_eq!(ours(&root), Boot::Off);
        root.link("etc/systemd/system/multi-user.target.wants/binfmtd.service", "/nowhere");
        assert_eq!(ours(&root), Boot::Starts);
        root.link("etc/systemd/system/binfmtd.service", "/dev/null");
        assert_eq!(ours(&root), Boot::Masked);
        root.file("usr/lib/systemd/system/systemd-binfmt.service", "[Unit]\n").link(
            "usr/lib/systemd/system/sysinit.target.wants/systemd-binfmt.service",
            "../systemd-binfmt.service",
        );
        let units = units(root.path());
        assert_eq!((units.systemd_binfmt, units.binfmt_support), (Boot::Starts, Boot::Absent));
    }

    #[test]
    fn the_first_file_of_a_name_counts() {
        let root = Root::new();
        root.file("usr/lib/binfmt.d/b.conf", "vendor")
            .file("usr/lib/binfmt.d/a.conf", "only")
            .file("usr/lib/binfmt.d/c.conf", "hidden")
            .file("usr/lib/binfmt.d/README", "none")
            .file("etc/binfmt.d/b.conf", "mine")
            .link("run/binfmt.d/c.conf", "/dev/null");
        let found: Vec<_> = binfmt_d(root.path())
            .unwrap()
            .into_iter()
            .map(|(path, content)| {
                let path = path.strip_prefix(root.path()).unwrap().display().to_string();
                (path, String::from_utf8(content).unwrap())
            })
            .collect();
        let wanted = [
            ("usr/lib/binfmt.d/a.conf", "only"),
            ("etc/binfmt.d/b.conf", "mine"),
            ("run/binfmt.d/c.conf", ""),
        ];
        assert_eq!(found, wanted.map(|(path, text)| (path.to_owned(), text.to_owned())));
        assert_eq!(binfmt_d(Root::new().path()).unwrap(), []);
    }
}
