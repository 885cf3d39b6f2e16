//! `binfmtd doctor --explain` and `--list-checks`.

use crate::world::World;
use crate::{column, keys};

#[test]
fn each_check_is_explained() {
    let world = World::host();
    let list = world.json("doctor --list-checks");
    assert_eq!(keys(&list), ["checks", "ok", "schema"]);
    let checks = list["checks"].as_array().unwrap();
    assert!(checks.len() > 20, "{list:#}");
    for check in checks {
        assert_eq!(keys(check), ["cure", "family", "id", "level", "proves", "title"]);
        for key in ["cure", "family", "id", "proves", "title"] {
            assert_ne!(check[key], "", "{check:#}");
        }
    }
    let levels: Vec<&str> = checks.iter().filter_map(|check| check["level"].as_str()).collect();
    assert!(levels.starts_with(&["host", "empty-root", "pie", "argv0"]), "{levels:?}");
    let document = world.json("doctor --explain exec.empty-root");
    assert_eq!(keys(&document), ["check", "ok", "schema"]);
    let check = &document["check"];
    assert_eq!((&check["family"], &check["level"]), (&"exec".into(), &"empty-root".into()));
    let text = world.binfmtd("doctor --explain exec.empty-root").ended(0).out;
    for key in ["id", "title", "family", "level", "proves", "cure"] {
        assert!(text.contains(check[key].as_str().unwrap()), "{key}: {text}");
    }
}

#[test]
fn an_unknown_id_is_bad_usage_and_the_nearest_is_named() {
    let world = World::host();
    for (id, nearest) in [
        ("exec.hots", "exec.host"),
        ("EXEC.ARGV", "exec.argv0"),
        ("fix-binary", "rule.fix-binary"),
        ("rules.shadowed", "rule.shadowed"),
    ] {
        let said = world.binfmtd(&format!("doctor --explain {id}")).ended(2);
        assert_eq!(said.out, "");
        assert!(said.err.contains(&format!("did you mean {nearest}?")), "{said:#?}");
        let document =
            world.binfmtd(&format!("--format json doctor --explain {id}")).ended(2).document();
        assert_eq!(document["error"]["kind"], "usage", "{document:#}");
    }
    let said = world.binfmtd("doctor --explain the-weather-of-tomorrow").ended(2);
    assert!(said.err.contains("--list-checks") && !said.err.contains("did you mean"), "{said:#?}");
    world.binfmtd("doctor --explain exec.host --list-checks").ended(2);
}

#[test]
fn every_id_that_is_reported_can_be_explained() {
    let Some(world) = World::unmounted() else { return };
    let listed = world.json("doctor --list-checks");
    let listed = column(&listed["checks"], "id");
    let document = world.run([
        "sh",
        "-c",
        &format!("{} --format json doctor arm64 || true", crate::world::BINFMTD),
    ]);
    let document: serde_json::Value = serde_json::from_str(&document.out).unwrap();
    let reported = column(&document["checks"], "id");
    assert!(!reported.is_empty() && reported.iter().all(|id| listed.contains(id)), "{reported:?}");
}
