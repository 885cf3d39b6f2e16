//! Every command in the README and in the guide runs, in a private instance, or is listed here.

use std::fmt::Write as _;

use crate::markdown::{below, read, split};
use crate::private::Place;

/// A command that is not run, and why not.
struct NotRun {
    file: &'static str,
    command: &'static str,
    reason: &'static str,
}

const fn not_run(file: &'static str, command: &'static str, reason: &'static str) -> NotRun {
    NotRun { file, command, reason }
}

const BUILDS: &str = "builds what this test is part of; the tests' own run does it";
const INSTALLS: &str = "tests/scripts/install does it, into a folder of its own";
const PACKS: &str = "tests/scripts/packages does it, with the tests' binary";
const HOST: &str = "changes the host";
const SYSTEMD: &str = "tests/systemd does it, in a container with systemd";
const ROOTFS: &str =
    "tests/commands/rootfs.rs does it, with Debian's packages of arm64 and riscv64";
const DIND: &str =
    "tests/docker/dind.rs does what it does, in an engine of its own; compose itself is not there";
const RUNNER: &str = "tests/scripts/runner does it, in a private instance and in chroots";
const FAR: &str = "needs another machine";
const LAYERS: &str = "tests/docker/runner.rs does it, with stand-ins for a registry's images";
const FOREIGN: &str = "needs a program that the tests do not";

/// Closed: a command that is new runs, or is put here on purpose. An entry that no file has is a failure.
const NOT_RUN: &[NotRun] = &[
    not_run("README.md", "make demo", BUILDS),
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
        SYSTEMD,
    ),
    not_run("docs/guide/install.md", "sudo dnf install ./target/packages/binfmtd-*.rpm", SYSTEMD),
    not_run("docs/guide/install.md", "make build", BUILDS),
    not_run("docs/guide/install.md", "make static", BUILDS),
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
        "for file in /usr/lib/binfmt.d/qemu-*.conf; do sudo ln -sf /dev/null /etc/binfmt.d/${file##*/}; done",
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
        "for file in /usr/lib/binfmt.d/qemu-*.conf; do sudo rm -f /etc/binfmt.d/${file##*/}; done",
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
];

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

/// What takes Docker is run by `tests/docker/guide.rs`, with a real engine.
fn is_of_docker(command: &str) -> bool {
    command.contains("buildx") || command.contains("--builder")
}

fn is_run(file: &str, command: &str) -> bool {
    !is_of_docker(command)
        && !NOT_RUN.iter().any(|entry| (entry.file, entry.command) == (file, command))
}

#[test]
fn what_is_not_run_is_still_there() {
    for NotRun { file, command, reason } in NOT_RUN {
        let text = read(file);
        let there = blocks(&text).into_iter().flatten().any(|(_, line)| line == *command);
        assert!(there, "{file} has no such command any more: {command} ({reason})");
    }
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
