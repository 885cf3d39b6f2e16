//! `binfmtd config`

use crate::keys;
use crate::world::World;

#[test]
fn show_says_where_each_value_comes_from() {
    let world = World::host();
    world.configure("targets = [\"arm64\"]\nverify = \"off\"\n");
    let said = world.binfmtd("config show").ended(0);
    let file = world.config();
    let expected = format!("verify = \"off\" # {}:2\n", file.display());
    assert!(said.out.contains(&expected), "{said:#?}");
    assert!(said.out.contains("credentials = false # default\n"), "{said:#?}");

    let document = world.json("config show");
    let wanted = ["buildx", "daemon", "files", "ok", "rule", "schema", "settings", "target"];
    assert_eq!(keys(&document), wanted);
    assert_eq!(document["settings"]["verify"]["value"], "off", "{document:#}");

    // What it prints can be read again.
    let again = world.folder().join("again.toml");
    std::fs::write(&again, &said.out).unwrap();
    let words = format!("--config {} config check", again.display());
    let mut line = vec![crate::world::BINFMTD];
    line.extend(words.split(' '));
    assert_eq!(world.run(line).ended(0).out, "");
}

#[test]
fn check_is_silent_when_all_is_well() {
    let world = World::host();
    let said = world.binfmtd("config check").ended(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    assert_eq!(world.json("config check")["ok"], true);
}

#[test]
fn every_mistake_is_named_with_file_and_line() {
    let Some(world) = World::unmounted() else { return };
    world.configure("targets = [\"arm64\"]\nverfy = \"off\"\ncredentials = 3\n");
    let file = world.config();
    for line in ["config check", "config show", "register", "targets", "run --private -- true"] {
        let said = world.binfmtd(line).ended(2);
        assert_eq!(said.out, "");
        for number in [2, 3] {
            let place = format!("{}:{number}:", file.display());
            assert!(said.err.contains(&place), "{place} {said:#?}");
        }
        let said = world.binfmtd(&format!("--format json {line}")).ended(2);
        let document = said.document();
        assert_eq!(document["error"]["kind"], "usage");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("binfmtd.toml:2:"), "{message}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let world = World::host();
    std::fs::remove_file(world.config()).unwrap();
    let said = world.binfmtd("config check").ended(2);
    assert!(said.err.contains("binfmtd.toml: cannot be read: not found"), "{said:#?}");
}
