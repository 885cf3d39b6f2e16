//! `binfmtd export`

use std::fs;
use std::path::Path;

use crate::keys;
use crate::support::need;
use crate::world::{World, qemu, with_interpreter};

const NAMES: [&str; 3] = ["qemu-aarch64", "qemu-riscv64", "qemu-s390x"];

#[test]
fn binfmt_d_is_what_systemd_reads() {
    if qemu().is_none() {
        return;
    }
    let world = World::host();
    let said = world.binfmtd("export --as binfmt.d").ended(0);
    let lines = binfmtd::testing::rule::parse_binfmt_d(said.out.as_bytes());
    let names: Vec<_> = lines.0.iter().map(|(_, rule)| rule.as_ref().unwrap().name()).collect();
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), NAMES);
    let document = world.json("export --as binfmt.d");
    assert_eq!(keys(&document), ["files", "notes", "ok", "schema"]);
    assert_eq!(keys(&document["files"][0]), ["content", "name"]);
    assert_eq!(document["files"][0]["content"], said.out);
}

#[test]
fn systemd_binfmt_makes_the_same_entries_of_it() {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return };
    let tool = ["/usr/lib/systemd/systemd-binfmt", "/lib/systemd/systemd-binfmt"];
    let found = tool.iter().find(|path| Path::new(path).exists());
    let Some(tool) = need("systemd-binfmt", found.ok_or_else(|| "no such file".to_owned())) else {
        return;
    };
    let show = "cd $M; for rule in qemu-*; do echo $rule; cat $rule; done";
    world.binfmtd("register").ended(0);
    let ours = world.sh(show);
    let file = world.folder().join("ours.conf");
    fs::write(&file, world.binfmtd("export --as binfmt.d").ended(0).out).unwrap();
    world.binfmtd("unregister --all").ended(0);
    assert_eq!(world.rules(), [""; 0]);
    world.run([Path::new(tool), &file]).ended(0);
    assert_eq!(world.sh(show), ours);
}

#[test]
fn debian_takes_a_file_for_each_rule() {
    if qemu().is_none() {
        return;
    }
    let world = World::host();
    let said = world.binfmtd("export --as debian").ended(2);
    assert!(said.err.contains("give --output FOLDER, or one target"), "{said:#?}");
    assert_eq!(said.out, "");

    let folder = world.folder().join("binfmts");
    let line = format!("export --as debian --output {}", folder.display());
    world.binfmtd(&line).ended(0);
    for name in NAMES {
        let content = fs::read_to_string(folder.join(name)).unwrap();
        for line in ["package binfmtd", "offset 0", "preserve yes", "fix_binary yes"] {
            assert!(content.lines().any(|written| written == line), "{name}: {content}");
        }
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), NAMES.len());

    let one = world.binfmtd("export --as debian s390x").ended(0);
    assert_eq!(one.out, fs::read_to_string(folder.join("qemu-s390x")).unwrap());
    assert_eq!(world.json("export --as debian")["files"].as_array().unwrap().len(), NAMES.len());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    if qemu().is_none() {
        return;
    }
    let world = World::host();
    let file = world.config();
    let line = format!("export --as binfmt.d --output {}/below", file.display());
    let said = world.binfmtd(&line).ended(2);
    assert!(said.err.contains("binfmtd.toml/below: "), "{said:#?}");
}

#[test]
fn a_target_without_an_interpreter_is_noted_and_fails() {
    if qemu().is_none() {
        return;
    }
    let world = World::host();
    world.configure(&with_interpreter("riscv64", Path::new("/gone")));
    let said = world.binfmtd("export --as binfmt.d").ended(1);
    assert!(said.out.contains(":qemu-s390x:") && !said.out.contains("riscv64"), "{said:#?}");
    assert!(said.err.contains("/gone: not found"), "{said:#?}");
    let document = world.binfmtd("export --as binfmt.d --format json").ended(1).document();
    assert!(document["notes"][0].as_str().unwrap().contains("/gone"), "{document:#}");
}
