//! `binfmtd run`: the parent of a command.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::need;
use crate::world::{BINFMTD, Said, World, failing_program, probe, qemu, with_interpreter};

/// A world in which private instances can be made, by anybody.
fn world() -> Option<World> {
    qemu()?;
    // Whether there are user namespaces is asked there.
    World::mounted()?;
    Some(World::host())
}

/// One target, not proved: these tests are about the command.
const QUICK: &str = "run --private --no-verify --target s390x --";

fn shell(world: &World, options: &str, script: &str) -> Said {
    let mut words = world.words(options);
    words.extend(["sh", "-c", script].map(Into::into));
    world.run(words)
}

#[test]
fn the_exit_status_is_passed_on() {
    let Some(world) = world() else { return };
    for status in [0, 1, 7, 125, 200, 255] {
        let said = shell(&world, QUICK, &format!("exit {status}")).ended(status);
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGUSR1, Signal::SIGABRT] {
        let script = format!("ulimit -c 0; kill -{} $$", signal as i32);
        shell(&world, QUICK, &script).ended(128 + signal as i32);
    }
}

#[test]
fn a_command_that_cannot_be_run_ends_as_in_a_shell() {
    let Some(world) = world() else { return };
    let plain = world.folder().join("plain");
    fs::write(&plain, "no program").unwrap();
    let foreign = world.program("foreign", &probe("riscv64"));
    let script = world.program("script", b"#!/nowhere/sh\n");
    for (command, code, part) in [
        ("no-such-command", 127, "no-such-command: command not found"),
        ("/no/such/command", 127, "/no/such/command: command not found"),
        (plain.to_str().unwrap(), 126, "permission denied"),
        ("/", 126, "permission denied"),
        // No shell gets to see what no rule takes.
        (foreign.to_str().unwrap(), 126, "exec format error: no rule takes it"),
        (script.to_str().unwrap(), 126, "no such file or directory, though the program is there"),
    ] {
        let said = world.binfmtd(&format!("{QUICK} {command}")).ended(code);
        assert!(said.err.starts_with("binfmtd: ") && said.err.contains(part), "{said:#?}");
        assert_eq!(said.out, "");
        let document = world.binfmtd(&format!("--format json {QUICK} {command}")).document();
        assert_eq!(document["error"]["exit"], code, "{document:#}");
    }
}

#[test]
fn a_foreign_program_runs() {
    let Some(world) = world() else { return };
    let program = world.program("hello", &probe("s390x"));
    let line = format!("run --private --target s390x -- {} word", program.display());
    let said = world.binfmtd(&line).ended(0);
    assert!(said.out.starts_with("s390x\n") && said.out.contains("\nword\n"), "{said:#?}");
}

#[test]
fn words_after_the_dashes_are_the_commands_own() {
    let Some(world) = world() else { return };
    let said = world.binfmtd(&format!("{QUICK} echo --format json --help -v")).ended(0);
    assert_eq!(said.out, "--format json --help -v\n");
    world.binfmtd("run --private").ended(2);
    world.binfmtd("run --private --").ended(2);
    // Without them, it is told where they belong.
    let said = world.binfmtd("run --private true").ended(2);
    assert!(said.err.contains("-- <COMMAND>"), "{said:#?}");
    let document = world.binfmtd("run --private --format json").ended(2).document();
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("<COMMAND>"), "{message}");
}

#[test]
fn only_the_targets_that_are_asked_for() {
    let Some(world) = world() else { return };
    for (targets, rules) in [
        ("--target s390x", "qemu-s390x\n"),
        ("--target linux/arm64,s390x", "qemu-aarch64\nqemu-s390x\n"),
        ("--target arm64 --target s390x", "qemu-aarch64\nqemu-s390x\n"),
        ("", "qemu-aarch64\nqemu-riscv64\nqemu-s390x\n"),
    ] {
        let options = format!("run --private --no-verify {targets} --");
        let said = shell(&world, &options, "cd /proc/sys/fs/binfmt_misc; ls | grep qemu").ended(0);
        assert_eq!(said.out, rules, "{targets}");
    }
}

#[test]
fn strict_runs_nothing_when_a_target_fails() {
    let Some(world) = world() else { return };
    let Some(program) = failing_program() else { return };
    let program = world.program("qemu-riscv64", &program);
    let broken = with_interpreter("riscv64", &program);
    world.configure(&broken);

    let said = world.binfmtd("run --private -- echo went on").ended(0);
    assert_eq!(said.out, "went on\n");
    assert!(said.err.contains("riscv64: "), "the failure is told: {said:#?}");
    let said = world.binfmtd("run --private --strict -- echo went on").ended(1);
    assert_eq!(said.out, "");
    assert!(said.err.contains("riscv64: ") && said.err.contains("--strict"), "{said:#?}");
    let said = world.binfmtd("--format json run --private --strict -- echo went on").ended(1);
    assert_eq!(said.document()["error"]["kind"], "failed");
    world.binfmtd("run --private --strict --target s390x -- true").ended(0);
}

#[test]
fn input_and_output_are_the_commands() {
    let Some(world) = world() else { return };
    let mut command = world.command(world.words(&format!("{QUICK} cat")));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"in and out\n").unwrap();
    let said = Said::from(child.wait_with_output().unwrap()).ended(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("in and out\n", ""));
    let said = shell(&world, QUICK, "echo trouble >&2").ended(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", "trouble\n"));
}

/// Ends with the test, and its command at the end of its input.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn signals_are_handed_on() {
    let Some(world) = world() else { return };
    // A shell runs its traps while it waits. What it waits for ends with the input.
    let script =
        "for name in HUP INT QUIT USR1 USR2 ALRM WINCH TERM; do trap \"echo $name\" $name; done
        exec 3<&0
        cat <&3 > /dev/null &
        echo ready
        while kill -0 $! 2> /dev/null; do wait $!; done
        exit 9";
    let mut words = world.words(QUICK);
    words.extend(["sh", "-c", script].map(Into::into));
    let mut command = world.command(words);
    let mut running =
        Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert_eq!(line(), "ready");
    let pid = Pid::from_raw(i32::try_from(running.0.id()).unwrap());
    for (signal, name) in [
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGUSR2, "USR2"),
        (Signal::SIGALRM, "ALRM"),
        (Signal::SIGWINCH, "WINCH"),
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGTERM, "TERM"),
    ] {
        kill(pid, signal).unwrap();
        assert_eq!(line(), name);
    }
    drop(running.0.stdin.take());
    assert_eq!(running.0.wait().unwrap().code(), Some(9));
}

/// Makes a terminal whose session the words lead, hangs up once they say "ready", and prints their status.
const HANG_UP: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said = b''
while b'ready' not in said:
    said += os.read(terminal, 100)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn the_end_of_its_terminal_reaches_the_command() {
    let Some(world) = world() else { return };
    let python = Command::new("/usr/bin/python3").arg("--version").output();
    if need("/usr/bin/python3", python.map_err(|error| error.to_string())).is_none() {
        return;
    }
    // The kernel tells the leader of the session alone, which the shell is not.
    let script = "trap 'exit 7' HUP; echo ready; while :; do sleep 0.1; done";
    let words = ["/usr/bin/python3", "-c", HANG_UP].map(std::ffi::OsString::from);
    let quick = world.words(QUICK);
    let shell = ["sh", "-c", script].map(Into::into);
    let said = world.run(words.into_iter().chain(quick).chain(shell)).ended(0);
    assert_eq!(said.out, "7\n", "{said:#?}");
}

/// What makes the words behind it the first process of a PID namespace, which ends with it.
const FIRST: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

fn world_with_a_first_process() -> Option<World> {
    qemu()?;
    let world = World::unmounted()?;
    let tried = world.run(FIRST.into_iter().chain(["true"]));
    let found = if tried.code == 0 { Ok(()) } else { Err(tried.err) };
    need("a PID namespace with its own /proc", found)?;
    Some(world)
}

#[test]
fn as_the_first_process_it_reaps_orphans() {
    let Some(world) = world_with_a_first_process() else { return };
    // Their parents end at once, so they are handed to process 1.
    let script = "cat /proc/1/comm
        for status in 0 1 2; do
            orphan=$(sh -c \"exec > /dev/null; (exit $status) & echo \\$! >&3\" 3>&1)
            while [ -e /proc/$orphan ]; do :; done
        done
        cat /proc/[0-9]*/status 2> /dev/null | grep -c '^State:.Z'";
    for options in ["--private", ""] {
        let line = format!("run {options} --no-verify --target s390x -- sh -c");
        let mut words: Vec<_> = FIRST.into_iter().map(Into::into).collect();
        words.extend(world.words(&line));
        words.push(script.into());
        let said = world.run(words);
        assert_eq!(
            (said.code, said.out.as_str()),
            (1, "binfmtd\n0\n"),
            "grep finds none: {said:#?}"
        );
    }
}

/// Ends once what it leaves running is what it is to be.
const LEAVE: &str = "sleep 60 >/dev/null 2>&1 &
    while [ -e /proc/$! ] && ! grep -q sleep /proc/$!/comm; do :; done";

/// Somebody who enters a container while its first process runs probes leaves something running: that is not ours to end.
#[test]
fn what_others_leave_to_the_first_process_lives() {
    let Some(world) = world_with_a_first_process() else { return };
    let script = "echo ready; read -r line; grep -l '^Name:.sleep$' /proc/[0-9]*/status | wc -l";
    let mut words: Vec<std::ffi::OsString> = FIRST.into_iter().map(Into::into).collect();
    // Every target there is: that takes long enough for several to enter.
    words.extend([BINFMTD, "run", "--private", "--", "sh", "-c", script].map(Into::into));
    let mut command = world.command(words);
    let mut running =
        Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let outer = running.0.id();
    let is_ready = AtomicBool::new(false);
    let left = std::thread::scope(|scope| {
        let entering = scope.spawn(|| {
            let mut left = 0;
            // Also when it never says so: then the test fails, and is not to wait for ever.
            let begun = Instant::now();
            while !is_ready.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(30) {
                let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
                let children = children.unwrap_or_default();
                let Some(inner) = children.split_whitespace().next() else { continue };
                let entered = Command::new("nsenter")
                    .args(["--user", "--preserve-credentials", "--mount", "--pid", "--target"])
                    .args([inner, "--", "sh", "-c", LEAVE])
                    .stderr(Stdio::null())
                    .status();
                left += usize::from(entered.is_ok_and(|status| status.success()));
            }
            left
        });
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        is_ready.store(true, Ordering::Relaxed);
        entering.join().unwrap()
    });
    running.0.stdin.take().unwrap().write_all(b"\n").unwrap();
    let live: usize = lines.next().unwrap().unwrap().trim().parse().unwrap();
    assert!(left > 3, "only {left} could enter");
    assert_eq!(live, left, "some were ended");
}

/// As in a container, where somebody looks at its health while rules are still being registered.
#[test]
fn what_ended_before_the_command_began_is_reaped_too() {
    let Some(world) = world() else { return };
    // What a process has for a child stays its child when it becomes another program; this one ends just then.
    let line: Vec<String> = world
        .words("run --private --target s390x --")
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let script = format!(
        "(until read -r name </proc/$$/comm && [ $name = binfmtd ]; do :; done) & ended=$!; export ended
        exec {} sh -c 'while [ -e /proc/$ended ]; do sleep 0.01; done'",
        line.join(" ")
    );
    world.run(["timeout", "20", "sh", "-c", &script]).ended(0);
}

#[test]
fn nothing_is_left_behind() {
    let Some(world) = world() else { return };
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let temporary = world.folder().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let setting = format!("TMPDIR={}", temporary.display());
    let run = |line: &str| {
        let mut words = vec!["env".into(), (&setting).into()];
        words.extend(world.words(line));
        world.run(words)
    };
    let left = || fs::read_dir(&temporary).unwrap().count();
    for (line, code) in [
        ("run --private -- true", 0),
        ("run --private -- no-such-command", 127),
        ("run --private --strict --target x86_64,s390x -- sh -c exit\t3", 0),
        ("run --private --target nonsense -- true", 2),
    ] {
        let said = run(line);
        assert_eq!((said.code, left()), (code, 0), "{line}: {said:#?}");
    }
    // While it runs, its record lies there, and commands in it find it.
    let said = run(&format!("run --private --target s390x -- {BINFMTD} --format json status"));
    assert_eq!(said.document()["rules"][0]["owner"], "binfmtd");
    assert_eq!(left(), 0);
    assert!(!world.runtime().exists(), "the host's record is not touched");
    assert_eq!(mounts(), before);
}

#[test]
fn the_rules_of_the_instance_around_it_stay() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.binfmtd("register arm64").ended(0);
    let mounts = world.mounts();
    let show = "cd $M; cat status; stat -c '%n %i %z' *";
    let before = world.sh(show);
    world.binfmtd("run --private -- true").ended(0);
    assert_eq!(world.sh(show), before);
    // Without --private they are added to, and stay: this instance is mounted for good.
    world.binfmtd("run --target s390x -- true").ended(0);
    assert_eq!(world.rules(), ["qemu-aarch64", "qemu-s390x"]);
    assert_eq!(world.mounts(), mounts);
}
