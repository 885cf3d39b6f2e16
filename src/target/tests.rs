use super::*;

#[test]
fn what_buildx_tells_of_the_cpu_besides_is_the_same_target() {
    let table = Table::embedded();
    for name in ["linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4", "amd64/v2", "Linux/AMD64/v3"]
    {
        assert_eq!(table.find(name).unwrap().name, "x86_64", "{name}");
    }
    for name in ["linux/amd64/v5", "linux/arm64/v2", "linux/amd64/", "x86_64/v2"] {
        assert!(table.find(name).is_err(), "{name}");
    }
}

#[test]
fn the_embedded_table_is_valid_and_complete() {
    let table = Table::embedded();
    for target in table.targets() {
        assert_eq!(target.rules().len(), target.identity.machines.len(), "{}", target.name);
        assert!(!target.interpreters.is_empty());
    }
}

#[test]
fn the_rows_are_those_of_the_file() {
    let mut table = Table::embedded();
    table.extend(include_str!("table.toml")).unwrap();
    assert_eq!(table, Table::embedded());
}

#[test]
fn every_name_but_uname_belongs_to_one_target() {
    let table = Table::embedded();
    let mut seen = std::collections::BTreeMap::new();
    for target in table.targets() {
        let names = std::iter::once(&target.name)
            .chain(&target.aliases)
            .chain(&target.debian)
            .map(String::as_str)
            .chain(target.platforms.iter().map(|name| name.trim_start_matches("linux/")));
        for name in names {
            let owner = seen.entry(name.to_owned()).or_insert(&target.name);
            assert_eq!(*owner, &target.name, "{name} names two targets");
        }
    }
}

#[test]
fn people_may_use_any_name() {
    let table = Table::embedded();
    for (name, target) in [
        ("aarch64", "aarch64"),
        ("arm64", "aarch64"),
        ("linux/arm64", "aarch64"),
        ("linux/arm64/v8", "aarch64"),
        ("ARM64", "aarch64"),
        ("armhf", "arm"),
        ("arm", "arm"),
        ("linux/arm/v7", "arm"),
        ("arm/v6", "arm"),
        ("armv7l", "arm"),
        ("amd64", "x86_64"),
        ("386", "i386"),
        ("i686", "i386"),
        ("mips64le", "mips64el"),
        ("ppc64el", "ppc64le"),
        ("loong64", "loongarch64"),
        ("openrisc", "or1k"),
    ] {
        assert_eq!(table.find(name).map(|found| found.name.as_str()), Ok(target), "{name}");
    }
}

#[test]
fn an_unknown_name_suggests_the_nearest() {
    let table = Table::embedded();
    let near = |name: &str| table.find(name).unwrap_err().nearest;
    assert_eq!(near("arm46").as_deref(), Some("arm64"));
    assert_eq!(near("aarch46").as_deref(), Some("aarch64"));
    assert_eq!(near("linux/riscv46").as_deref(), Some("linux/riscv64"));
    assert_eq!(near("pdp11"), None);
}

#[test]
fn a_shared_uname_is_no_name() {
    // mips and mipsel both say "mips"; QEMU's own name wins. Nobody is called by mips64 alone but itself.
    let table = Table::embedded();
    assert_eq!(table.find("mips").unwrap().name, "mips");
    assert_eq!(table.find("mips64").unwrap().name, "mips64");
}

#[test]
fn a_table_is_refused_with_its_line() {
    let mut table = Table::embedded();
    let before = table.clone();
    for (text, wanted) in [
        (
            "\n[x1]\nclass = 16\nbyte-order = \"big\"\nmachines = [1]\n",
            "line 2: target x1: class is 16",
        ),
        (
            "[x1]\nclass = 32\nbyte-order = \"big\"\nmachines = []\n",
            "line 1: target x1: machines is empty",
        ),
        ("[x1]\nclass = 32\nbyte-order = \"big\"\nmachines = [1]\ncolour = 1\n", "line 5"),
        ("[\"a/b\"]\nclass = 32\nbyte-order = \"big\"\nmachines = [1]\n", "cannot name a rule"),
        ("[x1]\nclass = 32\nbyte-order = \"middle\"\nmachines = [1]\n", "line 3"),
        ("[x1\n", "line 1"),
        ("[X1]\nclass = 32\nbyte-order = \"big\"\nmachines = [1]\n", "has capital letters"),
        (
            "[x1]\nclass = 32\nbyte-order = \"big\"\nmachines = [1, 2, 1]\n",
            "machines holds 1 twice",
        ),
        (
            "[x1]\nclass = 32\nbyte-order = \"big\"\nmachines = [1]\nmatch-flags = { mask = 32, value = 32 }\n",
            "e-flags are not what match-flags asks for",
        ),
        (
            &format!(
                "[{}]\nclass = 32\nbyte-order = \"big\"\nmachines = [1, 2]\n",
                "x".repeat(250)
            ),
            "too long",
        ),
    ] {
        let error = table.extend(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert_eq!(table, before, "all or none");
}

#[test]
fn a_table_extends_and_replaces() {
    let mut table = Table::embedded();
    let count = table.targets().len();
    table
        .extend("[mycpu]\nclass = 32\nbyte-order = \"big\"\nmachines = [0xfeed]\n[hppa]\nclass = 32\nbyte-order = \"big\"\nmachines = [15]\ninterpreters = [\"qemu-hppa-mine\"]\n")
        .unwrap();
    assert_eq!(table.targets().len(), count + 1);
    assert_eq!(table.find("mycpu").unwrap().interpreters, ["qemu-mycpu-static", "qemu-mycpu"]);
    assert_eq!(table.find("hppa").unwrap().interpreters, ["qemu-hppa-mine"]);
}

#[test]
fn names_of_other_tables_are_found_in_any_case() {
    let mut table = Table::embedded();
    let names = "platforms = [\"linux/MyOCI\"]\ndebian = [\"MyDeb\"]\nuname = [\"MyCPU\"]\naliases = [\"Mine\"]\n";
    table
        .extend(&format!("[x1]\n{names}class = 32\nbyte-order = \"big\"\nmachines = [1]\n"))
        .unwrap();
    for name in ["X1", "MyOCI", "linux/myoci", "mydeb", "MyDeb", "MyCPU", "mycpu", "mine", "Mine"] {
        assert_eq!(table.find(name).map(|found| found.name.as_str()), Ok("x1"), "{name}");
    }
}

#[test]
fn an_extension_takes_no_other_targets_programs() {
    let mut table = Table::embedded();
    let error = table
        .extend("[foo]\nclass = 64\nbyte-order = \"little\"\nmachines = [183]\n")
        .unwrap_err()
        .to_string();
    assert_eq!(error, "line 1: target foo: its programs look like those of aarch64");
    assert_eq!(table, Table::embedded(), "all or none");
}

#[test]
fn a_redefined_target_stays_in_its_family_and_protected() {
    let mut table = Table::embedded();
    table
        .extend(
            "[i386]\nclass = 32\nbyte-order = \"little\"\nmachines = [3]\ne-flags = 1\n\
             match-flags = { mask = 1, value = 1 }\n",
        )
        .unwrap();
    let i386 = table.find("i386").unwrap();
    assert_eq!(i386.family, "x86");
    // The kernel of that machine does not look at e_flags.
    let plain = Table::embedded().find("i386").unwrap().identity.magics()[0].clone();
    assert!(i386.identity.accepted()[0].overlaps(&plain));
}
