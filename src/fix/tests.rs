use serde_json::json;

use super::*;

const ROOT: Reader = Reader::ROOT;
const USER: Reader = Reader { uid: 1000 };

fn register(target: &str) -> Fix {
    let register = Command::register(target).word("--takeover");
    Fix::run(
        "register it",
        [Command::root(&["chmod", "a+x"]).each(format!("/q/{target}")), register],
    )
}

#[test]
fn who_is_not_root_is_told_to_use_sudo() {
    let fix = register("arm");
    assert_eq!(fix.line(ROOT), "chmod a+x /q/arm && binfmtd register arm --takeover");
    assert_eq!(fix.line(USER), "sudo chmod a+x /q/arm && sudo binfmtd register arm --takeover");
    let user = Fix::run("", [Command::user(&["docker", "context", "ls"]).without("DOCKER_HOST")]);
    assert_eq!(user.line(ROOT), "env -u DOCKER_HOST docker context ls");
    let owner = Fix::run("", [Command::new(RunsAs::Owner { uid: 1000 }, &["docker", "ps"])]);
    assert_eq!(owner.line(ROOT), "sudo -u '#1000' docker ps");
    assert_eq!(owner.line(USER), "docker ps");
}

#[test]
fn a_word_is_quoted_for_a_shell() {
    let fix = Fix::run("", [Command::root(&["chmod", "a+x"]).each("/q/a b'c")]);
    assert_eq!(fix.line(ROOT), r"chmod a+x '/q/a b'\''c'");
}

#[test]
fn another_place_is_named_once() {
    let host = Fix::run("", ["a", "b"].map(|name| Command::root(&[name]).at(Place::Host)));
    assert_eq!(host.line(ROOT), "on the host: a && b");
    let both = Fix::run(
        "",
        [Command::root(&["a"]).at(Place::Node { node: "n0".to_owned() }), Command::user(&["b"])],
    );
    assert_eq!(both.line(USER), "on the machine of node n0: sudo a; then here: b");
}

#[test]
fn without_commands_it_is_the_sentence() {
    assert_eq!(Fix::advice("ask its maintainer").line(USER), "ask its maintainer");
    let line = "echo -1 > /proc/sys/fs/binfmt_misc/x";
    assert_eq!(Fix::builtins("remove it", line).line(USER), line);
}

#[test]
fn several_are_one_command_where_it_takes_several() {
    let fixes = [register("mips"), register("arm"), register("mips")];
    let all: Vec<&Fix> = fixes.iter().collect();
    assert!(all[0].is_like(all[1]));
    let none = BTreeSet::new();
    assert_eq!(
        Fix::of_all(&all, &none, ROOT),
        "chmod a+x /q/arm /q/mips && binfmtd register arm mips --takeover"
    );
    let configured = BTreeSet::from(["arm", "mips"]);
    assert!(Fix::of_all(&all, &configured, ROOT).ends_with("&& binfmtd register --takeover"));
    // One that is the only configured target is still named.
    assert!(Fix::of_all(&all[..1], &BTreeSet::from(["mips"]), ROOT).contains("register mips"));
}

#[test]
fn what_each_has_of_its_own_is_told_in_words() {
    let own = |path: &str| {
        let text = Phrase::from("remove ") + Phrase::own(path, "its rule");
        Fix::run(text, [Command::root(&["rm"]).own(path)])
    };
    let (one, other) = (own("a"), own("b"));
    assert!(one.is_like(&other));
    let none = BTreeSet::new();
    assert_eq!(Fix::of_all(&[&one, &other], &none, ROOT), "remove its rule");
    assert_eq!(Fix::of_all(&[&one, &one.clone()], &none, ROOT), "rm a");
    assert_eq!(Fix::of_all(&[], &none, ROOT), "");
}

#[test]
fn only_other_words_places_and_rights_are_another_fix() {
    let fix = |command: Command| Fix::run("x", [command]);
    let plain = fix(Command::root(&["a"]));
    for other in [
        fix(Command::root(&["b"])),
        fix(Command::user(&["a"])),
        fix(Command::root(&["a"]).at(Place::Host)),
        fix(Command::root(&["a"]).without("X")),
        fix(Command::root(&["a", "b"])),
        Fix::run("x", [Command::root(&["a"]), Command::root(&["a"])]),
        Fix::run("y", [Command::root(&["a"])]),
        Fix::builtins("x", "a"),
        Fix::advice("x").edit(Edit {
            file: "/f".into(),
            create: true,
            line: None,
            remove: Vec::new(),
            add: vec!["x".to_owned()],
        }),
    ] {
        assert!(!plain.is_like(&other) && !other.is_like(&plain), "{other:?}");
    }
    let kinds = ["word", "own", "each", "target"];
    let of_kind = |kind: &str| match kind {
        "word" => Command::root(&[]).word("a"),
        "own" => Command::root(&[]).own("a"),
        "each" => Command::root(&[]).each("a"),
        _ => Command::root(&[]).target("a"),
    };
    for (one, other) in kinds.iter().flat_map(|one| kinds.map(|other| (*one, other))) {
        assert_eq!(fix(of_kind(one)).is_like(&fix(of_kind(other))), one == other, "{one} {other}");
    }
}

#[test]
fn its_json() {
    let fix = Fix::run(
        "register it there",
        [
            Command::register("arm"),
            Command::new(RunsAs::Owner { uid: 1000 }, &["docker"])
                .at(Place::Node { node: "n".to_owned() })
                .without("X"),
        ],
    )
    .edit(Edit {
        file: "/f".into(),
        create: false,
        line: Some(3),
        remove: Vec::new(),
        add: vec!["x".to_owned()],
    });
    assert_eq!(
        serde_json::to_value(&fix).unwrap(),
        json!({
            "text": "register it there",
            "commands": [
                {"argv": ["binfmtd", "register", "arm"], "as": "root", "where": "here"},
                {"argv": ["docker"], "as": "owner", "uid": 1000, "where": "node", "node": "n", "unset": ["X"]},
            ],
            "edits": [{"file": "/f", "create": false, "line": 3, "remove": [], "add": ["x"]}],
        })
    );
    let builtins = serde_json::to_value(Fix::builtins("x", "echo")).unwrap();
    assert_eq!(builtins, json!({"text": "x", "commands": [], "shell": "echo", "edits": []}));
}
