//! Who keeps the rules: nobody, another manager, or a file that cannot be right.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::fault::{Cure, Fault, PLAIN};
use crate::host::{Host, OTHER, VICTIM};

const WORKING: &[(&str, &str)] = &[(VICTIM, "working")];

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that goes forward").as_secs_f64()
}

/// A host that looks as if systemd ran it, with a line in binfmt.d.
fn planned(host: &Host, line: &str) {
    host.like_systemd();
    std::fs::write(host.path("line"), line).expect("a file");
    host.sh("cp $D/line /usr/lib/binfmt.d/qemu-hppa.conf");
}

const HPPA: &str = r":qemu-hppa:M::\x7fELF\x01\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x0f:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff";

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "binfmt_d_names_nobody",
        how: "a file of binfmt.d names an interpreter that does not exist: systemd-binfmt fails at boot",
        make: |host| {
            planned(host, &format!("{HPPA}:/usr/bin/qemu-hppa-of-old:OPF\n"));
            Some(())
        },
        named_by: ("service.binfmt-d", "warn"),
        target: None,
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "binfmt_d_is_malformed",
        how: "a line of binfmt.d that the kernel refuses as an invalid argument",
        make: |host| {
            planned(host, ":qemu-hppa:M::\\x7fELF:\\xff\\xff:/bin/true:OPF\n");
            Some(())
        },
        named_by: ("service.binfmt-d", "warn"),
        target: None,
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "removed_by_an_installers_reset",
        how: "an installer's reset removed a rule of ours that is not asked about",
        make: |host| {
            host.remove(&format!("qemu-{OTHER}"));
            Some(())
        },
        arguments: VICTIM,
        named_by: ("service.record", "warn"),
        target: None,
        verdicts: WORKING,
        ..PLAIN
    },
    Fault {
        name: "another_manager_undoes_it",
        how: "another manager removes a rule as often as the service puts it back",
        host: Host::mounted,
        make: |host| {
            host.service();
            host.sh("touch $D/undoer");
            // A shell's builtins and one sleep: it ends when its file goes, or with its host.
            host.begin("while [ -e $D/undoer ]; do echo -1 > $M/qemu-aarch64 || :; sleep 0.02; done 2> /dev/null");
            // Long enough that the doctor is done before it puts the rule back.
            host.until("the service makes a long pause", |state| {
                state["paused-until"].as_f64().is_some_and(|until| until > now() + 3.0)
            });
            Some(())
        },
        named_by: ("service.conflicts", "warn"),
        target: None,
        verdicts: &[(VICTIM, "missing")],
        beside: &[
            ("rule.present", "it is gone at that moment"),
            ("exec.host", "and its programs do not run"),
        ],
        cure: Cure::InPlace(
            "the other manager is stopped, and the service waits no longer",
            |host| {
                host.sh("rm $D/undoer");
                host.until("the service has put it back", |state| state["paused-until"].is_null());
                host.until("and is content", |state| {
                    let rules = state["rules"].as_array().map_or(&[][..], Vec::as_slice);
                    rules.len() == 2 && rules.iter().all(|rule| rule["condition"] == "working")
                });
                Some(())
            },
        ),
        ..PLAIN
    },
];
