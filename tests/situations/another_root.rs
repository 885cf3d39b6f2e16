//! A container that sees the host's rules: their paths are of the host's root, and lead elsewhere in its own.
//!
//! One that sees the host's processes as well is in `tests/vm` (60-container).

use crate::world::{World, qemu};
use crate::{finding, verdict};

/// The words that start a container whose `bin` has another QEMU of the same name, and its folder for the record.
fn container(world: &World) -> Vec<String> {
    let folder = world.folder().display();
    let script = format!(
        "export BINFMTD_RUNTIME_DIRECTORY={folder}/inside
        mount -t tmpfs tmpfs {folder}/bin
        cp {folder}/newer {folder}/bin/qemu-aarch64-static
        exec \"$@\""
    );
    let words = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.extend([script, "sh".to_owned()]);
    words
}

fn host() -> Option<World> {
    let (Some(()), Some(world)) = (qemu(), World::mounted()) else { return None };
    let folder = world.folder().display();
    world.configure(&format!(
        "targets = [\"aarch64\"]\ninterpreter-directories = [\"{folder}/bin\"]\n"
    ));
    world.sh(&format!(
        "qemu=$(command -v qemu-aarch64-static)
        mkdir -p {folder}/bin {folder}/inside
        cp $qemu {folder}/bin/
        cp $qemu {folder}/newer
        echo newer >> {folder}/newer"
    ));
    world.binfmtd("register").ended(0);
    // Proc is mounted anew in there, so the instance is a volume.
    world.sh(&format!("mkdir {folder}/volume; mount --bind $M {folder}/volume"));
    Some(world)
}

fn inside(world: &World, line: &str) -> crate::Said {
    let words = world.words(line).into_iter().map(|word| word.into_string().unwrap());
    world.run(container(world).into_iter().chain(words))
}

#[test]
fn a_rule_of_the_host_that_works_is_left_to_the_host() {
    let Some(world) = host() else { return };
    let rule = world.sh("cat $M/qemu-aarch64");
    let seen = inside(&world, "--format json register").ended(0).document();
    assert_eq!(seen["rules"][0]["action"], "served", "{seen:#}");
    assert_eq!(world.sh("cat $M/qemu-aarch64"), rule);

    let seen = inside(&world, "--format json doctor").ended(0).document();
    assert_eq!(verdict(&seen, "aarch64"), "working", "{seen:#}");
    for id in ["exec.identity", "interpreter.exists", "interpreter.trusted"] {
        let finding = finding(&seen, id, Some("aarch64"));
        assert_eq!(finding["status"], "skip", "{finding:#}");
        assert!(finding["summary"].as_str().unwrap().contains("another root"), "{finding:#}");
    }
}

#[test]
fn one_whose_file_the_host_deleted_is_replaced() {
    let Some(world) = host() else { return };
    let folder = world.folder().display();
    world.sh(&format!("rm {folder}/bin/qemu-aarch64-static"));
    let seen = inside(&world, "--format json register").ended(0).document();
    assert_eq!(seen["rules"][0]["action"], "replace", "{seen:#}");
}
