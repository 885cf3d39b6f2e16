use super::*;

const CONTEXT: &str = recorded!("context.json");

fn here() -> LocalMachine {
    LocalMachine { kernel: "6.12.48".to_owned(), name: "host".to_owned() }
}

fn read(info: &str) -> Result<Engine, DockerError> {
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
        let info = info.replace("\"name=cgroupns\"", &format!("\"name=cgroupns\",\"{option}\""));
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
        assert!(matches!(&trouble, DockerError::Down(said) if said == down), "{trouble:?}");
        assert!(trouble.may_pass());
    }
    // Nobody knows these words: it is the engine that is silent all the same.
    let ssh = read(recorded!("info-26.1-ssh.json")).unwrap_err();
    assert!(
        matches!(&ssh, DockerError::Down(said) if said.contains("port 22: Connection refused"))
    );
    let silent = answer(recorded!("info-28.5-down.json"), "boo", 1);
    let silent = Engine::read(&silent, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
    assert!(matches!(&silent, DockerError::Down(said) if said == "boo"), "{silent:?}");
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
        let trouble = Engine::read(&info, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
        assert!(
            matches!(&trouble, DockerError::Denied(said) if *said == words(api)),
            "{trouble:?}"
        );
        assert!(matches!(trouble, DockerError::Denied(_)) && !trouble.may_pass());
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
            Engine::read(&answer("\n", info, 1), |_| read_endpoint(&context), &here()).unwrap_err();
        assert!(matches!(trouble, DockerError::DeadContext(_)), "{info}: {trouble:?}");
    }
    // The engine is well, and its context is asked for too late.
    let context = answer("[]", "context \"nope\": context not found", 1);
    let info = well(recorded!("info-26.1.json"));
    let trouble = Engine::read(&info, |_| read_endpoint(&context), &here()).unwrap_err();
    assert!(matches!(trouble, DockerError::DeadContext(_)), "{trouble:?}");
}

#[test]
fn the_plugin_is_there_new_enough_and_starts() {
    let none = read(recorded!("info-28.5-no-plugin.json")).unwrap_err();
    assert!(matches!(none, DockerError::NoPlugin), "{none:?}");
    let broken = read(recorded!("info-26.1-broken-plugin.json")).unwrap_err();
    assert!(broken.to_string().contains("failed to fetch metadata: fork/exec"), "{broken}");
    let with = |version: &str| {
        read(&recorded!("info-26.1.json").replace("\"0.13.1+ds1\"", &format!("\"{version}\"")))
    };
    for old in ["v0.12.5", "0.9.1-docker", "0.0.0+unknown"] {
        let trouble = with(old).unwrap_err();
        assert!(matches!(&trouble, DockerError::OldPlugin(said) if said == old), "{trouble:?}");
    }
    for new in ["v0.13.0-rc2", "v1.0.0", "0.29.1+ds1", "6fb2267", "v0.21.2-desktop.1"] {
        assert_eq!(with(new).unwrap().buildx, new);
    }
}

#[test]
fn podman_is_told_by_its_own_document_and_by_its_service() {
    let wrapped = read(recorded!("info-podman-4.3.json")).unwrap_err();
    assert!(matches!(&wrapped, DockerError::Podman(version) if version == "4.3.1"), "{wrapped:?}");
    // With any other context, too: `podman context inspect` prints an empty list.
    let wrapped = Engine::read(
        &well(recorded!("info-podman-4.3.json")),
        |_| read_endpoint(&well("[]\n")),
        &here(),
    )
    .unwrap_err();
    assert!(matches!(wrapped, DockerError::Podman(_)));
    let service = recorded!("info-26.1-podman-service.json");
    let Err(DockerError::Compatible { version, .. }) = read(service) else {
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
        Engine::read(&well(&info), |_| read_endpoint(&well(&context)), &here()).unwrap().location
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
        assert!(matches!(trouble, DockerError::Unreadable { .. }), "{nonsense}: {trouble:?}");
        assert!(trouble.to_string().starts_with("docker command: "), "{trouble}");
    }
    // Older than the context of the command line.
    let trouble = read("{\"ID\":\"x\",\"ServerVersion\":\"18.09.1\"}").unwrap_err();
    assert!(trouble.to_string().contains("older than Docker 19.03"), "{trouble}");
    // Cut short: why tells more than where.
    let cut = &recorded!("info-26.1.json")[..100];
    let slow = DockerOutput { ended: Ended::TimedOut, ..well(cut) };
    let trouble = Engine::read(&slow, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
    assert!(matches!(trouble, DockerError::Slow { seconds: 1, .. }), "{trouble:?}");
    let silent = DockerOutput { ended: Ended::Signaled(9), ..well("") };
    let trouble = Engine::read(&silent, |_| read_endpoint(&well(CONTEXT)), &here()).unwrap_err();
    assert_eq!(trouble.to_string(), "docker command: it died by signal 9");
    let pointless = well("[{\"Endpoints\":{\"kubernetes\":{}}}]");
    let info = well(recorded!("info-26.1.json"));
    assert!(matches!(
        Engine::read(&info, |_| read_endpoint(&pointless), &here()),
        Err(DockerError::Unreadable { .. })
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
