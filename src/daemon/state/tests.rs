use super::*;

fn rule(target: Option<&str>, name: &str, condition: Condition) -> RuleState {
    RuleState {
        target: target.map(str::to_owned),
        rule: name.to_owned(),
        condition,
        why: None,
        by: None,
        ours: true,
        interpreter: None,
        file: None,
        version: None,
        sha256: None,
        probe_seconds: None,
    }
}

fn state(rules: Vec<RuleState>) -> State {
    State {
        schema: State::SCHEMA,
        version: "1".to_owned(),
        pid: std::process::id(),
        pid_started: machine::started(std::process::id()).unwrap(),
        ready: true,
        instance: 7,
        rules,
        ..State::default()
    }
}

#[test]
fn targets_with_several_rules_count_once_and_rules_without_one_by_name() {
    let state = state(vec![
        rule(Some("arm"), "qemu-arm", Condition::Working),
        rule(Some("mips"), "qemu-mips", Condition::Working),
        rule(Some("mips"), "qemu-mips-2", Condition::Degraded),
        rule(None, "jar", Condition::Degraded),
    ]);
    assert_eq!(state.names(), ["arm", "mips", "jar"]);
    assert_eq!(state.degraded(), ["mips", "jar"]);
    assert_eq!(state.summary(), "1 target working, 2 degraded: mips, jar");
}

#[test]
fn a_summary_names_a_dozen() {
    let many = |count: usize| {
        let rules = (0..count).map(|it| rule(None, &format!("r{it}"), Condition::Degraded));
        state(rules.collect()).summary()
    };
    assert!(many(12).ends_with(", r11"), "{}", many(12));
    assert!(many(13).ends_with(", r11, …"), "{}", many(13));
    assert!(many(13).starts_with("0 targets working, 13 degraded: r0, "));
}

#[test]
fn the_status_line_has_what_an_administrator_has_to_know() {
    let mut state = state(Vec::new());
    state.ready = false;
    assert_eq!(state.status_line(), "first check");
    state.ready = true;
    assert!(state.status_line().starts_with("nothing to register: "));
    state.rules = vec![rule(Some("arm"), "qemu-arm", Condition::Working)];
    assert_eq!(state.status_line(), "1 target working");
    state.trouble = Some("first line\nsecond".to_owned());
    state.paused_until = Some(1.0);
    assert_eq!(
        state.status_line(),
        "1 target working; the last check failed: first line; \
             pausing: another program keeps undoing changes"
    );
    state.ready = false;
    assert!(state.status_line().starts_with("1 target working"), "it has been checked");
}

#[test]
fn only_the_state_of_a_running_service_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let written = state(vec![rule(Some("arm"), "qemu-arm", Condition::Working)]);
    assert_eq!(State::load(folder.path()), None);
    written.save(folder.path()).unwrap();
    assert_eq!(State::load(folder.path()), Some(written.clone()));
    for other in [
        State { schema: State::SCHEMA + 1, ..written.clone() },
        State { pid_started: written.pid_started + 1, ..written.clone() },
    ] {
        other.save(folder.path()).unwrap();
        assert_eq!(State::load(folder.path()), None);
    }
    written.save(folder.path()).unwrap();
    assert!(State::path(folder.path()).exists());
    State::remove(folder.path());
    assert!(!State::path(folder.path()).exists());
}

#[test]
fn a_cause_is_written_as_documents_name_it() {
    for cause in ChangeCause::ALL {
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
    }
}
