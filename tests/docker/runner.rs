//! The layers for images of runners that are containers. There is no registry, so the images of GitHub's and GitLab's runners
//! are stand-ins: a shell, the user and the entrypoint of the real ones.

use std::fs;
use std::path::Path;

use crate::dind::{NOT_HERE, THIRD_PARTY, has_the_licences, program};
use crate::engine::Engine;

const ROOT: &str = r#"
rm -rf /srv/stand-in; mkdir -p /srv/stand-in; cd /srv/stand-in
mkdir -p etc proc tmp usr/bin usr/local/bin usr/local/libexec
chmod 1777 tmp
ln -s usr/bin bin
cp "$(command -v busybox)" usr/bin/busybox
for applet in $(busybox --list); do [ -e "usr/bin/$applet" ] || ln -s busybox "usr/bin/$applet"; done
printf '#!/bin/sh\nshift\necho "dumb-init: $*"\n' >usr/bin/dumb-init
chmod 755 usr/bin/dumb-init
for library in $(ldd /opt/bin/binfmtd | grep -o '/[^ ]*' || :); do
    mkdir -p ".${library%/*}"
    cp -L "$library" ".$library"
done
tar -cf /srv/stand-in.tar .
cd /; rm -rf /srv/stand-in
docker import --change='USER 1001' --change='ENV PATH=/usr/local/bin:/usr/bin' /srv/stand-in.tar ghcr.io/actions/actions-runner:latest
docker import --change='ENTRYPOINT ["/usr/bin/dumb-init", "/entrypoint"]' --change='ENV PATH=/usr/local/bin:/usr/bin' /srv/stand-in.tar \
    gitlab/gitlab-runner:latest
cd /srv/layer
cp /opt/bin/binfmtd .
docker build --target github --tag runner:github .
docker build --target gitlab --build-arg REQUIRE=linux/arm64,linux/riscv64 --tag runner:gitlab .
"#;

/// A hook before each job, and an entrypoint that asks first: by rules of the node, which has them or has not.
pub(crate) fn layers(engine: &mut Engine) -> String {
    let Some(()) = program(engine, "busybox") else { return NOT_HERE.to_owned() };
    for name in ["Dockerfile", "preflight.sh"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/runner").join(name);
        engine.write(&format!("/srv/layer/{name}"), fs::read_to_string(path).unwrap());
    }
    engine.write("/srv/layer/THIRD-PARTY", THIRD_PARTY);
    engine.sh(&format!("chmod 755 /srv/layer/preflight.sh\n{ROOT}"));
    for image in ["runner:github", "runner:gitlab"] {
        has_the_licences(engine, image);
    }
    let github = |engine: &Engine| {
        // As GitHub's runner calls it, by the image's own environment and user.
        engine.run(&[
            "docker",
            "run",
            "--rm",
            "--env=GITHUB_ACTIONS=true",
            "--env=RUNNER_NAME=pod-1",
            "--env=GITHUB_JOB=image",
            "runner:github",
            "sh",
            "-c",
            "id -u; exec sh -e $ACTIONS_RUNNER_HOOK_JOB_STARTED",
        ])
    };
    let gitlab = |engine: &Engine| engine.run(&["docker", "run", "--rm", "runner:gitlab"]);

    engine.sh("binfmtd register aarch64 riscv64");
    let output = github(engine);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("1001\n") && said.contains("1 working"), "{said}");
    let output = gitlab(engine);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let started = "dumb-init: run --user=gitlab-runner --working-directory=";
    assert!(said.contains("2 working") && said.contains(started), "{said}");

    engine.sh("binfmtd unregister riscv64");
    assert!(github(engine).status.success());
    let output = gitlab(engine);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("riscv64") && !said.contains("dumb-init"), "{said}");

    engine.sh("binfmtd unregister --all");
    let output = github(engine);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("title=binfmtd preflight::pod-1 does not run programs"), "{said}");
    "2 images".to_owned()
}
