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
