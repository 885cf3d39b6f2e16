//! The guard: rules that must never reach the kernel, whatever the settings say.

use super::refusal::{NativeFormat, Refusal};
use crate::observation::{InterpreterFault, InterpreterFile};
use crate::rule::{Header, Magic, Matcher, Rule};
use crate::target::{Table, Target};

/// What the kernel runs here without any rule: the headers of the native targets, and scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    names: Vec<String>,
    headers: Vec<(NativeFormat, Magic)>,
}

impl Native {
    /// `natives` are the targets that ran without any rule.
    pub fn new(table: &Table, natives: &[String]) -> Self {
        let mut headers: Vec<(NativeFormat, Magic)> = table
            .targets()
            .iter()
            .filter(|target| natives.contains(&target.name))
            .flat_map(|target| {
                target
                    .identity
                    .accepted()
                    .into_iter()
                    .map(|magic| (NativeFormat::Target(target.name.clone()), magic))
            })
            .collect();
        // x32: class 32 with x86-64's e_machine. No emulator serves it, some kernels run it.
        if natives.iter().any(|name| name == "x86_64") {
            headers.extend(exact(NativeFormat::X32, b"\x7fELF\x01\x01", Some((18, &[62, 0]))));
        }
        headers.extend(exact(NativeFormat::Script, b"#!", None));
        Self { names: natives.to_vec(), headers }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The native files that a rule with this matcher would take.
    pub fn captured_by(&self, matcher: &Matcher) -> Option<&NativeFormat> {
        let magic = matcher.magic()?;
        self.headers.iter().find(|(_, native)| native.overlaps(magic)).map(|(format, _)| format)
    }

    pub fn magics(&self) -> impl Iterator<Item = &Magic> {
        self.headers.iter().map(|(_, magic)| magic)
    }

    /// Whether the kernel itself would run a file with this header.
    pub fn runs(&self, header: &Header) -> bool {
        self.headers.iter().any(|(_, native)| native.matches(header))
    }

    /// Refuses a rule that could take native programs away.
    pub fn guard(&self, rule: &Rule) -> Result<(), Refusal> {
        let name = || rule.name().clone();
        if let Some(format) = self.captured_by(rule.matcher()) {
            return Err(Refusal::TakesNative { rule: name(), format: format.clone() });
        }
        let Matcher::Extension(extension) = rule.matcher() else { return Ok(()) };
        if is_common(extension.as_str()) {
            return Err(Refusal::TakesCommonExtension {
                rule: name(),
                extension: extension.clone(),
            });
        }
        // The kernel would start the interpreter by the rule itself, until it gives up (ELOOP).
        if rule.matcher().matches(&Header::new(&[]), rule.interpreter().as_path()) {
            let interpreter = rule.interpreter().clone();
            return Err(Refusal::TakesItself { rule: name(), interpreter });
        }
        Ok(())
    }
}

/// Versions (`python3.11`, `ld-linux-x86-64.so.2`), libraries and shell scripts.
fn is_common(extension: &str) -> bool {
    matches!(extension, "so" | "sh") || extension.bytes().all(|byte| byte.is_ascii_digit())
}

fn exact(
    format: NativeFormat,
    start: &[u8],
    more: Option<(usize, &[u8])>,
) -> Option<(NativeFormat, Magic)> {
    let mut bytes = start.to_vec();
    let mut mask = vec![0xff; start.len()];
    if let Some((at, value)) = more {
        bytes.resize(at, 0);
        mask.resize(at, 0);
        bytes.extend_from_slice(value);
        mask.resize(bytes.len(), 0xff);
    }
    Magic::new(0, bytes, Some(mask)).ok().map(|magic| (format, magic))
}

/// What a rule needs of its interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// It must run without a loader: rules with `F` serve other roots, which may not have it.
    pub fixed: bool,
    /// The rule has `C`, so the interpreter gets the credentials of set-user-ID programs.
    pub credentials: bool,
}

/// Why a file cannot serve, if so.
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
        return Some(InterpreterFault::Untrusted(file.distrust.clone()));
    }
    let Some(elf) = &file.elf else { return Some(InterpreterFault::NotElf) };
    if !native.runs(&elf.header) {
        return Some(InterpreterFault::Foreign(table.of_header(&elf.header).map(Target::label)));
    }
    if let Some(loader) = elf.loader.as_ref().filter(|_| needs.fixed) {
        return Some(InterpreterFault::Dynamic(loader.clone()));
    }
    None
}
