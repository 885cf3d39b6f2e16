//! Help, version and bad usage.

use crate::keys;
use crate::world::World;

/// As `--help` lists them.
fn commands(world: &World) -> Vec<String> {
    let said = world.binfmtd("--help").ended(0);
    let list = said.out.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_help_with_examples() {
    let Some(world) = World::unmounted() else { return };
    let commands = commands(&world);
    assert!(commands.len() >= 9, "{commands:?}");
    for command in &commands {
        let said = world.binfmtd(&format!("{command} --help")).ended(0);
        assert_eq!(said.err, "");
        let examples = said.out.split("\nExample").nth(1);
        let example = format!("binfmtd {command}");
        assert!(examples.is_some_and(|text| text.contains(&example)), "{command}: {said:#?}");
        assert!(said.out.lines().all(|line| line.chars().count() <= 120), "{said:#?}");
        assert_eq!(world.binfmtd(&format!("help {command}")).ended(0).out, said.out);
    }
    let said = world.binfmtd("--help").ended(0);
    assert!(said.out.contains("Exit codes: 0 ") && said.out.contains("run --private"), "{said:#?}");
}

#[test]
fn the_version_is_the_packages() {
    let said = World::host().binfmtd("--version").ended(0);
    assert_eq!(said.out, format!("binfmtd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_usage_ends_with_2_in_text_and_json() {
    let Some(world) = World::unmounted() else { return };
    for (line, part) in [
        ("", "subcommand"),
        ("frobnicate", "frobnicate"),
        ("register --frobnicate", "--frobnicate"),
        ("unregister", "<TARGETS>"),
        ("which", "<FILE>"),
        ("export", "--as <TOOL>"),
        ("export --as nonsense", "nonsense"),
        ("config", "subcommand"),
        ("doctor --timeout 0", "--timeout"),
        ("doctor --timeout soon", "--timeout"),
        ("run", "<COMMAND>"),
    ] {
        let said = world.binfmtd(line).ended(2);
        assert_eq!(said.out, "", "{line}");
        assert!(said.err.contains("Usage: binfmtd") || said.err.contains("--help"), "{said:#?}");
        for option in ["--format json", "--format=json"] {
            let said = world.binfmtd(&format!("{option} {line}")).ended(2);
            let document = said.document();
            assert_eq!(keys(&document), ["error", "ok", "schema"]);
            assert_eq!(keys(&document["error"]), ["exit", "faults", "kind", "message"]);
            assert_eq!((&document["error"]["exit"], said.err.as_str()), (&2.into(), ""));
            let message = document["error"]["message"].as_str().unwrap();
            assert!(message.contains(part) && !message.contains('\n'), "{part:?} {message:?}");
        }
    }
    let said = world.binfmtd("--format xml targets").ended(2);
    assert!(said.err.contains("text, json"), "{said:#?}");
}
