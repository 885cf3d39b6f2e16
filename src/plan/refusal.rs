//! Why a rule is not registered, and what the user can do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::fix::{Command, Fix, Reader};
use crate::observation::{InterpreterFault, TrustFault, list_of};
use crate::rule::{Extension, InterpreterPath, Name, PartError, RegisterError};

/// A rule that is not registered, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It could take files that the kernel runs itself.
    TakesNative { rule: Name, format: NativeFormat },
    /// Libraries, shell scripts or versioned programs have this extension.
    TakesCommonExtension { rule: Name, extension: Extension },
    /// It would start its own interpreter.
    TakesItself { rule: Name, interpreter: InterpreterPath },
    /// A program or script of this host has the extension.
    TakesProgram { rule: Name, extension: Extension, program: PathBuf },
    /// The file at `path` cannot serve; `rule` is set for rules of the configuration.
    Interpreter { rule: Option<Name>, path: PathBuf, fault: InterpreterFault },
    /// None of these files is in the interpreter directories; the target as
    /// [`Target::label`](crate::target::Target::label) writes it.
    NoInterpreter { target: String, names: Vec<String> },
    /// The interpreter's path cannot be written into a rule.
    Path(PartError),
    /// The parts do not make a rule.
    Rule(RegisterError),
    /// A rule of the table cannot have its name, because a rule that is not QEMU's has it.
    NameOfOther { name: String },
    /// A rule of the configuration cannot have its name.
    NameInUse { name: Name },
    /// A rule of another emulator takes these programs and does not work.
    BrokenOther { name: String, trouble: ServingFault },
    /// What should replace a rule of ours is refused; the rule stays.
    OldStays(Box<Refusal>),
}

/// What the kernel runs here without any rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NativeFormat {
    /// Programs of a target, by QEMU's name.
    Target(String),
    /// Class 32 with x86-64's `e_machine`.
    X32,
    Script,
}

/// What is wrong with a rule of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServingFault {
    /// Nothing was run, and what can be read says that it fails outside of the host's root.
    WithoutF,
    /// A probe failed or ran by another file; what was seen.
    Seen(String),
}

impl Refusal {
    pub fn of_interpreter(path: &Path, fault: &InterpreterFault) -> Self {
        Self::Interpreter { rule: None, path: path.to_owned(), fault: fault.clone() }
    }

    /// What is wrong.
    pub fn why(&self) -> String {
        match self {
            Self::TakesNative { rule, format } => format!(
                "rule {rule} could match this host's own {format}: no program would start any more"
            ),
            Self::TakesCommonExtension { rule, extension } => format!(
                "rule {rule} would take every path that ends in .{}, native programs and libraries too",
                extension.as_str()
            ),
            Self::TakesItself { rule, interpreter } => {
                format!("rule {rule} would match its own interpreter {interpreter}")
            }
            Self::TakesProgram { rule, extension, program } => format!(
                "rule {rule} would take {} and every other path that ends in .{}, whatever the file is",
                program.display(),
                extension.as_str()
            ),
            Self::Interpreter { rule, path, fault } => {
                let rule = rule.as_ref().map(|rule| format!("rule {rule}: ")).unwrap_or_default();
                format!("{rule}interpreter {}: {}", path.display(), problem(fault))
            }
            Self::NoInterpreter { target, names } => {
                format!("no interpreter for {target}: none of {} found", names.join(", "))
            }
            Self::Path(error) => error.to_string(),
            Self::Rule(error) => error.to_string(),
            Self::NameOfOther { name } => {
                format!("the name {name} is taken by a rule that is not QEMU's")
            }
            Self::NameInUse { name } => format!("a rule named {name} exists and is not ours"),
            Self::BrokenOther { name, trouble } => format!(
                "rule {name} of another emulator takes these programs and does not work: {trouble}"
            ),
            Self::OldStays(refusal) => refusal.why(),
        }
    }

    /// The way out.
    pub fn fix(&self) -> Fix {
        Fix::advice(match self {
            Self::Interpreter { path, fault, .. } => return remedy(path, fault),
            Self::OldStays(refusal) => {
                let mut fix = refusal.fix();
                fix.text = fix.text + "; until then the existing rule stays";
                return fix;
            }
            Self::BrokenOther { name, .. } => {
                return Fix::advice(format!(
                    "repair or remove {name}, or use --takeover to put ours before it"
                ));
            }
            Self::TakesNative { .. } => "give it a magic and a mask that no native file has",
            Self::TakesCommonExtension { .. } | Self::TakesProgram { .. } => {
                "choose an extension that no native program has"
            }
            Self::TakesItself { .. } => "choose another extension, or an interpreter without it",
            Self::NoInterpreter { .. } => {
                "install qemu-user-static, or set interpreter-directories"
            }
            Self::Path(_) | Self::Rule(_) => "choose another path",
            Self::NameOfOther { .. } => "remove or rename that rule",
            Self::NameInUse { .. } => "give yours another name, or use --takeover",
        })
    }
}

fn problem(fault: &InterpreterFault) -> String {
    match fault {
        InterpreterFault::Missing => "not found".to_owned(),
        InterpreterFault::Unreadable(error) => format!("cannot be read: {error}"),
        InterpreterFault::NotRegular => "cannot be read: not a regular file".to_owned(),
        InterpreterFault::NotExecutable => "not executable".to_owned(),
        InterpreterFault::Noexec => "on a filesystem that is mounted noexec".to_owned(),
        InterpreterFault::NotElf => "not an ELF program".to_owned(),
        InterpreterFault::Foreign(target) => {
            let machine = target.as_deref().unwrap_or("an unknown machine");
            format!("a program for {machine}, not for this machine")
        }
        InterpreterFault::Dynamic(loader) => {
            format!("dynamically linked: it needs {loader}, which other roots lack")
        }
        InterpreterFault::Untrusted(faults) => format!(
            "users other than root could replace it, and the rule would run it with credentials: {}",
            list_of(faults)
        ),
    }
}

fn remedy(path: &Path, fault: &InterpreterFault) -> Fix {
    let of_path = |text: &str, words: &[&str]| {
        Fix::run(text, [Command::root(words).each(path.to_string_lossy())])
    };
    Fix::advice(match fault {
        InterpreterFault::Unreadable(_) | InterpreterFault::NotRegular => {
            return of_path("look at the file", &["ls", "-lL"]);
        }
        InterpreterFault::NotExecutable => return of_path("make it executable", &["chmod", "a+x"]),
        InterpreterFault::Untrusted(faults) => {
            return Fix::run(
                "correct the owner and mode, or switch credentials off",
                faults.iter().map(TrustFault::command),
            );
        }
        InterpreterFault::Missing => "install qemu-user-static, or qemu-user where that is static",
        InterpreterFault::Noexec => "move it to another filesystem, or remount that one with exec",
        InterpreterFault::NotElf => "reinstall its package",
        InterpreterFault::Foreign(_) => "install the one for this machine",
        InterpreterFault::Dynamic(_) => "install a static one: qemu-user-static",
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.why(), self.fix().line(Reader::ROOT))
    }
}

impl fmt::Display for NativeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(name) => write!(f, "{name} programs"),
            Self::X32 => f.write_str("x32 programs"),
            Self::Script => f.write_str("scripts"),
        }
    }
}

impl fmt::Display for ServingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutF => {
                f.write_str("it has no F flag, so it fails in containers and other roots")
            }
            Self::Seen(what) => f.write_str(what),
        }
    }
}
