//! Where words go, and in which colours.

use std::io;
use std::process::Stdio;

use crate::support::need;
use crate::world::{BINFMTD, World};

const ESCAPE: char = '\x1b';

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let world = World::host();
    for line in [
        "targets",
        "targets -v --format json",
        "config show",
        "doctor --list-checks",
        "--help",
        "--version",
        "config --format json check",
        "status --format json --bad-usage",
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = world.command(world.words(line));
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        // The command holds the writing end.
        drop(command);
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        let code = if line.contains("bad") { 2 } else { 0 };
        assert_eq!((output.status.code(), err.as_ref()), (Some(code), ""), "{line}");
    }
    let said =
        world.run(["sh", "-c", &format!("{{ {BINFMTD} targets; echo $? >&2; }} | head -n 1")]);
    assert_eq!((said.out.lines().count(), said.err.as_str()), (1, "0\n"));
}

#[test]
fn there_is_no_colour_in_a_pipe() {
    let world = World::host();
    for line in ["targets -v", "doctor --list-checks", "--help", "targets nonsense"] {
        let said = world.binfmtd(line);
        assert!(!said.out.contains(ESCAPE) && !said.err.contains(ESCAPE), "{line}: {said:#?}");
    }
}

#[test]
fn colour_can_be_forced_and_forbidden() {
    let world = World::host();
    let with = |settings: &[&str], line: &str| {
        let mut words = vec!["env".to_owned()];
        words.extend(settings.iter().map(|&setting| setting.to_owned()));
        words.push(BINFMTD.to_owned());
        words.extend(line.split(' ').map(str::to_owned));
        world.run(words)
    };
    assert!(with(&["CLICOLOR_FORCE=1"], "targets").out.contains(ESCAPE));
    assert!(with(&["CLICOLOR_FORCE=1"], "targets nonsense").err.contains(ESCAPE));
    let said = with(&["CLICOLOR_FORCE=1", "NO_COLOR=1"], "targets").ended(0);
    assert!(!said.out.contains(ESCAPE), "{said:#?}");
    let said = with(&["CLICOLOR_FORCE=1"], "targets --format json").ended(0);
    assert!(!said.out.contains(ESCAPE), "no colour in data: {said:#?}");
    said.document();
}

#[test]
fn a_terminal_gets_colour_unless_told_otherwise() {
    let world = World::host();
    let version = world.run(["script", "--version"]);
    let found = if version.code == 0 { Ok(()) } else { Err(version.err) };
    if need("script (util-linux)", found).is_none() {
        return;
    }
    let on_terminal = |setting: &str| {
        let line = format!("env -u CI TERM=xterm {setting} {BINFMTD} targets s390x");
        world.run(["script", "-qec", &line, "/dev/null"]).ended(0).out
    };
    assert!(on_terminal("A=1").contains(ESCAPE));
    assert!(!on_terminal("NO_COLOR=1").contains(ESCAPE));
    assert!(!on_terminal("TERM=dumb").contains(ESCAPE));
}

#[test]
fn logs_never_reach_standard_output() {
    let world = World::host();
    world.json("-vv targets s390x");
    world.json("-vv config show");
}

#[test]
fn a_full_disk_is_told_where_it_can_be() {
    let world = World::host();
    for format in ["text", "json"] {
        let line = format!("{BINFMTD} --format {format} targets s390x > /dev/full");
        let said = world.run(["sh", "-c", &line]).ended(3);
        assert!(
            said.err.contains("write the result to standard output: No space left"),
            "{said:#?}"
        );
    }
    for format in ["junit", "github", "json"] {
        let line = format!("{BINFMTD} --format {format} doctor nonsense > /dev/full");
        let said = world.run(["sh", "-c", &line]).ended(2);
        assert!(said.err.contains("unknown target"), "{format}: {said:#?}");
    }
}

#[test]
fn no_name_steers_a_terminal() {
    let world = World::host();
    for (words, seen) in [
        (["doctor", "\x1b[2J\n::error::a"], r"\u{1b}[2J\n::error::a"),
        (["targets", "\u{202e}a\u{2028}b"], r"\u{202e}a\u{2028}b"),
        (["which", "/\u{200b}\x07"], r"/\u{200b}\u{7}"),
    ] {
        let said = world.run([BINFMTD].into_iter().chain(words));
        assert_ne!(said.code, 0, "{said:#?}");
        assert!(said.err.contains(seen), "{seen}: {said:#?}");
        assert_eq!(said.err.lines().count(), 1, "{said:#?}");
        assert!(!said.err.contains(['\x1b', '\x07', '\u{202e}', '\u{200b}']), "{said:#?}");
    }
}

#[test]
fn what_runs_by_itself_needs_no_advice() {
    let world = World::host();
    let natives = world.json("doctor")["host"]["natives"].as_array().unwrap().clone();
    let native = natives[0].as_str().unwrap();
    let said = world.binfmtd(&format!("doctor {native}"));
    assert!(said.out.contains(&format!("natively runs {native}")), "{said:#?}");
    assert!(!said.out.contains("install"), "{said:#?}");
}
