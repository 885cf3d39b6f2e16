use super::*;

fn kind(said: &str) -> &'static str {
    match DockerError::of_words("docker ps", said) {
        DockerError::Denied(_) => "denied",
        DockerError::Down(_) => "down",
        DockerError::DeadContext(_) => "context",
        DockerError::NoPlugin => "plugin",
        DockerError::Failed { .. } => "failed",
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
        let trouble = answer("", said, 1).success().unwrap_err();
        assert_eq!(trouble.to_string(), format!("docker command: {wanted}"), "{said:?}");
    }
}

#[test]
fn an_answer_is_well_when_its_command_was() {
    assert_eq!(well("out").success().unwrap(), b"out");
    assert_eq!(answer("out", "a warning", 0).success().unwrap(), b"out");
    let ended = |ended| DockerOutput { ended, ..well("out") }.success().unwrap_err().to_string();
    assert_eq!(ended(Ended::TimedOut), "docker command did not end in 1 s");
    assert_eq!(ended(Ended::Signaled(9)), "docker command: it died by signal 9");
    assert_eq!(ended(Ended::Flooded), "docker command: it wrote without end");
}

#[test]
fn a_question_reads_as_it_is_typed() {
    let top = || DockerCommand::new(["top", "x"]);
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
        let trouble = DockerError::of_words("docker", &said);
        prop_assert!(!trouble.to_string().is_empty());
    }
}
