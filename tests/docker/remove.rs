//! `binfmtd buildx remove`

use serde_json::Value;

use crate::builder::{
    CONTAINER, NAME, VOLUME, buildx_with, ends, is_marked, list, mark, names, text, well, words,
};
use crate::engine::Engine;
use crate::support::stage::{Answer, says};

const QUICK: [&str; 3] = ["bootstrap", "--no-verify", "--platform=linux/arm64"];

/// Kind, name, whether it is ours, whether it was removed.
fn orphans(answer: &Answer) -> Vec<(&str, &str, bool, bool)> {
    let text = |value| Value::as_str(value).unwrap_or_else(|| panic!("no word: {answer}"));
    let flag = |value| Value::as_bool(value).unwrap_or_else(|| panic!("no yes or no: {answer}"));
    list(answer, "orphans")
        .iter()
        .map(|one| {
            (text(&one["kind"]), text(&one["name"]), flag(&one["ours"]), flag(&one["removed"]))
        })
        .collect()
}

pub(crate) fn ours(engine: &mut Engine) -> String {
    well(engine, &QUICK);
    engine.well(&["docker", "buildx", "create", "--name=hers", "--bootstrap"]);
    let answer = well(engine, &["remove"]);
    assert_eq!(answer.json["builder"], NAME, "{answer}");
    assert_eq!(names(engine, "container"), ["buildx_buildkit_hers0"]);
    assert_eq!(names(engine, "volume"), ["buildx_buildkit_hers0_state"]);
    let builders = engine.well(&["docker", "buildx", "ls"]);
    assert!(!builders.contains(NAME) && builders.contains("hers"), "{builders}");
    // The rules stay: they were not made for it alone.
    assert_eq!(engine.rules(), ["qemu-aarch64"]);
    // Again: there is nothing.
    let answer = well(engine, &["remove"]);
    assert_eq!(answer.json["builder"], Value::Null, "{answer}");
    let (code, told) = text(engine, &["remove"]);
    assert_eq!((code, told.as_str()), (Some(0), "nothing to remove\n"));

    // A container that is gone leaves a volume, which buildx leaves.
    well(engine, &QUICK);
    engine.well(&["docker", "rm", "--force", CONTAINER]);
    well(engine, &["remove"]);
    assert_eq!(names(engine, "volume"), ["buildx_buildkit_hers0_state"]);

    // Its state is kept for the next one when that is asked for.
    well(engine, &QUICK);
    mark(engine, VOLUME);
    well(engine, &["remove", "--keep-state"]);
    assert_eq!(names(engine, "container"), ["buildx_buildkit_hers0"]);
    well(engine, &QUICK);
    assert!(is_marked(engine, VOLUME));
    well(engine, &["remove"]);
    assert_eq!(names(engine, "volume"), ["buildx_buildkit_hers0_state"]);
    "with its container and its volume".to_owned()
}

pub(crate) fn what_is_left(engine: &mut Engine) -> String {
    // Somebody else's, of two kinds, and a volume that only looks like one.
    engine.well(&["docker", "buildx", "create", "--name=hers", "--bootstrap"]);
    engine.well(&["docker", "buildx", "create", "--name=known", "--bootstrap"]);
    engine.sh("rm $BUILDX_CONFIG/instances/hers");
    engine.well(&["docker", "volume", "create", "my_buildx_buildkit_thing_state"]);
    // Another user of binfmtd's, which bears the same mark.
    let other = ["BINFMTD_STATE_DIRECTORY=/srv/other", "BUILDX_CONFIG=/srv/other/buildx"];
    let made = buildx_with(engine, &other, &["bootstrap", "other", "--no-verify", QUICK[2]]);
    assert_eq!(made.code, Some(0), "{made}");
    engine.sh("rm -r /srv/other");
    let not_ours = [
        ("container", "buildx_buildkit_hers0", false, false),
        ("container", "buildx_buildkit_other0", false, false),
        ("volume", "buildx_buildkit_hers0_state", false, false),
        ("volume", "buildx_buildkit_other0_state", false, false),
    ];
    // Ours by its record alone, and by its container's mark.
    well(engine, &QUICK);
    engine.well(&["docker", "buildx", "rm", "--keep-state", NAME]);
    well(engine, &["bootstrap", "second", "--no-verify", "--platform=linux/arm64"]);
    engine.sh("rm $BUILDX_CONFIG/instances/second");

    // First a list.
    let all = [
        not_ours[0],
        not_ours[1],
        ("container", "buildx_buildkit_second0", true, false),
        ("volume", VOLUME, true, false),
        not_ours[2],
        not_ours[3],
        ("volume", "buildx_buildkit_second0_state", true, false),
    ];
    let (containers, volumes) = (names(engine, "container"), names(engine, "volume"));
    let answer = well(engine, &["remove", "--all-orphans"]);
    assert_eq!(orphans(&answer), all, "{answer}");
    let (code, told) = text(engine, &["remove", "--all-orphans"]);
    assert_eq!(code, Some(0));
    assert!(told.contains("binfmtd buildx remove --all-orphans --yes\n"), "{told}");
    assert!(told.contains("  docker container rm --force buildx_buildkit_hers0\n"), "{told}");
    assert!(!told.contains("known") && !told.contains("my_buildx"), "{told}");
    assert_eq!(names(engine, "container"), containers);
    assert_eq!(names(engine, "volume"), volumes);
    // Who looks at a builder sees them too.
    let answer = ends(engine, 0, &["inspect", "known", "--no-verify", "--platform=arm64"]);
    assert_eq!(orphans(&answer), all, "{answer}");

    let answer = well(engine, &["remove", "--all-orphans", "--yes"]);
    let removed = all.map(|(kind, name, ours, _)| (kind, name, ours, ours));
    assert_eq!(orphans(&answer), removed, "{answer}");
    assert_eq!(
        names(engine, "container"),
        ["buildx_buildkit_hers0", "buildx_buildkit_known0", "buildx_buildkit_other0"]
    );
    assert_eq!(
        names(engine, "volume"),
        [
            "buildx_buildkit_hers0_state",
            "buildx_buildkit_known0_state",
            "buildx_buildkit_other0_state",
            "my_buildx_buildkit_thing_state"
        ]
    );
    assert_eq!(orphans(&well(engine, &["remove", "--all-orphans"])), not_ours);
    "listed first, and only ours taken away".to_owned()
}

/// Somebody removed the builder's file: its name is enough.
pub(crate) fn by_its_name(engine: &mut Engine) -> String {
    well(engine, &["bootstrap", "mine", "--no-verify", "--platform=linux/arm64"]);
    well(engine, &["bootstrap", "mine2", "--no-verify", "--platform=linux/arm64"]);
    engine.sh("rm -r $BUILDX_CONFIG/instances");
    let answer = well(engine, &["remove", "mine"]);
    assert_eq!(answer.json["builder"], Value::Null, "{answer}");
    let taken = [
        ("container", "buildx_buildkit_mine0", true, true),
        ("volume", "buildx_buildkit_mine0_state", true, true),
    ];
    assert_eq!(orphans(&answer), taken, "{answer}");
    assert_eq!(names(engine, "container"), ["buildx_buildkit_mine20"]);

    // One that is in use cannot be taken away, and that is told.
    engine.sh(
        "docker rm --force buildx_buildkit_mine20
        docker run --detach --volume=buildx_buildkit_mine20_state:/state moby/buildkit:buildx-stable-1",
    );
    let answer = ends(engine, 1, &["remove", "mine2"]);
    says(&list(&answer, "errors")[0], &["volume buildx_buildkit_mine20_state", "in use"]);
    assert_eq!(words(&answer, "errors").len(), 1, "{answer}");
    "and what is in use stays".to_owned()
}
