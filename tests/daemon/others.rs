//! Rules of others, before ours and beside them.

use crate::support::Private;
use crate::support::daemon::Daemon;
use crate::support::stage::Stage;
use crate::{aarch64_rule, broken_program, plant_bystanders, set_up, unchanged};

pub(crate) fn shadowed(stage: &Stage) -> Option<String> {
    let broken = broken_program()?;
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();

    // One of QEMU's that does not work is replaced.
    let fails = stage.install_content(&broken, "qemu-fails");
    let mark = daemon.mark();
    stage.plant(&aarch64_rule("qemu-broken", &fails, "F"));
    daemon.until("the rule before ours to go", |_| {
        (!Private::path("qemu-broken").exists()).then_some(())
    });
    daemon.until("the heal", |daemon| (daemon.heals("shadowed") == 1).then_some(()));
    assert!(stage.starts("aarch64"));
    let line = daemon.wait_log(mark, &["replace qemu-broken", "by qemu-aarch64 →"]);
    assert!(line.contains("exited with status 1"), "no reason: {line}");
    let heal = &daemon.state()["last-heal"];
    assert_eq!((&heal["cause"], &heal["changes"]), (&"shadowed".into(), &1.into()), "{heal}");
    unchanged(&before);

    // One that works is left alone, and is said to serve.
    let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
    stage.plant(&aarch64_rule("qemu-theirs", &theirs, "F"));
    let with_theirs = Stage::entries();
    let rule = daemon.until("the other one to serve", |daemon| {
        daemon.find_rule("qemu-aarch64").filter(|rule| rule["by"] == "qemu-theirs")
    });
    assert_eq!((&rule["ours"], &rule["condition"]), (&false.into(), &"working".into()), "{rule}");
    assert_eq!(rule["interpreter"], theirs.to_str().unwrap());
    assert!(stage.starts("aarch64"));
    unchanged(&with_theirs);
    Private::tell("qemu-theirs", "-1").unwrap();
    daemon.until("ours to serve again", |daemon| {
        daemon.find_rule("qemu-aarch64").filter(|rule| rule["ours"] == true)
    });
    unchanged(&before);

    // Another emulator's that does not work is left alone, and reported.
    let emulator = stage.install_content(&broken, "box64");
    let mark = daemon.mark();
    let notices = daemon.notices().len();
    stage.plant(&aarch64_rule("box64", &emulator, "F"));
    let with_box64 = Stage::entries();
    let rule = daemon.until("the report", |daemon| {
        daemon.find_rule("qemu-aarch64").filter(|rule| rule["condition"] == "degraded")
    });
    let why = rule["why"].as_str().unwrap();
    assert!(why.contains("box64 of another emulator") && why.contains("--takeover"), "{why}");
    let line = daemon.wait_log(mark, &["ERROR", "aarch64 does not work: "]);
    assert!(line.contains("box64"), "{line}");
    daemon.wait_notice(notices, "STATUS=1 target working, 1 degraded: aarch64");
    assert!(!stage.starts("aarch64"), "it runs all the same");
    assert!(stage.starts("riscv64"));
    unchanged(&with_box64);
    Private::tell("box64", "-1").unwrap();
    daemon.wait_log(mark, &["INFO", "aarch64 works again"]);
    assert!(stage.starts("aarch64"));
    daemon.wait_notice(notices, "STATUS=2 targets working");
    unchanged(&before);
    assert_eq!(daemon.heals("shadowed"), 1, "{daemon}");
    daemon.stop();
    stage.nothing_left("the service");
    Some("3 kinds of rules".to_owned())
}

/// Who changes a rule of his own again and again is not looked at each time; but what stands at last is, in time.
pub(crate) fn busy(stage: &Stage) -> Option<String> {
    let broken = broken_program()?;
    set_up(stage, &["aarch64", "riscv64"], "[daemon]\nbackstop-minutes = 0\n")?;
    let theirs = stage.install(&stage.path("bin/qemu-aarch64-static"), "qemu-theirs");
    let fails = stage.install_content(&broken, "qemu-fails");
    let mut daemon = Daemon::ready(stage);
    let before = Stage::entries();
    for _ in 0..30 {
        stage.plant(&aarch64_rule("foreign", &theirs, "F"));
        daemon.listen_for(std::time::Duration::from_millis(50));
        Private::tell("foreign", "-1").unwrap();
        daemon.listen_for(std::time::Duration::from_millis(50));
    }
    // Whatever check was due soon has come by then, so that this change has to bring its own.
    daemon.listen_for(std::time::Duration::from_secs(8));
    stage.plant(&aarch64_rule("qemu-broken", &fails, "F"));
    let begun = std::time::Instant::now();
    daemon.until("the rule before ours to go", |_| {
        (!Private::path("qemu-broken").exists()).then_some(())
    });
    let seconds = begun.elapsed().as_secs_f64();
    unchanged(&before);
    daemon.stop();
    stage.nothing_left("the service");
    Some(format!("60 changes, and the last of all seen within {seconds:.1} s"))
}

/// A rule that stands before ours, and whose interpreter the kernel does not take: it is told, not waited for.
pub(crate) fn dead(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    stage.well(&["register"]);
    // It looks at e_version, too, so it does not take all that ours takes.
    let nothing = stage.install_content(b"no program", "box64");
    let rule = aarch64_rule("box64", &nothing, "F");
    let magic = rule.replacen(r"\xb7\x00", r"\xb7\x00\x01", 1);
    let longer = magic.replacen(r"\xff\xff:/", r"\xff\xff\xff:/", 1);
    assert_ne!(rule, longer);
    stage.plant(&longer);
    assert!(!stage.starts("aarch64"));
    let mut daemon = Daemon::ready(stage);
    let rule = daemon.rule("qemu-aarch64");
    assert_eq!(rule["condition"], "degraded", "{rule}");
    assert_eq!(daemon.rule("qemu-riscv64")["condition"], "working");
    daemon.stop();
    stage.nothing_left("the service");
    let answer = stage.fails(&["-v", "register"]);
    assert!(!answer.errors.contains("once more"), "{answer}");
    Some("told, and the other one works".to_owned())
}

pub(crate) fn bystanders(stage: &Stage) -> Option<String> {
    set_up(stage, &["aarch64", "riscv64"], "")?;
    let names = plant_bystanders(stage);
    let theirs = Stage::entries();
    let mut daemon = Daemon::ready(stage);
    // New ones while it runs, too.
    stage.plant(r":late:E::late::/bin/true:");
    let before = Stage::entries();
    for name in &names {
        assert_eq!(before[*name], theirs[*name]);
    }
    for (harm, cause) in [("-1", "removed"), ("0", "disabled")] {
        Private::tell("qemu-aarch64", harm).unwrap();
        daemon.until(cause, |daemon| (daemon.heals(cause) == 1).then_some(()));
    }
    Private::tell("status", "0").unwrap();
    let cause = "instance-disabled";
    daemon.until(cause, |daemon| (daemon.heals(cause) == 1).then_some(()));
    unchanged(&before);
    // Taken away by their owner, they stay away.
    Private::tell("late", "-1").unwrap();
    let before = Stage::entries();
    daemon.listen_for(std::time::Duration::from_millis(500));
    unchanged(&before);
    let mark = daemon.mark();
    let text = daemon.log()[..mark].join("\n");
    for name in names {
        assert!(!text.contains(name), "{name}: {text}");
    }
    daemon.stop();
    unchanged(&before);
    stage.nothing_left("the service");
    Some("5 rules of others".to_owned())
}
