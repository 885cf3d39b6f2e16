//! What the kernel runs by itself is told without running any of it, whatever stands before it.

use std::path::Path;
use std::process::Command;

use binfmtd::testing::probe::{self, ElfType};
use binfmtd::testing::rule::{InterpreterPath, Matcher, Rule};
use binfmtd::testing::system::binfmt_misc::native::{self, RunBy};
use binfmtd::testing::target::Target;

use crate::support::stage::Stage;
use crate::support::{Private, need};

/// Another target whose programs this kernel may run, and its seccomp number for this machine's own
/// system calls (`AUDIT_ARCH_…` of `include/uapi/linux/audit.h`).
fn relative() -> Result<(&'static str, u32), String> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(("i386", 0xc000_003e)),
        "aarch64" => Ok(("arm", 0xc000_00b7)),
        other => Err(format!("no target is known whose programs a kernel for {other} runs")),
    }
}

/// The same, and it really runs them.
fn that_runs(stage: &Stage) -> Option<(&'static str, u32)> {
    let found = relative().and_then(|relative| {
        stage.starts(relative.0).then_some(relative).ok_or(format!("{} does not start", relative.0))
    });
    need("a kernel that runs another target's programs", found)
}

fn targets<'a>(stage: &'a Stage, names: &[&str]) -> Vec<&'a Target> {
    names.iter().map(|name| stage.table().find(name).expect("a known target")).collect()
}

/// What the kernel says of these targets' programs, as either kind of file.
fn ask(stage: &Stage, names: &[&str]) -> Vec<RunBy> {
    let programs: Vec<_> = targets(stage, names)
        .into_iter()
        .flat_map(|target| {
            [ElfType::Executable, ElfType::Shared].map(|kind| probe::truncated(target, kind))
        })
        .collect();
    native::ask(&programs).expect("answers")
}

/// The names that `binfmtd targets` calls native.
fn told(stage: &Stage) -> Vec<String> {
    let answer = stage.well(&["targets"]);
    let lines = answer.json["targets"].as_array().expect("targets");
    lines
        .iter()
        .filter(|line| line["native"] == true)
        .map(|line| line["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// A rule for a target's programs of both kinds.
fn rule(target: &Target, interpreter: &Path, flags: &str) -> String {
    let (name, magic) = target.rules().remove(0);
    let flags = flags.parse().expect("known flags");
    let path = InterpreterPath::new(interpreter).expect("a path");
    let rule = Rule::new(name, Matcher::Magic(magic), path, flags).expect("a rule");
    String::from_utf8(rule.register_string().to_vec()).expect("escapes only")
}

pub(crate) fn behind_a_rule(stage: &Stage) -> Option<String> {
    let (relative, _) = that_runs(stage)?;
    let host = std::env::consts::ARCH;
    let before = told(stage);
    assert!(before.iter().any(|name| name == relative), "{before:?}");
    assert!(before.iter().any(|name| name == host), "{before:?}");
    assert_eq!(ask(stage, &[host, relative, "sh4"]), {
        let [kernel, nobody] = [RunBy::Kernel, RunBy::Nobody];
        [kernel.clone(), kernel.clone(), kernel.clone(), kernel, nobody.clone(), nobody]
    });

    let mark = stage.path("mark");
    let script = format!("#!/bin/sh\necho \"$@\" > {}\n", mark.display());
    let interpreter = stage.install_content(script.as_bytes(), "interpreter");
    let missing = stage.path("bin/missing");
    let ways =
        [("", &interpreter), ("F", &interpreter), ("O", &interpreter), ("POCF", &interpreter)];
    for (flags, interpreter) in ways.into_iter().chain([("", &missing), ("P", &missing)]) {
        stage.reset();
        for name in [relative, "sh4"] {
            stage.plant(&rule(targets(stage, &[name])[0], interpreter, flags));
        }
        let answers = ask(stage, &[host, relative, "sh4"]);
        assert_eq!(answers[..2], [RunBy::Kernel, RunBy::Kernel], "{flags}");
        assert!(answers[2..].iter().all(|answer| *answer == RunBy::Rule), "{flags}: {answers:?}");
        assert_eq!(told(stage), before, "{flags}: in an instance without rules it is told");
        assert!(!mark.exists(), "{flags}: {} was started", interpreter.display());
    }
    // Were it started, it would be seen.
    stage.reset();
    stage.plant(&rule(targets(stage, &[relative])[0], &interpreter, ""));
    assert!(stage.starts(relative) && mark.exists());

    // A rule that no guard let through: now nothing starts any more, which a trial has to see.
    stage.reset();
    for interpreter in [Path::new("/bin/true"), &interpreter, &missing] {
        stage.plant(&rule(targets(stage, &[host])[0], interpreter, ""));
        let answers = ask(stage, &[host]);
        Private::flush().expect("an instance that can be emptied");
        assert_eq!(answers, [RunBy::Rule, RunBy::Rule], "{}", interpreter.display());
    }
    assert_eq!(ask(stage, &[host]), [RunBy::Kernel, RunBy::Kernel]);
    Some(format!("native: {}", before.join(", ")))
}

pub(crate) fn sandboxed(stage: &Stage) -> Option<String> {
    let (relative, architecture) = that_runs(stage)?;
    let before = told(stage);
    allow_own_system_calls_only(architecture);
    assert!(!stage.starts(relative), "the sandbox does not hold");
    assert!(Command::new("/bin/true").status().is_ok_and(|status| status.success()));
    assert_eq!(told(stage), before);
    Some(format!("{relative} is told where it may not run"))
}

/// As systemd's `SystemCallArchitectures=native` does.
#[allow(unsafe_code, reason = "no crate here has seccomp(2)")]
fn allow_own_system_calls_only(architecture: u32) {
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).expect("a short code"),
        jt,
        jf,
        k,
    };
    let (kill, allow) = (libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_ALLOW);
    let mut steps = [
        // `seccomp_data.arch`.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 4),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, architecture),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, kill),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, allow),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs().expect("no new privileges");
    // SAFETY: the program is a valid one of four steps that lives until the call returns.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program) };
    assert_eq!(result, 0, "seccomp: {}", std::io::Error::last_os_error());
}
