use super::*;

fn builders(text: &str) -> Vec<Builder> {
    read_list(&well(text)).unwrap()
}

fn one(text: &str) -> Builder {
    let found = builders(text);
    let [mine, context] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((context.name.as_str(), context.driver.as_str()), ("default", "docker"));
    assert!(!context.is_ours());
    mine.clone()
}

/// 0.13 says everything twice, and not which is the current one.
const VERSIONS: [(bool, &str, &str, &str, &str, &str); 2] = [
    (
        false,
        recorded!("ls-0.13-none.json"),
        recorded!("ls-0.13-missing.json"),
        recorded!("ls-0.13-running.json"),
        recorded!("ls-0.13-stopped.json"),
        recorded!("ls-0.13-nodes.json"),
    ),
    (
        true,
        recorded!("ls-0.29-none.json"),
        recorded!("ls-0.29-missing.json"),
        recorded!("ls-0.29-running.json"),
        recorded!("ls-0.29-stopped.json"),
        recorded!("ls-0.29-nodes.json"),
    ),
];

#[test]
fn a_builder_is_read_in_each_of_its_states() {
    for (tells_current, none, missing, running, stopped, nodes) in VERSIONS {
        let current = |is: bool| tells_current.then_some(is);
        let fresh = builders(none);
        assert_eq!(fresh.len(), 1);
        assert_eq!(fresh[0].current, current(true));
        assert!(fresh[0].is_running());

        for (text, status, is_current) in [
            (missing, NodeStatus::Missing, false),
            (stopped, NodeStatus::Stopped, true),
            (running, NodeStatus::Running, true),
        ] {
            let mine = one(text);
            assert_eq!(mine.name, "mine");
            assert_eq!(mine.driver, MANAGED.name());
            assert_eq!(mine.current, current(is_current));
            assert_eq!(mine.error, None);
            assert!(mine.is_ours());
            assert_eq!(mine.is_running(), status == NodeStatus::Running);
            let [node] = mine.nodes.as_slice() else { panic!("{mine:?}") };
            assert_eq!(node.name, "mine0");
            assert_eq!(mine.container(node).as_deref(), Some("buildx_buildkit_mine0"));
            assert_eq!(node.endpoint, "unix:///var/run/docker.sock");
            assert_eq!(node.mark(), Some("0123456789abcdef"));
            assert_eq!(node.options["network"], "host");
            assert_eq!(
                node.flags,
                ["--debug", "--oci-worker-gc=false", "--allow-insecure-entitlement=network.host"]
            );
            let runs = status == NodeStatus::Running;
            assert_eq!(node.version.as_deref(), runs.then_some("v0.26.2"));
            assert_eq!(mine.advertises("linux/amd64"), runs);
            assert!(!mine.advertises("linux/arm64") && !mine.advertises("linux/amd"));
            assert_eq!(node.status, status);
        }

        let mine = one(nodes);
        assert_eq!(mine.nodes.len(), 2);
        assert!(mine.is_running());
        assert_eq!(mine.nodes[0].options["env.LIST"], "a,b");
        assert_eq!(mine.nodes[1].endpoint, "unix:///run/second.sock");
        // A node of somebody else's in it makes it none of ours.
        assert_eq!(mine.nodes[1].mark(), None);
        assert!(!mine.is_ours());
        assert!(mine.advertises("linux/s390x"));
    }
}

#[test]
fn what_is_of_no_use_is_told_by_builder_or_node() {
    for (text, is_current) in
        [(recorded!("ls-0.13-kinds.json"), None), (recorded!("ls-0.29-kinds.json"), Some(false))]
    {
        let all = builders(text);
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["far", "kube", "lost", "mine", "default"]);
        let drivers: Vec<&str> = all.iter().map(|one| one.driver.as_str()).collect();
        assert_eq!(drivers, ["remote", "kubernetes", MANAGED.name(), MANAGED.name(), "docker"]);
        assert_eq!(all[0].current, is_current);
        assert_eq!(all[0].nodes[0].status, NodeStatus::Missing);
        assert_eq!(all[1].nodes[0].options["namespace"], "builds");
        let NodeStatus::Broken(error) = &all[2].nodes[0].status else { panic!("{all:?}") };
        assert_eq!(error, "unable to parse docker host `gone`");
        let [well, broken] = all[3].nodes.as_slice() else { panic!("{all:?}") };
        assert_eq!(well.status, NodeStatus::Running);
        assert!(
            matches!(&broken.status, NodeStatus::Broken(why) if why.contains("/run/second.sock"))
        );
        // Chosen by hand, so it is said though nobody could be asked.
        assert_eq!(broken.platforms, ["linux/arm64", "linux/s390x"]);
        assert!(!all[3].is_running());
    }
    for (text, name) in [
        (recorded!("ls-0.13-other-context.json"), "alive"),
        (recorded!("ls-0.29-other-context.json"), "alive"),
        (recorded!("ls-0.29-denied.json"), "default"),
    ] {
        let all = builders(text);
        let dead = all.iter().find(|one| one.name == name).unwrap();
        assert_eq!((dead.driver.as_str(), dead.nodes.len()), ("", 0));
        assert!(dead.error.is_some() && !dead.is_running() && !dead.is_ours());
    }
}

#[test]
fn a_star_behind_a_platform_is_the_users() {
    let text = r#"{"Name":"x","Driver":"remote","Nodes":[{"Name":"x0","Platforms":["linux/arm64*"],"Status":"starting"}]}"#;
    let [builder] = builders(text).try_into().unwrap();
    let builder: Builder = builder;
    assert!(builder.advertises("linux/arm64"));
    assert_eq!(builder.nodes[0].status, NodeStatus::Other("starting".to_owned()));
    assert_eq!(builder.nodes[0].status.word(), "starting");
}

#[test]
fn what_is_no_list_is_an_error() {
    assert_eq!(builders(""), []);
    assert_eq!(builders("\n"), []);
    for nonsense in ["[]", "{}", "{\"Name\":\"x\"} x", "{\"Name\":\"x\"", "NAME/NODE  DRIVER"] {
        let read = read_list(&well(nonsense));
        assert!(matches!(read, Err(DockerError::Unreadable { .. })), "{nonsense}: {read:?}");
    }
    let torn =
        answer("", "ERROR: invalid character 'n' looking for beginning of object key string", 1);
    assert!(matches!(read_list(&torn), Err(DockerError::Failed { .. })));
}

#[test]
fn names_of_containers_and_volumes_are_read() {
    let names = |text: &str| read_names(&well(text)).unwrap();
    assert_eq!(names(recorded!("ps.json")), ["buildx_buildkit_mine0"]);
    assert_eq!(names(recorded!("volumes.json")), ["buildx_buildkit_mine0_state"]);
    assert_eq!(names(""), [""; 0]);
}

#[test]
fn containers_are_read_and_those_that_are_gone_left_out() {
    for (text, state) in [
        (recorded!("container-running.json"), "running"),
        (recorded!("container-stopped.json"), "exited"),
    ] {
        let [container] = read_containers(&well(text)).unwrap().try_into().unwrap();
        let container: super::super::builder::Container = container;
        assert_eq!(container.name, "buildx_buildkit_mine0");
        assert_eq!(container.state, state);
        assert_eq!(container.image, "moby/buildkit:buildx-stable-1");
        assert!(container.ours);
        let theirs = text.replace("BINFMTD_BUILDER=", "NOT_BINFMTD_BUILDER=");
        assert!(!read_containers(&well(&theirs)).unwrap()[0].ours);
    }
    let gone = |words: &str| answer(recorded!("container-running.json"), words, 1);
    // 26 and 20.10
    for words in [
        "Error response from daemon: No such container: nobody",
        "Error: No such container: nobody",
    ] {
        assert_eq!(read_containers(&gone(words)).unwrap().len(), 1);
        assert_eq!(read_containers(&answer("[]\n", words, 1)).unwrap(), []);
    }
    // An engine that went away meanwhile does not say that there are none.
    let down = "Cannot connect to the Docker daemon at unix:///run/none.sock. Is the docker daemon running?";
    assert!(matches!(read_containers(&answer("[]\n", down, 1)), Err(DockerError::Down(_))));
}

#[test]
fn builds_in_flight_are_counted() {
    assert_eq!(at_work(recorded!("top-idle.txt")), 0);
    assert_eq!(at_work(recorded!("top-busy.txt")), 2);
    assert_eq!(at_work(""), 0);
    assert_eq!(at_work("PID COMMAND\n1\n"), 0);
}

proptest! {
    #[test]
    fn any_list_is_read_or_refused(text in "(?s).*|([\\[{}\\]\",:a-zA-Z0-9\\n ]|\"Name\":|\"Nodes\":)*") {
        if let Ok(found) = read_list(&well(&text)) {
            let names: BTreeSet<&str> = found.iter().map(|one| one.name.as_str()).collect();
            prop_assert_eq!(names.len(), found.len());
        }
        let _ = read_names(&well(&text));
        let _ = read_containers(&well(&text));
        let _ = at_work(&text);
    }
}
