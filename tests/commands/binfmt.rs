//! The program under the name `binfmt`: tonistiigi/binfmt's command line. The cases of that tool's own test are
//! run with a real engine and a real image, in `tests/docker/image.rs`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::INSTANCE;
use crate::world::{BINFMTD, Said, World, interpreter, probe, qemu};

/// What the emulators of this world are for.
const TARGETS: [&str; 3] = ["aarch64", "riscv64", "s390x"];

/// The folder of the emulators, as an image has them: without `-static`.
fn emulators(world: &World) -> PathBuf {
    let folder = world.folder().join("bin");
    if !folder.exists() {
        std::fs::create_dir(&folder).unwrap();
        for target in TARGETS {
            copy(&interpreter(target), &folder.join(format!("qemu-{target}")));
        }
    }
    folder
}

/// A new file, by a process that nobody inherits its descriptor from.
fn copy(from: &Path, to: &Path) {
    let status =
        std::process::Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(status.unwrap().success());
}

/// Runs it with these variables.
fn binfmt_with(world: &World, variables: &[&str], words: &[&str]) -> Said {
    let program = world.folder().join("binfmt");
    if !program.exists() {
        std::os::unix::fs::symlink(BINFMTD, &program).unwrap();
    }
    let folder = format!("QEMU_BINARY_PATH={}", emulators(world).display());
    let mut line = vec!["env", folder.as_str()];
    line.extend(variables);
    line.push(program.to_str().unwrap());
    line.extend(words);
    world.run(line)
}

fn binfmt(world: &World, words: &[&str]) -> Said {
    binfmt_with(world, &[], words)
}

/// Its two lists, which are all there is.
#[track_caller]
fn lists(said: &Said) -> (Vec<String>, Option<Vec<String>>) {
    let document: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:#?}"));
    assert!(said.out.starts_with("{\n  \"supported\": [\n    \"linux/"), "{said:#?}");
    assert_eq!(document.as_object().unwrap().len(), 2, "{said:#?}");
    let words = |list: &Value| -> Option<Vec<String>> {
        let list = list.as_array()?;
        Some(list.iter().map(|word| word.as_str().unwrap().to_owned()).collect())
    };
    (words(&document["supported"]).unwrap(), words(&document["emulators"]))
}

#[track_caller]
fn emulators_of(said: &Said) -> Vec<String> {
    lists(said).1.unwrap_or_default()
}

/// Writes to `register` what another tool would write.
fn register(world: &World, string: &str) {
    let file = world.folder().join("string");
    std::fs::write(&file, string).unwrap();
    world.sh(&format!("cat {} > $M/register", file.display()));
}

/// The string that such a tool has for aarch64; that of tonistiigi/binfmt has the flags CF.
fn aarch64(interpreter: &Path, flags: &str) -> String {
    let interpreter = interpreter.display();
    format!(
        r":qemu-aarch64:M:0:\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:{interpreter}:{flags}"
    )
}

fn world() -> Option<World> {
    qemu()?;
    World::mounted()
}

#[test]
fn without_a_flag_it_says_what_runs() {
    let Some(world) = world() else { return };
    let said = binfmt(&world, &[]).ended(0);
    assert_eq!(said.err, "");
    assert!(said.out.ends_with("\n  ],\n  \"emulators\": null\n}\n"), "{said:#?}");
    let (supported, _) = lists(&said);
    let host = world.binfmtd("targets --format json").document();
    let host =
        host["targets"].as_array().unwrap().iter().find(|it| it["name"] == std::env::consts::ARCH);
    assert_eq!(supported[0], host.unwrap()["platforms"][0], "{said:#?}");
    assert!(!supported.contains(&"linux/s390x".to_owned()), "{said:#?}");
    // Somebody else's rules are listed as well, in the order of their names.
    world.sh("printf ':zebra:E::zebra::/bin/true:' > $M/register");
    world.sh("printf ':ape:E::ape::/bin/true:' > $M/register");
    world.sh("printf ':cat:E::cat::/bin/true:' > $M/register; echo 0 > $M/cat");
    assert_eq!(emulators_of(&binfmt(&world, &[]).ended(0)), ["ape", "zebra"]);
}

#[test]
fn it_installs_all_that_is_there() {
    let Some(world) = world() else { return };
    let said = binfmt(&world, &["--install", "all"]).ended(0);
    assert_eq!(said.err, "installing: arm64 OK\ninstalling: riscv64 OK\ninstalling: s390x OK\n");
    let (supported, rules) = lists(&said);
    assert_eq!(rules.unwrap(), ["qemu-aarch64", "qemu-riscv64", "qemu-s390x"]);
    for platform in ["linux/arm64", "linux/riscv64", "linux/s390x"] {
        assert!(supported.contains(&platform.to_owned()), "{said:#?}");
    }
    let entry = world.sh("cat $M/qemu-aarch64");
    let path = emulators(&world).join("qemu-aarch64");
    assert!(entry.contains(&format!("interpreter {}\nflags: OCF\n", path.display())), "{entry}");
    let program = world.program("hello", &probe("s390x"));
    assert!(world.run([program]).ended(0).out.contains("s390x"));

    // Again, without a record, as in another container: what works is left.
    let before = world.sh("cd $M; stat -c '%n %i %z' *");
    world.sh(&format!("rm -r {}", world.runtime().display()));
    let again = binfmt(&world, &["--install=all"]).ended(0);
    assert_eq!((&again.out, &again.err), (&said.out, &said.err));
    assert_eq!(world.sh("cd $M; stat -c '%n %i %z' *"), before);

    // And what it says without a flag is the same.
    assert_eq!(binfmt(&world, &[]).ended(0).out, said.out);
}

#[test]
fn a_list_is_of_any_names_and_one_that_fails_stops_no_other() {
    let Some(world) = world() else { return };
    let said = binfmt(&world, &["-install", "linux/s390x,amr64,aarch64,arm64"]).ended(2);
    assert_eq!(
        said.err,
        "installing: amr64 unknown target \"amr64\" (did you mean arm64?)\ninstalling: s390x OK\n\
         installing: arm64 OK\n"
    );
    assert_eq!(emulators_of(&said), ["qemu-aarch64", "qemu-s390x"]);
    // There is no emulator for it.
    let said = binfmt(&world, &["--install", "ppc64le,riscv64"]).ended(1);
    assert!(said.err.starts_with("installing: ppc64le no interpreter for ppc64le"), "{said:#?}");
    assert!(said.err.ends_with("installing: riscv64 OK\n"), "{said:#?}");
    assert_eq!(world.rules().len(), 3);
    // As that tool ends.
    let old =
        binfmt_with(&world, &["BINFMTD_COMPAT=exit-zero"], &["--install", "ppc64le,x"]).ended(0);
    assert!(old.err.contains("installing: x unknown target"), "{old:#?}");
    assert_eq!(emulators_of(&old).len(), 3);
    // A rule for the machine's own programs would be its end.
    let own = std::env::consts::ARCH;
    let said = binfmt(&world, &["--install", own]).ended(0);
    assert!(said.err.contains(" OK\nnote: ") && said.err.contains(" is native"), "{said:#?}");
    assert_eq!(world.rules().len(), 3);
    assert_eq!(binfmt(&world, &["--install", ""]).ended(0).err, "");
}

#[test]
fn the_environment_says_which_emulators_and_flags() {
    let Some(world) = world() else { return };
    let folder = emulators(&world);
    copy(&folder.join("qemu-s390x"), &folder.join("my-qemu-s390x"));
    let variables = ["QEMU_BINARY_PREFIX=my-", "QEMU_PRESERVE_ARGV0=1"];
    let said = binfmt_with(&world, &variables, &["--install", "all"]).ended(0);
    assert_eq!(said.err, "installing: s390x OK\n");
    let entry = world.sh("cat $M/qemu-s390x");
    let path = folder.join("my-qemu-s390x");
    assert!(entry.contains(&format!("interpreter {}\nflags: POCF\n", path.display())), "{entry}");
    // Under another prefix it is none of the image's.
    let said = binfmt_with(&world, &["BINFMTD_RUNTIME_DIRECTORY=/run/elsewhere"], &[]);
    assert_eq!(emulators_of(&said.ended(0)), ["qemu-s390x"]);

    for (variable, part) in [
        ("QEMU_BINARY_PREFIX=a/b", "QEMU_BINARY_PATH"),
        ("QEMU_BINARY_PATH=bin", "an absolute path"),
        ("BINFMTD_COMPAT=yes", "exit-zero"),
    ] {
        let said = binfmt_with(&world, &[variable], &[]).ended(2);
        assert!(said.err.contains(part) && said.out.is_empty(), "{said:#?}");
    }
    let empty = world.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let variable = format!("QEMU_BINARY_PATH={}", empty.display());
    let said = binfmt_with(&world, &[&variable], &["--install", "all"]).ended(3);
    assert!(said.err.starts_with("error: no QEMU interpreter in "), "{said:#?}");
    assert!(!said.out.is_empty());
    let said = binfmt_with(&world, &[&variable], &["--version"]).ended(0);
    assert!(said.err.starts_with("binfmt/") && said.err.ends_with(" qemu/none\n"), "{said:#?}");
    let said = binfmt(&world, &["--version"]).ended(0);
    assert!(said.err.contains(" qemu/v") && said.out.is_empty(), "{said:#?}");
}

#[test]
fn it_removes_what_is_its_own_and_leaves_the_rest() {
    let Some(world) = world() else { return };
    let folder = emulators(&world);
    binfmt(&world, &["--install", "riscv64,s390x"]).ended(0);
    // As the containers of the other tool leave it, and one of ours: without a record.
    register(&world, &aarch64(&folder.join("qemu-aarch64"), "CF"));
    world.sh(&format!("rm -r {}", world.runtime().display()));
    world.sh("printf ':qemu-mine:E::mine::/bin/true:' > $M/register");
    world.sh("printf ':WSLInterop:E::exe::/bin/true:' > $M/register");

    let said = binfmt(&world, &["--uninstall", "linux/riscv64,qemu-nothing"]).ended(2);
    assert_eq!(said.err, "uninstalling: qemu-riscv64 OK\nuninstalling: qemu-nothing not found\n");
    assert!(!lists(&said).0.contains(&"linux/riscv64".to_owned()), "{said:#?}");
    let said = binfmt(&world, &["--uninstall", "qemu-*,qemu-a*"]).ended(0);
    for line in [
        "uninstalling: qemu-aarch64 OK\n",
        "uninstalling: qemu-s390x OK\n",
        "uninstalling: qemu-mine left alone: no rule of this image has such a name\n",
    ] {
        assert_eq!(said.err.matches(line).count(), 1, "{said:#?}");
    }
    assert_eq!(emulators_of(&said), ["WSLInterop", "qemu-mine"]);
    // Asked for by its name, it is not done.
    let said = binfmt(&world, &["--uninstall", "qemu-mine"]).ended(1);
    assert!(said.err.contains("left alone"), "{said:#?}");
    binfmt_with(&world, &["BINFMTD_COMPAT=exit-zero"], &["--uninstall", "qemu-mine"]).ended(0);
    binfmt(&world, &["--uninstall", "*"]).ended(0);
    assert_eq!(world.rules().len(), 2);

    // A distribution's: it has no C.
    register(&world, &aarch64(&folder.join("qemu-aarch64"), "OPF"));
    let said = binfmt(&world, &["--uninstall", "qemu-*"]).ended(0);
    assert!(said.err.contains("qemu-aarch64 left alone: it lacks the flags C and F"), "{said:#?}");
    // What is a target is only not there.
    binfmt(&world, &["--uninstall", "qemu-mips64,linux/mips64le"]).ended(0);
    // Whoever takes a word out and puts it in again gets both.
    let said = binfmt(&world, &["--install", "s390x", "--uninstall", "s390x"]).ended(0);
    assert_eq!(said.err, "uninstalling: s390x not found\ninstalling: s390x OK\n");
}

#[test]
fn a_stale_rule_is_replaced_and_another_roots_is_not() {
    let Some(world) = world() else { return };
    let file = emulators(&world).join("qemu-aarch64");
    let older = || {
        world.sh(&format!("cp {0} {0}.new; echo >> {0}.new; mv {0}.new {0}", file.display()));
    };
    register(&world, &aarch64(&file, "CF"));
    older();
    let said = binfmt(&world, &["--install", "arm64"]).ended(0);
    let note =
        "installing: arm64 OK\nnote: qemu-aarch64 was replaced without a gap: the kernel runs ";
    assert!(said.err.starts_with(note), "{said:#?}");
    assert_eq!(binfmt(&world, &["--install", "arm64"]).ended(0).err, "installing: arm64 OK\n");
    binfmt(&world, &["--uninstall", "arm64"]).ended(0);

    // A host's own, seen from a container: its path is the host's, and what is there in here tells nothing.
    let elsewhere = world.folder().join("qemu-aarch64-static");
    copy(&file, &elsewhere);
    for path in [&file, &elsewhere] {
        register(&world, &aarch64(path, "OPF"));
        older();
        let before = world.sh("stat -c '%i %z' $M/qemu-aarch64");
        if path == &elsewhere {
            std::fs::remove_file(path).unwrap();
        }
        let said = binfmt(&world, &["--install", "arm64"]).ended(0);
        assert_eq!(
            said.err,
            "installing: arm64 OK\nnote: arm64 is served by qemu-aarch64, which is not of this image and works\n"
        );
        assert_eq!(world.sh("stat -c '%i %z' $M/qemu-aarch64"), before);
        world.sh("echo -1 > $M/qemu-aarch64");
    }
    // One that does not work is replaced, whoever made it.
    register(&world, &aarch64(Path::new("/nowhere/qemu-aarch64"), ""));
    let said = binfmt(&world, &["--install", "arm64"]).ended(0);
    assert!(said.err.contains("note: qemu-aarch64 was replaced"), "{said:#?}");
}

#[test]
fn bad_usage_changes_nothing() {
    let Some(world) = world() else { return };
    for (words, part) in [
        (&["--all"][..], "flag provided but not defined: -all\nUsage of binfmt:\n"),
        (&["--install"], "flag needs an argument: -install\nUsage"),
        (&["--install", "s390x", "--format", "json"], "not defined: -format"),
        (&["--install", "s390x", "riscv64"], "riscv64 is not a flag (separate a list with commas"),
        (&["register"], "register is not a flag"),
    ] {
        let said = binfmt(&world, words).ended(2);
        assert!(said.err.contains(part) && said.out.is_empty(), "{said:#?}");
    }
    let said = binfmt(&world, &["-h"]).ended(0);
    assert!(said.err.starts_with("Usage of binfmt:\n") && said.out.is_empty(), "{said:#?}");
    assert_eq!(world.rules(), [""; 0]);
    // That tool takes no notice of further words.
    let old = ["--install", "s390x", "riscv64"];
    let said = binfmt_with(&world, &["BINFMTD_COMPAT=exit-zero"], &old).ended(0);
    assert!(said.err.starts_with("note: riscv64 is not a flag, and ignored\n"), "{said:#?}");
    assert_eq!(world.rules(), ["qemu-s390x"]);
}

#[test]
fn the_instance_may_be_mounted_elsewhere() {
    let Some(world) = world() else { return };
    let at = world.folder().join("instance");
    std::fs::create_dir(&at).unwrap();
    let path = at.to_str().unwrap().to_owned();
    world.sh(&format!("mount --bind {INSTANCE} {path}"));
    let said = binfmt(&world, &["--mount", &path, "--install", "s390x"]).ended(0);
    assert_eq!(emulators_of(&said), ["qemu-s390x"]);
    // Nothing is mounted there, but there is only one.
    world.sh(&format!("umount {path}"));
    assert_eq!(emulators_of(&binfmt(&world, &["--mount", &path]).ended(0)), ["qemu-s390x"]);
    let said = binfmt(&world, &["--mount", "/no/such/folder"]).ended(3);
    assert_eq!(said.err, "error: --mount /no/such/folder: no such folder\n");
}

#[test]
fn who_may_not_register_is_told() {
    let Some(()) = qemu() else { return };
    let Some(world) = World::with_users() else { return };
    let (copy, mut words) = world.as_somebody();
    let link = copy.with_file_name("binfmt");
    std::os::unix::fs::symlink(&copy, &link).unwrap();
    let folder = format!("QEMU_BINARY_PATH={}", emulators(&world).display());
    words.extend(["env".to_owned(), folder, link.display().to_string()]);
    let said =
        world.run([&words[..], &["--install".to_owned(), "all".to_owned()]].concat()).ended(4);
    assert_eq!(said.err, "error: registering rules needs root\n");
    // What it can tell, it tells.
    assert_eq!(lists(&said).1, None);
    assert_eq!(world.run(&words).ended(0).err, "");
    assert_eq!(world.rules(), [""; 0]);
}

#[test]
fn rules_that_would_die_are_not_registered() {
    let (Some(()), Some(world)) = (qemu(), World::unmounted()) else { return };
    let said = binfmt(&world, &["--install", "s390x"]).ended(3);
    assert!(said.err.contains("would vanish when it ends"), "{said:#?}");
    assert!(said.err.contains("--entrypoint binfmtd IMAGE daemon"), "{said:#?}");
    assert_eq!(emulators_of(&said), [""; 0]);
    assert_eq!(world.mounts(), 0);
    let said = binfmt_with(&world, &["BINFMTD_COMPAT=exit-zero"], &["--install", "s390x"]).ended(0);
    assert!(said.err.starts_with("error: "), "{said:#?}");
}

#[test]
fn a_word_that_is_none_is_said_beside_all_too() {
    let Some(world) = world() else { return };
    let said = binfmt(&world, &["--install", "all,amr64"]).ended(2);
    assert!(said.err.contains("installing: amr64 unknown target \"amr64\""), "{said:#?}");
    assert!(said.err.contains("installing: s390x OK\n"), "{said:#?}");
    let nowhere = &["QEMU_BINARY_PATH=/nowhere"];
    let said = binfmt_with(&world, nowhere, &["--install", "mips64"]).ended(1);
    assert!(said.err.contains("QEMU_BINARY_PATH and QEMU_BINARY_PREFIX say where"), "{said:#?}");
    assert!(!said.err.contains("interpreter-directories"), "{said:#?}");
}
