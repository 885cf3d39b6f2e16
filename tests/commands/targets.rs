//! `binfmtd targets`

use std::env::consts::ARCH;

use crate::world::{World, qemu};
use crate::{column, keys};

#[test]
fn the_whole_table() {
    let world = World::host();
    let document = world.json("targets");
    assert_eq!(keys(&document), ["ok", "schema", "targets"]);
    let table = binfmtd::testing::target::Table::embedded();
    let names: Vec<_> = table.targets().iter().map(|target| target.name.as_str()).collect();
    assert_eq!(column(&document["targets"], "name"), names);
    for target in document["targets"].as_array().unwrap() {
        assert_eq!(
            keys(target),
            ["aliases", "interpreter", "name", "native", "platforms", "rules", "unusable"]
        );
        assert_eq!(keys(&target["rules"][0]), ["magic", "mask", "name"]);
    }
    let said = world.binfmtd("targets").ended(0);
    assert_eq!(said.out.lines().count(), names.len() + 1, "{said:#?}");
    assert!(said.out.starts_with("TARGET "), "{said:#?}");
}

#[test]
fn one_by_any_of_its_names() {
    if qemu().is_none() {
        return;
    }
    let world = World::host();
    for name in ["aarch64", "arm64", "linux/arm64", "ARM64", "linux/arm64/v8"] {
        let document = world.json(&format!("targets {name}"));
        assert_eq!(column(&document["targets"], "name"), ["aarch64"], "{name}");
        let target = &document["targets"][0];
        assert!(target["interpreter"].as_str().unwrap().contains("aarch64"), "{target:#}");
        assert_eq!(target["rules"][0]["name"], "qemu-aarch64");
    }
    let said = world.binfmtd("targets -v arm64").ended(0);
    for part in ["also called", "arm64", "qemu-aarch64", "7f454c46020101"] {
        assert!(said.out.contains(part), "{part} {said:#?}");
    }
}

#[test]
fn the_hosts_own_is_native() {
    let world = World::host();
    let document = world.json(&format!("targets {ARCH}"));
    assert_eq!(document["targets"][0]["native"], true, "{document:#}");
    let said = world.binfmtd(&format!("targets {ARCH}")).ended(0);
    assert!(said.out.contains("native"), "{said:#?}");
}

#[test]
fn an_interpreter_that_will_not_do_is_shown_with_the_reason() {
    let world = World::host();
    let folder = world.folder().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("qemu-s390x"), "no program").unwrap();
    world.configure(&format!("interpreter-directories = [\"{}\"]", folder.display()));
    let said = world.binfmtd("targets s390x").ended(0);
    assert!(said.out.contains("folder/qemu-s390x: not executable (chmod a+x "), "{said:#?}");
    let target = &world.json("targets s390x")["targets"][0];
    assert!(target["interpreter"].is_null() && target["unusable"][0].is_string(), "{target:#}");
}
