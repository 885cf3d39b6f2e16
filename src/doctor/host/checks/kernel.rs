//! Family `kernel`: is there an instance, and is it the right one?

use super::interpreter::is_sound;
use super::scope;
use crate::doctor::check::Check;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::fixes::mount;
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix, Place};
use crate::observation::Observation;
use crate::system::binfmt_misc::instance::{InstanceError, MOUNT_POINT};
use crate::system::host::surroundings::{Distribution, Module};

const MOUNT_IT: &str = "mount binfmt_misc where programs look for it";

const MODPROBE: [&str; 2] = ["modprobe", "binfmt_misc"];

pub(in crate::doctor) static SUPPORTED: Check = Check {
    id: CheckId::KernelSupported,
    title: "the kernel has binfmt_misc",
    proves: "binfmt_misc is built in or its module is loaded; without it no foreign program can run.",
    cure: "Load the module (modprobe binfmt_misc). If it is missing, install the package with the kernel's extra modules (linux-modules-extra on Ubuntu's cloud kernels), or boot a kernel with CONFIG_BINFMT_MISC.",
    run: |facts, id| scope::host(facts, id, supported),
};

fn supported(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    let release = &facts.machine.kernel;
    if facts.supported {
        let evidence = format!("/proc/filesystems, Linux {release}");
        return draft.pass("the kernel has binfmt_misc").with(evidence);
    }
    // The files of a container say nothing about the host's kernel.
    let module = if facts.container { Module::Unknown } else { facts.module };
    let place = facts.kernels_place();
    let load = || Fix::run("load the module", [Command::root(&MODPROBE).at(place.clone())]);
    let (what, fix) = match module {
        Module::Loadable => ("its module is not loaded", load()),
        Module::NotBuilt => (
            "it was built without it, and no module can be loaded",
            Fix::advice("boot a kernel with CONFIG_BINFMT_MISC"),
        ),
        Module::OtherKernel => (
            "its modules are gone from the disk, because it was upgraded after boot",
            Fix::run("reboot", [Command::root(&["reboot"])]),
        ),
        Module::NotInstalled => {
            ("its module is not installed", package(facts.distribution, release))
        }
        Module::Unknown => ("it is not built in, and its module is not loaded", load()),
    };
    let finding = draft
        .fail(format!("the kernel has no binfmt_misc: {what}"))
        .with(format!("/proc/filesystems does not name it, Linux {release}"))
        .fix(fix);
    if facts.container {
        finding.with("this is a container: load the module on the host")
    } else {
        finding
    }
}

/// Installs the extra modules of the running kernel.
fn package(distribution: Distribution, release: &str) -> Fix {
    let modprobe = Command::root(&MODPROBE);
    let reboot = Command::root(&["reboot"]);
    let text = "install the package with the extra modules of this kernel";
    let commands = match distribution {
        Distribution::Ubuntu => {
            let package = format!("linux-modules-extra-{release}");
            [Command::root(&["apt-get", "install"]).word(package), modprobe]
        }
        Distribution::Debian => {
            let package = format!("linux-image-{release}");
            [Command::root(&["apt-get", "install", "--reinstall"]).word(package), modprobe]
        }
        Distribution::Fedora => {
            let core =
                Command::root(&["dnf", "install"]).word(format!("kernel-modules-core-{release}"));
            [core.word(format!("kernel-modules-{release}")), modprobe]
        }
        Distribution::Suse => {
            [Command::root(&["zypper", "install", "--force", "kernel-default"]), reboot]
        }
        Distribution::Arch => [Command::root(&["pacman", "-S", "linux"]), reboot],
        Distribution::Alpine => [Command::root(&["apk", "add", "linux-lts"]), reboot],
        Distribution::Other => return Fix::advice(text),
    };
    Fix::run(text, commands)
}

pub(in crate::doctor) static MOUNTED: Check = Check {
    id: CheckId::KernelMounted,
    title: "binfmt_misc is mounted",
    proves: "Rules can be read and written here. The rules of a parent namespace work even if nothing is mounted.",
    cure: "Mount it on the host: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc. Unmount a broken automount first: umount /proc/sys/fs/binfmt_misc.",
    run: |facts, id| scope::host(facts, id, mounted),
};

fn mounted(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    let shown = |stack: &[String]| match stack {
        [] => "nothing".to_owned(),
        stack => stack.join(", then "),
    };
    let draft = draft.seen(format!("mounted there: {}", shown(&facts.stack)));
    if let Some(place) = &facts.elsewhere {
        let place = place.display();
        if facts.container {
            return draft.pass(format!(
                "binfmt_misc is mounted on {place}: this container has it as a volume"
            ));
        }
        return draft
            .warn(format!(
                "binfmt_misc is mounted on {place} only, where other programs do not look for it"
            ))
            .fix(Fix::run(MOUNT_IT, [mount()]));
    }
    let Some(error) = &facts.trouble else {
        let finding = draft.pass(format!("binfmt_misc is mounted on {MOUNT_POINT}"));
        if facts.stack_before == facts.stack {
            return finding;
        }
        return finding.with(format!("before anybody looked: {}", shown(&facts.stack_before)));
    };
    let is_confined = facts.container || !facts.first_namespace;
    // A mount in a container vanishes with it, and takes the rules along.
    let place = if facts.first_namespace { facts.kernels_place() } else { Place::Here };
    let mount = mount().at(place.clone());
    match error {
        _ if !facts.supported => draft.skip("the kernel has no binfmt_misc that could be mounted"),
        _ if facts.foreign().any(TargetFacts::works) && is_confined => draft
            .pass("no instance is visible here, and foreign programs run through rules of the host"),
        error if facts.foreign().any(TargetFacts::works) => draft
            .warn(format!(
                "{error}; foreign programs run nevertheless, through rules in a mount that somebody else holds"
            ))
            .fix(Fix::run(MOUNT_IT, [mount])),
        error if facts.foreign().next().is_none() => {
            draft.skip(format!("{error}, and nothing here asks for it"))
        }
        InstanceError::BrokenAutomount(_) => {
            let unmount = Command::root(&["umount", MOUNT_POINT]).at(place);
            let text = "unmount the broken automount, and mount binfmt_misc";
            draft.fail(error.to_string()).fix(Fix::run(text, [unmount, mount]))
        }
        InstanceError::NoFolder => {
            let load = Command::root(&MODPROBE).at(place);
            draft
                .fail(format!("{MOUNT_POINT} does not exist: the module is not loaded"))
                .fix(Fix::run("load the module, and mount binfmt_misc", [load, mount]))
        }
        InstanceError::NotMounted | InstanceError::Foreign(_) | InstanceError::Io(_) => {
            let finding = draft.fail(error.to_string()).fix(Fix::run(MOUNT_IT, [mount]));
            if facts.first_namespace {
                return finding;
            }
            finding.with(
                "this is a user namespace: an instance that was mounted here earlier still hides the host's rules",
            )
        }
    }
}

pub(in crate::doctor) static ENABLED: Check = Check {
    id: CheckId::KernelEnabled,
    title: "binfmt_misc is enabled",
    proves: "The instance as a whole is enabled: nobody wrote 0 to its file status.",
    cure: "Enable it: echo 1 > /proc/sys/fs/binfmt_misc/status, or binfmtd register.",
    run: |facts, id| scope::instance(facts, id, enabled),
};

fn enabled(_: &HostFacts<'_>, seen: &Observation, draft: Draft) -> Finding {
    if seen.instance.enabled {
        return draft.pass("binfmt_misc is enabled");
    }
    let enable = Command::root(&["sh", "-c"]).word(format!("echo 1 > {MOUNT_POINT}/status"));
    draft
        .fail("binfmt_misc as a whole is disabled: no rule is used")
        .with(format!("{MOUNT_POINT}/status says disabled"))
        .fix(Fix::run("switch it on", [enable]))
}

pub(in crate::doctor) static WRITABLE: Check = Check {
    id: CheckId::KernelWritable,
    title: "rules can be registered from here",
    proves: "This process may register rules. A container or an ordinary user may not, and need not if the host's rules already work.",
    cure: "Register on the host, not from a container. If binfmt_misc is mounted read-only, remount it: mount -o remount,rw /proc/sys/fs/binfmt_misc.",
    run: |facts, id| scope::instance(facts, id, writable),
};

fn writable(facts: &HostFacts<'_>, seen: &Observation, draft: Draft) -> Finding {
    if seen.instance.writable {
        draft.pass("rules can be registered from here")
    } else if facts.uid != 0 {
        // The doctor needs no write access, so this is not a fault of the host.
        draft.skip("only root can register rules, and the doctor does not run as root")
    } else if facts.read_only {
        let remount = Command::root(&["mount", "-o", "remount,rw", MOUNT_POINT]);
        draft
            .warn("not even root can register rules here: binfmt_misc is mounted read-only")
            .fix(Fix::run("mount it writable", [remount]))
    } else if !facts.first_namespace {
        draft.skip("the host's rules cannot be changed from this user namespace")
    } else {
        draft.warn("not even root can register rules here: a security policy forbids it").fix(
            Fix::advice("look for the denial in the kernel's log: dmesg | grep -e apparmor -e avc"),
        )
    }
}

/// Whether the kernel uses other rules than the visible ones. From this user namespace upwards, it uses the first
/// that ever had an instance, even if that is no longer mounted.
pub(super) fn is_masked(facts: &HostFacts<'_>) -> bool {
    let has_rule = |asked: &&TargetFacts<'_>| facts.rule(asked).is_some();
    // One rule that works proves that the kernel uses the visible instance.
    !facts.foreign().filter(has_rule).any(TargetFacts::works)
        && facts.foreign().any(|asked| facts.is_masked(asked) && is_sound(facts, asked))
}

pub(in crate::doctor) static INSTANCE: Check = Check {
    id: CheckId::KernelInstance,
    title: "which instance this is",
    proves: "Whether the visible rules are the host's, or those of a user namespace, which have no effect outside of it.",
    cure: "Register in the namespace whose programs are to run; rules of a user namespace have no effect outside of it. Once an instance was mounted in a user namespace, it hides the host's rules there for good: register in it, or create a new namespace.",
    run: |facts, id| scope::host(facts, id, instance),
};

fn instance(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    let map = facts.limits.uid_map.split_whitespace().collect::<Vec<_>>().join(" ");
    let evidence = format!("/proc/self/uid_map says {map}");
    match (facts.instance(), facts.first_namespace) {
        (None, true) => draft.skip("there is no instance to look at"),
        (None, false) => draft
            .skip("no instance is visible in this user namespace; it has rules of its own, or those of the host")
            .with(evidence),
        (Some(_), false) if is_masked(facts) => draft
            .fail("the visible rules are not used: this user namespace has an instance of its own, which hides them")
            .with("a program whose rule is enabled was refused as if there were none")
            .with(evidence)
            .fix(Fix::run(
                "mount the namespace's own instance, and register the rules in it",
                [mount(), Command::root(&["binfmtd", "register"])],
            )),
        (Some(_), false) if facts.from_above => draft
            .pass("this is the instance of a namespace above this one, whose rules work in this user namespace")
            .with(evidence),
        (Some(_), false) => draft
            .pass("this is the instance of a user namespace: its rules have no effect outside of it")
            .with(evidence),
        (Some(_), true) if facts.container => {
            draft.pass("this is the host's instance, seen from a container")
        }
        (Some(_), true) => draft.pass("this is the host's instance"),
    }
}

pub(in crate::doctor) static LIFETIME: Check = Check {
    id: CheckId::KernelLifetime,
    title: "rules outlive this container",
    proves: "The host holds a mount of the instance. Rules in a mount of a container's own vanish together with the container.",
    cure: "Mount it on the host before the container starts: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc. binfmtd's service on the host keeps it mounted: systemctl enable --now binfmtd.service.",
    run: |facts, id| scope::instance(facts, id, lifetime),
};

fn lifetime(facts: &HostFacts<'_>, _: &Observation, draft: Draft) -> Finding {
    let only_here = facts.service.as_ref().is_some_and(|service| service.only_here);
    let not_the_hosts = facts
        .first_stack
        .as_ref()
        .is_some_and(|stack| !stack.iter().any(|mounted| mounted == "binfmt_misc"));
    if !facts.first_namespace {
        return draft.skip("rules of a user namespace live as long as the namespace");
    }
    let finding = if facts.container && not_the_hosts {
        draft
            .warn("binfmt_misc is mounted in this container and not on the host: the rules vanish with the container")
            .with("/proc/1/mountinfo has no binfmt_misc")
    } else if only_here {
        draft.warn("the service holds the only mount of binfmt_misc: the rules vanish when it ends")
    } else if facts.may_be_the_containers_own {
        draft.warn(
            "binfmt_misc was mounted after this container started: unless the host has a mount of its own, the rules vanish with the container",
        )
    } else if facts.container {
        return draft.pass("the instance is older than this container");
    } else {
        return draft.pass("the host's mount keeps the rules until shutdown");
    };
    // A mount on the host outlives every container.
    finding.fix(Fix::run("mount binfmt_misc on the host", [mount().at(Place::Host)]))
}
