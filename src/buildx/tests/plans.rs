use super::*;

fn planned(spec: &BuilderSpec, builder: &Builder) -> Result<Vec<BuilderStep>, BuilderRefusal> {
    plan(spec, std::slice::from_ref(builder))
}

const AGAIN: [&str; 3] = ["remove", "create", "boot"];

fn words(steps: Result<Vec<BuilderStep>, BuilderRefusal>) -> Vec<&'static str> {
    let word = |step: &BuilderStep| match step {
        BuilderStep::Create => "create",
        BuilderStep::Append => "append",
        BuilderStep::Boot => "boot",
        BuilderStep::Restart { .. } => "restart",
        BuilderStep::Remove { .. } => "remove",
        BuilderStep::MakeCurrent => "use",
    };
    match steps {
        Ok(steps) => steps.iter().map(word).collect(),
        Err(BuilderRefusal::Driver { .. }) => vec!["driver"],
        Err(BuilderRefusal::NotOurs { .. }) => vec!["not ours"],
        Err(BuilderRefusal::NotAgain { .. }) => vec!["not again"],
        Err(BuilderRefusal::NothingToAppendTo(_)) => vec!["nothing"],
        Err(BuilderRefusal::NoSuchNode { .. }) => vec!["no such node"],
        Err(BuilderRefusal::OtherEngine { .. }) => vec!["other engine"],
        Err(BuilderRefusal::Unreachable(_)) => vec!["unreachable"],
        Err(BuilderRefusal::Busy { .. }) => vec!["busy"],
    }
}

#[test]
fn each_state_has_its_steps() {
    use NodeStatus::{Missing, Running, Stopped};
    assert_eq!(words(plan(&spec(), &[])), ["create", "boot"]);
    // Another's name does not count.
    let other = Builder { name: "mine2".to_owned(), ..ours(Running) };
    assert_eq!(words(planned(&spec(), &other)), ["create", "boot"]);
    for whose in [ours, theirs] {
        assert_eq!(words(planned(&spec(), &whose(Running))), [""; 0]);
        assert_eq!(words(planned(&spec(), &whose(Stopped))), ["boot"]);
        assert_eq!(words(planned(&spec(), &whose(Missing))), ["boot"]);
        let odd = NodeStatus::Other("starting".to_owned());
        assert_eq!(words(planned(&spec(), &whose(odd))), ["boot"]);
        let broken = NodeStatus::Broken("boo".to_owned());
        assert_eq!(words(planned(&spec(), &whose(broken))), ["unreachable"]);
    }
    for driver in ["docker", "kubernetes", "remote"] {
        let other = Builder { driver: driver.to_owned(), ..ours(Running) };
        for recreate in [Recreate::Auto, Recreate::Always, Recreate::Never] {
            assert_eq!(words(planned(&BuilderSpec { recreate, ..spec() }, &other)), ["driver"]);
        }
    }
    let empty = Builder { nodes: Vec::new(), ..ours(Running) };
    assert_eq!(words(planned(&spec(), &empty)), ["boot"]);
}

#[test]
fn only_what_is_ours_is_made_anew() {
    use NodeStatus::Running;
    let always = BuilderSpec { recreate: Recreate::Always, ..spec() };
    let never = BuilderSpec { recreate: Recreate::Never, ..with_option("network", "host") };
    let differs = with_option("network", "host");
    assert_eq!(words(planned(&always, &ours(Running))), AGAIN);
    assert_eq!(words(planned(&always, &theirs(Running))), ["not ours"]);
    assert_eq!(words(planned(&differs, &ours(Running))), AGAIN);
    assert_eq!(words(planned(&differs, &theirs(Running))), ["not ours"]);
    assert_eq!(words(planned(&never, &ours(Running))), ["not again"]);
    assert_eq!(words(planned(&never, &builder(Running, Some(&never)))), [""; 0]);

    // Somebody else's that is as it is wanted will do.
    let mut fitting = theirs(Running);
    fitting.nodes[0].options.insert("network".to_owned(), "host".to_owned());
    assert_eq!(words(planned(&differs, &fitting)), [""; 0]);
    let flagged = |flags: &str| BuilderSpec { flags: Some(flags.to_owned()), ..spec() };
    assert_eq!(words(planned(&flagged("--debug"), &fitting)), ["not ours"]);
    fitting.nodes[0].flags.push("--debug".to_owned());
    assert_eq!(words(planned(&flagged("--debug"), &fitting)), [""; 0]);

    let broken = Builder { error: Some("boo".to_owned()), ..ours(Running) };
    assert_eq!(words(planned(&spec(), &broken)), AGAIN);
    let nameless = Builder { driver: String::new(), nodes: Vec::new(), ..broken.clone() };
    assert_eq!(words(planned(&spec(), &nameless)), ["not ours"]);
    let several = |second: Node| Builder {
        nodes: vec![node("mine0", Running, Some(&spec())), second],
        ..ours(Running)
    };
    let all_ours = several(node("mine1", Running, Some(&spec())));
    assert_eq!(words(planned(&always, &all_ours)), ["not again"]);
    let mixed = several(node("mine1", Running, None));
    assert_eq!(words(planned(&always, &mixed)), ["not ours"]);
    assert_eq!(words(planned(&spec(), &mixed)), [""; 0]);
}

#[test]
fn a_node_is_added_and_the_others_left() {
    use NodeStatus::{Running, Stopped};
    let append = BuilderSpec { append: true, node: Some("mine1".to_owned()), ..spec() };
    assert_eq!(words(plan(&append, &[])), ["nothing"]);
    for whose in [ours, theirs] {
        assert_eq!(words(planned(&append, &whose(Running))), ["append", "boot"]);
        assert_eq!(words(planned(&append, &whose(Stopped))), ["append", "boot"]);
        let mut there = whose(Running);
        there.nodes.push(node("mine1", Running, Some(&append)));
        assert_eq!(words(planned(&append, &there)), [""; 0]);
        there.nodes[1].status = Stopped;
        assert_eq!(words(planned(&append, &there)), ["boot"]);
    }
    // What it is made with is said of the new node alone.
    let other = BuilderSpec { options: with_option("network", "host").options, ..append.clone() };
    assert_eq!(words(planned(&other, &ours(Running))), ["append", "boot"]);
    let always = BuilderSpec { recreate: Recreate::Always, ..append.clone() };
    assert_eq!(words(planned(&always, &ours(Running))), ["append", "boot"]);
    let broken = Builder { error: Some("boo".to_owned()), ..ours(Running) };
    assert_eq!(words(planned(&append, &broken)), ["not again"]);
    let broken = ours(NodeStatus::Broken("boo".to_owned()));
    assert_eq!(words(planned(&append, &broken)), ["unreachable"]);
}

#[test]
fn nothing_that_is_said_of_a_node_goes_unheard() {
    use NodeStatus::{Running, Stopped};
    let named = |name: &str| BuilderSpec { node: Some(name.to_owned()), ..spec() };
    let at = |endpoint: &str| BuilderSpec { endpoint: Some(endpoint.to_owned()), ..spec() };
    for whose in [ours, theirs] {
        assert_eq!(words(planned(&named("mine0"), &whose(Stopped))), ["boot"]);
        assert_eq!(words(planned(&named("mine1"), &whose(Running))), ["no such node"]);
        for here in ["unix:///var/run/docker.sock", "default"] {
            assert_eq!(words(planned(&at(here), &whose(Running))), [""; 0]);
        }
        assert_eq!(words(planned(&at("ssh://far"), &whose(Running))), ["other engine"]);
        // Any of its nodes may be meant.
        let mut several = whose(Running);
        several.nodes.push(node("mine1", Running, Some(&spec())));
        several.nodes[1].endpoint = "ssh://far".to_owned();
        assert_eq!(words(planned(&at("ssh://far"), &several)), [""; 0]);
        let both = BuilderSpec { endpoint: Some("ssh://far".to_owned()), ..named("mine0") };
        assert_eq!(words(planned(&both, &whose(Running))), ["other engine"]);
        // A further node has the engine that is named, or is there in another one.
        let append = BuilderSpec { append: true, ..both };
        assert_eq!(words(planned(&append, &whose(Running))), ["other engine"]);
        let further = BuilderSpec { node: Some("mine1".to_owned()), ..append };
        assert_eq!(words(planned(&further, &whose(Running))), ["append", "boot"]);
    }
    // What buildx makes of an address is the same address.
    for (given, kept) in [
        ("127.0.0.1:23755", "tcp://127.0.0.1:23755"),
        (" tcp://127.0.0.1:23755", "tcp://127.0.0.1:23755"),
        ("tcp://far", "tcp://far:2375"),
        ("tcp://[::1]", "tcp://[::1]:2375"),
        ("far", "far"),
        ("ssh://me@far", "ssh://me@far"),
    ] {
        let mut there = ours(Running);
        there.nodes[0].endpoint = kept.to_owned();
        assert_eq!(words(planned(&at(given), &there)), [""; 0], "{given}");
        assert_eq!(words(planned(&at("tcp://other"), &there)), ["other engine"], "{given}");
    }
    // What is said of a node that is there already is compared as well.
    let mut there = ours(Running);
    let append = BuilderSpec { append: true, ..named("mine1") };
    there.nodes.push(node("mine1", Running, Some(&append)));
    assert_eq!(words(planned(&append, &there)), [""; 0]);
    let other = BuilderSpec { options: with_option("network", "host").options, ..append };
    assert_eq!(words(planned(&other, &there)), ["not again"]);
    // What is made anew is made as it is named.
    let always = BuilderSpec { recreate: Recreate::Always, ..named("other") };
    assert_eq!(words(planned(&always, &ours(Running))), AGAIN);
}

#[test]
fn it_is_made_the_current_one_unless_it_is() {
    use NodeStatus::{Running, Stopped};
    let current = BuilderSpec { make_current: true, ..spec() };
    let is = |current, status| Builder { current, ..ours(status) };
    assert_eq!(words(plan(&current, &[])), ["create", "boot", "use"]);
    assert_eq!(words(planned(&current, &is(Some(false), Running))), ["use"]);
    assert_eq!(words(planned(&current, &is(Some(true), Running))), [""; 0]);
    // 0.13 does not say.
    assert_eq!(words(planned(&current, &is(None, Running))), ["use"]);
    assert_eq!(words(planned(&current, &is(Some(false), Stopped))), ["boot", "use"]);
    assert_eq!(words(planned(&spec(), &is(Some(false), Running))), [""; 0]);
}

#[test]
fn what_helps_a_builder_that_does_not_see_is_done_to_ours_alone() {
    use NodeStatus::Running;
    let platforms = ["linux/arm64", "linux/s390x"];
    let mut several = ours(Running);
    several.nodes.push(node("mine1", NodeStatus::Stopped, Some(&spec())));
    several.nodes[1].endpoint = "far".to_owned();
    let steps = refresh(&spec(), &several, &platforms).unwrap();
    let why = ChangeReason::Outdated(platforms.map(str::to_owned).into());
    let restart = |node: &str, endpoint: &str| BuilderStep::Restart {
        container: format!("buildx_buildkit_{node}"),
        endpoint: endpoint.to_owned(),
        is_running: node == "mine0",
        why: why.clone(),
    };
    let near = restart("mine0", "unix:///var/run/docker.sock");
    assert_eq!(steps, [near, restart("mine1", "far"), BuilderStep::Boot]);
    assert_eq!(words(refresh(&spec(), &theirs(Running), &platforms)), ["not ours"]);
    assert_eq!(words(renew(&spec(), &ours(Running), &platforms)), AGAIN);
    assert_eq!(words(renew(&spec(), &theirs(Running), &platforms)), ["not ours"]);
    assert_eq!(words(renew(&spec(), &several, &platforms)), ["not again"]);
    let never = BuilderSpec { recreate: Recreate::Never, ..spec() };
    assert_eq!(words(renew(&never, &ours(Running), &platforms)), ["not again"]);
    // A restart makes nothing anew.
    assert_eq!(words(refresh(&never, &ours(Running), &platforms)), ["restart", "boot"]);
}

#[test]
fn steps_say_what_they_are_about() {
    let why = || ChangeReason::OtherOptions;
    for (step, said) in [
        (BuilderStep::Create, "create the builder"),
        (BuilderStep::Append, "add the node"),
        (BuilderStep::Boot, "boot it"),
        (
            BuilderStep::Remove { why: why() },
            "remove it and keep its state: it was made with other options",
        ),
        (BuilderStep::MakeCurrent, "make it the current builder"),
        (
            BuilderStep::Restart {
                container: "c".to_owned(),
                endpoint: "e".to_owned(),
                is_running: true,
                why: why(),
            },
            "restart c: it was made with other options",
        ),
    ] {
        assert_eq!(step.to_string(), said);
    }
}

/// What is there once steps were carried out.
fn after(
    steps: &[BuilderStep],
    spec: &BuilderSpec,
    mut builder: Option<Builder>,
) -> Option<Builder> {
    for step in steps {
        let name = spec.node.clone().unwrap_or_else(|| "mine0".to_owned());
        let made = || node(&name, NodeStatus::Missing, Some(spec));
        match step {
            BuilderStep::Create => {
                let fresh = Builder { nodes: vec![made()], ..ours(NodeStatus::Missing) };
                assert!(builder.replace(fresh).is_none(), "made over another");
            }
            BuilderStep::Append => builder.as_mut().unwrap().nodes.push(made()),
            BuilderStep::Boot => {
                let nodes = &mut builder.as_mut().unwrap().nodes;
                for node in nodes {
                    node.status = NodeStatus::Running;
                }
            }
            BuilderStep::Restart { .. } => {}
            BuilderStep::Remove { .. } => assert!(builder.take().unwrap().is_ours()),
            BuilderStep::MakeCurrent => builder.as_mut().unwrap().current = Some(true),
        }
    }
    builder
}

fn statuses() -> impl Strategy<Value = NodeStatus> {
    prop_oneof![
        Just(NodeStatus::Running),
        Just(NodeStatus::Stopped),
        Just(NodeStatus::Missing),
        Just(NodeStatus::Broken("boo".to_owned())),
        Just(NodeStatus::Other("starting".to_owned())),
    ]
}

fn specs() -> impl Strategy<Value = BuilderSpec> {
    let recreate = prop_oneof![Just(Recreate::Auto), Just(Recreate::Always), Just(Recreate::Never)];
    let options = proptest::collection::btree_map("[a-b]", "[a-b]", 0..2);
    let flags = proptest::option::of("--[a-b]");
    let config = proptest::option::of("[a-b]?");
    (options, flags, config, any::<[bool; 2]>(), recreate).prop_map(
        |(options, flags, config, [append, make_current], recreate)| BuilderSpec {
            options,
            flags,
            config: config.map(|content| ConfigFile {
                path: PathBuf::from("/etc/buildkitd.toml"),
                content: content.into_bytes(),
            }),
            node: append.then(|| "mine1".to_owned()),
            append,
            make_current,
            recreate,
            ..spec()
        },
    )
}

fn found() -> impl Strategy<Value = Option<Builder>> {
    let nodes = proptest::collection::vec((statuses(), proptest::option::of(specs())), 1..3);
    let error = proptest::option::weighted(0.2, Just("boo".to_owned()));
    let driver = prop_oneof![4 => Just(MANAGED.name()), 1 => Just(""), 1 => Just("remote")];
    let one = (nodes, error, driver, any::<bool>()).prop_map(|(nodes, error, driver, current)| {
        let nodes = nodes.iter().enumerate();
        let nodes = nodes.map(|(number, (status, made_by))| {
            node(&format!("mine{number}"), status.clone(), made_by.as_ref())
        });
        Builder {
            driver: driver.to_owned(),
            current: Some(current),
            error,
            nodes: nodes.collect(),
            ..ours(NodeStatus::Running)
        }
    });
    proptest::option::of(one)
}

proptest! {
    #[test]
    fn doing_it_again_changes_nothing(spec in specs(), found in found()) {
        let builders: Vec<Builder> = found.clone().into_iter().collect();
        let Ok(steps) = plan(&spec, &builders) else { return Ok(()) };
        let there = after(&steps, &spec, found);
        let mut again = spec.clone();
        // That it is wanted anew each time is what this says.
        if again.recreate == Recreate::Always {
            again.recreate = Recreate::Auto;
        }
        let builders: Vec<Builder> = there.into_iter().collect();
        prop_assert_eq!(plan(&again, &builders), Ok(Vec::new()), "after {:?}", steps);
    }

    #[test]
    fn nothing_of_others_is_taken_away(spec in specs(), found in found()) {
        let Some(found) = found else { return Ok(()) };
        let unmarked = found.nodes.iter().any(|node| node.mark().is_none());
        for steps in [planned(&spec, &found), renew(&spec, &found, &["x"])].into_iter().flatten() {
            let removes = steps.iter().any(|step| matches!(step, BuilderStep::Remove { .. }));
            prop_assert!(!removes || !unmarked && spec.recreate != Recreate::Never);
            prop_assert!(!removes || found.nodes.len() == 1 && !spec.append);
        }
        let refreshed = refresh(&spec, &found, &["x"]);
        prop_assert_eq!(refreshed.is_ok(), !unmarked && !found.nodes.is_empty());
    }

    #[test]
    fn marks_differ_when_specs_do(one in specs(), other in specs()) {
        let key = |spec: &BuilderSpec| {
            let config = spec.config.as_ref().map(|file| file.content.clone());
            (spec.options.clone(), spec.flags.clone(), config.unwrap_or_default())
        };
        prop_assert_eq!(one.mark() == other.mark(), key(&one) == key(&other));
        prop_assert!(one.mark().len() == 16 && one.mark().bytes().all(|c| c.is_ascii_hexdigit()));
    }
}

#[test]
fn nothing_is_the_same_by_being_put_together_otherwise() {
    let flags = |flags: &str| BuilderSpec { flags: Some(flags.to_owned()), ..spec() };
    let config = |content: &str| BuilderSpec {
        config: Some(ConfigFile { path: PathBuf::new(), content: content.into() }),
        ..spec()
    };
    let both =
        |flag: &str, content: &str| BuilderSpec { flags: Some(flag.to_owned()), ..config(content) };
    let two = |pairs: [(&str, &str); 2]| BuilderSpec {
        options: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..spec()
    };
    let all = [
        spec(),
        with_option("ab", ""),
        with_option("a", "b"),
        with_option("", "ab"),
        with_option("a", "bc"),
        with_option("ab", "c"),
        two([("a", "b"), ("c", "")]),
        two([("a", ""), ("b", "c")]),
        two([("", ""), ("a", "b")]),
        flags("a"),
        flags("ab"),
        config("a"),
        config("ab"),
        both("a", "b"),
        both("b", "a"),
    ];
    let marks: BTreeSet<String> = all.iter().map(BuilderSpec::mark).collect();
    assert_eq!(marks.len(), all.len());
    // Where it is does not matter, nor what else is wanted.
    let moved = BuilderSpec {
        config: Some(ConfigFile { path: PathBuf::from("/other"), content: b"a".to_vec() }),
        make_current: true,
        endpoint: Some("far".to_owned()),
        recreate: Recreate::Always,
        ..spec()
    };
    assert_eq!(moved.mark(), config("a").mark());
    // It has to stay what it is: builders of earlier versions carry it.
    assert_eq!(spec().mark(), "374708fff7719dd5");
    assert_eq!(with_option("network", "host").mark(), "e8ccb0c8bce5260d");
}

#[test]
fn the_mark_is_an_option_like_the_others() {
    let spec = with_option("network", "host");
    let options: Vec<(String, String)> = spec.all_options().collect();
    assert_eq!(
        options,
        [("network".to_owned(), "host".to_owned()), (BUILDER_MARK.to_owned(), spec.mark())]
    );
    assert_eq!(BUILDER_MARK, "env.BINFMTD_BUILDER");
}

#[test]
fn what_stands_against_creating_it_again_is_told() {
    let always = BuilderSpec { recreate: Recreate::Always, ..spec() };
    let never = BuilderSpec { recreate: Recreate::Never, ..with_option("network", "host") };
    let append = BuilderSpec { append: true, node: Some("mine0".to_owned()), ..never.clone() };
    let append = BuilderSpec { recreate: Recreate::Auto, ..append };
    let running = || ours(NodeStatus::Running);
    let mut several = running();
    several.nodes.push(node("mine1", NodeStatus::Running, Some(&spec())));
    let not_again =
        |why, obstacle| BuilderRefusal::NotAgain { name: "mine".to_owned(), why, obstacle };
    for (spec, builder, wanted) in [
        (&never, running(), not_again(ChangeReason::OtherOptions, Obstacle::Forbidden)),
        (&append, running(), not_again(ChangeReason::OtherOptions, Obstacle::Append)),
        (&always, several, not_again(ChangeReason::Requested, Obstacle::SeveralNodes)),
    ] {
        assert_eq!(planned(spec, &builder), Err(wanted));
    }
    let not_loaded = Builder { error: Some("boo".to_owned()), ..running() };
    let why = ChangeReason::NotLoaded("boo".to_owned());
    let again = [BuilderStep::Remove { why }, BuilderStep::Create, BuilderStep::Boot];
    assert_eq!(planned(&spec(), &not_loaded), Ok(again.into()));
}

#[test]
fn what_the_kernel_runs_and_the_builder_does_not_advertise_is_undetected() {
    let table = Table::embedded();
    let runs = || Kernel::Runs { rule: None, version: None };
    let mut kernels: Vec<PlatformSupport<'_>> = Vec::new();
    for (name, kernel) in [
        ("linux/arm64", runs()),
        ("linux/amd64", Kernel::Native),
        ("linux/s390x", runs()),
        ("linux/riscv64", Kernel::NoRule),
        ("linux/ppc64le", Kernel::HasRule("qemu-ppc64le".to_owned())),
        // BuildKit has no probe for it, so it is never advertised.
        ("sparc64", runs()),
    ] {
        let platform = Platform::find(&table, name);
        kernels.extend(platform.ok().map(|platform| (platform, kernel)));
    }
    let mut builder = ours(NodeStatus::Running);
    builder.nodes[0].platforms = vec!["linux/s390x".to_owned()];
    assert_eq!(undetected(&builder, &kernels), ["linux/arm64", "linux/amd64"]);
    builder.nodes[0].platforms.extend(["linux/arm64".to_owned(), "linux/amd64".to_owned()]);
    assert_eq!(undetected(&builder, &kernels), [""; 0]);
}
