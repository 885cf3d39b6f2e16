//! User namespaces are forbidden: no private instance, neither for `run` nor for a trial.

use crate::fails;
use crate::world::{World, failing_program, qemu, with_interpreter};

fn world() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    world.sh("echo 0 > /proc/sys/user/max_user_namespaces");
    Some(world)
}

#[test]
fn a_private_instance_is_not_permitted() {
    let Some(world) = world() else { return };
    fails(
        &world,
        "run --private -- true",
        4,
        &[
            "user namespace",
            "kernel.unprivileged_userns_clone",
            "user.max_user_namespaces",
            "kernel.apparmor_restrict_unprivileged_userns",
            "as root, binfmtd register works",
        ],
    );
}

#[test]
fn rules_are_proved_in_place() {
    let Some(world) = world() else { return };
    let said = world.binfmtd("-v --format json register").ended(0);
    assert!(said.err.contains("no private instance here"), "{said:#?}");
    let document = said.document();
    let rules = document["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 3, "{document:#}");
    assert!(rules.iter().all(|rule| rule["proved"] == true), "{document:#}");
    world.binfmtd("doctor").ended(0);
}

#[test]
fn a_rule_that_fails_is_taken_back() {
    let Some(world) = world() else { return };
    let Some(program) = failing_program() else { return };
    let program = world.program("qemu-riscv64", &program);
    let broken = with_interpreter("riscv64", &program);

    // Nothing was there before.
    world.configure(&broken);
    let document = world.json("register");
    let failed = &document["rules"][1];
    assert_eq!((&failed["target"], &failed["changed"]), (&"riscv64".into(), &false.into()));
    let why = failed["error"].as_str().unwrap();
    assert!(why.contains("status 1") && why.ends_with("the rule was taken back"), "{why}");
    assert_eq!(world.rules(), ["qemu-aarch64", "qemu-s390x"], "the others stay");

    // A rule that works was there: it still is, and still works.
    world.configure(crate::world::TARGETS);
    world.binfmtd("register").ended(0);
    let before = world.sh("cat $M/qemu-riscv64");
    world.configure(&broken);
    let said = world.binfmtd("register").ended(1);
    assert!(said.out.contains("failed") && said.out.contains("riscv64"), "{said:#?}");
    assert_eq!(world.sh("cat $M/qemu-riscv64"), before);
    assert_eq!(world.rules().len(), 3, "{:?}", world.rules());
    world.configure(crate::world::TARGETS);
    world.binfmtd("doctor").ended(0);
    assert_eq!(world.json("register")["rules"][1]["action"], "keep", "it is still known as ours");
}
