//! Interpreters that hang, flood, crash, lie, or say nothing; and a doctor that is interrupted over
//! them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::others::{configure, emulators};
use crate::support::fix::line;
use crate::support::need;
use crate::support::stage::{Stage, eventually, has_ended, listing, says};

/// A static program that misbehaves by the name it has: with any flag, the kernel starts an
/// interpreter under the path that the rule names.
const ACTOR: &str = r#"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often it was started: a byte for each, in a file beside it. 0 where that cannot be written. */
static long starts(const char *path) {
    char name[4096];
    struct stat seen;
    snprintf(name, sizeof name, "%s.starts", path);
    int file = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0 || flock(file, LOCK_EX) || write(file, ".", 1) != 1 || fstat(file, &seen)) return 0;
    return seen.st_size;
}

static void answer(const char *argv0, const char *nonce) {
    printf("actor\n%s\n%s\n\n", argv0, nonce);
    fflush(stdout);
}

int main(int argc, char **argv) {
    /* With P: the interpreter's path, the program's, argv[0], the nonce. */
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    const char *argv0 = argc > 2 ? argv[2] : "";
    const char *nonce = argc > 3 ? argv[3] : "";
    char byte = 0;
    if (!strcmp(name, "hangs")) for (;;) pause();
    if (!strcmp(name, "stops")) raise(SIGSTOP);
    if (!strcmp(name, "crashes")) { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
    if (!strcmp(name, "floods")) for (;;) puts("and on and on and on");
    if (!strcmp(name, "complains")) for (;;) fputs("no, no, no\n", stderr);
    if (!strcmp(name, "silent")) return 0;
    if (!strcmp(name, "lies")) { answer(argv0, "0123456789abcdef"); read(0, &byte, 1); return byte; }
    if (!strcmp(name, "forgets")) { answer(argv0, nonce); read(0, &byte, 1); return 0; }
    if (!strcmp(name, "deaf")) {
        signal(SIGTERM, SIG_IGN);
        answer(argv0, nonce);
        if (read(0, &byte, 1) == 1) return byte;
        for (;;) pause();
    }
    if (!strcmp(name, "flaky") && !getenv("QEMU_VERSION") && starts(argv[0]) % 3 == 2) raise(SIGSEGV);
    if (!strcmp(name, "flaky") || !strcmp(name, "honest")) {
        answer(argv0, nonce);
        return read(0, &byte, 1) == 1 ? byte : 0;
    }
    /* No interpreter: starts a command that may not run what it wrote. */
    if (!strcmp(name, "mdwe")) {
        if (prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0)) return 77;
        execv(argv[1], argv + 1);
    }
    if (!strcmp(name, "forks")) { if (!fork()) for (;;) pause(); return 3; }
    return 1;
}
"#;

/// Builds the program, once for a stage.
pub(crate) fn actor(stage: &Stage) -> Result<PathBuf, String> {
    built(stage, "actor", &["-static"])
}

/// The same, which needs a loader.
pub(crate) fn dynamic_actor(stage: &Stage) -> Result<PathBuf, String> {
    built(stage, "dynamic-actor", &[])
}

fn built(stage: &Stage, name: &str, how: &[&str]) -> Result<PathBuf, String> {
    let (source, program) = (stage.path("actor.c"), stage.path(name));
    if program.exists() {
        return Ok(program);
    }
    fs::write(&source, ACTOR).map_err(|error| error.to_string())?;
    let output = Command::new("cc")
        .args(how)
        .args(["-O1", "-w", "-o"])
        .args([&program, &source])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cc: {error}"))?;
    if output.status.success() {
        Ok(program)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What it does, for which target, the check that sees it, and what is said.
const ACTS: &[(&str, &str, &str, &str)] = &[
    ("hangs", "arm", "exec.host", "it gave no answer in 2 s and was killed"),
    ("stops", "ppc", "exec.host", "it gave no answer in 2 s and was killed"),
    ("crashes", "s390x", "exec.host", "it died by signal 11"),
    ("floods", "mips", "exec.host", "it wrote without end and was killed"),
    ("complains", "mipsel", "exec.host", "it wrote without end and was killed"),
    ("silent", "sparc", "exec.host", "it exited with status 0 and did not answer"),
    ("lies", "m68k", "exec.host", "it exited with status 42 and did not answer"),
    (
        "forgets",
        "hppa",
        "exec.status",
        "should have exited with status 42: it exited with status 0",
    ),
    ("deaf", "alpha", "exec.signal", "SIGTERM should have killed it: it did not end in time"),
    ("forks", "sh4", "exec.host", "it exited with status 3 and did not answer"),
];

/// Configures targets with the actors of `acts`, and a good one.
fn cast(stage: &Stage, acts: &[(&str, &str, &str, &str)], more: &str) -> Option<()> {
    emulators(stage)?;
    let program = need("a C compiler with a static libc", actor(stage))?;
    let mut text = format!("{more}\ntargets = [\"aarch64\"");
    for (_, target, ..) in acts {
        let _ = write!(text, ", \"{target}\"");
    }
    text.push_str("]\n");
    for (act, target, ..) in acts {
        let path = stage.install(&program, act);
        let _ = write!(text, "[target.{target}]\ninterpreter = \"{}\"\n", path.display());
    }
    configure(stage, &text);
    Some(())
}

pub(crate) fn named(stage: &Stage) -> Option<String> {
    cast(stage, ACTS, "")?;
    stage.well(&["register", "--no-verify"]);
    let examined = stage.fails(&["doctor", "--timeout", "2"]);
    for (act, target, check, sentence) in ACTS {
        assert_eq!(examined.verdict(target), "broken", "{act}");
        let check = examined.check(check, target);
        assert_eq!(check["status"], "fail", "{act}: {check:#}");
        says(&check["summary"], &[sentence]);
    }
    assert_eq!(examined.verdict("aarch64"), "working");
    assert!(stage.starts("aarch64"));

    // None of them gets a rule, neither by a trial before nor by a proof in place; each is told why.
    // Whoever hangs takes his whole time there, so not all of them have to.
    let acts: Vec<_> = ACTS.iter().copied().filter(|(act, ..)| *act != "stops").collect();
    for when in ["before", "after"] {
        stage.reset();
        cast(stage, &acts, &format!("verify = \"{when}\""))?;
        let answer = stage.fails(&["register"]);
        for (act, target, check, sentence) in &acts {
            let line = answer.rule_of(target);
            // Only a doctor looks at signals.
            let is_refused = *check != "exec.signal";
            assert_eq!(line["changed"], !is_refused, "{act}: {line:#}");
            if is_refused {
                says(&line["error"], &[&sentence.replace("2 s", "10 s")]);
            }
        }
        let names: Vec<_> = Stage::entries().into_keys().collect();
        assert_eq!(names, ["qemu-aarch64", "qemu-alpha"], "verify = {when}");
        assert!(stage.starts("aarch64"));
    }
    Some(format!("{} ways to misbehave", ACTS.len()))
}

pub(crate) fn flaky(stage: &Stage) -> Option<String> {
    cast(stage, &[("flaky", "arm", "", "")], "")?;
    stage.well(&["register", "--no-verify"]);
    let again = || {
        let _ = fs::remove_file(stage.path("bin/flaky.starts"));
    };
    again();
    let examined = stage.fails(&["doctor", "--repeat", "9"]);
    assert_eq!(examined.verdict("arm"), "flaky");
    assert_eq!(examined.verdict("aarch64"), "working");
    let check = examined.check("exec.repeat", "arm");
    assert_eq!(check["status"], "fail", "{check:#}");
    says(&check["summary"], &["6 of 9 runs answered", "died by signal 11"]);
    says(&line(check).into(), &["another version of QEMU", "binfmtd register arm"]);
    // Said once: whatever run was the one that died.
    let said: Vec<_> = examined.json["checks"]
        .as_array()?
        .iter()
        .filter(|check| {
            check["target"] == "arm" && (check["status"] == "fail" || check["status"] == "error")
        })
        .collect();
    assert_eq!(said.len(), 1, "{said:#?}");
    let check = examined.check("exec.repeat", "aarch64");
    says(&check["summary"], &["9 of 9 runs answered"]);

    // Once is not asked for more than once.
    again();
    let examined = stage.run(&["doctor"]);
    let check = examined.check("exec.repeat", "arm");
    assert_eq!(check["status"], "skip", "{check:#}");
    says(&check["summary"], &["--repeat N"]);
    Some("6 of 9".to_owned())
}

/// Whether a command of ours has started programs, and so has its folder.
fn is_in_the_middle(stage: &Stage, command: &Child) -> bool {
    let pid = command.id();
    let programs = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    !listing(&stage.path("scratch")).is_empty()
        && programs.is_ok_and(|programs| !programs.trim().is_empty())
}

fn signal(command: &Child, signal: Signal) {
    let pid = Pid::from_raw(command.id().try_into().expect("a pid"));
    kill(pid, signal).expect("a child of ours");
}

pub(crate) fn interrupted(stage: &Stage) -> Option<String> {
    let acts: Vec<_> =
        ACTS.iter().copied().filter(|(act, ..)| ["hangs", "stops", "deaf"].contains(act)).collect();
    cast(stage, &acts, "")?;
    stage.well(&["register", "--no-verify"]);
    let before = Stage::entries();
    let hour = ["doctor", "--timeout", "3600"];
    for how in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut command = stage.command(&hour).spawn().expect("binfmtd starts");
        eventually("the doctor runs programs", Duration::from_secs(60), || {
            assert!(!has_ended(&mut command), "the doctor ended by itself");
            is_in_the_middle(stage, &command)
        });
        signal(&command, how);
        let status = command.wait().expect("a child of ours");
        assert!(!status.success(), "{how}: {status}");
        stage.nothing_left(&format!("a doctor that got {how}"));
    }

    // At any moment from start to end, of a doctor and of a register whose programs all answer.
    configure(stage, "targets = [\"aarch64\", \"riscv64\"]");
    let mut rounds = 0;
    for arguments in [&["doctor"][..], &["register", "--takeover"]] {
        stage.reset();
        stage.well(&["register"]);
        let whole = Instant::now();
        stage.well(arguments);
        let whole = whole.elapsed();
        for round in 0..20_u32 {
            stage.forget();
            let mut command = stage.command(arguments).spawn().expect("binfmtd starts");
            // Spread over the time that it takes; not a synchronisation.
            std::thread::sleep(whole * round / 20);
            let how = if round % 2 == 0 { Signal::SIGINT } else { Signal::SIGTERM };
            signal(&command, how);
            command.wait().expect("a child of ours");
            // A trial in the middle is told that its parent is gone, and cleans up.
            eventually("no process is left", Duration::from_secs(20), || {
                crate::support::stage::children().is_empty()
            });
            stage.nothing_left(&format!("{arguments:?} that got {how} in round {round}"));
            assert!(stage.starts("aarch64") && stage.starts("riscv64"), "{arguments:?} {round}");
            rounds += 1;
        }
    }
    stage.well(&["register"]);

    // A rule that is being proved in place is taken back.
    stage.reset();
    cast(stage, &acts[..1], "verify = \"after\"")?;
    let mut command = stage.command(&["register"]).spawn().expect("binfmtd starts");
    eventually("the rule is being proved", Duration::from_secs(60), || {
        assert!(!has_ended(&mut command), "register ended by itself");
        Stage::entries().contains_key("qemu-arm") && is_in_the_middle(stage, &command)
    });
    signal(&command, Signal::SIGTERM);
    assert!(!command.wait().expect("a child of ours").success());
    stage.nothing_left("a register that got SIGTERM");
    assert!(Stage::entries().is_empty(), "what was not proved was not taken back");
    assert_ne!(before.len(), 0);
    Some(format!("3 signals in the middle, {rounds} at any time"))
}
