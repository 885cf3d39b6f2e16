use super::*;

fn line(facts: &PlatformFacts, remedy: Remedy) -> String {
    remedy.fix(facts, &ours(NodeStatus::Running)).line(ROOT)
}

fn kernels() -> [(&'static str, Kernel); 6] {
    let rule = || Some("qemu-arm".to_owned());
    [
        ("native", Kernel::Native),
        ("runs", Kernel::Runs { rule: rule(), version: None }),
        ("has-rule", Kernel::HasRule("qemu-arm".to_owned())),
        ("no-rule", Kernel::NoRule),
        ("fails", Kernel::Fails { rule: rule(), why: "boo".to_owned() }),
        ("unknown", Kernel::Unknown("far away".to_owned())),
    ]
}

fn images() -> [(&'static str, Embedded); 3] {
    let name = "buildkit-qemu-arm".to_owned();
    [
        ("yes", Embedded::Yes { name, version: None, sha256: None }),
        ("no", Embedded::No),
        ("unknown", Embedded::Unknown("not looked for".to_owned())),
    ]
}

fn trials() -> [(&'static str, Built); 5] {
    let yes = |by| Built::Yes { by, version: None, time: Duration::ZERO };
    [
        ("native", yes(Runner::Native)),
        ("rule", yes(Runner::Rule)),
        ("embedded", yes(Runner::Embedded)),
        ("no", Built::No { why: "WHY".to_owned(), log: String::new() }),
        ("not-tried", Built::NotTried("nobody asked".to_owned())),
    ]
}

/// All of them, with their words: kernel, embedded, advertised, built.
fn all(resting: bool) -> Vec<([&'static str; 4], PlatformFacts)> {
    let mut all = Vec::new();
    for (built_word, built) in trials() {
        for (kernel_word, kernel) in kernels() {
            for (embedded_word, embedded) in images() {
                for (advertised_word, advertised) in [("yes", true), ("no", false)] {
                    let facts = PlatformFacts {
                        platform: "linux/arm/v7".to_owned(),
                        target: "arm".to_owned(),
                        kernel: kernel.clone(),
                        embedded: embedded.clone(),
                        advertised,
                        resting,
                        built: built.clone(),
                    };
                    all.push(([kernel_word, embedded_word, advertised_word, built_word], facts));
                }
            }
        }
    }
    all
}

/// The file is the documentation: every combination, below what is said of it.
#[test]
fn every_combination_is_assessed_as_it_is_written_down() {
    let mut table: Vec<(String, Vec<String>)> = Vec::new();
    for (words, facts) in all(false) {
        let assessment = facts.assess();
        let head = format!(
            "{}: {}\n  fix: {}\n",
            assessment.grade.as_str(),
            assessment.sentence.as_deref().unwrap_or("nothing to say"),
            assessment.remedy.map_or("none".to_owned(), |remedy| line(&facts, remedy))
        );
        let [kernel, embedded, advertised, built] = words;
        let line = format!("    {built:10} {kernel:9} {embedded:9} {advertised}\n");
        match table.iter_mut().find(|(known, _)| *known == head) {
            Some((_, lines)) => lines.push(line),
            None => table.push((head, vec![line])),
        }
    }
    let mut text = String::new();
    for (head, lines) in table {
        text += &head;
        text += "    built      kernel    embedded  advertised\n";
        text += &lines.concat();
        text += "\n";
    }
    let known = include_str!("../facts.txt");
    assert!(
        text.trim_end() == known.trim_end(),
        "src/buildx/facts.txt says something else than:\n{text}"
    );
}

#[test]
fn a_sentence_claims_nothing_that_is_not_known() {
    for resting in [false, true] {
        for (words, facts) in all(resting) {
            let assessment = facts.assess();
            let [kernel, embedded, _, built] = words;
            let said = assessment.sentence.clone().unwrap_or_default();
            let says = |part: &str| said.contains(part);
            let case = format!("{words:?} resting {resting}: {assessment:?}");

            let grades: &[Grade] = match built {
                "no" => &[Grade::Fails],
                "not-tried" => &[Grade::Likely, Grade::Doubtful, Grade::Fails],
                _ => &[Grade::Builds, Grade::Doubtful],
            };
            assert!(grades.contains(&assessment.grade), "{case}");
            let is_well = matches!(assessment.grade, Grade::Builds | Grade::Likely);
            assert_eq!(is_well, said.is_empty(), "{case}");
            assert!(!is_well || assessment.remedy.is_none(), "{case}");
            // What went wrong is said, once.
            let times = usize::from(built == "no");
            assert_eq!(said.matches("WHY").count(), times, "{case}");

            let works = facts.kernel.works();
            assert!(!says("no working rule") || works == Some(false), "{case}");
            assert!(!says("kernel runs it") || works == Some(true), "{case}");
            assert!(!says("the kernel does not run it") || works == Some(false), "{case}");
            assert!(!says("rule went away") || kernel == "no-rule", "{case}");
            assert!(!says("has a rule") || kernel == "has-rule", "{case}");
            assert!(!says("rule") || !matches!(kernel, "native" | "unknown"), "{case}");
            assert!(!says("image no emulator") || embedded == "no", "{case}");
            let claims = says("the emulator in BuildKit's image");
            assert!(!claims || embedded == "yes" || built == "embedded", "{case}");
            assert!(!says("does not say") || (!facts.advertised && !resting), "{case}");
            assert!(!says("advertised, ") || facts.advertised, "{case}");
            // A restart shows a builder nothing that the kernel does not run.
            let fix = assessment.remedy.map(|remedy| line(&facts, remedy)).unwrap_or_default();
            assert!(!fix.contains("buildx stop") || works != Some(false), "{case}");
            assert!(!fix.contains("register") || works == Some(false), "{case}");
        }
    }
}

#[test]
fn better_facts_never_make_it_worse() {
    let grade = |facts: &PlatformFacts| facts.assess().grade;
    for (words, facts) in all(false) {
        if facts.kernel.works() == Some(false) && facts.built.works().is_none() {
            let better = PlatformFacts { embedded: images()[0].1.clone(), ..facts.clone() };
            assert!(grade(&better) <= grade(&facts), "{words:?}");
            let better = PlatformFacts { kernel: kernels()[1].1.clone(), ..facts.clone() };
            assert!(grade(&better) <= grade(&facts), "{words:?}");
        }
    }
    assert!(Grade::Builds < Grade::Likely && Grade::Likely < Grade::Doubtful);
    assert!(Grade::Doubtful < Grade::Fails);
}

#[test]
fn a_restart_may_help_what_the_kernel_runs_and_what_hides_an_emulator() {
    for (words, facts) in all(false) {
        let [kernel, embedded, advertised, built] = words;
        let runs = matches!(kernel, "native" | "runs");
        let hidden = advertised == "yes" && embedded == "yes";
        let wanted = built == "no" && (runs || hidden);
        assert_eq!(facts.may_build_after_restart(), wanted, "{words:?}");
    }
}

#[test]
fn a_bootstrap_is_not_proposed_after_one() {
    let mut others = 0;
    for (words, facts) in all(false) {
        let before = facts.assess();
        let after = facts.assess().after_bootstrap();
        assert_eq!((after.grade, &after.sentence), (before.grade, &before.sentence), "{words:?}");
        if before.remedy == Some(Remedy::Bootstrap) {
            assert_eq!(after.remedy, Some(Remedy::Diagnose), "{words:?}");
        } else {
            assert_eq!(after.remedy, before.remedy, "{words:?}");
            others += usize::from(after.remedy.is_some());
        }
    }
    assert!(others > 0);
    let (_, facts) = &all(false)[0];
    assert_eq!(line(facts, Remedy::Diagnose), "binfmtd doctor arm");
}

#[test]
fn a_remedy_asks_the_driver() {
    let (_, facts) = &all(false)[0];
    let of = |driver: &str, remedy: Remedy| {
        let builder = Builder { driver: driver.to_owned(), ..ours(NodeStatus::Running) };
        remedy.fix(facts, &builder).line(ROOT)
    };
    let beside = "binfmtd buildx bootstrap mine-container --platform linux/arm/v7";
    for driver in ["docker", "cloud", "of next year"] {
        assert_eq!(of(driver, Remedy::Bootstrap), beside);
    }
    for driver in ["docker-container", ""] {
        let here = "binfmtd buildx bootstrap mine --platform linux/arm/v7";
        assert_eq!(of(driver, Remedy::Bootstrap), here);
        let again = "docker buildx stop mine && docker buildx inspect --bootstrap mine";
        assert_eq!(of(driver, Remedy::Restart), again);
    }
    assert_eq!(of("docker", Remedy::Restart), "systemctl restart docker");
    assert!(of("kubernetes", Remedy::Bootstrap).contains("DaemonSet"));
    assert!(of("remote", Remedy::Bootstrap).contains("where its buildkitd runs"));
    assert_eq!(of("docker", Remedy::Register), "binfmtd register arm");
}

#[test]
fn grades_and_runners_are_written_in_a_word() {
    let grades = [Grade::Builds, Grade::Likely, Grade::Doubtful, Grade::Fails];
    assert_eq!(grades.map(Grade::as_str), ["builds", "likely", "doubtful", "fails"]);
    let runners = [Runner::Native, Runner::Rule, Runner::Embedded];
    assert_eq!(runners.map(Runner::as_str), ["native", "rule", "embedded"]);
}
