//! What goes wrong around the service, and what it makes of it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::Private;
use crate::support::daemon::{Daemon, Launch, status_of};
use crate::support::stage::{Entries, Stage, inode, says};
use crate::{aarch64_rule, configure, emulator, install, qemu, set_up, text, unchanged};

const ONE: &str = r#"targets = ["aarch64"]"#;
const TWO: &str = r#"targets = ["aarch64", "riscv64"]"#;

/// A manager that reads only when it is asked to.
struct Deaf(UnixDatagram);

impl Deaf {
    fn listening_at(address: &Path) -> Self {
        let socket = UnixDatagram::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// Has the kernel's queue full, so that the next one would wait.
    fn fill(&self) {
        for _ in 0..1_000_000 {
            if self.is_full() {
                return;
            }
        }
        panic!("a queue without an end");
    }

    /// Whether nothing more fits in; else it holds one more.
    fn is_full(&self) -> bool {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let address = self.0.local_addr().unwrap();
        match sender.send_to(b"FILL=1\n", address.as_pathname().unwrap()) {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(error) => panic!("fill the queue: {error}"),
        }
    }

    /// Everything that waits to be read, less what filled it.
    fn read(&self) -> Vec<String> {
        let mut buffer = [0; 8192];
        let mut told = Vec::new();
        while let Ok(length) = self.0.recv(&mut buffer) {
            told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        told.retain(|text| text != "FILL=1\n");
        told
    }
}

/// Waits until the rules are as they were, all of them.
#[track_caller]
fn back(daemon: &mut Daemon, what: &str, before: &Entries) {
    daemon.until(what, |_| {
        let is_there = |it: (&String, &Vec<u8>)| {
            fs::read(Private::path(it.0)).is_ok_and(|content| content == *it.1)
        };
        before.iter().all(is_there).then_some(())
    });
}

pub(crate) fn deaf_manager(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    configure(stage, ONE);
    let address = stage.path("deaf");
    let manager = Deaf::listening_at(&address);
    manager.fill();
    let mut daemon = Launch::new(stage)
        .env("NOTIFY_SOCKET", address.to_str().unwrap())
        .env("WATCHDOG_USEC", "200000")
        .start();
    daemon.until("the state of readiness", |daemon| {
        daemon.find_state().filter(|state| state["ready"] == true)
    });
    let before = Stage::entries();
    assert_eq!(before.keys().collect::<Vec<_>>(), ["qemu-aarch64"]);
    Private::flush().unwrap();
    daemon.until("the heal", |daemon| (daemon.heals("removed") == 1).then_some(()));
    unchanged(&before);
    assert!(stage.starts("aarch64"));

    // Whoever reads at last hears of it.
    assert!(manager.is_full());
    let hears = |daemon: &mut Daemon, status: &str| {
        let mut told = Vec::new();
        daemon.until(status, |_| {
            told.extend(manager.read());
            told.iter().any(|text| text.lines().any(|line| line == status)).then_some(())
        });
        told
    };
    let told = hears(&mut daemon, "STATUS=1 target working");
    let ready = told.iter().find(|text| text.contains("STATUS=1 target")).unwrap();
    assert!(ready.lines().any(|line| line == "READY=1"), "{told:?}");

    // The same with what comes later.
    manager.fill();
    configure(stage, TWO);
    daemon.until("the second rule", |daemon| {
        daemon.find_rule("qemu-riscv64").filter(|rule| rule["condition"] == "working")
    });
    assert!(manager.is_full());
    let told = hears(&mut daemon, "STATUS=2 targets working");
    assert!(told.iter().all(|text| !text.contains("READY=1")), "{told:?}");

    // Nor does its end wait.
    manager.fill();
    let begin = Instant::now();
    daemon.stop();
    let time = begin.elapsed();
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    stage.nothing_left("the service");
    Some(format!("ended in {:.0} ms", time.as_secs_f64() * 1e3))
}

pub(crate) fn runtime_folder(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    let owned = stage.record()["rules"].clone();
    assert_eq!(owned.as_object().map(serde_json::Map::len), Some(2), "{owned:#}");
    for round in 1..=2 {
        // At one go: it may be writing.
        fs::rename(stage.path("run"), stage.path("gone")).unwrap();
        fs::remove_dir_all(stage.path("gone")).unwrap();
        Private::flush().unwrap();
        back(&mut daemon, "the rules", &before);
        daemon.until("the state", |daemon| {
            (daemon.find_state()?["heals"]["removed"] == round * 2).then_some(())
        });
        unchanged(&before);
        assert_eq!(stage.record()["rules"], owned, "not ours any more");
        assert!(["aarch64", "riscv64"].iter().all(|target| stage.starts(target)));
    }
    assert_eq!(daemon.state()["pid"], daemon.pid(), "{daemon}");
    // Or somebody breaks the record alone.
    fs::write(stage.path("run/rules.json"), "{").unwrap();
    Private::flush().unwrap();
    back(&mut daemon, "the rules", &before);
    daemon.until("the record", |_| {
        let text = fs::read(stage.path("run/rules.json")).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&text).ok()?;
        (record["rules"] == owned).then_some(())
    });
    // A full check sees them as ours, too.
    let notices = daemon.notices().len();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_notice(notices, "READY=1");
    for rule in ["qemu-aarch64", "qemu-riscv64"] {
        assert_eq!(daemon.rule(rule)["ours"], true, "{daemon}");
        assert_eq!(daemon.rule(rule)["condition"], "working", "{daemon}");
    }
    unchanged(&before);
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some("2 times".to_owned())
}

/// With folders of our own in place of the machine's.
pub(crate) fn config_map(stage: &Stage) -> Option<String> {
    for folder in ["/etc", "/run", "/usr/lib/binfmtd", "/usr/local/lib/binfmtd"] {
        if Path::new(folder).is_dir() {
            let options = Some("mode=755");
            mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), options).unwrap();
        }
    }
    set_up(stage, &["aarch64", "riscv64"], "")?;
    fs::create_dir("/run/binfmtd").unwrap();
    fs::write("/run/binfmtd/binfmtd.toml", text(stage, "targets = []")).unwrap();
    // As the kubelet lays a ConfigMap out: every name leads through `..data`, which is swapped whole.
    let volume = Path::new("/etc/volume");
    let lay_out = |number: u32, content: &str| {
        let folder = format!("..2026_{number}");
        fs::create_dir_all(volume.join(&folder)).unwrap();
        fs::write(volume.join(&folder).join("mine.toml"), text(stage, content)).unwrap();
        symlink(&folder, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        if let Some(before) = number.checked_sub(1).filter(|before| *before > 0) {
            fs::remove_dir_all(volume.join(format!("..2026_{before}"))).unwrap();
        }
    };
    lay_out(1, ONE);
    symlink("..data/mine.toml", volume.join("mine.toml")).unwrap();
    let drop_ins = Path::new("/etc/binfmtd/binfmtd.d");
    fs::create_dir_all(drop_ins).unwrap();
    symlink(volume.join("mine.toml"), drop_ins.join("10-mine.toml")).unwrap();
    let mut daemon = Launch::new(stage).with_usual_configuration().ready();
    let mut expect = |wanted: &[&str], what: &str| {
        daemon.until(what, |daemon| {
            let now = daemon.find_state()?;
            let names: Vec<_> =
                now["rules"].as_array()?.iter().map(|rule| rule["rule"].as_str()).collect();
            names.into_iter().eq(wanted.iter().map(|name| Some(*name))).then_some(())
        });
        assert_eq!(Stage::entries().keys().collect::<Vec<_>>(), wanted, "{what}");
    };
    let (one, two) = (["qemu-aarch64"], ["qemu-aarch64", "qemu-riscv64"]);
    expect(&one, "what it starts with");
    lay_out(2, TWO);
    expect(&two, "the first swap");
    lay_out(3, ONE);
    expect(&one, "the second swap");
    // A file behind the links, by rename.
    let new = volume.join("..2026_3/.new");
    fs::write(&new, text(stage, TWO)).unwrap();
    fs::rename(&new, volume.join("..2026_3/mine.toml")).unwrap();
    expect(&two, "another file behind the links");
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some("2 swaps and a rename".to_owned())
}

pub(crate) fn covered(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64"], "")?;
    let new = qemu("10.0")?;
    let (bin, other) = (stage.path("bin"), stage.path("other"));
    fs::rename(&bin, stage.path("old")).unwrap();
    fs::create_dir(&bin).unwrap();
    install(stage, &new, "aarch64");
    fs::rename(&bin, &other).unwrap();
    fs::rename(stage.path("old"), &bin).unwrap();
    let (device, inode_before) = inode(&bin.join(emulator("aarch64")));
    let inode_after = inode(&other.join(emulator("aarch64"))).1;
    assert_ne!(inode_before, inode_after);
    let mut daemon = Daemon::ready(stage);
    let mut pinned = |wanted: u64, what: &str| {
        daemon.until(what, |daemon| {
            let rule = daemon.find_rule("qemu-aarch64")?;
            let is_it = rule["file"]["inode"] == wanted && rule["file"]["device"] == device;
            is_it.then_some(())
        });
        assert_eq!(daemon.rule("qemu-aarch64")["condition"], "working", "{what}: {daemon}");
        assert!(stage.starts("aarch64"), "{what}");
    };
    pinned(inode_before, "the interpreter below");
    let nothing = None::<&str>;
    mount(Some(&other), &bin, nothing, MsFlags::MS_BIND, nothing).unwrap();
    pinned(inode_after, "the interpreter mounted over it");
    umount2(&bin, MntFlags::MNT_DETACH).unwrap();
    pinned(inode_before, "the interpreter below again");
    assert_eq!(daemon.heals("interpreter"), 2);
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some("covered and uncovered".to_owned())
}

/// A rule that takes this machine's own programs and leads nowhere.
fn host_rule(name: &str) -> String {
    use std::fmt::Write as _;
    const MASK: &str =
        r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    let header = fs::read("/proc/self/exe").unwrap();
    let mut magic = String::new();
    for (at, byte) in header[..20].iter().enumerate() {
        // ET_EXEC, whatever we are ourselves: the mask takes ET_DYN, too.
        write!(magic, r"\x{:02x}", if at == 16 { 2 } else { *byte }).unwrap();
    }
    format!(":{name}:M::{magic}:{MASK}:/nowhere/interpreter:")
}

pub(crate) fn captured(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    for target in ["aarch64", "riscv64"] {
        stage.foreign(target, None);
    }
    let mut daemon = Daemon::ready(stage);
    let ours = Stage::entries();
    let (mark, notices) = (daemon.mark(), daemon.notices().len());
    stage.plant(&host_rule("careless"));
    let before = Stage::entries();
    assert!(!crate::support::stage::starts(Path::new("/proc/self/exe")), "it takes nothing");
    let trouble = daemon.until("the trouble", |daemon| {
        let trouble = daemon.state()["trouble"].clone();
        (!trouble.is_null()).then_some(trouble)
    });
    let remedy = format!("echo -1 > {}", Private::path("careless").display());
    says(&trouble, &["careless", "takes this host's own programs", &remedy]);
    daemon.wait_log(mark, &["careless", &remedy]);
    // Long enough for a plan, or a proof, that would make it worse.
    daemon.listen_for(Duration::from_millis(700));
    unchanged(&before);
    for target in ["aarch64", "riscv64"] {
        let told: Vec<_> = daemon.logged(mark, &[target]);
        assert!(told.is_empty(), "{told:?}");
    }
    let rules = daemon.state()["rules"].clone();
    let is_working = |rule: &Value| rule["condition"] == "working";
    assert!(rules.as_array().unwrap().iter().all(is_working), "{rules:#}");

    Private::tell("careless", "-1").unwrap();
    daemon.until("the end of the trouble", |daemon| {
        daemon.state()["trouble"].is_null().then_some(())
    });
    daemon.wait_notice(notices, "STATUS=2 targets working");
    unchanged(&ours);
    assert!(["aarch64", "riscv64"].iter().all(|target| stage.starts(target)), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some("named, and gone with its cause".to_owned())
}

/// How often the helper went to sleep and woke, which it does for each job and for nothing else.
fn turns(helper: u32) -> u64 {
    status_of(helper, "voluntary_ctxt_switches").parse().unwrap()
}

pub(crate) fn irrelevant(stage: &Stage) -> Option<String> {
    const TIMES: usize = 50;
    set_up(stage, &["aarch64"], "")?;
    let mut daemon = Daemon::ready(stage);
    // The last job for a while.
    daemon.until("the versions", |daemon| {
        daemon.rule("qemu-aarch64")["version"].is_string().then_some(())
    });
    let helper = daemon.helper();
    daemon.until("rest", |daemon| {
        let stat = fs::read_to_string(format!("/proc/{helper}/stat")).ok()?;
        (daemon.workers().is_empty() && stat.contains(") S ")).then_some(())
    });
    let before = Stage::entries();
    let resting = turns(helper);
    for time in 0..TIMES {
        stage.plant(&format!(":other{time}:E::other{time}::/bin/true:"));
        // So that each is looked at by itself, now and then.
        daemon.listen_for(Duration::from_millis(if time % 2 == 0 { 3 } else { 0 }));
        Private::tell(&format!("other{time}"), "-1").unwrap();
    }
    daemon.listen_for(Duration::from_millis(400));
    assert_eq!(turns(helper), resting, "a job for what does not matter: {daemon}");

    Private::flush().unwrap();
    daemon.until("the heal", |daemon| (daemon.heals("removed") == 1).then_some(()));
    let now = daemon.state();
    // Where systemd runs, names that it registers as well wait for 250 ms.
    assert!(now["last-heal"]["seconds"].as_f64().unwrap() < 0.5, "{daemon}");
    assert_eq!(now["conflicts"], 0, "{daemon}");
    unchanged(&before);
    assert_eq!(turns(helper), resting, "a heal needs no job: {daemon}");
    // One that matters is another thing.
    stage.plant(&aarch64_rule("theirs", Path::new("/bin/true"), ""));
    daemon
        .within(Duration::from_millis(1500), "a job", |_| (turns(helper) > resting).then_some(()));
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("{TIMES} rules of others"))
}

/// Sets a limit of our own user namespace.
fn limit(what: &str, value: u32) {
    let file = format!("/proc/sys/user/{what}");
    fs::write(&file, value.to_string()).unwrap_or_else(|error| panic!("{file}: {error}"));
}

pub(crate) fn limits(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64"], "")?;
    // What listens here has one instance and one watch.
    for (name, sysctl) in [
        ("max_inotify_instances", "max_user_instances"),
        ("max_inotify_watches", "max_user_watches"),
    ] {
        limit(name, 1);
        let mut daemon = Launch::new(stage).start();
        assert_eq!(daemon.wait_exit().code(), Some(3), "{daemon}");
        let words = ["inotify", &format!("fs.inotify.{sysctl}"), &format!("user.{name}")];
        let line = daemon.log().iter().find(|line| words.iter().all(|word| line.contains(word)));
        assert!(line.is_some(), "{words:?}: {daemon}");
        assert_eq!(Stage::entries(), Entries::new());
        limit(name, 100);
        drop(daemon);
    }
    // Enough for the instance, too few for folders: it does what it can, and says so.
    limit("max_inotify_watches", 2);
    let mut daemon = Launch::new(stage).start();
    let trouble = daemon.until("the trouble", |daemon| {
        let trouble = daemon.find_state()?["trouble"].clone();
        (!trouble.is_null()).then_some(trouble)
    });
    says(&trouble, &["watch files", "fs.inotify.max_user_watches", "user.max_inotify_watches"]);
    let before = Stage::entries();
    assert_eq!(before.keys().collect::<Vec<_>>(), ["qemu-aarch64"]);
    Private::flush().unwrap();
    daemon.until("the heal", |daemon| (daemon.heals("removed") == 1).then_some(()));
    unchanged(&before);
    limit("max_inotify_watches", 100);
    let notices = daemon.notices().len();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_notice(notices, "STATUS=1 target working");
    assert_eq!(daemon.state()["trouble"], Value::Null);
    // It follows files now.
    let known = daemon.rule("qemu-aarch64")["file"]["inode"].clone();
    install(stage, &qemu("7.2")?, "aarch64");
    daemon.until("the new file", |daemon| {
        (daemon.rule("qemu-aarch64")["file"]["inode"] != known).then_some(())
    });
    daemon.stop();
    stage.nothing_left("the service");
    Some("instances, watches, watches for folders".to_owned())
}

pub(crate) fn amid_work(stage: &Stage) -> Option<String> {
    const TARGETS: &[&str] = &["aarch64", "riscv64", "s390x"];
    set_up(stage, TARGETS, "[daemon]\npause-after = 1000000\n")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    let mut amid = 0;
    // After the renames; and after the worker began, which is where it hurts.
    let rounds = [(50, None), (50, Some(0)), (50, Some(10)), (50, Some(0)), (50, Some(30))];
    for (at_first, in_worker) in rounds {
        for target in TARGETS {
            let (path, new) = (stage.path("bin").join(emulator(target)), stage.path("bin/.again"));
            fs::copy(&path, &new).unwrap();
            fs::rename(&new, &path).unwrap();
        }
        daemon.listen_for(Duration::from_millis(at_first));
        if let Some(milliseconds) = in_worker {
            daemon.wait_worker();
            daemon.listen_for(Duration::from_millis(milliseconds));
        }
        amid += usize::from(!daemon.workers().is_empty());
        Private::flush().unwrap();
        back(&mut daemon, "the rules", &before);
    }
    assert!(amid > 0, "never in the middle of anything: {daemon}");
    let files: Vec<u64> =
        TARGETS.iter().map(|it| inode(&stage.path("bin").join(emulator(it))).1).collect();
    daemon.until("the last files, working", |daemon| {
        let is_well = |(target, file): (&&str, &u64)| {
            let rule = daemon.find_rule(&format!("qemu-{target}"));
            rule.is_some_and(|it| it["condition"] == "working" && it["file"]["inode"] == *file)
        };
        TARGETS.iter().zip(&files).all(is_well).then_some(())
    });
    unchanged(&before);
    for target in TARGETS {
        assert!(stage.starts(target), "{target}: {daemon}");
    }
    assert!(daemon.logged(0, &["ERROR"]).is_empty(), "{daemon}");
    assert!(daemon.logged(0, &["does not work"]).is_empty(), "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("{} rounds, {amid} of them in the middle of a worker", rounds.len()))
}
