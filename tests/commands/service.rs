//! What commands say of the service while it runs.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::INSTANCE;
use crate::world::{World, qemu};
use crate::{column, keys};

/// More than a first check takes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Service<'a> {
    world: &'a World,
    child: Child,
}

impl<'a> Service<'a> {
    /// Starts it, and waits until every rule works and is described.
    fn start(world: &'a World) -> Self {
        // It must not outlive this test, however that ends.
        let words = ["setpriv", "--pdeathsig", "KILL", "--"].map(Into::into);
        let words = words.into_iter().chain(world.words("daemon"));
        let mut command = world.command(words);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut service = Self { world, child };
        service.until("described", |state| {
            let rules = state["rules"].as_array().unwrap();
            !rules.is_empty() && rules.iter().all(|rule| rule["sha256"].is_string())
        });
        service
    }

    fn state(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.file()).ok()?).ok()
    }

    fn file(&self) -> PathBuf {
        self.world.runtime().join("state.json")
    }

    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        while !self.state().is_some_and(|state| is_so(&state)) {
            assert_eq!(self.child.try_wait().unwrap(), None, "it has ended");
            assert!(begun.elapsed() < LIMIT, "not {what}: {:?}", self.state());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // The helper ends with it, and takes its workers along.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::SIGTERM);
            // A test may have stopped it.
            self.signal(Signal::SIGCONT);
        }
        let _ = self.child.wait();
    }
}

#[test]
fn status_tells_what_the_service_knows() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let mut service = Service::start(&world);
    let pid = service.child.id();
    let document = world.json("status");
    let told = &document["service"];
    assert_eq!(
        keys(told),
        [
            "conflicts",
            "heals",
            "instance",
            "last-heal",
            "only-here",
            "paused-until",
            "pid",
            "pid-started",
            "ready",
            "rules",
            "schema",
            "started",
            "status",
            "trouble",
            "version"
        ]
    );
    assert_eq!((&told["pid"], &told["ready"]), (&pid.into(), &true.into()));
    assert_eq!(told["status"], "3 targets working");
    assert_eq!(told["heals"]["wanted"], 3, "{told:#}");
    assert_eq!(told["heals"]["removed"], 0, "{told:#}");
    assert_eq!(column(&told["rules"], "condition"), ["working"; 3]);
    for rule in told["rules"].as_array().unwrap() {
        let registered = column(&document["rules"], "name").contains(&rule["by"].as_str().unwrap());
        assert!(registered && rule["version"].is_string(), "{document:#}");
        assert!(rule["probe-seconds"].as_f64().unwrap() > 0.0, "{rule:#}");
    }

    world.sh("echo -1 > $M/qemu-riscv64");
    service.until("healed", |state| state["heals"]["removed"] == 1);
    let said = world.binfmtd("status").ended(0);
    let line = said.out.lines().last().unwrap();
    assert!(line.starts_with(&format!("service: process {pid}, running for ")), "{said:#?}");
    for part in ["ready: 3 targets working", "last heal ", " ago (removed, 1 change in "] {
        assert!(line.contains(part), "{part}: {said:#?}");
    }

    // Another instance is none of its business; and it says nothing that nobody wrote.
    let script = format!("mount -t binfmt_misc binfmt_misc {INSTANCE} && exec \"$@\"");
    let words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"];
    let mut inside: Vec<std::ffi::OsString> = words.map(Into::into).to_vec();
    inside.extend(world.words("--format json status"));
    let elsewhere = world.run(inside).ended(0).document();
    assert!(elsewhere["service"].is_null(), "{elsewhere:#}");

    // What a process left behind that was killed is nobody's state.
    service.signal(Signal::SIGKILL);
    service.child.wait().unwrap();
    assert!(service.state().is_some());
    let document = world.json("status");
    assert!(document["service"].is_null(), "{document:#}");
    assert_eq!(document["rules"].as_array().unwrap().len(), 3, "rules stay");
}

#[test]
fn unregister_warns_that_the_service_undoes_it() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.sh("printf ':theirs:E::theirs::/bin/true:O' > $M/register");
    let mut service = Service::start(&world);
    let said = world.binfmtd("unregister --dry-run arm64").ended(0);
    assert!(said.err.contains("systemctl stop binfmtd"), "{said:#?}");
    let document = world.json("unregister riscv64");
    assert_eq!(keys(&document), ["dry-run", "errors", "ok", "removed", "schema", "warnings"]);
    let warning = document["warnings"][0].as_str().unwrap();
    let pid = format!("process {}", service.child.id());
    for part in [pid.as_str(), "qemu-riscv64", "configuration", "systemctl stop binfmtd"] {
        assert!(warning.contains(part), "{part}: {document:#}");
    }
    // And so it is.
    assert!(!world.rules().contains(&"qemu-riscv64".to_owned()));
    service.signal(Signal::SIGHUP);
    service.until("registered again", |state| state["heals"]["wanted"] == 4);
    assert!(world.rules().contains(&"qemu-riscv64".to_owned()));

    // The way out.
    world.configure(r#"targets = ["aarch64", "s390x"]"#);
    service.until("content with two", |state| state["rules"].as_array().unwrap().len() == 2);
    assert!(!world.rules().contains(&"qemu-riscv64".to_owned()));
    world.binfmtd("register riscv64").ended(0);
    let document = world.json("unregister riscv64");
    assert_eq!(document["warnings"], Value::Array(Vec::new()), "nobody wants it back");
    drop(service);
    let document = world.json("unregister --all");
    assert_eq!(document["removed"].as_array().unwrap().len(), 2, "{document:#}");
    assert_eq!(document["warnings"], Value::Array(Vec::new()), "nobody is there");
    assert_eq!(world.rules(), ["theirs"]);
}

#[test]
fn the_doctor_fixes_beside_it_and_says_what_it_reports() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let mut service = Service::start(&world);
    // Else it would be quicker.
    service.signal(Signal::SIGSTOP);
    world.binfmtd("unregister riscv64").ended(0);
    let said = world.binfmtd("--format json doctor --fix").ended(0);
    let document = said.document();
    assert_eq!(column(&document["fixes"], "target"), ["riscv64"], "{document:#}");
    assert_eq!(document["fixes"][0]["done"], true, "{document:#}");
    let pid = format!("the service (process {})", service.child.id());
    for part in [pid.as_str(), "by itself", "it reports: "] {
        assert!(said.err.contains(part), "{part}: {said:#?}");
    }
    service.signal(Signal::SIGCONT);
    // Who has nothing to do is told nothing.
    assert_eq!(world.binfmtd("doctor --fix").ended(0).err, "");
}
