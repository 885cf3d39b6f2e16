//! Putting back what was there.

use super::super::restore::restore_in;
use super::*;

#[test]
fn each_action_is_tried() {
    let scene = Scene::new().ours("arm").ours("mips");
    scene.kernel.tell("qemu-arm", "0").unwrap();
    scene.kernel.tell("status", "0").unwrap();
    let actions = [
        Action::EnableInstance,
        Action::Enable(rule("arm", OLD)),
        Action::Add(rule("aarch64", NEW)),
        // Somebody was faster.
        Action::Add(rule("mips", OLD)),
        Action::Add(rule("s390x", "/nowhere")),
        Action::Enable(rule("riscv64", OLD)),
    ];
    let results = restore_in(&actions, &mut scene.kernel.clone()).unwrap();
    assert_eq!(results[..4], [Ok(()), Ok(()), Ok(()), Ok(())]);
    let errors: Vec<String> =
        results[4..].iter().map(|it| it.clone().unwrap_err().to_string()).collect();
    assert_eq!(
        errors[0],
        "register qemu-s390x with interpreter /nowhere: the interpreter is not there"
    );
    assert!(errors[1].starts_with("enable qemu-riscv64: "), "{errors:?}");
    assert_eq!(scene.names(), ["qemu-aarch64", "qemu-mips", "qemu-arm"]);
    assert!(scene.facts().enabled && scene.facts().entries.iter().all(|entry| entry.enabled));

    scene.kernel.fail("enable all");
    let results = restore_in(&[Action::EnableInstance], &mut scene.kernel.clone()).unwrap();
    assert!(matches!(&results[0], Err(RuleError::EnableInstance { .. })), "{results:?}");
}

#[test]
fn register_is_opened_only_to_register() {
    let scene = Scene::new().ours("arm");
    scene.kernel.fail("open");
    let mut kernel = scene.kernel.clone();
    assert!(restore_in(&[Action::Enable(rule("arm", OLD))], &mut kernel).is_ok());
    let failure = restore_in(&[Action::Add(rule("mips", OLD))], &mut kernel).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotPermitted);
    assert_eq!(scene.names(), ["qemu-arm"]);
}
