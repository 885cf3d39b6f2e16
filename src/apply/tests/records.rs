//! The record of ownership: before the kernel hears, after, and when it cannot be written.

use super::*;

#[test]
fn it_is_written_before_the_kernel_hears() {
    let mut scene = Scene::unverified().ours("aarch64").ours("mips");
    let items = vec![replace("aarch64", &["qemu-aarch64"]), add("arm"), remove("qemu-mips")];
    assert!(scene.carry_out(items).unwrap().iter().all(Outcome::is_well));
    let journal = scene.kernel.journal();
    assert_eq!((journal[0].as_str(), journal.last().unwrap().as_str()), ("save", "save"));
    assert_eq!(journal.iter().filter(|line| *line == "save").count(), 2);

    let saved = scene.store.saved.borrow();
    let (old, new) = (rule("aarch64", OLD), rule("aarch64", NEW));
    // Both the old and the new one are known, whatever happens.
    assert_eq!(saved[0].rules["qemu-aarch64"], owned(&old, "aarch64"));
    assert_eq!(saved[0].coming["qemu-aarch64"], owned(&new, "aarch64"));
    assert_eq!(
        saved[0].rules.keys().collect::<Vec<_>>(),
        ["qemu-aarch64", "qemu-arm", "qemu-mips"]
    );
    assert_eq!(saved[1].rules["qemu-aarch64"], owned(&new, "aarch64"));
    assert_eq!(saved[1].rules.keys().collect::<Vec<_>>(), ["qemu-aarch64", "qemu-arm"]);
    assert!(saved[1].coming.is_empty());
}

#[test]
fn what_is_as_announced_is_written_once() {
    let mut scene = Scene::unverified();
    scene.only(add("aarch64"));
    assert_eq!(scene.kernel.journal(), ["save", "add qemu-aarch64"]);
}

#[test]
fn where_it_cannot_be_written_nothing_else_is() {
    let mut scene = Scene::unverified();
    scene.store.room.set(0);
    let failure = scene.carry_out(vec![add("aarch64")]).unwrap_err();
    assert!(failure.message.starts_with("record of ownership: "), "{failure}");
    assert_eq!(scene.kernel.journal(), ["save"]);

    // The second time, what was announced says enough.
    let mut scene = Scene::unverified().ours("aarch64");
    scene.store.room.set(1);
    scene.carry_out(vec![replace("aarch64", &["qemu-aarch64"])]).unwrap_err();
    assert_eq!(scene.runs("qemu-aarch64").as_deref(), Some(NEW));
    assert_eq!(scene.last_record().coming.len(), 1);
}

#[test]
fn without_register_nothing_is_announced() {
    let mut scene = Scene::new();
    scene.kernel.fail("open");
    let failure = scene.carry_out(vec![add("aarch64")]).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotPermitted);
    assert!(failure.message.starts_with("open register: "), "{failure}");
    assert!(scene.kernel.journal().is_empty());
    // Nothing is opened where nothing is written.
    assert!(scene.ours("arm").only(kept("arm")).is_well());
}

#[test]
fn what_an_interrupted_replacement_left_is_put_in_order() {
    let coming = || [("qemu-aarch64".to_owned(), owned(&rule("aarch64", NEW), "aarch64"))].into();
    // It left nothing but the record.
    let mut scene = Scene::unverified().ours("aarch64");
    scene.record.coming = coming();
    scene.only(kept("aarch64"));
    assert_eq!(scene.kernel.journal(), ["save"]);
    assert!(scene.last_record().coming.is_empty());
    // Its temporary rule is still there, so that one stays ours.
    let mut scene = Scene::unverified().ours("aarch64").theirs(&named(SWAP, "aarch64", NEW, "POF"));
    scene.record.coming = coming();
    scene.only(kept("aarch64"));
    assert_eq!(scene.last_record(), scene.record);
    // Nothing is written where there is nothing to say.
    let mut scene = Scene::unverified().ours("aarch64");
    scene.only(kept("aarch64"));
    assert!(scene.kernel.journal().is_empty());
}

#[test]
fn what_others_removed_or_replaced_is_not_ours_any_more() {
    let mut scene = Scene::unverified().ours("mips").ours("s390x").ours("riscv64");
    scene.kernel.tell("qemu-mips", "-1").unwrap();
    scene.kernel.tell("qemu-s390x", "-1").unwrap();
    scene.kernel.plant(&named("qemu-s390x", "s390x", "/theirs", "")).unwrap();
    scene.only(add("aarch64"));
    assert_eq!(
        scene.last_record().rules.keys().collect::<Vec<_>>(),
        ["qemu-aarch64", "qemu-riscv64"]
    );
}

#[test]
fn it_says_which_file_the_kernel_opened() {
    let id = FileId { device: 1, inode: 2, size: 3, modified: 4 };
    let file = crate::observation::InterpreterFile {
        path: NEW.into(),
        id,
        mode: 0o755,
        noexec: false,
        elf: None,
        distrust: Vec::new(),
    };
    let recorded = |item: Item, prepare: &dyn Fn(&mut Observation)| {
        let mut scene = Scene::unverified();
        let mut seen = scene.seen();
        prepare(&mut seen);
        let given = Given { settings: &scene.settings, seen: &seen, private: false };
        let registry = &mut scene.kernel.clone();
        let save = &|record: &OwnershipRecord| scene.store.save(record);
        let edge = Edge { registry, prover: &mut scene.prover, save };
        apply(Plan { items: vec![item] }, given, edge).unwrap();
        scene.last_record().rules["qemu-aarch64"].interpreter
    };
    assert_eq!(recorded(add("aarch64"), &|_| {}), None);
    let usable = || crate::observation::Candidates { usable: Some(file.clone()), faulty: vec![] };
    let of_table = |seen: &mut Observation| {
        seen.interpreters.insert("aarch64".to_owned(), usable());
    };
    assert_eq!(recorded(add("aarch64"), &of_table), Some(id));
    let of_rule = |seen: &mut Observation| {
        seen.others.insert(NEW.into(), Ok(file.clone()));
    };
    let custom = Item { target: None, machine: None, ..add("aarch64") };
    assert_eq!(recorded(custom, &of_rule), Some(id));
}

#[test]
fn a_finished_replacement_is_not_announced_any_more() {
    // An interrupted one left its temporary rule; this one replaces another entry.
    let mut scene = Scene::unverified()
        .theirs(&named("other", "aarch64", OLD, "F"))
        .theirs(&named(SWAP, "aarch64", NEW, "POF"));
    let coming = owned(&rule("aarch64", NEW), "aarch64");
    scene.record.coming.insert("qemu-aarch64".to_owned(), coming.clone());
    assert!(scene.only(replace("aarch64", &["other"])).is_well());
    let record = scene.last_record();
    assert_eq!((record.coming.len(), &record.rules["qemu-aarch64"]), (0, &coming));
}
