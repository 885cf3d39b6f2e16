use super::*;

#[test]
fn a_builder_is_as_the_configuration_describes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("buildkitd.toml");
    let mut settings = Settings::default();
    let buildx = &mut settings.buildx;
    buildx.driver_options = with_option("network", "host").options;
    buildx.buildkitd_flags = Some("--debug".to_owned());
    let flagged =
        BuilderSpec { flags: Some("--debug".to_owned()), ..with_option("network", "host") };
    assert_eq!(BuilderSpec::configured("mine", buildx), Ok(flagged.clone()));
    buildx.buildkitd_config = Some(path.clone());
    let failure = BuilderSpec::configured("mine", buildx).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Usage);
    assert!(failure.message.contains(path.to_str().unwrap()), "{failure}");
    fs::write(&path, "debug = true").unwrap();
    let config = Some(ConfigFile { path, content: b"debug = true".to_vec() });
    assert_eq!(BuilderSpec::configured("mine", buildx), Ok(BuilderSpec { config, ..flagged }));
}

#[test]
fn a_name_is_the_given_one_or_the_configured_one() {
    let settings = Settings::default();
    assert_eq!(spec::name(&settings, Some("mine")).as_deref(), Ok("mine"));
    assert_eq!(spec::name(&settings, None), Ok(settings.buildx.name.clone()));
    assert_eq!(spec::name(&settings, Some("/")).unwrap_err().kind, FailureKind::Usage);
}

#[test]
fn a_node_of_somebody_else_fits_if_it_shows_all_that_is_asked_for() {
    let asked = BuilderSpec {
        flags: Some("--debug  --root=/x".to_owned()),
        ..with_option("network", "host")
    };
    let mut given = node("mine0", NodeStatus::Running, None);
    assert!(spec().fits(&given) && !asked.fits(&given));
    given.options.insert("network".to_owned(), "host".to_owned());
    given.options.insert("memory".to_owned(), "1g".to_owned());
    given.flags.push("--debug".to_owned());
    assert!(!asked.fits(&given));
    given.flags.push("--root=/x".to_owned());
    assert!(asked.fits(&given));
    given.options.insert("network".to_owned(), "none".to_owned());
    assert!(!asked.fits(&given));
}

#[test]
fn each_option_flag_and_file_is_particular() {
    assert!(!spec().is_particular());
    let config = Some(ConfigFile { path: PathBuf::new(), content: Vec::new() });
    for particular in [
        with_option("a", "b"),
        BuilderSpec { flags: Some("--debug".to_owned()), ..spec() },
        BuilderSpec { config, ..spec() },
    ] {
        assert!(particular.is_particular(), "{particular:?}");
    }
}

#[test]
fn a_node_is_found_by_its_whole_name() {
    let builder = ours(NodeStatus::Running);
    let of = |name: Option<&str>| {
        let spec = BuilderSpec { node: name.map(str::to_owned), ..spec() };
        spec.node_of(&builder).map(|node| node.name.clone())
    };
    assert_eq!(of(Some("mine0")).as_deref(), Some("mine0"));
    assert_eq!(of(Some("mine")), None);
    assert_eq!(of(None), None);
}
