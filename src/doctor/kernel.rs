//! Family `kernel`: is there an instance, and is it the right one?

use super::{Check, Draft, Examination, Finding};
use crate::system::instance::{InstanceError, MOUNT_POINT};

const SUPPORTED: &str = "kernel.supported";
const MOUNTED: &str = "kernel.mounted";
const ENABLED: &str = "kernel.enabled";
const WRITABLE: &str = "kernel.writable";
const INSTANCE: &str = "kernel.instance";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: SUPPORTED,
        title: "the kernel has binfmt_misc",
        proves: "binfmt_misc is built in or its module is loaded; without it no foreign program can run.",
        run: supported,
    },
    Check {
        id: MOUNTED,
        title: "binfmt_misc is mounted",
        proves: "Rules can be seen and written. Rules that a parent namespace holds work even where nothing is mounted.",
        run: mounted,
    },
    Check {
        id: ENABLED,
        title: "binfmt_misc is switched on",
        proves: "The instance as a whole is not disabled by a 0 in its file status.",
        run: enabled,
    },
    Check {
        id: WRITABLE,
        title: "rules can be registered from here",
        proves: "This process could register; a container or a plain user may not, and need not when the host's rules serve.",
        run: writable,
    },
    Check {
        id: INSTANCE,
        title: "which instance is looked at",
        proves: "The rules seen are the host's own, or those of a user namespace, which nobody outside of it sees.",
        run: instance,
    },
];

fn supported(examination: &Examination<'_>) -> Vec<Finding> {
    let draft = Draft::host(SUPPORTED);
    let release = &examination.host.kernel;
    vec![if examination.supported {
        draft.pass("the kernel has binfmt_misc").with(format!("/proc/filesystems, Linux {release}"))
    } else {
        draft
            .fail("the kernel has no binfmt_misc: it is not built in, and its module is not loaded")
            .with(format!("/proc/filesystems does not name it, Linux {release}"))
            .fix("modprobe binfmt_misc")
    }]
}

fn mounted(examination: &Examination<'_>) -> Vec<Finding> {
    let draft = Draft::host(MOUNTED);
    let stack = if examination.stack.is_empty() {
        "nothing".to_owned()
    } else {
        examination.stack.join(", then ")
    };
    let evidence = format!("mounted there: {stack}");
    let mount = format!("mount -t binfmt_misc binfmt_misc {MOUNT_POINT}");
    let works = examination
        .foreign()
        .any(|patient| patient.proof.as_ref().is_some_and(crate::verify::Proof::works));
    vec![match &examination.trouble {
        None => draft.pass(format!("binfmt_misc is mounted on {MOUNT_POINT}")).with(evidence),
        Some(error) if works => draft
            .warn(format!(
                "{error}; foreign programs run all the same, by rules of a parent namespace"
            ))
            .with(evidence),
        Some(error @ InstanceError::BrokenAutomount(_)) => draft
            .fail(error.to_string())
            .with(evidence)
            .fix(format!("umount {MOUNT_POINT}; {mount}")),
        Some(InstanceError::NoFolder) => draft
            .fail(format!("{MOUNT_POINT} does not exist: the module is not loaded"))
            .with(evidence)
            .fix(format!("modprobe binfmt_misc && {mount}")),
        Some(error) if !examination.supported => draft
            .fail(error.to_string())
            .with(evidence)
            .fix(format!("modprobe binfmt_misc && {mount}")),
        Some(error) => draft.fail(error.to_string()).with(evidence).fix(mount),
    }]
}

fn enabled(examination: &Examination<'_>) -> Vec<Finding> {
    let draft = Draft::host(ENABLED);
    vec![match examination.instance() {
        None => draft.skip("there is no instance to look at"),
        Some(seen) if seen.instance.enabled => draft.pass("binfmt_misc is switched on"),
        Some(_) => draft
            .fail("binfmt_misc as a whole is switched off: no rule is used")
            .with(format!("{MOUNT_POINT}/status says disabled"))
            .fix(format!("echo 1 > {MOUNT_POINT}/status")),
    }]
}

fn writable(examination: &Examination<'_>) -> Vec<Finding> {
    let draft = Draft::host(WRITABLE);
    vec![match examination.instance() {
        None => draft.skip("there is no instance to look at"),
        Some(seen) if seen.instance.writable => draft.pass("rules can be registered from here"),
        // Verifying needs no right to write: this is no fault of the host.
        Some(_) if !examination.root => draft.skip("only root can register rules, and this is not root"),
        Some(_) if examination.read_only => draft
            .warn("rules cannot be registered from here, though this is root: binfmt_misc is mounted read-only")
            .fix(format!("mount -o remount,rw {MOUNT_POINT}")),
        Some(_) if !examination.first_namespace => {
            draft.skip("this is another user namespace than the host's, whose rules only the host can change")
        }
        Some(_) => draft
            .warn("rules cannot be registered from here, though this is root: a security policy forbids it"),
    }]
}

fn instance(examination: &Examination<'_>) -> Vec<Finding> {
    let draft = Draft::host(INSTANCE);
    vec![match (examination.instance(), examination.first_namespace) {
        (None, _) => draft.skip("there is no instance to look at"),
        (Some(_), false) => draft
            .pass("this is the instance of a user namespace: its rules serve nobody outside of it")
            .with("/proc/self/ns/user is not the first user namespace"),
        (Some(_), true) if examination.container => {
            draft.pass("this is the host's instance, seen from a container")
        }
        (Some(_), true) => draft.pass("this is the host's instance"),
    }]
}
