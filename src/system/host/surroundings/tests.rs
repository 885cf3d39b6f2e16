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
