use super::*;

#[test]
fn any_name_finds_the_platform_that_is_meant() {
    let table = Table::embedded();
    let find = |name: &str| {
        let platform = Platform::find(&table, name).unwrap();
        (platform.name.clone(), platform.target.name.clone())
    };
    for (name, platform, target) in [
        ("linux/arm64", "linux/arm64", "aarch64"),
        ("arm64", "linux/arm64", "aarch64"),
        ("aarch64", "linux/arm64", "aarch64"),
        ("LINUX/ARM64", "linux/arm64", "aarch64"),
        ("linux/arm/v6", "linux/arm/v6", "arm"),
        ("amd64", "linux/amd64", "x86_64"),
        ("386", "linux/386", "i386"),
        ("linux/riscv64", "linux/riscv64", "riscv64"),
        ("ppc64le", "linux/ppc64le", "ppc64le"),
    ] {
        assert_eq!(find(name), (platform.to_owned(), target.to_owned()), "{name}");
    }
    let unknown = Platform::find(&table, "linux/nonsense").unwrap_err();
    assert!(unknown.to_string().contains("linux/nonsense"), "{unknown}");
    let nameless = table.targets().iter().find(|target| target.platforms.is_empty()).unwrap();
    let error = Platform::find(&table, &nameless.name).unwrap_err();
    assert!(error.to_string().starts_with(&format!("target {}", nameless.name)), "{error}");
    assert_eq!(Platform::of(nameless), None);
}

#[test]
fn every_platform_of_the_table_is_found_by_its_own_name() {
    let table = Table::embedded();
    let mut known_to_buildkit = 0;
    for target in table.targets() {
        for name in &target.platforms {
            let platform = Platform::find(&table, name).unwrap();
            assert_eq!((&platform.name, &platform.target.name), (name, &target.name));
            assert_eq!(platform.to_string(), *name);
            assert_eq!(platform.machine(), target.identity.machines[0]);
            assert!(platform.emulator().starts_with("buildkit-qemu-"));
            known_to_buildkit += usize::from(platform.is_known_to_buildkit());
        }
    }
    assert!(known_to_buildkit >= 11, "{known_to_buildkit}");
    let emulator = |name| Platform::find(&table, name).unwrap().emulator();
    assert_eq!(emulator("arm64"), "buildkit-qemu-aarch64");
    assert_eq!(emulator("amd64"), "buildkit-qemu-x86_64");
    assert_eq!(emulator("linux/arm/v7"), "buildkit-qemu-arm");
    assert_eq!(emulator("s390x"), "buildkit-qemu-s390x");
}

#[test]
fn what_is_advertised_is_said_once_for_each_target() {
    let table = Table::embedded();
    let all = read_list(&well(recorded!("ls-0.29-nodes.json"))).unwrap();
    let mine = all.iter().find(|one| one.name == "mine").unwrap();
    let mut found = Platform::advertised(&table, mine);
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    // Levels of a CPU (linux/amd64/v3) are no targets of ours.
    assert_eq!(names, ["linux/386", "linux/amd64", "linux/arm64", "linux/s390x"]);
}

#[test]
fn lists_of_names_are_read_and_each_platform_is_kept_once() {
    let mut settings = Settings::default();
    let lists = |lists: &[&str]| lists.iter().map(|list| (*list).to_owned()).collect::<Vec<_>>();
    let names = |platforms: Vec<Platform<'_>>| {
        platforms.into_iter().map(|platform| platform.name).collect::<Vec<_>>()
    };
    let given = lists(&["linux/arm64, s390x", "aarch64,,riscv64"]);
    let found = Platform::find_all(&settings.table, &given).map(names);
    let wanted = lists(&["linux/arm64", "linux/s390x", "linux/riscv64"]);
    assert_eq!(found.as_ref(), Ok(&wanted));
    for empty in [&[""][..], &[" , ", ""]] {
        let found = Platform::find_all(&settings.table, &lists(empty));
        assert_eq!(found, Err(PlatformError::Empty));
    }
    assert_eq!(Platform::find_all(&settings.table, &[]), Ok(Vec::new()));
    assert!(Platform::find_all(&settings.table, &lists(&["arm64,nonsense"])).is_err());

    assert_eq!(Platform::requested(&settings, &[]), Ok(None));
    let found = Platform::requested(&settings, &given).map(|found| found.map(names));
    assert_eq!(found, Ok(Some(wanted)));
    settings.buildx.platforms = Some(lists(&["ppc64le"]));
    let found = Platform::requested(&settings, &[]).map(|found| found.map(names));
    assert_eq!(found, Ok(Some(lists(&["linux/ppc64le"]))));
    let found = Platform::requested(&settings, &lists(&["arm64"])).map(|found| found.map(names));
    assert_eq!(found, Ok(Some(lists(&["linux/arm64"]))));
}

#[test]
fn all_is_what_docker_could_build_for() {
    let table = Table::embedded();
    let all = Platform::all(&table);
    assert!(all.iter().any(|platform| platform.name == "linux/arm64"));
    assert!(all.iter().all(|platform| platform.target.platforms.first() == Some(&platform.name)));
}
