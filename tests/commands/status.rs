//! `binfmtd status`

use crate::world::{World, qemu};
use crate::{column, keys};

#[test]
fn an_empty_instance_has_no_rules() {
    let Some(world) = World::mounted() else { return };
    let said = world.binfmtd("status").ended(0);
    assert!(said.out.starts_with("no rules\n"), "{said:#?}");
    assert!(said.out.contains("of a user namespace"), "{said:#?}");
    let document = world.json("status");
    assert_eq!(
        keys(&document),
        ["enabled", "host", "ok", "rules", "schema", "service", "unreadable", "writable"]
    );
    assert!(
        document["service"].is_null() && !said.out.contains("service:"),
        "{document:#} {said:#?}"
    );
    assert_eq!(document["rules"].as_array().unwrap().len(), 0);
    assert_eq!((&document["enabled"], &document["writable"]), (&true.into(), &true.into()));
}

#[test]
fn every_rule_has_a_row_newest_first() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    world.sh("printf ':theirs:E::theirs::/bin/true:O' > $M/register");
    world.binfmtd("register").ended(0);
    // It takes s390x programs too, is newer, and goes by half of their magic.
    world.sh(r"printf '%s' ':newer:M::\x7fELF\x02\x02\x01\x00::/bin/true:P' > $M/register
        printf '%s' ':off:M:4:nothing::/bin/true:' > $M/register
        echo 0 > $M/off");
    let document = world.json("status");
    assert_eq!(
        keys(&document["rules"][0]),
        [
            "extension",
            "flags",
            "interpreter",
            "magic",
            "mask",
            "matcher",
            "name",
            "offset",
            "owner",
            "shadowed-by",
            "state",
            "target",
            "unknown"
        ]
    );
    let rules = &document["rules"];
    assert_eq!(
        column(rules, "name"),
        ["off", "newer", "qemu-s390x", "qemu-riscv64", "qemu-aarch64", "theirs"]
    );
    assert_eq!(
        column(rules, "state"),
        ["disabled", "active", "shadowed", "active", "active", "active"]
    );
    let ours = ["binfmtd"; 3];
    assert_eq!(column(rules, "owner")[2..5], ours);
    assert_eq!(column(rules, "owner")[5], "unknown");
    assert_eq!(rules[2]["shadowed-by"], "newer");
    assert_eq!(
        (&rules[5]["matcher"], &rules[5]["extension"]),
        (&"extension".into(), &"theirs".into())
    );
    assert_eq!((&rules[0]["offset"], &rules[5]["offset"]), (&4.into(), &serde_json::Value::Null));
    assert!(document["rules"][4]["flags"].as_str().unwrap().contains('F'), "{document:#}");

    let said = world.binfmtd("status").ended(0);
    let rows: Vec<&str> = said.out.lines().collect();
    assert!(rows[0].starts_with("RULE "), "{said:#?}");
    assert!(
        rows[3].starts_with("qemu-s390x") && rows[3].contains("shadowed by newer"),
        "{said:#?}"
    );
    // Columns stand below their titles.
    let at = rows[0].find("INTERPRETER").unwrap();
    assert!(rows[1..7].iter().all(|row| row[at..].starts_with('/')), "{said:#?}");
}
