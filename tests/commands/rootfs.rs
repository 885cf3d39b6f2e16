//! `binfmtd doctor --rootfs`: real programs of foreign root filesystems, whole ones and broken ones.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::fix::line;
use crate::support::need;
use crate::world::{Said, World, interpreter, qemu};
use crate::{column, keys};

const PARTS: [&str; 5] = ["load.loader", "load.shell", "load.signal", "load.pipes", "load.command"];

/// Two root filesystems of a CPU: with a loader, and without.
fn foreign(architecture: &str) -> Option<(PathBuf, PathBuf)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/foreign");
    let output = Command::new(script).arg(architecture).stdin(Stdio::null()).output().unwrap();
    let found = if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let folder = need(&format!("a root filesystem of {architecture}"), found)?;
    let folder = PathBuf::from(folder.trim());
    Some((folder.join("dash"), folder.join("busybox")))
}

fn world() -> Option<World> {
    qemu()?;
    let world = World::mounted()?;
    world.binfmtd("register").ended(0);
    Some(world)
}

/// A copy of a root filesystem that may be broken.
fn copy(world: &World, root: &Path) -> PathBuf {
    let folder = world.folder().join("copy");
    let status = Command::new("cp").arg("-r").args([root, &folder]).status().unwrap();
    assert!(status.success());
    folder
}

fn doctor(world: &World, options: &str, root: &Path, command: &[&str]) -> Said {
    let mut words = world.words(&format!("doctor {options} --rootfs"));
    words.push(root.into());
    if !command.is_empty() {
        words.push("--exec".into());
        words.extend(command.iter().map(OsString::from));
    }
    world.run(words)
}

#[track_caller]
fn check<'a>(document: &'a Value, id: &str) -> &'a Value {
    let checks = document["checks"].as_array().unwrap();
    checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id}: {document:#}"))
}

#[track_caller]
fn says(document: &Value, id: &str, status: &str, words: &[&str]) {
    let check = check(document, id);
    assert_eq!(check["status"], status, "{check:#}");
    let summary = check["summary"].as_str().unwrap();
    assert!(words.iter().all(|word| summary.contains(word)), "{words:?}: {check:#}");
    assert!(status != "fail" || check["fix"].is_object(), "no way out: {check:#}");
}

#[test]
fn whole_ones_work() {
    let Some(world) = world() else { return };
    for (architecture, target) in [("arm64", "aarch64"), ("riscv64", "riscv64")] {
        let Some((dash, busybox)) = foreign(architecture) else { return };
        let before = world.sh(&format!("find {} -printf '%p %i %C@\\n'", dash.display()));
        let document = doctor(&world, "--format json --repeat 3", &dash, &[]).ended(0).document();
        assert_eq!(column(&document["targets"], "target"), [target]);
        for part in &PARTS[..4] {
            says(&document, part, "pass", &["3 of 3"]);
        }
        says(&document, "load.command", "skip", &["--exec"]);
        let load = &document["load"];
        assert_eq!(keys(load), ["folder", "rule", "runs", "target", "told-by"]);
        assert_eq!(load["rule"], format!("qemu-{target}"));
        assert_eq!(load["told-by"], "/bin/sh");
        assert_eq!(keys(&load["runs"][0]), ["failure", "id", "of", "program", "seconds", "well"]);
        assert_eq!(column(&load["runs"], "id"), PARTS[..4]);
        let after = world.sh(&format!("find {} -printf '%p %i %C@\\n'", dash.display()));
        assert_eq!(before, after, "something was written");

        // A static shell: there is no loader to look at, and that is no fault.
        let document = doctor(&world, "--format json", &busybox, &[]).ended(0).document();
        says(&document, "load.loader", "skip", &["static"]);
        says(&document, "load.shell", "pass", &["1 of 1"]);
        let said = doctor(&world, "-v", &busybox, &[]).ended(0);
        assert!(said.out.contains("pass  load.pipes"), "{said:#?}");
    }
    // Without it, nothing is said of it.
    let document = world.json("doctor");
    assert!(document.get("load").is_none(), "{document:#}");
    says(&document, "load.shell", "skip", &["--rootfs DIR"]);
}

#[test]
fn without_root_in_a_user_namespace_of_its_own() {
    let (Some(()), Some(world)) = (qemu(), World::with_users()) else { return };
    let Some((dash, _)) = foreign("arm64") else { return };
    world.binfmtd("register").ended(0);
    let folder = copy(&world, &dash);
    let line = format!("--format json doctor --rootfs {}", folder.display());
    let document = world.binfmtd_as_somebody(&line).ended(0).document();
    assert_eq!(document["host"]["root"], false);
    says(&document, "load.shell", "pass", &["1 of 1"]);
}

#[test]
fn a_missing_loader_is_named_once() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    let folder = copy(&world, &dash);
    fs::remove_file(folder.join("usr/lib/ld-linux-aarch64.so.1")).unwrap();
    let document = doctor(&world, "--format json --repeat 4", &folder, &[]).ended(1).document();
    let loader = "/lib/ld-linux-aarch64.so.1";
    says(&document, "load.loader", "fail", &["/bin/sh needs the loader", loader]);
    for part in ["load.shell", "load.signal", "load.pipes"] {
        says(&document, part, "skip", &["load.loader reports"]);
    }
    assert_eq!(document["targets"][0]["verdict"], "broken");
    says(&document, "exec.host", "pass", &[]);
}

#[test]
fn a_library_that_is_missing_is_in_the_loaders_words() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    let folder = copy(&world, &dash);
    fs::remove_file(folder.join("usr/lib/aarch64-linux-gnu/libc.so.6")).unwrap();
    let document = doctor(&world, "--format json", &folder, &[]).ended(1).document();
    says(&document, "load.loader", "fail", &["none of 1", "libc.so.6"]);
}

#[test]
fn what_is_no_foreign_root_filesystem_is_bad_usage() {
    let (Some(world), Some((dash, busybox))) = (world(), foreign("arm64")) else { return };
    let empty = world.folder().join("empty");
    fs::create_dir(&empty).unwrap();
    let shellless = copy(&world, &busybox);
    fs::remove_file(shellless.join("usr/bin/sh")).unwrap();
    // Its only program tells nothing by itself.
    fs::create_dir_all(shellless.join("sbin")).unwrap();
    fs::rename(shellless.join("usr/bin/busybox"), shellless.join("usr/bin/true")).unwrap();
    for (options, root, words) in [
        ("", Path::new("/nowhere"), "open the root filesystem /nowhere: No such file or directory"),
        ("", Path::new("/etc/passwd"), "Not a directory"),
        ("", &empty, "is no root filesystem: there is no program at /bin/sh"),
        ("", Path::new("/"), "programs this machine runs by itself"),
        ("", &shellless, "there is no shell in"),
        ("riscv64", &dash, "is a root filesystem of aarch64 (/bin/sh says so)"),
        ("--fix", &dash, "cannot be used with"),
    ] {
        let said = doctor(&world, options, root, &[]).ended(2);
        assert!(said.err.contains(words), "{words}: {said:#?}");
        assert_eq!(said.out, "");
    }
    let said = doctor(&world, "", &dash, &["no-such-program", "-x"]).ended(2);
    assert!(said.err.contains("no-such-program is not in"), "{said:#?}");
    let said = doctor(&world, "arm64", &dash, &["sh", "-c", "exit 0"]).ended(0);
    assert_eq!(said.err, "");
}

#[test]
fn what_could_not_be_started_anyhow_is_bad_usage() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    let folder = copy(&world, &dash);
    fs::write(folder.join("etc/data"), "data").unwrap();
    let script = |name: &str, shell: &str| {
        let path = folder.join("etc").join(name);
        fs::write(&path, format!("#! {shell} -e\nexit 0\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("orphan", "/nonexistent/sh");
    script("whole", "/bin/sh");
    for (command, words) in [
        ("", "an empty word is none"),
        ("/bin", "/bin in "),
        ("/etc/data", "has no execute bit (chmod a+x "),
        ("/etc/orphan", "is a script for /nonexistent/sh, which is not in there"),
        ("nothing", "nothing is not in "),
    ] {
        let said = doctor(&world, "", &folder, &[command]).ended(2);
        assert!(said.err.contains(words), "{words}: {said:#?}");
        assert_eq!(said.out, "");
    }
    doctor(&world, "", &folder, &["/etc/whole"]).ended(0);
}

#[test]
fn a_mount_that_forbids_programs_is_named() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    let folder = copy(&world, &dash);
    let shown = folder.display();
    world.sh(&format!("mount --bind {shown} {shown} && mount -o remount,bind,noexec {shown}"));
    let document = doctor(&world, "--format json", &folder, &[]).ended(1).document();
    says(&document, "load.loader", "fail", &["permission denied", "is mounted noexec"]);
    let fix = line(check(&document, "load.loader"));
    assert!(fix.starts_with("mount -o remount,exec"), "{fix}");
}

#[test]
fn another_rule_is_no_matter_of_qemus_version() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    let program = world.program("fails", &crate::world::failing_program().unwrap());
    let string = world.binfmtd("export --as binfmt.d arm64").ended(0).out;
    // Of position-independent programs alone, which the shell of Debian is.
    let string = string.lines().last().unwrap();
    let string = string.replace(r"\xfe\xff\xff\xff", r"\xff\xff\xff\xff");
    let string = string.replace(r"\x02\x00\xb7\x00", r"\x03\x00\xb7\x00");
    let string =
        string.replace(interpreter("aarch64").to_str().unwrap(), program.to_str().unwrap());
    let file = world.folder().join("string");
    fs::write(&file, string.replacen(":qemu-aarch64:", ":pie:", 1)).unwrap();
    world.sh(&format!("cat {} > $M/register", file.display()));
    let document = doctor(&world, "--format json", &dash, &[]).ended(1).document();
    says(&document, "load.loader", "fail", &["exited with status 1"]);
    assert_eq!(line(check(&document, "load.loader")), "binfmtd register aarch64 --takeover");
    assert_eq!(document["load"]["rule"], "pie");
    says(&document, "rule.shadowed", "fail", &["pie comes before qemu-aarch64"]);
    world.sh("echo -1 > $M/pie");
}

#[test]
fn a_command_that_a_shell_takes_apart_is_quoted() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    let folder = copy(&world, &dash);
    let hostile = world.folder().join("a b;false");
    fs::rename(&folder, &hostile).unwrap();
    let command = ["sh", "-c", "echo 'a\tb' $0; exit 3", "\u{202e}"];
    let document = doctor(&world, "--format json", &hostile, &command).ended(1).document();
    let fix = line(check(&document, "load.command"));
    assert!(fix.starts_with("chroot '") && !fix.contains('\u{202e}'), "{fix}");
    let said = world.run(["bash", "-c", &fix]);
    assert_eq!((said.code, said.out.as_str()), (3, "a\tb \u{202e}\n"), "{fix}: {said:#?}");
}

#[test]
fn programs_get_no_descriptor_of_ours_and_stay_in_the_folder_that_was_opened() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    let folder = copy(&world, &dash);
    let shown = folder.display();
    let line = |rest: &str| {
        let words = world.words(&format!("doctor --rootfs {shown} {rest}"));
        words.iter().map(|word| word.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let secret = world.folder().join("secret");
    fs::write(&secret, "secret").unwrap();
    let script = format!(
        "{} --exec sh -c 'for f in 3 4 5 6 7 8 9; do (exec 2>/dev/null; eval \"exec 8<&$f\") && exit 5; done; exit 0' \
         7<{}",
        line(""),
        secret.display()
    );
    // A shell of its own tells that the descriptor is there, and the program does not see it.
    let said = world.run(["bash", "-c", &script]);
    assert_eq!(said.code, 0, "{said:#?}");
    let other = world.folder().join("other");
    let status = Command::new("cp").arg("-r").args([&folder, &other]).status().unwrap();
    assert!(status.success());
    // By the first run it is another folder.
    let swap = format!(
        "{} & until [ -e {shown}/begun ]; do :; done; mv {shown} {shown}.old; ln -s {} {shown}; wait $!",
        line("--repeat 200 --exec sh -c ': > /begun'"),
        other.display()
    );
    let said = world.run(["bash", "-c", &swap]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(!other.join("begun").exists(), "{said:#?}");
}

#[test]
fn no_rule_is_told_once_and_by_the_rules_own_check() {
    let (Some(world), Some((dash, _))) = (world(), foreign("arm64")) else { return };
    world.binfmtd("unregister arm64").ended(0);
    let document = doctor(&world, "--format json", &dash, &[]).ended(1).document();
    says(&document, "rule.present", "fail", &["no rule"]);
    says(&document, "load.loader", "skip", &["exec.host reports"]);
    assert!(document["load"]["rule"].is_null());
}

#[test]
fn a_command_hangs_floods_fails_and_leaves_nothing() {
    let (Some(world), Some((_, busybox))) = (world(), foreign("arm64")) else { return };
    let run = |options: &str, command: &[&str], code: i32| {
        let said = doctor(&world, &format!("--format json {options}"), &busybox, command);
        said.ended(code).document()
    };
    let document = run("--repeat 5", &["busybox", "ls", "-l", "/"], 0);
    says(&document, "load.command", "pass", &["5 of 5"]);
    says(&document, "load.shell", "skip", &["--exec was given"]);
    assert_eq!(document["load"]["runs"][0]["program"], "/usr/bin/busybox");

    let document = run("", &["sh", "-c", "echo no such thing >&2; exit 3"], 1);
    says(&document, "load.command", "fail", &["exited with status 3", "no such thing"]);
    let fix = line(check(&document, "load.command"));
    assert!(fix.ends_with("sh -c 'echo no such thing >&2; exit 3'"), "{fix}");
    let document = run("", &["sh", "-c", "kill -SEGV $$"], 1);
    says(&document, "load.command", "fail", &["died by signal 11"]);
    let flood = "x=more; for i in 1 2 3 4 5 6 7 8 9 10; do x=$x$x; done; while :; do echo $x; done";
    let document = run("", &["sh", "-c", flood], 1);
    says(&document, "load.command", "fail", &["wrote without end"]);
    // Nobody waits for a hundred time limits.
    let document = run("--timeout 1 --repeat 100", &["sh", "-c", "while :; do :; done"], 1);
    says(&document, "load.command", "fail", &["it did not end in 1 s and was killed"]);
    assert!(document["load"]["runs"][0]["of"].as_u64().unwrap() < 20, "{document:#}");

    // Not even what left its process group. (Without /dev/null, a shell starts nothing in the background.)
    let script = "busybox setsid busybox sleep 98765; exit 0";
    let document = run("--timeout 2", &["sh", "-c", script], 1);
    says(&document, "load.command", "fail", &["did not end in 2 s"]);
    let running = |pid: &fs::DirEntry| {
        let line = fs::read(pid.path().join("cmdline")).unwrap_or_default();
        line.ends_with(b"98765\0") && !line.starts_with(b"timeout")
    };
    assert_eq!(fs::read_dir("/proc").unwrap().flatten().filter(running).count(), 0);
}

/// Runs the real emulator, or does not: nobody can tell before.
const FLAKY: &str = r"
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
int main(int argc, char **argv, char **environment) {
    unsigned char byte;
    if (argc < 1 || getrandom(&byte, 1, 0) != 1 || byte < 100) abort();
    execve(REAL, argv, environment);
    return 126;
}
";

#[test]
fn a_flaky_interpreter_is_called_that() {
    let (Some(world), Some((_, busybox))) = (world(), foreign("arm64")) else { return };
    // The emulator has to be where the flaky one finds it: on the host and in the root filesystem.
    let real = world.program("real", &fs::read(interpreter("aarch64")).unwrap());
    let folder = copy(&world, &busybox);
    let inside = folder.join(real.strip_prefix("/").unwrap());
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    fs::copy(&real, &inside).unwrap();
    let (source, program) = (world.folder().join("flaky.c"), world.folder().join("flaky"));
    fs::write(&source, FLAKY).unwrap();
    let output = Command::new("cc")
        .args(["-static", "-O1", &format!("-DREAL=\"{}\"", real.display()), "-o"])
        .args([&program, &source])
        .output();
    let compiled = match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    let Some(()) = need("a C compiler", compiled) else { return };
    // Without P and O, of which the real one would have to be told.
    let string = world.binfmtd("export --as binfmt.d arm64").ended(0).out;
    let string = string.lines().last().unwrap().replace(":POF", ":F");
    let string =
        string.replace(interpreter("aarch64").to_str().unwrap(), program.to_str().unwrap());
    let file = world.folder().join("string");
    fs::write(&file, string.replacen(":qemu-aarch64:", ":qemu-flaky:", 1)).unwrap();
    world.sh(&format!("cat {} > $M/register", file.display()));

    let document = doctor(&world, "--format json --repeat 30", &folder, &["busybox", "true"])
        .ended(1)
        .document();
    let runs = &document["load"]["runs"][0];
    let (well, of) = (runs["well"].as_u64().unwrap(), runs["of"].as_u64().unwrap());
    assert!(well > 0 && well < of && of == 30, "{runs:#}");
    says(&document, "load.command", "fail", &[&format!("{well} of 30 runs succeeded"), "signal 6"]);
    assert_eq!(document["load"]["rule"], "qemu-flaky");
}
