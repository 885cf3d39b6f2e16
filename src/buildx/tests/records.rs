use super::*;

fn made(engine: &str, node: &str) -> OwnedNode {
    OwnedNode { engine: engine.to_owned(), node: node.to_owned(), builder: "mine".to_owned() }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let record = BuilderRecord {
        schema: 1,
        nodes: BTreeSet::from([made("e", "mine0"), made("f", "mine1")]),
    };
    let folder = tempfile::tempdir().unwrap();
    let content = serde_json::to_vec_pretty(&record).unwrap();
    fs::write(folder.path().join("builders.json"), content).unwrap();
    assert_eq!(record::load(folder.path()), record);
}

/// What is not understood makes nothing ours: it is not taken away then.
#[test]
fn what_is_not_understood_owns_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(record::load(folder.path()), BuilderRecord::default());
    let node = r#"{"engine":"e","node":"mine0","builder":"mine"}"#;
    for content in [
        String::new(),
        "nonsense".to_owned(),
        "[]".to_owned(),
        format!(r#"{{"schema":2,"nodes":[{node}]}}"#),
        format!(r#"{{"schema":0,"nodes":[{node}]}}"#),
        format!(r#"{{"nodes":[{node}]}}"#),
        format!(r#"{{"schema":1,"nodes":[{node}],"later":1}}"#),
        format!(r#"{{"schema":1,"nodes":[{node}]"#),
        r#"{"schema":1,"nodes":[{"engine":"e","node":"mine0"}]}"#.to_owned(),
    ] {
        fs::write(folder.path().join("builders.json"), &content).unwrap();
        assert_eq!(record::load(folder.path()), BuilderRecord::default(), "{content}");
    }
    let content = format!(r#"{{"schema":1,"nodes":[{node}]}}"#);
    fs::write(folder.path().join("builders.json"), content).unwrap();
    assert_eq!(record::load(folder.path()).nodes.len(), 1);
    fs::remove_file(folder.path().join("builders.json")).unwrap();
    fs::create_dir(folder.path().join("builders.json")).unwrap();
    assert_eq!(record::load(folder.path()), BuilderRecord::default());
}

#[test]
fn a_node_is_ours_by_engine_and_whole_name() {
    let record = BuilderRecord { schema: 1, nodes: BTreeSet::from([made("e", "mine0")]) };
    assert!(record.owns("e", "mine0"));
    assert_eq!(record.builder_of("e", "mine0"), Some("mine"));
    for (engine, node) in
        [("f", "mine0"), ("", "mine0"), ("ee", "mine0"), ("e", "mine"), ("e", "mine00"), ("e", "")]
    {
        assert!(!record.owns(engine, node), "{engine} {node}");
    }
}

#[test]
fn the_folder_is_the_first_that_is_named() {
    let of = |variables: &[(&str, &str)]| {
        record::folder_by(|name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| OsString::from(value))
        })
    };
    let all = [
        ("BINFMTD_STATE_DIRECTORY", "/srv/state"),
        ("XDG_STATE_HOME", "/home/user/state"),
        ("HOME", "/home/user"),
    ];
    assert_eq!(of(&all).as_deref(), Some(Path::new("/srv/state")));
    assert_eq!(of(&all[1..]).as_deref(), Some(Path::new("/home/user/state/binfmtd")));
    assert_eq!(of(&all[2..]).as_deref(), Some(Path::new("/home/user/.local/state/binfmtd")));
    assert_eq!(of(&[]), None);
    // XDG's specification: a path that is not absolute is to be ignored.
    let relative = [("XDG_STATE_HOME", "state"), ("HOME", "/home/user")];
    assert_eq!(of(&relative).as_deref(), Some(Path::new("/home/user/.local/state/binfmtd")));
    let empty = [("BINFMTD_STATE_DIRECTORY", ""), ("XDG_STATE_HOME", ""), ("HOME", "")];
    assert_eq!(of(&empty), None);
}
