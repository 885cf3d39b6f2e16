use super::*;

fn of_all(phrases: &[Phrase], configured: &[&str]) -> String {
    let phrases: Vec<&Phrase> = phrases.iter().collect();
    Phrase::of_all(&phrases, &configured.iter().copied().collect())
}

fn disabled(rule: &str) -> Phrase {
    Phrase::own(rule, "its rule") + " is there and disabled"
}

fn register(target: &str) -> Phrase {
    Phrase::from("binfmtd register") + Phrase::target(target) + " --takeover"
}

#[test]
fn of_one_it_is_its_text() {
    let phrase = Phrase::from("chmod a+x") + Phrase::argument("/q/arm") + " && " + register("arm");
    assert_eq!(phrase.to_string(), "chmod a+x /q/arm && binfmtd register arm --takeover");
    assert_eq!(of_all(std::slice::from_ref(&phrase), &["arm"]), phrase.to_string());
    assert_eq!(
        serde_json::to_string(&phrase).unwrap(),
        "\"chmod a+x /q/arm && binfmtd register arm --takeover\""
    );
    assert_eq!(Phrase::interpreter("/q/arm").to_string(), "interpreter /q/arm");
}

#[test]
fn only_other_words_are_another_thing() {
    assert!(disabled("qemu-arm").is_like(&disabled("qemu-mips")));
    assert!(register("arm").is_like(&register("mips")));
    assert!(Phrase::file("/a/b", "it").is_like(&Phrase::file("/c/d", "it")));
    for (one, another) in [
        (disabled("a"), Phrase::own("a", "its rule") + " is gone"),
        (disabled("a"), disabled("a") + "!"),
        (disabled("a"), Phrase::own("a", "another") + " is there and disabled"),
        (Phrase::from("a"), Phrase::own("a", "a")),
        (Phrase::file("/a", "it"), Phrase::interpreter("/a")),
        (Phrase::argument("a"), Phrase::target("a")),
    ] {
        assert!(!one.is_like(&another), "{one} {another}");
    }
}

#[test]
fn of_several_it_says_what_they_have_in_common() {
    let two = [disabled("qemu-mips"), disabled("qemu-arm")];
    assert_eq!(of_all(&two, &[]), "its rule is there and disabled");
    let same = [disabled("qemu-arm"), disabled("qemu-arm")];
    assert_eq!(of_all(&same, &[]), "qemu-arm is there and disabled");
    let gone = |path: &str| Phrase::file(path, "its interpreter") + " is gone";
    assert_eq!(of_all(&[gone("/q/a"), gone("/q/b")], &[]), "its interpreter in /q is gone");
    assert_eq!(of_all(&[gone("/q/a"), gone("/p/b")], &[]), "its interpreter is gone");
    assert_eq!(of_all(&[gone("a"), gone("b")], &[]), "its interpreter is gone");
    assert_eq!(of_all(&[gone("/q/a"), gone("/q/a")], &[]), "/q/a is gone");
}

#[test]
fn a_command_names_each_once_unless_it_is_about_all() {
    let several = [register("mips"), register("arm"), register("mips")];
    assert_eq!(of_all(&several, &["arm"]), "binfmtd register arm mips --takeover");
    assert_eq!(of_all(&several, &["arm", "mips", "sparc"]), "binfmtd register arm mips --takeover");
    assert_eq!(of_all(&several, &["arm", "mips"]), "binfmtd register --takeover");
    let files = ["/q/b", "/q/a"].map(|path| Phrase::from("chmod a+x") + Phrase::argument(path));
    assert_eq!(of_all(&files, &["/q/a", "/q/b"]), "chmod a+x /q/a /q/b");
}

#[test]
fn evidence_that_only_one_can_give_of_itself_is_no_difference() {
    let seen = |pieces: &[Phrase]| {
        let mut evidence = Evidence::default();
        for piece in pieces {
            evidence.add(piece.clone());
        }
        evidence
    };
    let machine = Phrase::own("e_machine 0x28", "");
    let one = seen(&[machine.clone(), Phrase::interpreter("/q/a"), "flags P".into()]);
    let another = seen(&[Phrase::interpreter("/q/b"), "".into(), "flags P".into()]);
    assert_eq!(one.to_string(), "e_machine 0x28; interpreter /q/a; flags P");
    assert!(one.is_like(&another) && !one.is_like(&seen(&[machine])));
    assert!(!one.is_like(&seen(&[Phrase::interpreter("/q/a"), "flags".into()])));
    let none = BTreeSet::new();
    assert_eq!(Evidence::of_all(&[&one, &another], &none), "interpreters in /q; flags P");
    assert_eq!(Evidence::of_all(&[&one, &one.clone()], &none), one.to_string());
    assert!(seen(&["".into()]).is_empty());
}
