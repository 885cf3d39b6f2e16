//! The guard: what must never reach the kernel, whatever asks for it.

use std::fmt;
use std::path::Path;

use crate::observation::{InterpreterFault, InterpreterFile};
use crate::rule::{Magic, Matcher, Rule};
use crate::shown::quote;
use crate::target::Table;

/// Why a rule is refused, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub why: String,
    /// The way out.
    pub fix: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.why, self.fix)
    }
}

/// What the kernel runs here without any rule: the headers of the native targets, and scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    names: Vec<String>,
    headers: Vec<(String, Magic)>,
}

impl Native {
    /// From the targets that were seen to run natively.
    pub fn new(table: &Table, natives: &[String]) -> Self {
        let mut headers: Vec<(String, Magic)> = table
            .targets()
            .iter()
            .filter(|target| natives.contains(&target.name))
            .flat_map(|target| {
                target
                    .identity
                    .accepted()
                    .into_iter()
                    .map(|magic| (format!("{} programs", target.name), magic))
            })
            .collect();
        // x32: class 32 with x86-64's e_machine. No emulator serves it, some kernels run it.
        if natives.iter().any(|name| name == "x86_64") {
            headers.extend(exact("x32 programs", b"\x7fELF\x01\x01", Some((18, &[62, 0]))));
        }
        headers.extend(exact("scripts", b"#!", None));
        Self { names: natives.to_vec(), headers }
    }

    /// The names of the native targets.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What a rule with this matcher would take away from the kernel.
    pub fn captured_by(&self, matcher: &Matcher) -> Option<&str> {
        let magic = matcher.magic()?;
        self.headers
            .iter()
            .find(|(_, native)| native.overlaps(magic))
            .map(|(what, _)| what.as_str())
    }

    /// What the headers of native files have.
    pub fn magics(&self) -> impl Iterator<Item = &Magic> {
        self.headers.iter().map(|(_, magic)| magic)
    }

    /// Whether the kernel itself would run a file with this header.
    pub fn runs(&self, header: &crate::rule::Header) -> bool {
        self.headers.iter().any(|(_, native)| native.matches(header))
    }

    /// Refuses a rule that could take native programs away.
    pub fn guard(&self, rule: &Rule) -> Result<(), Refusal> {
        if let Some(what) = self.captured_by(rule.matcher()) {
            return Err(Refusal {
                why: format!(
                    "rule {} could match this host's own {what}: no program would start any more",
                    rule.name()
                ),
                fix: "give it a magic and a mask that no native file has".to_owned(),
            });
        }
        if let Matcher::Extension(extension) = rule.matcher()
            && is_common(extension.as_str())
        {
            return Err(Refusal {
                why: format!(
                    "rule {} would take every path that ends in .{}, native programs and libraries too",
                    rule.name(),
                    extension.as_str()
                ),
                fix: "choose an extension that no native program has".to_owned(),
            });
        }
        // The kernel would start the interpreter by the rule itself, until it gives up (ELOOP).
        let nothing = crate::rule::Header::new(&[]);
        if matches!(rule.matcher(), Matcher::Extension(_))
            && rule.matcher().matches(&nothing, rule.interpreter().as_path())
        {
            return Err(Refusal {
                why: format!(
                    "rule {} would match its own interpreter {}",
                    rule.name(),
                    rule.interpreter()
                ),
                fix: "choose another extension, or an interpreter without it".to_owned(),
            });
        }
        Ok(())
    }
}

/// Versions (`python3.11`, `ld-linux-x86-64.so.2`), libraries and shell scripts.
fn is_common(extension: &str) -> bool {
    matches!(extension, "so" | "sh") || extension.bytes().all(|byte| byte.is_ascii_digit())
}

fn exact(what: &str, start: &[u8], more: Option<(usize, &[u8])>) -> Option<(String, Magic)> {
    let mut bytes = start.to_vec();
    let mut mask = vec![0xff; start.len()];
    if let Some((at, value)) = more {
        bytes.resize(at, 0);
        mask.resize(at, 0);
        bytes.extend_from_slice(value);
        mask.resize(bytes.len(), 0xff);
    }
    Magic::new(0, bytes, Some(mask)).ok().map(|magic| (what.to_owned(), magic))
}

/// What a rule needs of its interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// It must run without a loader: rules with `F` serve other roots, which have none.
    pub fixed: bool,
    /// It gets the credentials of the program it runs.
    pub credentials: bool,
}

/// Judges a file that is there.
pub fn fault(
    file: &InterpreterFile,
    native: &Native,
    table: &Table,
    needs: Needs,
) -> Option<InterpreterFault> {
    if file.mode & 0o111 == 0 {
        return Some(InterpreterFault::NotExecutable);
    }
    if file.noexec {
        return Some(InterpreterFault::Noexec);
    }
    if needs.credentials && !file.distrust.is_empty() {
        return Some(InterpreterFault::Untrusted(file.distrust.join("; ")));
    }
    let Some(elf) = &file.elf else { return Some(InterpreterFault::NotElf) };
    if !native.runs(&elf.header) {
        let machine = table
            .of_header(&elf.header)
            .map_or_else(|| "an unknown machine".to_owned(), crate::target::Target::label);
        return Some(InterpreterFault::Foreign(machine));
    }
    if let Some(loader) = elf.loader.as_ref().filter(|_| needs.fixed) {
        return Some(InterpreterFault::Dynamic(loader.clone()));
    }
    None
}

/// Says what is wrong with an interpreter, and what to do.
pub fn refusal(path: &Path, fault: &InterpreterFault) -> Refusal {
    let (shown, quoted) = (path.display(), quote(path));
    let (why, fix) = match fault {
        InterpreterFault::Missing => (
            "not found".to_owned(),
            "install qemu-user-static, or qemu-user where that is static".to_owned(),
        ),
        InterpreterFault::Unreadable(error) => {
            (format!("cannot be read: {error}"), format!("look at {quoted}"))
        }
        InterpreterFault::NotExecutable => {
            ("not executable".to_owned(), format!("chmod a+x {quoted}"))
        }
        InterpreterFault::Noexec => (
            "on a filesystem that is mounted noexec".to_owned(),
            "put it on another, or remount that with exec".to_owned(),
        ),
        InterpreterFault::NotElf => {
            ("not an ELF program".to_owned(), "reinstall its package".to_owned())
        }
        InterpreterFault::Foreign(machine) => (
            format!("a program for {machine}, not for this machine"),
            "install the one for this machine".to_owned(),
        ),
        InterpreterFault::Dynamic(loader) => (
            format!("dynamically linked: it needs {loader}, which other roots lack"),
            "install a static one: qemu-user-static".to_owned(),
        ),
        InterpreterFault::Untrusted(faults) => (
            format!(
                "others than root could replace it, and the rule would run it with credentials: {faults}"
            ),
            "mend the owner and mode, or switch credentials off".to_owned(),
        ),
    };
    Refusal { why: format!("interpreter {shown}: {why}"), fix }
}
