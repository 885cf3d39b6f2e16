use super::*;

fn mine() -> String {
    "mine".to_owned()
}

fn unreachable(error: &str, container: Option<&str>) -> UnreachableNode {
    UnreachableNode {
        builder: mine(),
        node: "mine0".to_owned(),
        container: container.map(str::to_owned),
        error: error.to_owned(),
    }
}

#[test]
fn a_refusal_says_what_is_refused_and_what_to_do() {
    let why = || ChangeReason::OtherOptions;
    for (refusal, said, fix) in [
        (
            BuilderRefusal::Driver { name: mine(), driver: "docker".to_owned() },
            "builder mine has the driver docker, and binfmtd creates and repairs builders of docker-container only: its BuildKit \
             is part of the engine",
            "binfmtd buildx bootstrap mine-container",
        ),
        (
            BuilderRefusal::Driver { name: mine(), driver: "of next year".to_owned() },
            "builder mine has the driver of next year, and",
            "binfmtd buildx bootstrap mine-container",
        ),
        (
            BuilderRefusal::NotOurs { name: mine(), why: why() },
            "builder mine was not created by binfmtd, so it is not changed (it was made with other options)",
            "docker buildx rm mine",
        ),
        (
            BuilderRefusal::NotAgain { name: mine(), why: why(), obstacle: Obstacle::SeveralNodes },
            "builder mine would have to be created again (it was made with other options), and it has several nodes",
            "binfmtd buildx remove mine",
        ),
        (
            BuilderRefusal::NothingToAppendTo(mine()),
            "there is no builder mine to add a node to",
            "without --append, the builder is created",
        ),
        (
            BuilderRefusal::NoSuchNode {
                name: mine(),
                node: "a".to_owned(),
                nodes: "b, c".to_owned(),
            },
            "builder mine has no node a, only b, c",
            "--append adds it; without --node, the builder is used as it is",
        ),
        (
            BuilderRefusal::OtherEngine {
                name: mine(),
                node: "a".to_owned(),
                there: "near".to_owned(),
                asked: "far".to_owned(),
            },
            "node a of builder mine runs in near, not in far",
            "--append and --node add a node there; or choose another name",
        ),
        (
            BuilderRefusal::Unreachable(unreachable("boo", Some("c"))),
            "node mine0 of builder mine cannot be reached: boo",
            "docker buildx rm mine && binfmtd buildx bootstrap mine",
        ),
        (
            BuilderRefusal::Busy { container: "c".to_owned(), processes: 2, why: why() },
            "c is at work (2 processes), and would have to be restarted: it was made with other options",
            "try again when its builds are done, or use --recreate always",
        ),
    ] {
        assert!(refusal.to_string().starts_with(said), "{refusal}");
        assert_eq!(refusal.fix().line(ROOT), fix);
        let failure = Failure::from(refusal);
        assert_eq!(failure.kind, FailureKind::Failed);
        assert!(failure.message.contains(fix) && failure.message.starts_with(said), "{failure}");
    }
}

#[test]
fn a_paused_container_is_continued() {
    let paused = "Container abc is paused, unpause the container before exec";
    assert_eq!(unreachable(paused, Some("c")).fix().line(ROOT), "docker unpause c");
    assert_eq!(unreachable(paused, None).fix().line(ROOT), "docker buildx rm mine");
    let broken = builder(NodeStatus::Broken(paused.to_owned()), None);
    let found = broken.unreachable_node();
    assert_eq!(found, Some(unreachable(paused, Some("buildx_buildkit_mine0"))));
    assert_eq!(ours(NodeStatus::Stopped).unreachable_node(), None);
}

#[test]
fn reasons_and_obstacles_are_clauses() {
    let all = || vec!["linux/arm64".to_owned(), "linux/s390x".to_owned()];
    for (reason, said) in [
        (ChangeReason::Requested, "--recreate always"),
        (ChangeReason::NotLoaded("boo".to_owned()), "buildx cannot load it: boo"),
        (ChangeReason::OtherOptions, "it was made with other options"),
        (ChangeReason::Outdated(all()), "what it knows of linux/arm64, linux/s390x is out of date"),
        (
            ChangeReason::StillFailing(all()),
            "after a restart it still does not build for linux/arm64, linux/s390x",
        ),
        (ChangeReason::Removal, "it would be removed"),
    ] {
        assert_eq!(reason.to_string(), said);
    }
    for (obstacle, said) in [
        (Obstacle::Forbidden, "--recreate never forbids that"),
        (Obstacle::Append, "only a node is to be added to it"),
        (Obstacle::SeveralNodes, "it has several nodes"),
    ] {
        assert_eq!(obstacle.to_string(), said);
    }
}

fn inspection(builder: Option<Builder>, facts: Vec<PlatformFacts>) -> Inspection {
    let seen = DockerFacts { engine: engine(), builders: builder.clone().into_iter().collect() };
    Inspection { seen, name: mine(), builder, facts, orphans: Vec::new() }
}

fn engine() -> Engine {
    Engine {
        context: "default".to_owned(),
        endpoint: "unix:///var/run/docker.sock".to_owned(),
        id: "e".to_owned(),
        version: "26.1.5".to_owned(),
        client: "26.1.5".to_owned(),
        kernel: "6.1".to_owned(),
        rootless: false,
        location: Location::Here,
        buildx: "0.13.1".to_owned(),
    }
}

fn facts(built: Built) -> PlatformFacts {
    PlatformFacts {
        platform: "linux/arm64".to_owned(),
        target: "aarch64".to_owned(),
        kernel: Kernel::NoRule,
        embedded: Embedded::No,
        advertised: false,
        resting: false,
        built,
    }
}

#[test]
fn what_keeps_a_builder_from_building_is_told_with_what_to_do() {
    let untried = || vec![facts(Built::NotTried("boo".to_owned()))];
    let problem = |builder: Option<Builder>| {
        let problem = inspection(builder, untried()).problem()?;
        Some(format!("{problem}: {}", problem.fix().line(ROOT)))
    };
    let said = |builder| problem(Some(builder)).unwrap_or_default();
    assert_eq!(problem(Some(ours(NodeStatus::Running))), None);
    assert_eq!(
        problem(None).as_deref(),
        Some("there is no builder mine: binfmtd buildx bootstrap mine")
    );
    assert_eq!(
        said(ours(NodeStatus::Stopped)),
        "node mine0 is stopped, so nothing was built: binfmtd buildx bootstrap mine"
    );
    assert_eq!(
        said(theirs(NodeStatus::Missing)),
        "node mine0 is missing, so nothing was built: docker buildx inspect --bootstrap mine"
    );
    assert_eq!(
        said(ours(NodeStatus::Broken("boo".to_owned()))),
        "node mine0 of builder mine cannot be reached: boo: docker buildx rm mine && binfmtd buildx \
         bootstrap mine"
    );
    let not_loaded = |builder| said(Builder { error: Some("boo".to_owned()), ..builder });
    assert_eq!(
        not_loaded(ours(NodeStatus::Running)),
        "buildx cannot load builder mine: boo: binfmtd buildx bootstrap mine"
    );
    assert_eq!(
        not_loaded(theirs(NodeStatus::Running)),
        "buildx cannot load builder mine: boo: docker buildx rm mine"
    );
    // One node that runs is enough.
    let built = vec![facts(Built::No { why: "boo".to_owned(), log: String::new() })];
    assert_eq!(inspection(Some(ours(NodeStatus::Stopped)), built).problem(), None);
}

#[test]
fn the_other_builders_are_named_where_there_is_none_of_the_name() {
    let others = ["default", "far"].map(|name| (name.to_owned(), "docker".to_owned()));
    let missing = BuilderProblem::Missing { name: mine(), others: others.into() };
    let said = "the builders are default (docker), far (docker); there is no builder mine";
    assert_eq!(missing.to_string(), said);
    let seen = DockerFacts { engine: engine(), builders: vec![ours(NodeStatus::Running)] };
    let found = Inspection { seen, ..inspection(None, Vec::new()) };
    let others = vec![(mine(), "docker-container".to_owned())];
    assert_eq!(found.problem(), Some(BuilderProblem::Missing { name: mine(), others }));
}

#[test]
fn an_error_of_docker_is_told_with_what_to_do() {
    let text = || "boo".to_owned();
    let (command, context) = (text, || "far".to_owned());
    for (error, kind, fix) in [
        (DockerError::NoDocker, FailureKind::Unavailable, "install Docker's command line"),
        (DockerError::Podman(text()), FailureKind::Unavailable, "binfmtd doctor"),
        (
            DockerError::Compatible { endpoint: text(), version: text() },
            FailureKind::Unavailable,
            "docker context use default",
        ),
        (DockerError::Down(text()), FailureKind::Unavailable, "systemctl start docker"),
        (DockerError::Denied(text()), FailureKind::NotPermitted, "usermod -aG docker USER"),
        (DockerError::DeadContext(text()), FailureKind::Unavailable, "docker context use default"),
        (DockerError::NoPlugin, FailureKind::Unavailable, "docker-buildx"),
        (DockerError::BrokenPlugin(text()), FailureKind::Unavailable, "docker-buildx"),
        (DockerError::OldPlugin(text()), FailureKind::Unavailable, "0.13 or later"),
        (
            DockerError::Elsewhere { context: context(), why: text() },
            FailureKind::Unavailable,
            "bootstrap --remote",
        ),
        (DockerError::Image(text()), FailureKind::Unavailable, "--driver-opt image=IMAGE"),
        (
            DockerError::Slow { command: command(), seconds: 1 },
            FailureKind::Unavailable,
            "--timeout",
        ),
        (DockerError::Failed { command: command(), said: text() }, FailureKind::Unavailable, ""),
        (
            DockerError::Unreadable { command: command(), error: text() },
            FailureKind::Unavailable,
            "",
        ),
    ] {
        let told = error.fix().map(|fix| fix.line(ROOT)).unwrap_or_default();
        assert!(told.contains(fix) && told.is_empty() == fix.is_empty(), "{told}");
        let words = error.to_string();
        let failure = Failure::from(error);
        assert_eq!(failure.kind, kind);
        assert!(failure.message.starts_with(&words), "{failure}");
        assert!(failure.message.contains(fix), "{failure}");
    }
}
