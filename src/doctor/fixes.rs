//! Commands and fixes that several checks propose.

use std::path::Path;

use crate::fix::{Command, Fix};
use crate::phrase::Phrase;
use crate::rule::Entry;
use crate::shown::quote;
use crate::system::binfmt_misc::instance::MOUNT_POINT;
use crate::system::host::surroundings::Distribution;

/// What to do about working rules of other owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    Keep,
    /// `--takeover`: without it, a working rule of another owner is not replaced.
    Replace,
}

pub(super) fn register(target: &str, others: Others) -> Command {
    let register = Command::register(target);
    match others {
        Others::Keep => register,
        Others::Replace => register.word("--takeover"),
    }
}

/// `binfmtd register TARGET` as the only command.
pub(super) fn registered(target: &str, others: Others) -> Fix {
    Fix::run("register the target's rule", [register(target, others)])
}

/// `binfmtd register TARGET`, after something that a person has to do first.
pub(super) fn then_register(first: &str, target: &str) -> Fix {
    Fix::advice(Phrase::from(first) + "; then run binfmtd register" + Phrase::target(target))
}

/// A person has to choose the version.
pub(super) fn another_version(target: &str) -> Fix {
    then_register("install another version of QEMU", target)
}

/// Installs QEMU's static emulators; `None` if the packages' names are unknown.
pub(super) fn install_qemu(distribution: Distribution, target: &str) -> Option<Command> {
    Some(match distribution {
        Distribution::Debian | Distribution::Ubuntu => {
            Command::root(&["apt-get", "install", "qemu-user-static"])
        }
        Distribution::Fedora => Command::root(&["dnf", "install", "qemu-user-static"]),
        Distribution::Suse => Command::root(&["zypper", "install", "qemu-linux-user"]),
        Distribution::Arch => Command::root(&["pacman", "-S", "qemu-user-static"]),
        Distribution::Alpine => Command::root(&["apk", "add"]).each(format!("qemu-{target}")),
        Distribution::Other => return None,
    })
}

/// `mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc`
pub(super) fn mount() -> Command {
    Command::root(&["mount", "-t", "binfmt_misc", "binfmt_misc", MOUNT_POINT])
}

/// What can be written to a rule's file in `binfmt_misc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    Off,
    Remove,
}

impl Switch {
    fn line(self, entry: &Entry) -> String {
        let word = match self {
            Self::Off => "0",
            Self::Remove => "-1",
        };
        format!("echo {word} > {}", quote(&Path::new(MOUNT_POINT).join(&entry.name)))
    }

    /// By builtins of a running shell: if a rule captures native programs, no command can start.
    pub(super) fn at_once(self, entry: &Entry) -> Fix {
        let text = match self {
            Self::Off => "disable the rule, in a root shell that is already running",
            Self::Remove => "remove the rule, in a root shell that is already running",
        };
        Fix::builtins(text, self.line(entry))
    }

    pub(super) fn command(self, entry: &Entry) -> Command {
        Command::root(&["sh", "-c"]).own(self.line(entry))
    }
}

/// Lets programs start from the filesystem that is mounted there.
pub(super) fn remount_exec(mount_point: Option<&Path>) -> Fix {
    let text = "mount its filesystem without noexec";
    match mount_point {
        Some(place) => {
            let remount = Command::root(&["mount", "-o", "remount,exec"]);
            Fix::run(text, [remount.own(text_of(place))])
        }
        None => Fix::advice(text),
    }
}

/// Gives an interpreter the label of a program, and registers it again so that the kernel opens it anew.
pub(super) fn relabel(path: &Path, target: &str) -> Fix {
    let label = Command::root(&["chcon", "-t", "bin_t", "-l", "s0"]).each(text_of(path));
    Fix::run(
        "give the interpreter the label of a program, and register it again",
        [label, register(target, Others::Keep)],
    )
}

pub(super) fn systemctl(words: &[&str]) -> Command {
    words.iter().fold(Command::root(&["systemctl"]), |command, word| command.word(*word))
}

/// A file as a word of a command.
pub(super) fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
