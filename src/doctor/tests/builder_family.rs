use super::*;
use crate::buildx::builder::{Builder, Node, NodeStatus};
use crate::buildx::docker::DockerError;
use crate::buildx::driver::MANAGED;
use crate::buildx::embedded::Embedded;
use crate::buildx::engine::{Engine, Location};
use crate::buildx::facts::PlatformFacts;
use crate::buildx::inspection::{InspectError, Inspection};
use crate::buildx::kernel::Kernel;
use crate::buildx::observe::{DockerFacts as Seen, Orphan, OrphanKind};
use crate::buildx::test_build::{Built, Runner};
use crate::doctor::builder::facts::BuilderFacts;
use crate::doctor::repair::builder_to_repair;
use crate::failure::Failure;

fn builder() -> Builder {
    let node = Node {
        name: "mine0".to_owned(),
        endpoint: "default".to_owned(),
        status: NodeStatus::Running,
        version: Some("v0.26.2".to_owned()),
        platforms: Vec::new(),
        options: BTreeMap::new(),
        flags: Vec::new(),
    };
    Builder {
        name: "mine".to_owned(),
        driver: MANAGED.name().to_owned(),
        current: None,
        error: None,
        nodes: vec![node],
    }
}

fn arm(built: Built) -> PlatformFacts {
    PlatformFacts {
        platform: "linux/arm/v7".to_owned(),
        target: "arm".to_owned(),
        kernel: Kernel::Runs { rule: Some("qemu-arm".to_owned()), version: None },
        embedded: Embedded::No,
        advertised: true,
        resting: false,
        built,
    }
}

fn yes(by: Runner) -> Built {
    Built::Yes { by, version: Some("7.2".to_owned()), time: Duration::from_secs(1) }
}

fn no() -> Built {
    Built::No { why: "it failed".to_owned(), log: String::new() }
}

fn inspection(builder: Option<Builder>, facts: Vec<PlatformFacts>) -> Inspection {
    let engine = Engine {
        context: "default".to_owned(),
        endpoint: "unix:///run/docker.sock".to_owned(),
        id: "id".to_owned(),
        version: "28.5.2".to_owned(),
        client: "28.5.1".to_owned(),
        kernel: "6.1.0".to_owned(),
        rootless: false,
        buildx: "0.29.1".to_owned(),
        location: Location::Here,
    };
    let seen = Seen { engine, builders: vec![self::builder()] };
    Inspection { seen, name: "mine".to_owned(), builder, facts, orphans: Vec::new() }
}

fn ask(host: &mut Example<'_>, outcome: Result<Inspection, InspectError>) {
    host.0.builder = Some(BuilderFacts { name: "mine".to_owned(), outcome });
}

fn trouble(host: &mut Example<'_>, trouble: DockerError) {
    ask(host, Err(InspectError::Docker(trouble)));
}

const DOCKER: [&str; 4] = ["docker.cli", "docker.engine", "docker.here", "docker.buildx"];
const BUILDER: [&str; 5] =
    ["builder.present", "builder.running", "builder.builds", "builder.facts", "builder.orphans"];

#[test]
fn nobody_looks_unless_a_builder_is_named() {
    let settings = Settings::default();
    let mut host = host(&settings);
    for id in DOCKER.into_iter().chain(BUILDER) {
        host.holds(id, SKIP, &["--builder NAME"]);
        assert_eq!(host.says(id).subject, Subject::Host);
    }
    ask(&mut host, Err(InspectError::Observe(Failure::unavailable("the kernel is dumb"))));
    for id in DOCKER.into_iter().chain(BUILDER) {
        host.holds(id, SKIP, &["the kernel is dumb"]);
        assert_eq!(host.says(id).subject, Subject::Builder { name: "mine".to_owned() });
    }
}

#[test]
fn all_is_well() {
    let settings = Settings::default();
    let mut host = host(&settings);
    ask(&mut host, Ok(inspection(Some(builder()), vec![arm(yes(Runner::Rule))])));
    for (id, word) in [
        ("docker.cli", "docker 28.5.1 answers"),
        ("docker.engine", "Docker 28.5.2 answers"),
        ("docker.here", "Linux 6.1.0"),
        ("docker.buildx", "buildx 0.29.1"),
        ("builder.present", "builder mine exists"),
        ("builder.running", "BuildKit v0.26.2"),
        ("builder.builds", "it builds for linux/arm/v7"),
        ("builder.facts", "agree"),
        ("builder.orphans", "left nothing of binfmtd's behind"),
    ] {
        host.holds(id, PASS, &[word]);
    }
    assert_eq!(host.says("builder.builds").target.as_deref(), Some("arm"));
    assert_eq!(builder_to_repair(&host.0, &[]), None);
}

#[test]
fn each_trouble_with_docker_is_told_once() {
    let settings = Settings::default();
    let said = || "said".to_owned();
    for (trouble_with, id, status, words) in [
        (DockerError::NoDocker, "docker.cli", FAIL, "docker-ce-cli"),
        (DockerError::Podman(said()), "docker.cli", FAIL, "podman build --platform"),
        (DockerError::Down(said()), "docker.engine", FAIL, "systemctl start docker"),
        (DockerError::DeadContext(said()), "docker.engine", FAIL, "docker context use default"),
        (DockerError::Denied(said()), "docker.engine", Status::Error, "usermod -aG docker"),
        (DockerError::NoPlugin, "docker.buildx", FAIL, "docker-buildx-plugin"),
        (DockerError::OldPlugin(said()), "docker.buildx", FAIL, "docker-buildx-plugin"),
    ] {
        let mut host = host(&settings);
        trouble(&mut host, trouble_with);
        host.holds(id, status, &[words]);
        let others = DOCKER.into_iter().chain(BUILDER).filter(|other| *other != id);
        for other in others {
            let found = host.says(other);
            assert!(matches!(found.status, Status::Pass | Status::Skip), "{id}: {found:#?}");
        }
    }
    let mut host = host(&settings);
    let compatible = DockerError::Compatible { endpoint: said(), version: said() };
    trouble(&mut host, compatible);
    host.holds("docker.engine", FAIL, &["not a Docker engine", "docker context use default"]);
}

#[test]
fn packages_are_named_where_they_are_known() {
    let settings = Settings::default();
    for (distribution, command) in [
        (Distribution::Debian, "apt-get install docker-cli docker-buildx"),
        (Distribution::Ubuntu, "apt-get install docker.io docker-buildx"),
        (Distribution::Arch, "pacman -S docker docker-buildx"),
        (Distribution::Alpine, "apk add docker-cli docker-cli-buildx"),
    ] {
        let mut host = host(&settings);
        host.distribution = distribution;
        trouble(&mut host, DockerError::NoDocker);
        assert_eq!(line(&host.says("docker.cli")), command);
        trouble(&mut host, DockerError::NoPlugin);
        let plugin = command.replace(" docker-cli ", " ").replace(" docker.io ", " ");
        let plugin = plugin.replace(" docker docker-", " docker-");
        assert_eq!(line(&host.says("docker.buildx")), plugin);
    }
}

#[test]
fn an_engine_on_another_kernel() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let mut far = inspection(None, Vec::new());
    far.seen.engine.location = Location::Elsewhere("it is a virtual machine".to_owned());
    far.seen.engine.rootless = true;
    ask(&mut host, Ok(far));
    host.holds(
        "docker.here",
        WARN,
        &["virtual machine", "binfmtd register on the engine's machine"],
    );
    host.holds("docker.engine", PASS, &["rootless"]);
    let bootstrap = "binfmtd buildx bootstrap mine";
    host.holds("builder.present", FAIL, &["no builder mine", "there are: mine", bootstrap]);
    for id in ["builder.running", "builder.builds", "builder.facts"] {
        host.holds(id, SKIP, &["builder.present: there is no such builder"]);
    }
    let findings = crate::doctor::diagnose(&host.0);
    assert_eq!(builder_to_repair(&host.0, &findings), Some("mine"));
}

#[test]
fn builders_that_are_not_as_they_should_be() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let docker = Builder { driver: "docker".to_owned(), ..builder() };
    ask(&mut host, Ok(inspection(Some(docker), Vec::new())));
    let words = ["has the driver docker", "not created by binfmtd", "part of the engine"];
    host.holds("builder.present", WARN, &words);
    assert_eq!(line(&host.says("builder.present")), "binfmtd buildx bootstrap mine-container");
    host.holds("builder.builds", SKIP, &["no platform is asked for"]);
    let dead = Builder { error: Some("no such context".to_owned()), ..builder() };
    ask(&mut host, Ok(inspection(Some(dead), Vec::new())));
    host.holds("builder.present", FAIL, &["no such context", "docker buildx rm mine"]);
    host.holds("builder.running", SKIP, &["builder.present reports why"]);
    for (status, finding, words) in [
        (
            NodeStatus::Stopped,
            WARN,
            ["mine0 of builder mine is", "docker buildx inspect --bootstrap mine"],
        ),
        (
            NodeStatus::Broken("gone".to_owned()),
            FAIL,
            ["gone", "docker buildx rm mine && binfmtd buildx bootstrap mine"],
        ),
    ] {
        let mut sick = builder();
        sick.nodes[0].status = status;
        ask(&mut host, Ok(inspection(Some(sick), Vec::new())));
        host.holds("builder.running", finding, &words);
    }
}

#[test]
fn builds_that_fail_or_are_made_by_another() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let mut say = |facts: PlatformFacts, id: &str, status, words: &[&str]| {
        ask(&mut host, Ok(inspection(Some(builder()), vec![facts])));
        host.holds(id, status, words);
    };
    say(
        arm(no()),
        "builder.builds",
        FAIL,
        &["linux/arm/v7", "it failed", "docker buildx stop mine"],
    );
    say(arm(no()), "builder.facts", SKIP, &["builder.builds reports what is wrong"]);
    let without = |built| PlatformFacts { kernel: Kernel::NoRule, ..arm(built) };
    say(without(no()), "builder.builds", FAIL, &["advertised", "binfmtd buildx bootstrap mine"]);
    let silent = PlatformFacts { advertised: false, ..without(no()) };
    say(silent, "builder.builds", SKIP, &["the kernel does not run it"]);
    let embedded = without(yes(Runner::Embedded));
    say(embedded.clone(), "builder.builds", PASS, &["it builds for", "7.2"]);
    say(embedded, "builder.facts", WARN, &["BuildKit's image", "binfmtd register arm"]);
    let untried = arm(Built::NotTried("the builder rests".to_owned()));
    say(untried.clone(), "builder.builds", SKIP, &["not built: the builder rests"]);
    say(untried, "builder.facts", SKIP, &["not built: the builder rests"]);
}

#[test]
fn what_is_left_of_builders_that_are_gone() {
    let settings = Settings::default();
    let mut host = host(&settings);
    let orphan = |name: &str, ours| Orphan {
        kind: OrphanKind::Volume,
        name: name.to_owned(),
        node: "mine0".to_owned(),
        ours,
    };
    let with = |orphans| Inspection { orphans, ..inspection(Some(builder()), Vec::new()) };
    ask(&mut host, Ok(with(vec![orphan("theirs", false)])));
    host.holds("builder.orphans", PASS, &["not created by binfmtd: theirs"]);
    ask(&mut host, Ok(with(vec![orphan("theirs", false), orphan("own", true)])));
    let words = ["own", "not created by binfmtd: theirs", "remove --all-orphans --yes"];
    host.holds("builder.orphans", WARN, &words);
}
