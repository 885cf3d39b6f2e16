//! Arrangements of the tools that do this job today, in which nothing is wrong: no alarm, whoever made them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Plain;
use crate::fault::HERE;
use crate::host::{Host, OTHER, VICTIM};
use crate::support::need;
use crate::support::stage::Qemu;

pub(crate) const TESTS: &[(&str, Plain)] = &[
    ("healthy_ours", ours),
    ("healthy_ours_with_credentials", credentials),
    ("healthy_systemd_binfmt", systemd),
    ("healthy_update_binfmts", debian),
    ("healthy_qemu_binfmt_conf", script),
    ("healthy_private_path", private),
    ("healthy_rules_of_other_tools", bystanders),
    ("healthy_without_anything_asked", empty),
    ("healthy_rootless_container", rootless),
    ("healthy_rules_that_are_not_to_be_seen", hidden),
    ("healthy_service", service),
];

/// Rows of another tool's table that are wrong, which the doctor has to say; none of them is healthy.
const WRONG: [&str; 2] = [
    // QEMU's: e_type in the wrong byte order, so it matches nothing.
    "microblaze",
    // Both: they know one of its two values of e_machine.
    "microblazeel",
];

/// Name, magic and mask of each row that is in use and foreign here, escaped as in a register string.
fn rows(table: &str, emulators: &Path, natives: &[String]) -> Vec<(String, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(table);
    let text = fs::read_to_string(path).expect("a table");
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let head: Vec<&str> = lines.next().expect("a head").split('\t').collect();
    let column = |name: &str| head.iter().position(|one| *one == name).expect("a column");
    let (target, magic, mask) = (column("target"), column("magic"), column("mask"));
    let escaped = |hex: &str| {
        hex.as_bytes().chunks(2).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\x{}", String::from_utf8_lossy(byte));
            text
        })
    };
    lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|row| !WRONG.contains(&row[target]) && !natives.iter().any(|it| it == row[target]))
        .filter(|row| emulators.join(format!("qemu-{}-static", row[target])).exists())
        .map(|row| (row[target].to_owned(), escaped(row[magic]), escaped(row[mask])))
        .collect()
}

/// A host with all emulators of a release, for each row of a table the rule that `line` makes of it. `line` has
/// NAME, MAGIC, MASK and PATH in it.
fn with_table(
    table: &str,
    line: &str,
    place: impl FnOnce(&Host, &[(String, String)]),
) -> Option<String> {
    let qemu = need("QEMU 7.2", Qemu::release("7.2"))?;
    let host = Host::mounted()?;
    let natives = host.doctor(HERE, "", "").document["host"]["natives"].clone();
    let natives: Vec<String> = serde_json::from_value(natives).expect("names");
    let rules: Vec<(String, String)> = rows(table, &qemu.folder, &natives)
        .into_iter()
        .map(|(name, magic, mask)| {
            let path = qemu.folder.join(format!("qemu-{name}-static"));
            let rule = line
                .replace("NAME", &name)
                .replace("MAGIC", &magic)
                .replace("MASK", &mask)
                .replace("PATH", path.to_str().expect("a plain path"));
            (name, rule)
        })
        .collect();
    let folder = qemu.folder.display().to_string();
    let names: Vec<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
    host.world.configure(&format!("targets = {names:?}\ninterpreter-directories = [{folder:?}]\n"));
    place(&host, &rules);
    let examined = host.doctor(HERE, "", "");
    examined.is_green(table);
    for (name, _) in &rules {
        assert_eq!(examined.verdict(name), Some("working"), "{examined}");
    }
    assert!(rules.len() > 25, "{rules:?}");
    Some(format!("{} rules", rules.len()))
}

fn ours() -> Option<String> {
    Host::registered()?.doctor(HERE, "", "").is_green("binfmtd register");
    Some("ours".to_owned())
}

fn credentials() -> Option<String> {
    let host = Host::mounted()?;
    host.configure("credentials = true");
    host.world.binfmtd("register").ended(0);
    host.doctor(HERE, "", "").is_green("credentials");
    Some("ours, with C".to_owned())
}

/// As systemd-binfmt itself registers them, from its files.
fn systemd() -> Option<String> {
    let there = Path::new("/usr/lib/systemd/systemd-binfmt").exists();
    let there = if there { Ok(()) } else { Err("not installed".to_owned()) };
    need("systemd-binfmt", there)?;
    // What Debian's packages have in binfmt.d: QEMU's table until 12, a table of its own since.
    with_table("debian.tsv", ":qemu-NAME:M::MAGIC:MASK:PATH:OPF", |host, rules| {
        host.sh("mount -t tmpfs none /usr/lib/binfmt.d");
        for (name, rule) in rules {
            fs::write(host.path("rule"), rule).expect("a file");
            host.sh(&format!("cp $D/rule /usr/lib/binfmt.d/qemu-{name}.conf"));
        }
        host.sh("/usr/lib/systemd/systemd-binfmt");
    })
}

/// As update-binfmts registers them, with the files that it keeps; it cannot be installed without its touching the
/// machine that it is installed on.
fn debian() -> Option<String> {
    with_table("debian.tsv", ":qemu-NAME:M:0:MAGIC:MASK:PATH:OPF", |host, rules| {
        host.sh("mkdir $D/binfmts; for folder in /usr/share/binfmts /var/lib/binfmts; do
                 [ ! -d $folder ] || mount --bind $D/binfmts $folder; done");
        for (name, rule) in rules {
            let words: Vec<&str> = rule.split(':').collect();
            let file = format!(
                "package qemu-user-static\ninterpreter {}\nmagic {}\noffset 0\nmask {}\ncredentials no\npreserve yes\nfix_binary yes\n",
                words[6], words[4], words[5]
            );
            fs::write(host.path(&format!("binfmts/qemu-{name}")), file).expect("a file");
            host.plant(rule);
        }
    })
}

/// `qemu-binfmt-conf.sh --persistent yes --preserve-argv0 yes`: QEMU's own table.
fn script() -> Option<String> {
    with_table("qemu.tsv", ":qemu-NAME:M::MAGIC:MASK:PATH:PF", |host, rules| {
        for (_, rule) in rules {
            host.plant(rule);
        }
    })
}

/// As an image brings them: F and C, from a path that is the container's own, and a container that is gone.
fn private() -> Option<String> {
    let host = Host::mounted()?;
    for (target, magic) in [(VICTIM, crate::host::MAGIC), (OTHER, RISCV64)] {
        let rule = format!(":qemu-{target}:M::{magic}:/usr/bin/buildkit-qemu-{target}:PCF");
        fs::write(host.path("rule"), rule).expect("a file");
        host.sh(&format!(
            "mkdir -p $D/image; cp {} $D/image/buildkit-qemu-{target}
             unshare --mount sh -ec '
                 mount -t overlay overlay -o lowerdir=$D/image:/usr/bin /usr/bin
                 cat $D/rule > $M/register'
             rm $D/image/*",
            host.emulator_of(target)
        ));
    }
    let examined = host.doctor(HERE, "", "");
    examined.is_green("rules under a private path");
    // Nor when no interpreter at all is installed here: who registers by an image needs none.
    host.sh("rm $D/bin/*");
    host.doctor(HERE, "", "").is_green("the same, with nothing installed");
    Some("2 rules".to_owned())
}

const RISCV64: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// wine, java, python and WSL beside ours.
fn bystanders() -> Option<String> {
    let host = Host::registered()?;
    for rule in [
        ":wine:M::MZ::/usr/bin/wine:",
        ":jar:E::jar::/usr/bin/jexec:",
        r":python3.11:M::\xa7\x0d\x0d\x0a::/usr/bin/python3.11:",
        ":WSLInterop:M::MZ::/init:P",
        ":llvm-14-runtime.binfmt:M::BC::/usr/bin/lli-14:",
    ] {
        host.plant(rule);
    }
    let before = host.world.rules();
    host.doctor(HERE, "", "").is_green("rules of other tools");
    assert_eq!(host.world.rules(), before);
    Some("5 rules".to_owned())
}

/// No emulator, no rule, nothing asked for.
fn empty() -> Option<String> {
    let host = Host::mounted()?;
    host.sh("rm $D/bin/*");
    host.world.configure(&format!(
        "interpreter-directories = [{:?}]\n",
        host.path("bin").display().to_string()
    ));
    host.doctor(HERE, "", "").is_green("nothing asked for");
    Some("nothing".to_owned())
}

/// Root of a user namespace, with the host's rules.
fn rootless() -> Option<String> {
    let host = Host::registered()?;
    let within = "exec unshare --user --map-root-user --mount \"$@\"";
    host.doctor(within, "", "").is_green("in a rootless container");
    Some("the host's rules".to_owned())
}

/// A container whose /proc/sys is covered: an empty folder, yet emulation works.
fn hidden() -> Option<String> {
    let host = Host::registered()?;
    let within = "exec unshare --user --map-root-user --mount sh -ec 'mount -t tmpfs none $M; exec \"$@\"' sh \"$@\"";
    let examined = host.doctor(within, "", "");
    assert_eq!((examined.code, examined.verdict(VICTIM)), (0, Some("working")), "{examined}");
    // It is worth a word that nothing can be seen; that is no failure.
    let loud: Vec<_> =
        examined.faults().into_iter().filter(|found| found.status != "warn").collect();
    assert_eq!(loud, [], "{examined}");
    Some("an empty folder".to_owned())
}

/// With the service running, whose state is in step.
fn service() -> Option<String> {
    let host = Host::mounted()?;
    host.service();
    host.doctor(HERE, "", "").is_green("with the service");
    Some("the service".to_owned())
}
