//! Every command in the README and in the guide runs, in a private instance, or is listed here.

#[path = "by_docker.rs"]
mod by_docker;

use std::fmt::Write as _;

use crate::markdown::{Fence, below, read, split};
use crate::private::Place;

use by_docker::{CONSOLE, SHELL, is_of_docker};

/// A command that is not run, and why not.
struct NotRun {
    file: &'static str,
    command: &'static str,
    reason: &'static str,
}

const fn not_run(file: &'static str, command: &'static str, reason: &'static str) -> NotRun {
    NotRun { file, command, reason }
}

const BUILDS: &str = "builds what this test is part of";
const DEMO: &str =
    "builds what this test is part of; tests/scripts/setup has its script ask for packages";
const PAGES: &str = "packaging/manual/tests runs the program that it builds";
const INSTALLS: &str =
    "tests/scripts/install does it, into a folder of its own, with a stand-in for the binary";
const PACKS: &str = "tests/scripts/packages runs the script that it runs, with the tests' binary";
const APT: &str =
    "tests/scripts/runner has apt-get do it, in a chroot; tests/systemd has dpkg do it, and boots";
const RPM: &str =
    "no dnf is here: tests/systemd has rpm --nodeps do it, in a container that is a Debian";
const HOST: &str = "changes the host";
const SYSTEMD: &str = "tests/systemd does it, in a container with systemd";
const ROOTFS: &str =
    "tests/commands/rootfs.rs does it, with programs of Debian's packages of arm64 and riscv64";
const DIND: &str =
    "tests/docker/dind.rs does what it does, in an engine of its own; compose itself is not there";
const RUNNER: &str = "tests/scripts/runner does it, in a private instance and in chroots";
const PURGED: &str =
    "tests/systemd has dpkg do it, in a container; tests/scripts/runner too, in a chroot";
const FAR: &str = "needs another machine";
const LAYERS: &str = "tests/docker/runner.rs does it, with stand-ins for a registry's images";
const FOREIGN: &str = "needs a program that the tests do not";
const PULLS: &str =
    "pulls images: tests/docker/image.rs builds the last stages, with what is on the machine";
const NODE: &str =
    "takes a host's process 1: tests/vm has binfmtd mount by way of it, in a mount namespace";
const LINK: &str = "tests/commands/binfmt.rs does it, in a folder of its own";
const LEFT: &str = "another project's image, which the reader comes from";
const MOUNTS: &str = "tests/docker/image.rs does it, where an engine of its own had it unmounted";
const RENDERED: &str =
    "needs a cluster: tests/scripts/kubernetes validates it, tests/docker runs its pods";
const CLUSTER: &str = "needs a cluster, which no test has";
const SAID: &str = "is no command: the name of a builder, in what a command wrote";

/// Closed: a command that is new runs, or is put here on purpose. An entry that no file has is a failure.
const NOT_RUN: &[NotRun] = &[
    not_run("README.md", "make demo", DEMO),
    not_run("README.md", "make test", BUILDS),
    not_run("README.md", "make build", BUILDS),
    not_run("README.md", "sudo make install", INSTALLS),
    not_run(
        "docs/guide/install.md",
        "sudo apt-get install --no-install-recommends qemu-user-static",
        HOST,
    ),
    not_run(
        "docs/guide/install.md",
        "make deb   # target/packages/binfmtd_VERSION-1_ARCHITECTURE.deb; needs debhelper",
        PACKS,
    ),
    not_run(
        "docs/guide/install.md",
        "make rpm   # target/packages/binfmtd-VERSION-1.ARCHITECTURE.rpm; needs rpmbuild",
        PACKS,
    ),
    not_run(
        "docs/guide/install.md",
        "make dist   # target/packages/binfmtd-VERSION-linux-ARCHITECTURE.tar.gz",
        PACKS,
    ),
    not_run(
        "docs/guide/install.md",
        "sudo apt-get install --no-install-recommends ./target/packages/binfmtd_*.deb",
        APT,
    ),
    not_run("docs/guide/install.md", "sudo dnf install ./target/packages/binfmtd-*.rpm", RPM),
    not_run("docs/guide/install.md", "make build", BUILDS),
    not_run("docs/guide/install.md", "make static", BUILDS),
    not_run("docs/guide/install.md", "cargo run --package binfmtd-manual -- ./pages", PAGES),
    not_run("docs/guide/install.md", "sudo make install", INSTALLS),
    not_run("docs/guide/install.md", "make install DESTDIR=./staged PREFIX=/usr", INSTALLS),
    not_run("docs/guide/install.md", "sudo systemctl enable --now binfmtd.service", HOST),
    not_run("docs/guide/install.md", "sudo systemctl disable --now binfmtd.service", HOST),
    not_run("docs/guide/install.md", "sudo install -m 644 qemu.conf /etc/binfmt.d/qemu.conf", HOST),
    not_run("README.md", "sudo systemctl enable --now binfmtd.service", SYSTEMD),
    not_run("README.md", "systemctl status binfmtd.service", SYSTEMD),
    not_run("docs/guide/service.md", "sudo systemctl enable --now binfmtd.service", SYSTEMD),
    not_run("docs/guide/service.md", "systemctl status binfmtd.service", SYSTEMD),
    not_run("docs/guide/service.md", "journalctl -u binfmtd.service -x", SYSTEMD),
    not_run("docs/guide/service.md", "sudo systemctl reload binfmtd.service", SYSTEMD),
    not_run("docs/guide/service.md", "sudo systemctl stop binfmtd.service", SYSTEMD),
    not_run("docs/guide/service.md", "sudo systemctl enable --now binfmtd-doctor.timer", SYSTEMD),
    not_run("docs/guide/service.md", "systemctl start binfmtd-doctor.service", SYSTEMD),
    not_run("docs/guide/service.md", "journalctl -u binfmtd.service -b", SYSTEMD),
    not_run(
        "docs/guide/migrate-package.md",
        "for file in /usr/lib/binfmt.d/qemu-*.conf; do [ ! -e \"$file\" ] || sudo ln -sf /dev/null \"/etc/binfmt.d/${file##*/}\"; done",
        SYSTEMD,
    ),
    not_run(
        "docs/guide/migrate-package.md",
        "sudo systemctl restart systemd-binfmt.service",
        SYSTEMD,
    ),
    not_run(
        "docs/guide/migrate-package.md",
        "sudo systemctl disable --now binfmtd.service",
        SYSTEMD,
    ),
    not_run(
        "docs/guide/migrate-package.md",
        "for file in /etc/binfmt.d/qemu-*.conf; do [ \"$(readlink \"$file\")\" != /dev/null ] || sudo rm \"$file\"; done",
        SYSTEMD,
    ),
    not_run("docs/guide/doctor.md", "sudo binfmtd doctor --rootfs ./rootfs --repeat 20", ROOTFS),
    not_run(
        "docs/guide/doctor.md",
        "sudo binfmtd doctor --rootfs ./rootfs --exec apk info",
        ROOTFS,
    ),
    not_run(
        "docs/guide/runners.md",
        "sudo packaging/runner/install --target linux/arm64,linux/riscv64 target/packages/binfmtd_*.deb",
        SYSTEMD,
    ),
    not_run("docs/guide/runners.md", "sudo packaging/runner/install --remove", SYSTEMD),
    not_run("docs/guide/runners.md", "sudo apt-get purge binfmtd", PURGED),
    not_run("docs/guide/runners.md", "/usr/local/libexec/binfmtd/preflight.sh ./run.sh", RUNNER),
    not_run("docs/guide/runners.md", "/usr/local/libexec/binfmtd/preflight.sh || exit", RUNNER),
    not_run(
        "docs/guide/runners.md",
        "cloud-init schema --config-file packaging/runner/cloud-config.yaml",
        RUNNER,
    ),
    not_run(
        "docs/guide/runners.md",
        "packer build -var host=192.0.2.1 -var package=binfmtd_0.1.0-1_amd64.deb packaging/runner/binfmtd.pkr.hcl",
        FAR,
    ),
    not_run(
        "docs/guide/runners.md",
        "docker build --target github --tag registry.example.com/ci/actions-runner packaging/runner",
        LAYERS,
    ),
    not_run(
        "docs/guide/runners.md",
        "docker build --target gitlab --tag registry.example.com/ci/gitlab-runner packaging/runner",
        LAYERS,
    ),
    not_run("docs/guide/runners.md", "sudo systemctl enable --now binfmtd-doctor.timer", SYSTEMD),
    not_run("docs/guide/buildx.md", "ssh far sudo binfmtd register", FAR),
    not_run(
        "docs/guide/dind.md",
        "docker build --tag registry.example.com/ci/dind-binfmtd packaging/dind",
        DIND,
    ),
    not_run("docs/guide/dind.md", "docker compose up --detach --wait engine", DIND),
    not_run("docs/guide/dind.md", "docker compose run --rm job", DIND),
    not_run("docs/guide/dind.md", "docker compose exec engine binfmtd doctor", DIND),
    not_run(
        "docs/guide/doctor.md",
        "jq -r '.targets[] | [.target, .verdict, .interpreter.version] | @tsv' preflight.json",
        FOREIGN,
    ),
    not_run(
        "docs/guide/migrate.md",
        "docker buildx build -f packaging/container/Dockerfile -t binfmt .",
        PULLS,
    ),
    not_run(
        "docs/guide/migrate.md",
        "docker buildx build -f packaging/container/Dockerfile -t binfmt-sidecar --target sidecar .",
        PULLS,
    ),
    not_run(
        "docs/guide/migrate.md",
        "docker run --privileged --pid=host --rm binfmt --install all",
        NODE,
    ),
    not_run("docs/guide/migrate.md", "ln -s binfmtd /usr/local/bin/binfmt", LINK),
    not_run("docs/guide/migrate.md", "sudo binfmt --install arm64", LINK),
    not_run(
        "docs/guide/migrate-multiarch.md",
        "docker run --rm --privileged multiarch/qemu-user-static --reset -p yes",
        LEFT,
    ),
    not_run(
        "docs/guide/kubernetes.md",
        "docker buildx build -f packaging/container/Dockerfile --target sidecar -t registry.example.com/ci/binfmtd:v1 --push .",
        PULLS,
    ),
    not_run("docs/guide/kubernetes.md", "kubectl apply -k packaging/kubernetes/fleet", RENDERED),
    not_run(
        "docs/guide/kubernetes.md",
        "kubectl --namespace binfmtd rollout status daemonset/binfmtd",
        CLUSTER,
    ),
    not_run(
        "docs/guide/kubernetes.md",
        "kubectl --namespace binfmtd rollout status daemonset/binfmtd --timeout 10m",
        CLUSTER,
    ),
    not_run("docs/guide/kubernetes.md", "kubectl --namespace binfmtd get pods -o wide", CLUSTER),
    not_run("docs/guide/kubernetes.md", "kubectl --namespace binfmtd describe pod POD", CLUSTER),
    not_run(
        "docs/guide/kubernetes.md",
        "kubectl --namespace binfmtd rollout undo daemonset/binfmtd",
        CLUSTER,
    ),
    not_run("docs/guide/kubernetes.md", "kubectl apply -k packaging/kubernetes/remove", RENDERED),
    not_run("docs/guide/kubernetes.md", "kubectl delete -k packaging/kubernetes/remove", CLUSTER),
    not_run(
        "docs/guide/kubernetes.md",
        "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc",
        MOUNTS,
    ),
    not_run("docs/guide/buildx.md", "binfmtd (docker-container)", SAID),
];

/// The languages of blocks that have no commands.
const OTHERS: [&str; 6] = ["text", "yaml", "toml", "ini", "dockerfile", "groovy"];

/// What a line begins with that is a command, and no text or data.
const KNOWN: &str = "apk apt apt-get binfmt binfmtd cargo chmod chroot cloud-init cp curl dnf docker dpkg \
    echo git helm jq journalctl kubectl kustomize ln make mkdir modprobe mount mv nerdctl \
    packer pacman podman rm rpm rustup sh ssh sudo sysctl systemctl tar umount unshare \
    update-binfmts wget zypper ./run.sh";

/// Whether a line of text is a command in truth. Those of a transcript begin with `$ ` or `# `.
fn is_command(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words
        .find(|word| !word.contains('='))
        .is_some_and(|word| KNOWN.split(' ').any(|known| known == word))
}

/// The lines that are commands in truth, in blocks that are not run. Where a file of YAML or the like is shown,
/// commands have their place in there, indented.
fn disguised(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for Fence { language, lines } in split(text).0 {
        if OTHERS.contains(&language) {
            let may_be = |line: &str| language == "text" || !line.starts_with(' ');
            found.extend(lines.into_iter().filter(|(_, line)| may_be(line) && is_command(line)));
        }
    }
    found
}

/// The commands of a file, by its blocks: the line's number and the command.
fn blocks(text: &str) -> Vec<Vec<(usize, &str)>> {
    let (fences, _) = split(text);
    let shell = fences.into_iter().filter(|fence| fence.language == "sh");
    shell
        .map(|fence| {
            let lines = fence.lines.into_iter();
            lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect()
        })
        .collect()
}

fn files() -> Vec<String> {
    std::iter::once("README.md".to_owned()).chain(below("docs/guide")).collect()
}

/// Whether `tests/docker/guide.rs` runs it.
fn is_run_by_docker(file: &str, command: &str) -> bool {
    SHELL.contains(&file) && is_of_docker(command)
}

fn is_listed(file: &str, command: &str) -> bool {
    NOT_RUN.iter().any(|entry| (entry.file, entry.command) == (file, command))
}

fn is_run(file: &str, command: &str) -> bool {
    !is_run_by_docker(file, command) && !is_listed(file, command)
}

#[test]
fn what_is_not_run_is_still_there() {
    for NotRun { file, command, reason } in NOT_RUN {
        let text = read(file);
        let mut lines = blocks(&text).into_iter().flatten().chain(disguised(&text));
        let there = lines.any(|(_, line)| line == *command);
        assert!(there, "{file} has no such command any more: {command} ({reason})");
        let is_run = is_run_by_docker(file, command);
        assert!(!is_run, "{file}: tests/docker/guide.rs runs it: {command} ({reason})");
    }
}

#[test]
fn no_command_hides_in_another_block() {
    let mut problems = Vec::new();
    for file in files() {
        let text = read(&file);
        let (fences, rest) = split(&text);
        for Fence { language, lines } in fences {
            let is_looked_at = match language {
                "sh" => true,
                "console" => CONSOLE.contains(&file.as_str()),
                other => OTHERS.contains(&other),
            };
            if !is_looked_at {
                let line = lines.first().map_or(0, |(number, _)| number - 1);
                problems.push(format!("{file}:{line}: nobody runs a block of \"{language}\" here"));
            }
        }
        for line in rest {
            if ["```", "~~~"].iter().any(|fence| line.trim_start().starts_with(fence)) {
                problems.push(format!("{file}: nobody looks into a block that begins so: {line}"));
            }
        }
        for (number, line) in disguised(&text) {
            if !is_listed(&file, line) {
                problems.push(format!("{file}:{number}: neither sh nor listed here: {line}"));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_command_runs() {
    let Some(place) = Place::prepare() else { return };
    let mut problems = Vec::new();
    let mut count = 0;
    for file in files() {
        for block in blocks(&read(&file)) {
            let mut script = String::new();
            for (line, command) in block {
                assert!(!command.ends_with('\\'), "{file}:{line}: one command a line, please");
                if is_run(&file, command) {
                    count += 1;
                    write!(
                        script,
                        "{command}\nstatus=$?\n[ $status -eq 0 ] || {{ echo {file}:{line}: status $status; exit 99; }}\n"
                    )
                    .unwrap();
                }
            }
            if !script.is_empty()
                && let Err(problem) = place.run(&script)
            {
                problems.push(problem);
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(count > 20, "only {count} commands were found");
}
