//! Against what real versions said; `recorded` beside this file has it, cut down to what is read and its
//! neighbours: Docker's command line 20.10.24, 26.1.5 and 28.5.2, its engine 26.1.5, buildx 0.13.1 and 0.29.1,
//! `BuildKit` 0.26.2, podman 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use proptest::prelude::*;

use super::apply::comma_separated;
use super::builder::{Builder, DRIVER, Node, NodeStatus, read_containers, read_list, read_names};
use super::docker::{Answer, Question, Trouble};
use super::embedded::{Embedded, first_file};
use super::engine::{Engine, Here, Location, read_endpoint, version};
use super::facts::{Facts, Grade};
use super::kernel::Kernel;
use super::observe::{Orphan, OrphanKind, at_work};
use super::plan::{ConfigFile, Recreate, Refusal, Step, Wish, plan, refresh, renew};
use super::platform::Platform;
use super::record::{self, Made, Record};
use super::trial::{Build, Built, Log, Runner};
use crate::config::BUILDER_MARK;
use crate::system::batch::Ended;
use crate::target::Table;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("recorded/", $name))
    };
}

fn answer(output: &str, errors: &str, code: i32) -> Answer {
    Answer {
        question: "docker question".to_owned(),
        ended: Ended::Exited(code),
        output: output.into(),
        errors: errors.to_owned(),
        time: Duration::from_secs(1),
    }
}

fn well(output: &str) -> Answer {
    answer(output, "", 0)
}

mod engines {
    use super::*;

    const CONTEXT: &str = recorded!("context.json");

    fn here() -> Here {
        Here { kernel: "6.12.48".to_owned(), name: "host".to_owned() }
    }

    fn read(info: &str) -> Result<Engine, Trouble> {
        Engine::read(&well(info), |_| read_endpoint(&well(CONTEXT)), &here())
    }

    #[test]
    fn each_version_of_the_command_line_tells_the_same() {
        for (info, client, buildx) in [
            // It does not say its own version there.
            (recorded!("info-20.10.json"), "", "0.29.1+ds1"),
            (recorded!("info-26.1.json"), "26.1.5+dfsg1", "0.13.1+ds1"),
            (recorded!("info-28.5.json"), "28.5.2+dfsg4", "0.29.1+ds1"),
        ] {
            let engine = read(info).unwrap();
            assert_eq!(
                engine,
                Engine {
                    context: "default".to_owned(),
                    endpoint: "unix:///var/run/docker.sock".to_owned(),
                    id: "2302a7a2-354a-4b26-b6a4-f9167696afd6".to_owned(),
                    version: "26.1.5+dfsg1".to_owned(),
                    client: client.to_owned(),
                    kernel: "6.12.48".to_owned(),
                    rootless: false,
                    location: Location::Here,
                    buildx: buildx.to_owned(),
                }
            );
        }
    }

    #[test]
    fn a_rootless_engine_is_told_by_its_options() {
        let info = recorded!("info-26.1.json");
        let with = |option: &str| {
            let info =
                info.replace("\"name=cgroupns\"", &format!("\"name=cgroupns\",\"{option}\""));
            read(&info).unwrap().rootless
        };
        assert!(with("name=rootless"));
        assert!(!with("name=userns"));
        assert!(!with("name=no-name=rootless"));
    }

    /// 20.10 and 26 end with 0 and tell the error in the document, 28 ends with 1 and tells it beside.
    #[test]
    fn an_engine_that_does_not_answer_is_down_by_each_version() {
        let down = "Cannot connect to the Docker daemon at unix:///run/none.sock. Is the docker daemon running?";
        for (info, code) in [
            (recorded!("info-20.10-down.json"), 0),
            (recorded!("info-26.1-down.json"), 0),
            (recorded!("info-28.5-down.json"), 1),
        ] {
            let trouble =
                Engine::read(&answer(info, down, code), |_| read_endpoint(&well(CONTEXT)), &here())
                    .unwrap_err();
            assert!(matches!(&trouble, Trouble::Down(said) if said == down), "{trouble:?}");
            assert!(trouble.may_pass());
        }
        // Nobody knows these words: it is the engine that is silent all the same.
        let ssh = read(recorded!("info-26.1-ssh.json")).unwrap_err();
        assert!(
            matches!(&ssh, Trouble::Down(said) if said.contains("port 22: Connection refused"))
        );
        let silent = answer(recorded!("info-28.5-down.json"), "boo", 1);
        let silent = Engine::read(&silent, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
        assert!(matches!(&silent, Trouble::Down(said) if said == "boo"), "{silent:?}");
    }

    #[test]
    fn a_socket_for_others_is_denied_by_each_version() {
        let words = |api: &str| {
            format!(
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \
                 \"http://%2Fvar%2Frun%2Fdocker.sock/v{api}/info\": dial unix /var/run/docker.sock: connect: permission denied"
            )
        };
        for (info, api, code) in [
            (recorded!("info-26.1-denied.json"), "1.45", 0),
            (recorded!("info-28.5-denied.json"), "1.51", 1),
        ] {
            let info = answer(info, &words(api), code);
            let trouble =
                Engine::read(&info, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
            assert!(
                matches!(&trouble, Trouble::Denied(said) if *said == words(api)),
                "{trouble:?}"
            );
            assert!(trouble.is_denied() && !trouble.may_pass());
        }
    }

    #[test]
    fn a_context_that_leads_nowhere_is_told_before_all() {
        for (info, context) in [
            ("unable to resolve docker endpoint: context \"nope\" does not exist", ""),
            (
                "Current context \"lost\" is not found on the file system, please check your config file at \
                 /home/user/.docker/config.json",
                "",
            ),
            (
                "Failed to initialize: unable to resolve docker endpoint: context \"nope\": context not found: open \
                 /home/user/.docker/contexts/meta/ca37/meta.json: no such file or directory",
                "[]\n",
            ),
        ] {
            let context = answer(context, "context \"nope\": context not found", 1);
            let trouble =
                Engine::read(&answer("\n", info, 1), |_| read_endpoint(&context), &here())
                    .unwrap_err();
            assert!(matches!(trouble, Trouble::DeadContext(_)), "{info}: {trouble:?}");
        }
        // The engine is well, and its context is asked for too late.
        let context = answer("[]", "context \"nope\": context not found", 1);
        let info = well(recorded!("info-26.1.json"));
        let trouble = Engine::read(&info, |_| read_endpoint(&context), &here()).unwrap_err();
        assert!(matches!(trouble, Trouble::DeadContext(_)), "{trouble:?}");
    }

    #[test]
    fn the_plugin_is_there_new_enough_and_starts() {
        let none = read(recorded!("info-28.5-no-plugin.json")).unwrap_err();
        assert!(matches!(none, Trouble::NoPlugin), "{none:?}");
        let broken = read(recorded!("info-26.1-broken-plugin.json")).unwrap_err();
        assert!(broken.to_string().contains("failed to fetch metadata: fork/exec"), "{broken}");
        let with = |version: &str| {
            read(&recorded!("info-26.1.json").replace("\"0.13.1+ds1\"", &format!("\"{version}\"")))
        };
        for old in ["v0.12.5", "0.9.1-docker", "0.0.0+unknown"] {
            let trouble = with(old).unwrap_err();
            assert!(matches!(&trouble, Trouble::OldPlugin(said) if said == old), "{trouble:?}");
        }
        for new in ["v0.13.0-rc2", "v1.0.0", "0.29.1+ds1", "6fb2267", "v0.21.2-desktop.1"] {
            assert_eq!(with(new).unwrap().buildx, new);
        }
    }

    #[test]
    fn podman_is_told_by_its_own_document_and_by_its_service() {
        let wrapped = read(recorded!("info-podman-4.3.json")).unwrap_err();
        assert!(matches!(&wrapped, Trouble::Podman(version) if version == "4.3.1"), "{wrapped:?}");
        // With any other context, too: `podman context inspect` prints an empty list.
        let wrapped = Engine::read(
            &well(recorded!("info-podman-4.3.json")),
            |_| read_endpoint(&well("[]\n")),
            &here(),
        )
        .unwrap_err();
        assert!(matches!(wrapped, Trouble::Podman(_)));
        let service = recorded!("info-26.1-podman-service.json");
        let Err(Trouble::Compatible { version, .. }) = read(service) else {
            panic!("an engine of Docker's: {service}")
        };
        assert_eq!(version, "4.3.1");
        // Docker's own, whatever licence it names, and podman's own future.
        let docker = recorded!("info-26.1.json");
        let licensed = |licence: &str| {
            docker.replace("\"ID\":", &format!("\"ProductLicense\":\"{licence}\",\"ID\":"))
        };
        assert!(read(&licensed("Community Engine")).is_ok());
        assert!(read(&licensed("Apache-2.0")).is_ok());
    }

    #[test]
    fn an_engine_is_elsewhere_when_its_kernel_or_its_address_says_so() {
        use Location::{Elsewhere, Here};
        let at = |endpoint: &str, kernel: &str, name: &str| {
            let info = recorded!("info-26.1.json")
                .replace("6.12.48", kernel)
                .replace("\"Name\":\"host\"", &format!("\"Name\":\"{name}\""));
            let context = CONTEXT.replace("unix:///var/run/docker.sock", endpoint);
            Engine::read(&well(&info), |_| read_endpoint(&well(&context)), &here())
                .unwrap()
                .location
        };
        assert_eq!(at("unix:///run/user/1000/docker.sock", "6.12.48", "host"), Here);
        // A container has a name of its own, and the host's kernel and socket.
        assert_eq!(at("unix:///var/run/docker.sock", "6.12.48", "1f2e3d"), Here);
        assert_eq!(at("tcp://localhost:2375", "6.12.48", "other"), Here);
        assert_eq!(at("tcp://[::1]:2375", "6.12.48", "other"), Here);
        assert_eq!(at("tcp://127.0.0.1:2376", "6.12.48", "other"), Here);
        assert_eq!(at("tcp://10.0.0.7:2375", "6.12.48", "host"), Here);
        for (endpoint, kernel, name, why) in [
            ("unix:///home/user/.colima/docker.sock", "6.8.0", "colima", "it runs on Linux 6.8.0"),
            ("tcp://10.0.0.7:2375", "6.12.48", "other", "tcp://10.0.0.7:2375"),
            // It may be a tunnel to anywhere, and so may the name be anybody's.
            ("ssh://host", "6.12.48", "host", "it is reached by ssh://host"),
            ("tcp://localhost.example:2375", "6.12.48", "other", "its machine is called other"),
        ] {
            let Elsewhere(said) = at(endpoint, kernel, name) else { panic!("here: {endpoint}") };
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error_that_names_the_question() {
        for nonsense in ["[]", "nonsense", "{\"ID\":7}", "{\"ID\":\"x\"", "null"] {
            let trouble = read(nonsense).unwrap_err();
            assert!(matches!(trouble, Trouble::Unreadable { .. }), "{nonsense}: {trouble:?}");
            assert!(trouble.to_string().starts_with("docker question: "), "{trouble}");
        }
        // Older than the context of the command line.
        let trouble = read("{\"ID\":\"x\",\"ServerVersion\":\"18.09.1\"}").unwrap_err();
        assert!(trouble.to_string().contains("older than Docker 19.03"), "{trouble}");
        // Cut short: why tells more than where.
        let cut = &recorded!("info-26.1.json")[..100];
        let slow = Answer { ended: Ended::TimedOut, ..well(cut) };
        let trouble = Engine::read(&slow, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
        assert!(matches!(trouble, Trouble::Slow { seconds: 1, .. }), "{trouble:?}");
        let silent = Answer { ended: Ended::Signaled(9), ..well("") };
        let trouble =
            Engine::read(&silent, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
        assert_eq!(trouble.to_string(), "docker question: it died by signal 9");
        let pointless = well("[{\"Endpoints\":{\"kubernetes\":{}}}]");
        let info = well(recorded!("info-26.1.json"));
        assert!(matches!(
            Engine::read(&info, |_| read_endpoint(&pointless), &here()),
            Err(Trouble::Unreadable { .. })
        ));
    }

    #[test]
    fn versions_are_read_as_they_are_written() {
        for (text, wanted) in [
            ("v0.13.1", Some((0, 13))),
            ("0.29.1+ds1", Some((0, 29))),
            ("28.5.2+dfsg4", Some((28, 5))),
            ("v0.13.0-rc2", Some((0, 13))),
            ("1.0~rc1", Some((1, 0))),
            ("4.3.1", Some((4, 3))),
            ("6fb2267", None),
            ("7", None),
            ("", None),
            ("v.1", None),
            ("0.x", None),
            ("99999999999.0", None),
        ] {
            assert_eq!(version(text), wanted, "{text}");
        }
    }
}

mod words {
    use super::*;

    fn kind(said: &str) -> &'static str {
        match Trouble::of_words("docker ps", said) {
            Trouble::Denied(_) => "denied",
            Trouble::Down(_) => "down",
            Trouble::DeadContext(_) => "context",
            Trouble::NoPlugin => "plugin",
            Trouble::Failed { .. } => "failed",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn errors_of_several_versions_mean_the_same() {
        for (wanted, said) in [
            // Before 20.10.18.
            (
                "denied",
                "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \
                 \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/info\": dial unix /var/run/docker.sock: connect: permission denied",
            ),
            // 20.10.24, 26.1.5, 28.5.2
            (
                "denied",
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \
                 \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/containers/json\": dial unix /var/run/docker.sock: connect: \
                 permission denied",
            ),
            // 29
            (
                "denied",
                "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
            ),
            // buildx
            (
                "denied",
                "ERROR: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: \
                 Head \"http://%2Fvar%2Frun%2Fdocker.sock/_ping\": dial unix /var/run/docker.sock: connect: permission denied",
            ),
            (
                "down",
                "Cannot connect to the Docker daemon at unix:///run/none.sock. Is the docker daemon running?",
            ),
            (
                "down",
                "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            ),
            (
                "down",
                "Cannot connect to the Docker daemon at tcp://no.such.host.invalid:2375. Is the docker daemon running?",
            ),
            // 29
            (
                "down",
                "failed to connect to the docker API at unix:///run/nothing.sock; check if the path is correct and if the \
                 daemon is running: dial unix /run/nothing.sock: connect: no such file or directory",
            ),
            (
                "down",
                "failed to connect to the docker API at tcp://127.0.0.1:9: dial tcp 127.0.0.1:9: connect: connection refused",
            ),
            ("context", "unable to resolve docker endpoint: context \"nope\" does not exist"),
            (
                "context",
                "Failed to initialize: unable to resolve docker endpoint: context \"nope\": context not found: open \
                 /home/user/.docker/contexts/meta/ca37/meta.json: no such file or directory",
            ),
            (
                "context",
                "Current context \"lost\" is not found on the file system, please check your config file at \
                 /home/user/.docker/config.json",
            ),
            ("plugin", "docker: 'buildx' is not a docker command.\nSee 'docker --help'"),
            (
                "plugin",
                "docker: unknown command: docker buildx\n\nRun 'docker --help' for more information",
            ),
            ("failed", "Error response from daemon: No such container: nobody"),
            // Of a file in a build, not of the socket.
            ("failed", "ERROR: failed to solve: open /srv/secret: permission denied"),
            ("failed", "ERROR: no builder \"nope\" found"),
            ("failed", ""),
        ] {
            assert_eq!(kind(said), wanted, "{said}");
        }
    }

    #[test]
    fn the_last_words_are_no_help() {
        for (said, wanted) in [
            ("", "it failed and did not say why"),
            ("\n  \n", "it failed and did not say why"),
            ("#1 booting\nERROR: no builder \"nobody\" found\n\n", "no builder \"nobody\" found"),
            ("error: boo", "boo"),
            // 28.5.2
            (
                "unknown flag: --nonsense\n\nUsage:  docker buildx ls\n\nRun 'docker buildx ls --help' for more information\n",
                "unknown flag: --nonsense",
            ),
            // 26.1.5
            (
                "unknown flag: --format\nSee 'docker --help'.\n\nUsage:  docker [OPTIONS] COMMAND\n\nFor more help on how to \
                 use Docker, head to https://docs.docker.com/go/guides/\n",
                "unknown flag: --format",
            ),
            ("Usage:  docker\n\nRun 'docker --help'", "it failed and did not say why"),
        ] {
            let trouble = answer("", said, 1).well().unwrap_err();
            assert_eq!(trouble.to_string(), format!("docker question: {wanted}"), "{said:?}");
        }
    }

    #[test]
    fn an_answer_is_well_when_its_command_was() {
        assert_eq!(well("out").well().unwrap(), b"out");
        assert_eq!(answer("out", "a warning", 0).well().unwrap(), b"out");
        let ended = |ended| Answer { ended, ..well("out") }.well().unwrap_err().to_string();
        assert_eq!(
            ended(Ended::TimedOut),
            "docker question did not end in 1 s (--timeout SECONDS waits longer)"
        );
        assert_eq!(ended(Ended::Signaled(9)), "docker question: it died by signal 9");
        assert_eq!(ended(Ended::Flooded), "docker question: it wrote without end");
    }

    #[test]
    fn a_question_reads_as_it_is_typed() {
        let top = || Question::new(["top", "x"]);
        assert_eq!(top().to_string(), "docker top x");
        assert_eq!(top().at(None), top());
        assert_eq!(top().at(Some("far")).to_string(), "docker --context far top x");
        assert_eq!(
            top().at(Some("unix:///run/docker.sock")).to_string(),
            "docker --host unix:///run/docker.sock top x"
        );
    }

    proptest! {
        #[test]
        fn any_words_mean_something(said in "\\PC*|(?s).*") {
            let trouble = Trouble::of_words("docker", &said);
            prop_assert!(!trouble.to_string().is_empty());
        }
    }
}

mod lists {
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
                assert_eq!(mine.driver, DRIVER);
                assert_eq!(mine.current, current(is_current));
                assert_eq!(mine.error, None);
                assert!(mine.is_ours());
                assert_eq!(mine.is_running(), status == NodeStatus::Running);
                let [node] = mine.nodes.as_slice() else { panic!("{mine:?}") };
                assert_eq!(node.name, "mine0");
                assert_eq!(node.container(), "buildx_buildkit_mine0");
                assert_eq!(node.endpoint, "unix:///var/run/docker.sock");
                assert_eq!(node.mark(), Some("0123456789abcdef"));
                assert_eq!(node.options["network"], "host");
                assert_eq!(
                    node.flags,
                    [
                        "--debug",
                        "--oci-worker-gc=false",
                        "--allow-insecure-entitlement=network.host"
                    ]
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
        for (text, is_current) in [
            (recorded!("ls-0.13-kinds.json"), None),
            (recorded!("ls-0.29-kinds.json"), Some(false)),
        ] {
            let all = builders(text);
            let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names, ["far", "kube", "lost", "mine", "default"]);
            let drivers: Vec<&str> = all.iter().map(|one| one.driver.as_str()).collect();
            assert_eq!(drivers, ["remote", "kubernetes", DRIVER, DRIVER, "docker"]);
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
            assert!(matches!(read, Err(Trouble::Unreadable { .. })), "{nonsense}: {read:?}");
        }
        let torn = answer(
            "",
            "ERROR: invalid character 'n' looking for beginning of object key string",
            1,
        );
        assert!(matches!(read_list(&torn), Err(Trouble::Failed { .. })));
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
        assert!(matches!(read_containers(&answer("[]\n", down, 1)), Err(Trouble::Down(_))));
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
}

mod builds {
    use super::*;

    fn build(nonce: &str) -> Build {
        Build { folder: PathBuf::from("/nowhere"), nonce: nonce.to_owned() }
    }

    const NATIVE: [(&str, &str); 2] = [
        (recorded!("build-0.13-native.txt"), "4ef497387f0091af"),
        (recorded!("build-0.29-native.txt"), "48d45878906d7263"),
    ];
    const RULE: [(&str, &str); 2] = [
        (recorded!("build-0.13-rule.txt"), "d2eb08132889b531"),
        (recorded!("build-0.29-rule.txt"), "268b0e6733a023f1"),
    ];
    const REFUSED: [(&str, &str); 2] = [
        (recorded!("build-0.13-refused.txt"), "9011153bc0a545dd"),
        (recorded!("build-0.29-refused.txt"), "1ab89aed6a17402b"),
    ];
    const VERSION: &str = "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)";

    fn by(built: Built) -> (Runner, Option<String>) {
        match built {
            Built::Yes { by, version, .. } => (by, version),
            other => panic!("{other:?}"),
        }
    }

    fn why(built: Built) -> String {
        match built {
            Built::No { why, log } => {
                assert!(!log.is_empty());
                why
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_ran_it_is_told_by_what_was_said() {
        for (said, nonce) in NATIVE {
            let built = build(nonce).judge(&answer("", said, 0), None);
            assert_eq!(by(built), (Runner::Native, None));
        }
        for (said, nonce) in RULE {
            let built = build(nonce).judge(&answer("", said, 0), None);
            assert_eq!(by(built), (Runner::Rule, Some(VERSION.to_owned())));
        }
        // Both are there: only where the host's own program did not run, the emulator was put before it.
        for (said, witness, nonce) in [
            (
                recorded!("build-0.13-embedded.txt"),
                recorded!("build-0.13-embedded-witness.txt"),
                "af7afc50edf4f143",
            ),
            (
                recorded!("build-0.29-embedded.txt"),
                recorded!("build-0.29-embedded-witness.txt"),
                "d204d00ae1391ec4",
            ),
        ] {
            let built = build(nonce).judge(&answer("", said, 0), Some(&answer("", witness, 1)));
            assert_eq!(by(built), (Runner::Embedded, Some(VERSION.to_owned())));
        }
        for (said, witness, nonce) in [
            (
                recorded!("build-0.13-both.txt"),
                recorded!("build-0.13-both-witness.txt"),
                "cd6f0a7c02c98450",
            ),
            (
                recorded!("build-0.29-both.txt"),
                recorded!("build-0.29-both-witness.txt"),
                "cfdf2c0e68980f5f",
            ),
        ] {
            let witness = answer("", witness, 0);
            let built = build(nonce).judge(&answer("", said, 0), Some(&witness));
            assert_eq!(by(built), (Runner::Rule, Some(VERSION.to_owned())));
        }
    }

    /// It is what tells a build from one that says that it is: the text of the step has the nonce, too.
    #[test]
    fn a_nonce_in_the_name_of_a_step_proves_nothing() {
        for (said, nonce) in NATIVE.into_iter().chain(RULE) {
            let log = Log::read(said);
            assert!(log.text.contains(nonce));
            let without = without_outputs(said);
            let named = Log::read(&without);
            assert!(named.text.contains(nonce) && named.outputs.is_empty(), "{named:?}");
            let built = build(nonce).judge(&answer("", &without, 0), None);
            assert_eq!(
                why(built),
                "the build ended well, and the probe did not say what it was given"
            );
            // Nor does another's, or a status beside an answer.
            assert!(
                build("0000000000000000").judge(&answer("", said, 0), None).works() == Some(false)
            );
            assert!(build(nonce).judge(&answer("", said, 1), None).works() == Some(false));
        }
        // Nor one that was said beside the progress.
        let (_, nonce) = RULE[0];
        let beside = answer("", &format!("aarch64\n/probe\n{nonce}\n\n"), 0);
        assert_eq!(build(nonce).judge(&beside, None).works(), Some(false));
        // Nor one that no step of ours gave back: an answer is a whole line of a report.
        let echoed = rawjson(&[("RUN", &format!("would run /probe {nonce} now\n"))]);
        assert_eq!(build(nonce).judge(&answer("", &echoed, 0), None).works(), Some(false));
        let reported = rawjson(&[("RUN", &format!("aarch64\n/probe\n{nonce}\n\n"))]);
        assert_eq!(build(nonce).judge(&answer("", &reported, 0), None).works(), Some(true));
    }

    /// The same documents without what steps wrote.
    fn without_outputs(text: &str) -> String {
        let mut kept = String::new();
        let mut left = text;
        while !left.is_empty() {
            if left.starts_with('{') {
                let mut read = serde_json::Deserializer::from_str(left).into_iter();
                let mut document: serde_json::Value = read.next().unwrap().unwrap();
                document.as_object_mut().unwrap().remove("logs");
                kept.push_str(&document.to_string());
                kept.push('\n');
                left = left[read.byte_offset()..].trim_start();
            } else {
                let (line, behind) = left.split_once('\n').unwrap_or((left, ""));
                kept.push_str(line);
                kept.push('\n');
                left = behind;
            }
        }
        kept
    }

    /// Steps with what they wrote, as 0.29 prints them.
    fn rawjson(steps: &[(&str, &str)]) -> String {
        let lines = steps.iter().enumerate().map(|(number, (name, said))| {
            let step = serde_json::json!({
                "vertexes": [{"digest": format!("sha256:{number}"), "name": name}],
                "logs": [{"vertex": format!("sha256:{number}"), "data": BASE64.encode(said)}],
            });
            format!("{step}\n")
        });
        lines.collect()
    }

    #[test]
    fn what_a_program_said_is_why_it_failed() {
        for (said, nonce) in REFUSED {
            let built = build(nonce).judge(&answer("", said, 1), None);
            assert!(why(built).contains("exec /probe: exec format error"));
        }
        let failed = |said: &str| why(build("x").judge(&answer("", said, 1), None));
        assert_eq!(failed("ERROR: no builder \"nobody\" found\n"), "no builder \"nobody\" found");
        assert_eq!(
            failed(
                "WARNING: x\nERROR: failed to build: failed to solve: process did not complete\n"
            ),
            "process did not complete"
        );
        assert_eq!(failed("only words\n"), "only words");
        assert_eq!(
            failed(&rawjson(&[("RUN", "qemu: uncaught target signal 11\n")])),
            "qemu: uncaught target signal 11"
        );
        let silent = build("x").judge(&answer("", "", 1), None);
        assert_eq!(
            silent,
            Built::No {
                why: "the build failed and did not say why".to_owned(),
                log: String::new()
            }
        );
        let (said, nonce) = RULE[1];
        let slow = Answer {
            ended: Ended::TimedOut,
            time: Duration::from_secs(120),
            ..answer("", &said[..said.len() / 2], 0)
        };
        let built = build(nonce).judge(&slow, None);
        assert_eq!(why(built), "the build did not end in 120 s");
    }

    #[test]
    fn lines_for_people_may_be_anywhere() {
        let (said, nonce) = RULE[1];
        let plain = Log::read(said);
        let chatty: String = said
            .lines()
            .flat_map(|line| ["WARN[0000] words", line])
            .fold(String::new(), |all, line| all + line + "\n");
        let chatty = format!("{{ not a document\n{{\"logs\":7}}\n{chatty}WARN[0001] the end");
        let log = Log::read(&chatty);
        assert_eq!(log.outputs, plain.outputs);
        assert_eq!(log.errors, plain.errors);
        assert!(log.rest.starts_with("{ not a document\n{\"logs\":7}\nWARN[0000]"), "{}", log.rest);
        assert!(log.rest.ends_with("WARN[0001] the end"));
        assert_eq!(by(build(nonce).judge(&answer("", &chatty, 0), None)).0, Runner::Rule);
    }

    /// What one step wrote comes in pieces, which may split a character.
    #[test]
    fn pieces_of_output_are_put_together() {
        let piece = |data: &[u8]| {
            let data = BASE64.encode(data);
            format!("{{\"logs\":[{{\"vertex\":\"v\",\"data\":\"{data}\"}}]}}\n")
        };
        let word = "aé".as_bytes();
        let said = format!(
            "{}{}{{\"logs\":[{{\"vertex\":\"w\",\"data\":\"not base64!\"}}]}}\n{}",
            piece(&word[..2]),
            piece(&word[2..]),
            piece(b"!")
        );
        let log = Log::read(&said);
        assert_eq!(log.outputs, ["aé!", ""]);
        assert_eq!(log.rest, "");
    }

    #[test]
    fn a_log_that_is_cut_short_says_no_more_than_the_whole() {
        for (said, nonce) in RULE {
            let whole = Log::read(said);
            for end in (0..said.len()).filter(|end| said.is_char_boundary(*end)) {
                let cut = Log::read(&said[..end]);
                for (output, all) in cut.outputs.iter().zip(&whole.outputs) {
                    assert!(all.starts_with(output.as_str()));
                }
                assert!(cut.outputs.len() <= whole.outputs.len());
                let built = build(nonce).judge(&answer("", &said[..end], 1), None);
                assert_eq!(built.works(), Some(false));
            }
        }
    }

    proptest! {
        #[test]
        fn any_log_is_read(said in "(?s).*|([\\[{}\\]\",:a-z0-9\\n =]|\"logs\":|\"vertexes\":|\"vertex\":)*") {
            let log = Log::read(&said);
            prop_assert!(!log.why().is_empty());
            let built = build("0123456789abcdef").judge(&answer("", &said, 0), None);
            prop_assert_eq!(built.works(), Some(false));
        }

        #[test]
        fn steps_are_read_as_they_were_written(
            steps in proptest::collection::vec(("[a-z ]{1,20}", "\\PC{0,40}"), 0..5)
        ) {
            let pairs: Vec<(&str, &str)> =
                steps.iter().map(|(name, said)| (name.as_str(), said.as_str())).collect();
            let log = Log::read(&rawjson(&pairs));
            let outputs: Vec<&str> = pairs.iter().map(|(_, said)| *said).collect();
            prop_assert_eq!(log.outputs, outputs);
            prop_assert_eq!(log.rest, "");
        }
    }
}

mod judgements {
    use super::*;

    fn kernels() -> [(&'static str, Kernel); 6] {
        let rule = || Some("qemu-arm".to_owned());
        [
            ("native", Kernel::Native),
            ("runs", Kernel::Runs { rule: rule(), version: None }),
            ("has-rule", Kernel::HasRule("qemu-arm".to_owned())),
            ("no-rule", Kernel::NoRule),
            ("fails", Kernel::Fails { rule: rule(), why: "boo".to_owned() }),
            ("unknown", Kernel::Unknown("far away".to_owned())),
        ]
    }

    fn images() -> [(&'static str, Embedded); 3] {
        let name = "buildkit-qemu-arm".to_owned();
        [
            ("yes", Embedded::Yes { name, version: None, sha256: None }),
            ("no", Embedded::No),
            ("unknown", Embedded::Unknown("not looked for".to_owned())),
        ]
    }

    fn trials() -> [(&'static str, Built); 5] {
        let yes = |by| Built::Yes { by, version: None, time: Duration::ZERO };
        [
            ("native", yes(Runner::Native)),
            ("rule", yes(Runner::Rule)),
            ("embedded", yes(Runner::Embedded)),
            ("no", Built::No { why: "WHY".to_owned(), log: String::new() }),
            ("not-tried", Built::NotTried("nobody asked".to_owned())),
        ]
    }

    /// All of them, with their words: kernel, embedded, advertised, built.
    fn all(resting: bool) -> Vec<([&'static str; 4], Facts)> {
        let mut all = Vec::new();
        for (built_word, built) in trials() {
            for (kernel_word, kernel) in kernels() {
                for (embedded_word, embedded) in images() {
                    for (advertised_word, advertised) in [("yes", true), ("no", false)] {
                        let facts = Facts {
                            platform: "linux/arm/v7".to_owned(),
                            target: "arm".to_owned(),
                            kernel: kernel.clone(),
                            embedded: embedded.clone(),
                            advertised,
                            resting,
                            built: built.clone(),
                        };
                        all.push((
                            [kernel_word, embedded_word, advertised_word, built_word],
                            facts,
                        ));
                    }
                }
            }
        }
        all
    }

    /// The file is the documentation: every combination, below what is said of it.
    #[test]
    fn every_combination_is_judged_as_it_is_written_down() {
        let mut table: Vec<(String, Vec<String>)> = Vec::new();
        for (words, facts) in all(false) {
            let judgement = facts.judge("mine");
            let head = format!(
                "{}: {}\n  fix: {}\n",
                judgement.grade.as_str(),
                judgement.sentence.as_deref().unwrap_or("nothing to say"),
                judgement.fix.as_deref().unwrap_or("none")
            );
            let [kernel, embedded, advertised, built] = words;
            let line = format!("    {built:10} {kernel:9} {embedded:9} {advertised}\n");
            match table.iter_mut().find(|(known, _)| *known == head) {
                Some((_, lines)) => lines.push(line),
                None => table.push((head, vec![line])),
            }
        }
        let mut text = String::new();
        for (head, lines) in table {
            text += &head;
            text += "    built      kernel    embedded  advertised\n";
            text += &lines.concat();
            text += "\n";
        }
        let known = include_str!("facts.txt");
        assert!(
            text.trim_end() == known.trim_end(),
            "src/buildx/facts.txt says something else than:\n{text}"
        );
    }

    #[test]
    fn a_sentence_claims_nothing_that_is_not_known() {
        for resting in [false, true] {
            for (words, facts) in all(resting) {
                let judgement = facts.judge("mine");
                let [kernel, embedded, _, built] = words;
                let said = judgement.sentence.clone().unwrap_or_default();
                let says = |part: &str| said.contains(part);
                let case = format!("{words:?} resting {resting}: {judgement:?}");

                let grades: &[Grade] = match built {
                    "no" => &[Grade::Fails],
                    "not-tried" => &[Grade::Likely, Grade::Doubtful, Grade::Fails],
                    _ => &[Grade::Builds, Grade::Doubtful],
                };
                assert!(grades.contains(&judgement.grade), "{case}");
                let is_well = matches!(judgement.grade, Grade::Builds | Grade::Likely);
                assert_eq!(is_well, said.is_empty(), "{case}");
                assert!(!is_well || judgement.fix.is_none(), "{case}");
                // What went wrong is said, once.
                let times = usize::from(built == "no");
                assert_eq!(said.matches("WHY").count(), times, "{case}");

                let works = facts.kernel.works();
                assert!(!says("no working rule") || works == Some(false), "{case}");
                assert!(!says("kernel runs it") || works == Some(true), "{case}");
                assert!(!says("the kernel does not run it") || works == Some(false), "{case}");
                assert!(!says("rule went away") || kernel == "no-rule", "{case}");
                assert!(!says("has a rule") || kernel == "has-rule", "{case}");
                assert!(!says("rule") || !matches!(kernel, "native" | "unknown"), "{case}");
                assert!(!says("image no emulator") || embedded == "no", "{case}");
                let claims = says("the emulator in BuildKit's image");
                assert!(!claims || embedded == "yes" || built == "embedded", "{case}");
                assert!(!says("does not say") || (!facts.advertised && !resting), "{case}");
                assert!(!says("advertised, ") || facts.advertised, "{case}");
                // A restart shows a builder nothing that the kernel does not run.
                let fix = judgement.fix.unwrap_or_default();
                assert!(!fix.contains("buildx stop") || works != Some(false), "{case}");
                assert!(!fix.contains("register") || works == Some(false), "{case}");
            }
        }
    }

    #[test]
    fn better_facts_never_make_it_worse() {
        let grade = |facts: &Facts| facts.judge("mine").grade;
        for (words, facts) in all(false) {
            if facts.kernel.works() == Some(false) && facts.built.works().is_none() {
                let better = Facts { embedded: images()[0].1.clone(), ..facts.clone() };
                assert!(grade(&better) <= grade(&facts), "{words:?}");
                let better = Facts { kernel: kernels()[1].1.clone(), ..facts.clone() };
                assert!(grade(&better) <= grade(&facts), "{words:?}");
            }
        }
        assert!(Grade::Builds < Grade::Likely && Grade::Likely < Grade::Doubtful);
        assert!(Grade::Doubtful < Grade::Fails);
    }
}

mod plans {
    use super::*;

    fn wish() -> Wish {
        Wish {
            name: "mine".to_owned(),
            options: BTreeMap::new(),
            flags: None,
            config: None,
            node: None,
            append: false,
            endpoint: None,
            make_current: false,
            recreate: Recreate::Auto,
        }
    }

    fn with_option(name: &str, value: &str) -> Wish {
        Wish { options: BTreeMap::from([(name.to_owned(), value.to_owned())]), ..wish() }
    }

    fn node(name: &str, status: NodeStatus, made_by: Option<&Wish>) -> Node {
        let runs = status == NodeStatus::Running;
        Node {
            name: name.to_owned(),
            endpoint: "unix:///var/run/docker.sock".to_owned(),
            status,
            version: runs.then(|| "v0.26.2".to_owned()),
            platforms: Vec::new(),
            options: made_by.map(|wish| wish.all_options().collect()).unwrap_or_default(),
            // buildx adds this one.
            flags: vec!["--allow-insecure-entitlement=network.host".to_owned()],
        }
    }

    fn builder(status: NodeStatus, made_by: Option<&Wish>) -> Builder {
        Builder {
            name: "mine".to_owned(),
            driver: DRIVER.to_owned(),
            current: Some(false),
            error: None,
            nodes: vec![node("mine0", status, made_by)],
        }
    }

    fn ours(status: NodeStatus) -> Builder {
        builder(status, Some(&wish()))
    }

    fn theirs(status: NodeStatus) -> Builder {
        builder(status, None)
    }

    fn planned(wish: &Wish, builder: &Builder) -> Result<Vec<Step>, Refusal> {
        plan(wish, std::slice::from_ref(builder))
    }

    const ANEW: [&str; 3] = ["remove", "create", "boot"];

    fn words(steps: Result<Vec<Step>, Refusal>) -> Vec<&'static str> {
        let word = |step: &Step| match step {
            Step::Create => "create",
            Step::Append => "append",
            Step::Boot => "boot",
            Step::Restart { .. } => "restart",
            Step::Remove { .. } => "remove",
            Step::MakeCurrent => "use",
        };
        match steps {
            Ok(steps) => steps.iter().map(word).collect(),
            Err(Refusal::Driver { .. }) => vec!["driver"],
            Err(Refusal::NotOurs { .. }) => vec!["not ours"],
            Err(Refusal::Never { .. }) => vec!["never"],
            Err(Refusal::NothingToAppendTo(_)) => vec!["nothing"],
            Err(Refusal::NoSuchNode { .. }) => vec!["no such node"],
            Err(Refusal::OtherEngine { .. }) => vec!["other engine"],
            Err(Refusal::Unreachable { .. }) => vec!["unreachable"],
            Err(Refusal::Busy { .. }) => vec!["busy"],
        }
    }

    #[test]
    fn each_state_has_its_steps() {
        use NodeStatus::{Missing, Running, Stopped};
        assert_eq!(words(plan(&wish(), &[])), ["create", "boot"]);
        // Another's name does not count.
        let other = Builder { name: "mine2".to_owned(), ..ours(Running) };
        assert_eq!(words(planned(&wish(), &other)), ["create", "boot"]);
        for whose in [ours, theirs] {
            assert_eq!(words(planned(&wish(), &whose(Running))), [""; 0]);
            assert_eq!(words(planned(&wish(), &whose(Stopped))), ["boot"]);
            assert_eq!(words(planned(&wish(), &whose(Missing))), ["boot"]);
            let odd = NodeStatus::Other("starting".to_owned());
            assert_eq!(words(planned(&wish(), &whose(odd))), ["boot"]);
            let broken = NodeStatus::Broken("boo".to_owned());
            assert_eq!(words(planned(&wish(), &whose(broken))), ["unreachable"]);
        }
        for driver in ["docker", "kubernetes", "remote"] {
            let other = Builder { driver: driver.to_owned(), ..ours(Running) };
            for recreate in [Recreate::Auto, Recreate::Always, Recreate::Never] {
                assert_eq!(words(planned(&Wish { recreate, ..wish() }, &other)), ["driver"]);
            }
        }
        let empty = Builder { nodes: Vec::new(), ..ours(Running) };
        assert_eq!(words(planned(&wish(), &empty)), ["boot"]);
    }

    #[test]
    fn only_what_is_ours_is_made_anew() {
        use NodeStatus::Running;
        let always = Wish { recreate: Recreate::Always, ..wish() };
        let never = Wish { recreate: Recreate::Never, ..with_option("network", "host") };
        let differs = with_option("network", "host");
        assert_eq!(words(planned(&always, &ours(Running))), ANEW);
        assert_eq!(words(planned(&always, &theirs(Running))), ["not ours"]);
        assert_eq!(words(planned(&differs, &ours(Running))), ANEW);
        assert_eq!(words(planned(&differs, &theirs(Running))), ["not ours"]);
        assert_eq!(words(planned(&never, &ours(Running))), ["never"]);
        assert_eq!(words(planned(&never, &builder(Running, Some(&never)))), [""; 0]);

        // Somebody else's that is as it is wanted will do.
        let mut fitting = theirs(Running);
        fitting.nodes[0].options.insert("network".to_owned(), "host".to_owned());
        assert_eq!(words(planned(&differs, &fitting)), [""; 0]);
        let flagged = |flags: &str| Wish { flags: Some(flags.to_owned()), ..wish() };
        assert_eq!(words(planned(&flagged("--debug"), &fitting)), ["not ours"]);
        fitting.nodes[0].flags.push("--debug".to_owned());
        assert_eq!(words(planned(&flagged("--debug"), &fitting)), [""; 0]);

        let broken = Builder { error: Some("boo".to_owned()), ..ours(Running) };
        assert_eq!(words(planned(&wish(), &broken)), ANEW);
        let nameless = Builder { driver: String::new(), nodes: Vec::new(), ..broken.clone() };
        assert_eq!(words(planned(&wish(), &nameless)), ["not ours"]);
        let several = |second: Node| Builder {
            nodes: vec![node("mine0", Running, Some(&wish())), second],
            ..ours(Running)
        };
        let all_ours = several(node("mine1", Running, Some(&wish())));
        assert_eq!(words(planned(&always, &all_ours)), ["never"]);
        let mixed = several(node("mine1", Running, None));
        assert_eq!(words(planned(&always, &mixed)), ["not ours"]);
        assert_eq!(words(planned(&wish(), &mixed)), [""; 0]);
    }

    #[test]
    fn a_node_is_added_and_the_others_left() {
        use NodeStatus::{Running, Stopped};
        let append = Wish { append: true, node: Some("mine1".to_owned()), ..wish() };
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
        let other = Wish { options: with_option("network", "host").options, ..append.clone() };
        assert_eq!(words(planned(&other, &ours(Running))), ["append", "boot"]);
        let always = Wish { recreate: Recreate::Always, ..append.clone() };
        assert_eq!(words(planned(&always, &ours(Running))), ["append", "boot"]);
        let broken = Builder { error: Some("boo".to_owned()), ..ours(Running) };
        assert_eq!(words(planned(&append, &broken)), ["never"]);
        let broken = ours(NodeStatus::Broken("boo".to_owned()));
        assert_eq!(words(planned(&append, &broken)), ["unreachable"]);
    }

    #[test]
    fn nothing_that_is_said_of_a_node_goes_unheard() {
        use NodeStatus::{Running, Stopped};
        let named = |name: &str| Wish { node: Some(name.to_owned()), ..wish() };
        let at = |endpoint: &str| Wish { endpoint: Some(endpoint.to_owned()), ..wish() };
        for whose in [ours, theirs] {
            assert_eq!(words(planned(&named("mine0"), &whose(Stopped))), ["boot"]);
            assert_eq!(words(planned(&named("mine1"), &whose(Running))), ["no such node"]);
            for here in ["unix:///var/run/docker.sock", "default"] {
                assert_eq!(words(planned(&at(here), &whose(Running))), [""; 0]);
            }
            assert_eq!(words(planned(&at("ssh://far"), &whose(Running))), ["other engine"]);
            let both = Wish { endpoint: Some("ssh://far".to_owned()), ..named("mine0") };
            assert_eq!(words(planned(&both, &whose(Running))), ["other engine"]);
            // A further node has the engine that is named, or is there in another one.
            let append = Wish { append: true, ..both };
            assert_eq!(words(planned(&append, &whose(Running))), ["other engine"]);
            let further = Wish { node: Some("mine1".to_owned()), ..append };
            assert_eq!(words(planned(&further, &whose(Running))), ["append", "boot"]);
        }
        // What is made anew is made as it is named.
        let always = Wish { recreate: Recreate::Always, ..named("other") };
        assert_eq!(words(planned(&always, &ours(Running))), ANEW);
    }

    #[test]
    fn it_is_made_the_current_one_unless_it_is() {
        use NodeStatus::{Running, Stopped};
        let current = Wish { make_current: true, ..wish() };
        let is = |current, status| Builder { current, ..ours(status) };
        assert_eq!(words(plan(&current, &[])), ["create", "boot", "use"]);
        assert_eq!(words(planned(&current, &is(Some(false), Running))), ["use"]);
        assert_eq!(words(planned(&current, &is(Some(true), Running))), [""; 0]);
        // 0.13 does not say.
        assert_eq!(words(planned(&current, &is(None, Running))), ["use"]);
        assert_eq!(words(planned(&current, &is(Some(false), Stopped))), ["boot", "use"]);
        assert_eq!(words(planned(&wish(), &is(Some(false), Running))), [""; 0]);
    }

    #[test]
    fn what_helps_a_builder_that_does_not_see_is_done_to_ours_alone() {
        use NodeStatus::Running;
        let platforms = ["linux/arm64", "linux/s390x"];
        let mut several = ours(Running);
        several.nodes.push(node("mine1", Running, Some(&wish())));
        several.nodes[1].endpoint = "far".to_owned();
        let steps = refresh(&wish(), &several, &platforms).unwrap();
        let Some(Step::Restart { why, .. }) = steps.first() else { panic!("{steps:?}") };
        assert!(why.contains("linux/arm64, linux/s390x"), "{why}");
        let restart = |node: &str, endpoint: &str| Step::Restart {
            container: format!("buildx_buildkit_{node}"),
            endpoint: endpoint.to_owned(),
            why: why.clone(),
        };
        let near = restart("mine0", "unix:///var/run/docker.sock");
        assert_eq!(steps, [near, restart("mine1", "far"), Step::Boot]);
        assert_eq!(words(refresh(&wish(), &theirs(Running), &platforms)), ["not ours"]);
        assert_eq!(words(renew(&wish(), &ours(Running), &platforms)), ANEW);
        assert_eq!(words(renew(&wish(), &theirs(Running), &platforms)), ["not ours"]);
        assert_eq!(words(renew(&wish(), &several, &platforms)), ["never"]);
        let never = Wish { recreate: Recreate::Never, ..wish() };
        assert_eq!(words(renew(&never, &ours(Running), &platforms)), ["never"]);
        // A restart makes nothing anew.
        assert_eq!(words(refresh(&never, &ours(Running), &platforms)), ["restart", "boot"]);
    }

    #[test]
    fn steps_and_refusals_say_what_they_are_about() {
        let why = || "boo".to_owned();
        for (step, said) in [
            (Step::Create, "create the builder"),
            (Step::Append, "add the node"),
            (Step::Boot, "boot it"),
            (Step::Remove { why: why() }, "take it away and keep its state: boo"),
            (Step::MakeCurrent, "make it the current builder"),
            (
                Step::Restart { container: "c".to_owned(), endpoint: "e".to_owned(), why: why() },
                "restart c: boo",
            ),
        ] {
            assert_eq!(step.to_string(), said);
        }
        let refusals = [
            planned(&wish(), &Builder { driver: "remote".to_owned(), ..ours(NodeStatus::Running) }),
            planned(&with_option("network", "host"), &theirs(NodeStatus::Running)),
            planned(&wish(), &ours(NodeStatus::Broken("boo".to_owned()))),
            plan(&Wish { append: true, ..wish() }, &[]),
        ];
        for refusal in refusals {
            let said = refusal.unwrap_err().to_string();
            assert!(said.contains(" mine") && !said.contains('\n'), "{said}");
        }
    }

    /// What is there once steps were carried out.
    fn after(steps: &[Step], wish: &Wish, mut builder: Option<Builder>) -> Option<Builder> {
        for step in steps {
            let name = wish.node.clone().unwrap_or_else(|| "mine0".to_owned());
            let made = || node(&name, NodeStatus::Missing, Some(wish));
            match step {
                Step::Create => {
                    let fresh = Builder { nodes: vec![made()], ..ours(NodeStatus::Missing) };
                    assert!(builder.replace(fresh).is_none(), "made over another");
                }
                Step::Append => builder.as_mut().unwrap().nodes.push(made()),
                Step::Boot => {
                    let nodes = &mut builder.as_mut().unwrap().nodes;
                    for node in nodes {
                        node.status = NodeStatus::Running;
                    }
                }
                Step::Restart { .. } => {}
                Step::Remove { .. } => assert!(builder.take().unwrap().is_ours()),
                Step::MakeCurrent => builder.as_mut().unwrap().current = Some(true),
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

    fn wishes() -> impl Strategy<Value = Wish> {
        let recreate =
            prop_oneof![Just(Recreate::Auto), Just(Recreate::Always), Just(Recreate::Never)];
        let options = proptest::collection::btree_map("[a-b]", "[a-b]", 0..2);
        let flags = proptest::option::of("--[a-b]");
        let config = proptest::option::of("[a-b]?");
        (options, flags, config, any::<[bool; 2]>(), recreate).prop_map(
            |(options, flags, config, [append, make_current], recreate)| Wish {
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
                ..wish()
            },
        )
    }

    fn found() -> impl Strategy<Value = Option<Builder>> {
        let nodes = proptest::collection::vec((statuses(), proptest::option::of(wishes())), 1..3);
        let error = proptest::option::weighted(0.2, Just("boo".to_owned()));
        let driver = prop_oneof![4 => Just(DRIVER), 1 => Just(""), 1 => Just("remote")];
        let one =
            (nodes, error, driver, any::<bool>()).prop_map(|(nodes, error, driver, current)| {
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
        fn doing_it_again_changes_nothing(wish in wishes(), found in found()) {
            let builders: Vec<Builder> = found.clone().into_iter().collect();
            let Ok(steps) = plan(&wish, &builders) else { return Ok(()) };
            let there = after(&steps, &wish, found);
            let mut again = wish.clone();
            // That it is wanted anew each time is what this says.
            if again.recreate == Recreate::Always {
                again.recreate = Recreate::Auto;
            }
            let builders: Vec<Builder> = there.into_iter().collect();
            prop_assert_eq!(plan(&again, &builders), Ok(Vec::new()), "after {:?}", steps);
        }

        #[test]
        fn nothing_of_others_is_taken_away(wish in wishes(), found in found()) {
            let Some(found) = found else { return Ok(()) };
            let unmarked = found.nodes.iter().any(|node| node.mark().is_none());
            for steps in [planned(&wish, &found), renew(&wish, &found, &["x"])].into_iter().flatten() {
                let removes = steps.iter().any(|step| matches!(step, Step::Remove { .. }));
                prop_assert!(!removes || !unmarked && wish.recreate != Recreate::Never);
                prop_assert!(!removes || found.nodes.len() == 1 && !wish.append);
            }
            let refreshed = refresh(&wish, &found, &["x"]);
            prop_assert_eq!(refreshed.is_ok(), !unmarked && !found.nodes.is_empty());
        }

        #[test]
        fn marks_differ_when_wishes_do(one in wishes(), other in wishes()) {
            let key = |wish: &Wish| {
                let config = wish.config.as_ref().map(|file| file.content.clone());
                (wish.options.clone(), wish.flags.clone(), config.unwrap_or_default())
            };
            prop_assert_eq!(one.mark() == other.mark(), key(&one) == key(&other));
            prop_assert!(one.mark().len() == 16 && one.mark().bytes().all(|c| c.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn nothing_is_the_same_by_being_put_together_otherwise() {
        let flags = |flags: &str| Wish { flags: Some(flags.to_owned()), ..wish() };
        let config = |content: &str| Wish {
            config: Some(ConfigFile { path: PathBuf::new(), content: content.into() }),
            ..wish()
        };
        let both =
            |flag: &str, content: &str| Wish { flags: Some(flag.to_owned()), ..config(content) };
        let two = |pairs: [(&str, &str); 2]| Wish {
            options: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..wish()
        };
        let all = [
            wish(),
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
        let marks: BTreeSet<String> = all.iter().map(Wish::mark).collect();
        assert_eq!(marks.len(), all.len());
        // Where it is does not matter, nor what else is wanted.
        let moved = Wish {
            config: Some(ConfigFile { path: PathBuf::from("/other"), content: b"a".to_vec() }),
            make_current: true,
            endpoint: Some("far".to_owned()),
            recreate: Recreate::Always,
            ..wish()
        };
        assert_eq!(moved.mark(), config("a").mark());
        // It has to stay what it is: builders of earlier versions carry it.
        assert_eq!(wish().mark(), "374708fff7719dd5");
        assert_eq!(with_option("network", "host").mark(), "e8ccb0c8bce5260d");
    }

    #[test]
    fn the_mark_is_an_option_like_the_others() {
        let wish = with_option("network", "host");
        let options: Vec<(String, String)> = wish.all_options().collect();
        assert_eq!(
            options,
            [("network".to_owned(), "host".to_owned()), (BUILDER_MARK.to_owned(), wish.mark())]
        );
        assert_eq!(BUILDER_MARK, "env.BINFMTD_BUILDER");
    }
}

mod arguments {
    use super::*;

    /// One record of RFC 4180, as buildx reads an option (`csvvalue.Fields`); a quote in a bare field is an error.
    fn fields(text: &str) -> Option<Vec<String>> {
        let mut fields = Vec::new();
        let mut rest = text;
        loop {
            if let Some(quoted) = rest.strip_prefix('"') {
                let mut field = String::new();
                let mut left = quoted;
                loop {
                    let (before, behind) = left.split_once('"')?;
                    field.push_str(before);
                    let Some(more) = behind.strip_prefix('"') else {
                        left = behind;
                        break;
                    };
                    field.push('"');
                    left = more;
                }
                fields.push(field);
                match left.strip_prefix(',') {
                    Some(more) => rest = more,
                    None if left.is_empty() => return Some(fields),
                    None => return None,
                }
            } else {
                let (field, more) =
                    rest.split_once(',').map_or((rest, None), |(f, m)| (f, Some(m)));
                if field.contains(['"', '\n', '\r']) {
                    return None;
                }
                fields.push(field.to_owned());
                match more {
                    Some(more) => rest = more,
                    None => return Some(fields),
                }
            }
        }
    }

    #[test]
    fn the_reader_is_a_reader() {
        let read = |text: &str| fields(text).map(|fields| fields.join("|"));
        assert_eq!(read("a=b,c=d").as_deref(), Some("a=b|c=d"));
        assert_eq!(read("\"a=b,c=d\"").as_deref(), Some("a=b,c=d"));
        assert_eq!(read("\"a=\"\"b\"\"\",x").as_deref(), Some("a=\"b\"|x"));
        assert_eq!(read("a=\"b\""), None);
        assert_eq!(read("\"a"), None);
        assert_eq!(read("\"a\"b"), None);
    }

    #[test]
    fn an_option_is_quoted_where_it_has_to_be() {
        assert_eq!(comma_separated("network=host"), "network=host");
        // Recorded: 0.13 and 0.29 both keep this as the value `a,b`.
        assert_eq!(comma_separated("env.LIST=a,b"), "\"env.LIST=a,b\"");
        assert_eq!(comma_separated("env.X=say \"hi\""), "\"env.X=say \"\"hi\"\"\"");
    }

    proptest! {
        #[test]
        fn an_option_is_read_back_as_it_was(option in "[a-z.]{1,8}=(?s).*") {
            prop_assert_eq!(fields(&comma_separated(&option)), Some(vec![option]));
        }
    }
}

mod platforms {
    use super::*;

    #[test]
    fn any_name_finds_the_platform_that_is_meant() {
        let table = Table::embedded();
        let find = |name: &str| {
            let platform = Platform::find(&table, name).unwrap();
            (platform.name.clone(), platform.target.name.clone())
        };
        for (name, platform, target) in [
            ("linux/arm64", "linux/arm64", "aarch64"),
            ("arm64", "linux/arm64", "aarch64"),
            ("aarch64", "linux/arm64", "aarch64"),
            ("LINUX/ARM64", "linux/arm64", "aarch64"),
            ("linux/arm/v6", "linux/arm/v6", "arm"),
            ("amd64", "linux/amd64", "x86_64"),
            ("386", "linux/386", "i386"),
            ("linux/riscv64", "linux/riscv64", "riscv64"),
            ("ppc64le", "linux/ppc64le", "ppc64le"),
        ] {
            assert_eq!(find(name), (platform.to_owned(), target.to_owned()), "{name}");
        }
        let unknown = Platform::find(&table, "linux/nonsense").unwrap_err();
        assert!(unknown.to_string().contains("linux/nonsense"), "{unknown}");
        let nameless = table.targets().iter().find(|target| target.platforms.is_empty()).unwrap();
        let error = Platform::find(&table, &nameless.name).unwrap_err();
        assert!(error.to_string().starts_with(&format!("target {}", nameless.name)), "{error}");
        assert_eq!(Platform::of(nameless), None);
    }

    #[test]
    fn every_platform_of_the_table_is_found_by_its_own_name() {
        let table = Table::embedded();
        let mut known_to_buildkit = 0;
        for target in table.targets() {
            for name in &target.platforms {
                let platform = Platform::find(&table, name).unwrap();
                assert_eq!((&platform.name, &platform.target.name), (name, &target.name));
                assert_eq!(platform.to_string(), *name);
                assert_eq!(platform.machine(), target.identity.machines[0]);
                assert!(platform.emulator().starts_with("buildkit-qemu-"));
                known_to_buildkit += usize::from(platform.is_known_to_buildkit());
            }
        }
        assert!(known_to_buildkit >= 11, "{known_to_buildkit}");
        let emulator = |name| Platform::find(&table, name).unwrap().emulator();
        assert_eq!(emulator("arm64"), "buildkit-qemu-aarch64");
        assert_eq!(emulator("amd64"), "buildkit-qemu-x86_64");
        assert_eq!(emulator("linux/arm/v7"), "buildkit-qemu-arm");
        assert_eq!(emulator("s390x"), "buildkit-qemu-s390x");
    }

    #[test]
    fn what_is_advertised_is_said_once_for_each_target() {
        let table = Table::embedded();
        let all = read_list(&well(recorded!("ls-0.29-nodes.json"))).unwrap();
        let mine = all.iter().find(|one| one.name == "mine").unwrap();
        let mut found = Platform::advertised(&table, mine);
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        // Levels of a CPU (linux/amd64/v3) are no targets of ours.
        assert_eq!(names, ["linux/386", "linux/amd64", "linux/arm64", "linux/s390x"]);
    }
}

mod images {
    use super::*;

    fn of(output: &str, errors: &str, code: i32) -> Embedded {
        Embedded::of("buildkit-qemu-aarch64".to_owned(), &answer(output, errors, code))
    }

    fn yes(version: Option<&str>) -> Embedded {
        Embedded::Yes {
            name: "buildkit-qemu-aarch64".to_owned(),
            version: version.map(str::to_owned),
            sha256: None,
        }
    }

    #[test]
    fn what_docker_exec_says_tells_what_the_image_carries() {
        assert_eq!(
            of(
                "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright (c) 2003-2022 Fabrice Bellard\n",
                "",
                0
            ),
            yes(Some("qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)"))
        );
        assert_eq!(of("", "", 0), yes(None));
        // 26.1.5 says it on standard output, others on the other.
        let missing = "OCI runtime exec failed: exec failed: unable to start container process: exec: \
                       \"buildkit-qemu-aarch64\": executable file not found in $PATH: unknown\n";
        assert_eq!(of(missing, "", 126), Embedded::No);
        assert_eq!(of("", missing, 126), Embedded::No);
        assert_eq!(of("", missing, 127), Embedded::No);
        let old = "qemu: unknown option '--version'\n";
        assert_eq!(of("", old, 1), yes(None));
        for (output, errors, code) in [
            ("", "Error response from daemon: container 1f2e is not running\n", 1),
            ("", "Error response from daemon: No such container: x\n", 1),
            ("OCI runtime exec failed: permission denied: unknown\n", "", 126),
            ("", "", 139),
        ] {
            let Embedded::Unknown(why) = of(output, errors, code) else { panic!("{errors}") };
            assert!(!why.is_empty() && !why.contains('\n'), "{why}");
        }
        let slow = Answer { ended: Ended::TimedOut, ..well("") };
        assert_eq!(
            Embedded::of("x".to_owned(), &slow),
            Embedded::Unknown("docker exec failed".to_owned())
        );
    }

    proptest! {
        #[test]
        fn any_archive_is_read(
            archive in proptest::collection::vec(any::<u8>(), 0..1200),
            size in "[0-7 \\x00]{12}",
        ) {
            let mut archive = archive;
            if let Some(place) = archive.get_mut(124..136) {
                place.copy_from_slice(size.as_bytes());
            }
            if let Some(content) = first_file(&archive) {
                prop_assert!(content.len() <= archive.len().saturating_sub(512));
            }
        }
    }
}

mod records {
    use super::*;

    fn made(engine: &str, node: &str) -> Made {
        Made { engine: engine.to_owned(), node: node.to_owned(), builder: "mine".to_owned() }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record =
            Record { schema: 1, nodes: BTreeSet::from([made("e", "mine0"), made("f", "mine1")]) };
        let folder = tempfile::tempdir().unwrap();
        let content = serde_json::to_vec_pretty(&record).unwrap();
        fs::write(folder.path().join("builders.json"), content).unwrap();
        assert_eq!(record::load(folder.path()), record);
    }

    /// What is not understood makes nothing ours: it is not taken away then.
    #[test]
    fn what_is_not_understood_owns_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(record::load(folder.path()), Record::default());
        let node = r#"{"engine":"e","node":"mine0","builder":"mine"}"#;
        for content in [
            String::new(),
            "nonsense".to_owned(),
            "[]".to_owned(),
            format!(r#"{{"schema":2,"nodes":[{node}]}}"#),
            format!(r#"{{"schema":0,"nodes":[{node}]}}"#),
            format!(r#"{{"nodes":[{node}]}}"#),
            format!(r#"{{"schema":1,"nodes":[{node}],"later":1}}"#),
            format!(r#"{{"schema":1,"nodes":[{node}]"#),
            r#"{"schema":1,"nodes":[{"engine":"e","node":"mine0"}]}"#.to_owned(),
        ] {
            fs::write(folder.path().join("builders.json"), &content).unwrap();
            assert_eq!(record::load(folder.path()), Record::default(), "{content}");
        }
        let content = format!(r#"{{"schema":1,"nodes":[{node}]}}"#);
        fs::write(folder.path().join("builders.json"), content).unwrap();
        assert_eq!(record::load(folder.path()).nodes.len(), 1);
        fs::remove_file(folder.path().join("builders.json")).unwrap();
        fs::create_dir(folder.path().join("builders.json")).unwrap();
        assert_eq!(record::load(folder.path()), Record::default());
    }

    #[test]
    fn what_is_left_is_ours_by_engine_and_whole_name() {
        let record = Record { schema: 1, nodes: BTreeSet::from([made("e", "mine0")]) };
        let left = |kind, name: &str| Orphan { kind, name: name.to_owned(), ours: false };
        let volume = |name: &str| left(OrphanKind::Volume, name);
        let container = |name: &str| left(OrphanKind::Container("exited".to_owned()), name);
        for ours in [volume("buildx_buildkit_mine0_state"), container("buildx_buildkit_mine0")] {
            assert!(record.owns("e", ours.node()), "{ours:?}");
            assert_eq!(record.builder_of("e", ours.node()), Some("mine"));
            for engine in ["f", "", "ee"] {
                assert!(!record.owns(engine, ours.node()));
            }
        }
        for theirs in [
            volume("buildx_buildkit_mine_state"),
            volume("buildx_buildkit_mine00_state"),
            volume("x_buildx_buildkit_mine0_state"),
            volume("buildx_buildkit_buildx_buildkit_mine0_state"),
            volume("buildx_buildkit_mine0_state_state"),
            volume("buildx_buildkit__state"),
            container("buildx_buildkit_mine0_state"),
            container("buildx_buildkit_mine"),
        ] {
            assert!(!record.owns("e", theirs.node()), "{theirs:?}");
        }
    }

    #[test]
    fn the_folder_is_the_first_that_is_named() {
        let of = |variables: &[(&str, &str)]| {
            record::folder_by(|name| {
                let known = variables.iter().find(|(known, _)| *known == name);
                known.map(|(_, value)| OsString::from(value))
            })
        };
        let all = [
            ("BINFMTD_STATE_DIRECTORY", "/srv/state"),
            ("XDG_STATE_HOME", "/home/user/state"),
            ("HOME", "/home/user"),
        ];
        assert_eq!(of(&all).as_deref(), Some(Path::new("/srv/state")));
        assert_eq!(of(&all[1..]).as_deref(), Some(Path::new("/home/user/state/binfmtd")));
        assert_eq!(of(&all[2..]).as_deref(), Some(Path::new("/home/user/.local/state/binfmtd")));
        assert_eq!(of(&[]), None);
        // XDG's specification: a path that is not absolute is to be ignored.
        let relative = [("XDG_STATE_HOME", "state"), ("HOME", "/home/user")];
        assert_eq!(of(&relative).as_deref(), Some(Path::new("/home/user/.local/state/binfmtd")));
        let empty = [("BINFMTD_STATE_DIRECTORY", ""), ("XDG_STATE_HOME", ""), ("HOME", "")];
        assert_eq!(of(&empty), None);
    }
}
