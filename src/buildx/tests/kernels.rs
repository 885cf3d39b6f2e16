use super::*;

fn seen<'a>(table: &'a Table, kernels: &[(&str, Kernel)]) -> Vec<PlatformSupport<'a>> {
    let of = |(name, kernel): &(&str, Kernel)| {
        (Platform::find(table, name).expect("a platform"), kernel.clone())
    };
    kernels.iter().map(of).collect()
}

fn each() -> [(&'static str, Kernel); 6] {
    let rule = || Some("qemu".to_owned());
    [
        ("linux/riscv64", Kernel::NoRule),
        ("linux/arm64", Kernel::Runs { rule: rule(), version: None }),
        ("linux/ppc64le", Kernel::HasRule("qemu-ppc64le".to_owned())),
        ("linux/s390x", Kernel::Fails { rule: rule(), why: "boo".to_owned() }),
        ("linux/arm/v7", Kernel::Unknown("far away".to_owned())),
        ("linux/amd64", Kernel::Native),
    ]
}

fn names<'a>(kernels: &'a [PlatformSupport<'_>]) -> Vec<&'a str> {
    kernels.iter().map(|(platform, _)| platform.name.as_str()).collect()
}

fn advertising(platforms: &[&str]) -> Builder {
    let mut builder = ours(NodeStatus::Running);
    builder.nodes[0].platforms = platforms.iter().map(|name| (*name).to_owned()).collect();
    builder
}

#[test]
fn what_is_missing_is_what_is_named_or_what_only_lacks_a_rule() {
    let table = Table::embedded();
    let platforms = seen(&table, &each());
    let facts = KernelFacts { platforms, registrable: vec!["riscv64".to_owned()] };
    assert_eq!(facts.missing(false), ["riscv64"]);
    assert_eq!(facts.missing(true), ["riscv64", "s390x"]);
}

#[test]
fn a_kernel_works_lacks_or_has_a_rule() {
    let told = each().map(|(name, kernel)| {
        (name, kernel.works(), kernel.is_lacking(), kernel.rule().map(str::to_owned))
    });
    let rule = |name: &str| Some(name.to_owned());
    assert_eq!(
        told,
        [
            ("linux/riscv64", Some(false), true, None),
            ("linux/arm64", Some(true), false, rule("qemu")),
            ("linux/ppc64le", None, false, rule("qemu-ppc64le")),
            ("linux/s390x", Some(false), true, rule("qemu")),
            ("linux/arm/v7", None, false, None),
            ("linux/amd64", Some(true), false, None),
        ]
    );
}

#[test]
fn an_inspection_is_about_what_runs_has_a_rule_or_is_advertised() {
    let settings = Settings::default();
    let keep = |builder: &Builder| {
        let mut kernels = seen(&settings.table, &each());
        keep_interesting(&settings, builder, &mut kernels);
        names(&kernels).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    // The host's own first, the others by name.
    assert_eq!(
        keep(&advertising(&[])),
        ["linux/amd64", "linux/arm64", "linux/ppc64le", "linux/s390x"]
    );
    assert_eq!(
        keep(&advertising(&["linux/riscv64", "linux/arm/v6"])),
        [
            "linux/amd64",
            "linux/arm/v7",
            "linux/arm64",
            "linux/ppc64le",
            "linux/riscv64",
            "linux/s390x"
        ]
    );
}

#[test]
fn a_bootstrap_is_about_what_the_kernel_runs() {
    let settings = Settings::default();
    let keep = |builder: &Builder| {
        let mut kernels = seen(&settings.table, &each());
        keep_running(&settings, builder, &mut kernels);
        names(&kernels).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let here = ["linux/amd64", "linux/arm64", "linux/ppc64le"];
    assert_eq!(keep(&advertising(&[])), here);
    assert_eq!(keep(&advertising(&["linux/riscv64"])), here);
    // Of a kernel elsewhere nothing else is known.
    assert_eq!(
        keep(&advertising(&["linux/arm/v7"])),
        ["linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le"]
    );
}

#[test]
fn a_rule_ran_what_an_emulator_without_a_version_did() {
    let built = |by| Built::Yes { by, version: None, time: Duration::ZERO };
    for (by, kernel, wanted) in [
        (Runner::Native, "linux/arm64", Runner::Rule),
        (Runner::Native, "linux/amd64", Runner::Native),
        (Runner::Native, "linux/riscv64", Runner::Native),
        (Runner::Embedded, "linux/arm64", Runner::Embedded),
        (Runner::Rule, "linux/arm64", Runner::Rule),
    ] {
        let (_, kernel) = each().into_iter().find(|(name, _)| *name == kernel).unwrap();
        let told = by_rule_where_there_is_one(built(by), &kernel);
        assert_eq!(told, built(wanted), "{by:?} {kernel:?}");
    }
    let no = Built::NotTried("no".to_owned());
    assert_eq!(by_rule_where_there_is_one(no.clone(), &each()[1].1), no);
}
