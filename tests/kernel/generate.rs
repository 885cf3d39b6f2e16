//! Random rules and files: small alphabets and close relatives, so that rules often overlap.

use std::path::Path;

use binfmtd::testing::rule::{Flags, HEADER_SIZE, Header, InterpreterPath, Magic, Matcher, Rule};
use binfmtd::testing::target::{Identity, Table, Target};

use crate::random::Random;

pub(crate) const EXTENSIONS: [&str; 3] = ["x", "yy", "x86"];

/// Bytes that formats, escapes and C strings trip over.
const ALPHABET: &[u8] = b"AB\0\xff\x7f\n\\:x#;. \x80";

/// What must not be captured, lest the interpreters themselves could not be loaded.
pub(crate) struct Native {
    pub(crate) target: Target,
    /// Headers that some loader of this host could take.
    accepted: Vec<Magic>,
}

impl Native {
    pub(crate) fn of_host(table: &Table) -> Result<Self, String> {
        let target = table.find(std::env::consts::ARCH).map_err(|error| error.to_string())?.clone();
        let relatives = table.targets().iter().filter(|other| other.family == target.family);
        let accepted = relatives.flat_map(|relative| relative.identity.accepted()).collect();
        Ok(Self { target, accepted })
    }

    /// Whether no loader but `binfmt_misc` would look twice at this file.
    pub(crate) fn leaves(&self, header: &Header) -> bool {
        let script = header.bytes().starts_with(b"#!");
        !script && !self.accepted.iter().any(|magic| magic.matches(header))
    }

    fn is_safe(&self, matcher: &Matcher) -> bool {
        let Some(magic) = matcher.magic() else { return true };
        !self.accepted.iter().any(|accepted| accepted.overlaps(magic))
    }
}

fn byte(random: &mut Random) -> u8 {
    if random.once_in(4) { random.byte() } else { ALPHABET[random.below(ALPHABET.len())] }
}

fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| byte(random)).collect()
}

fn mask(random: &mut Random, length: usize) -> Option<Vec<u8>> {
    match random.below(4) {
        0 => None,
        1 => Some((0..length).map(|_| random.byte()).collect()),
        2 => Some((0..length).map(|_| [0, 0xff][random.below(2)]).collect()),
        _ => Some((0..length).map(|_| [0xff, 0xfe, 0xfc, 0xf0, 1][random.below(5)]).collect()),
    }
}

fn magic(random: &mut Random, table: &Table) -> Option<Magic> {
    let (offset, length) = match random.below(10) {
        0 => return of_target(random, table),
        // The whole header, in the tightest escapes that there are.
        1 => {
            let bytes = (0..HEADER_SIZE).map(|_| random.byte() | 0x80).collect();
            let mask = (0..HEADER_SIZE).map(|_| [0x01, 0x81, 0xff][random.below(3)]).collect();
            return Magic::new(0, bytes, Some(mask)).ok();
        }
        2 => {
            let length = 1 + random.below(60);
            (random.below(HEADER_SIZE - length + 1), length)
        }
        3 => (HEADER_SIZE - 1 - random.below(3), 1),
        _ => (random.below(3), 1 + random.below(4)),
    };
    let bytes = bytes(random, length);
    let mask = mask(random, length);
    Magic::new(offset, bytes, mask).ok()
}

/// A target's rule, sometimes for FreeBSD's files or with other bytes free than ours.
fn of_target(random: &mut Random, table: &Table) -> Option<Magic> {
    let targets = table.targets();
    let identity: &Identity = &targets[random.below(targets.len())].identity;
    let magics = identity.magics();
    let magic = &magics[random.below(magics.len())];
    let (mut bytes, mut mask) = (magic.magic().to_vec(), magic.mask().to_vec());
    if random.once_in(3) {
        (bytes[7], mask[7]) = (9, 0xff);
    }
    if random.once_in(3) {
        let at = random.below(mask.len());
        mask[at] = random.byte();
    }
    Magic::new(0, bytes, Some(mask)).ok()
}

fn relative(random: &mut Random, of: &Magic) -> Option<Magic> {
    let (mut bytes, mut mask) = (of.magic().to_vec(), of.mask().to_vec());
    let at = random.below(bytes.len());
    match random.below(3) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => mask[at] = random.byte(),
        _ => {
            bytes.truncate(at + 1);
            mask.truncate(at + 1);
        }
    }
    Magic::new(of.offset(), bytes, Some(mask)).ok()
}

/// A matcher that is safe to register, often a close relative of one that is there.
pub(crate) fn matcher(
    random: &mut Random,
    table: &Table,
    native: &Native,
    there: &[Rule],
) -> Matcher {
    loop {
        let matcher = if random.once_in(8) {
            Some(Matcher::Extension(random.pick(&EXTENSIONS).parse().expect("an extension")))
        } else {
            let model = if there.is_empty() {
                None
            } else {
                there[random.below(there.len())].matcher().magic()
            };
            let magic = match model {
                Some(model) if random.once_in(2) => relative(random, model),
                _ => magic(random, table),
            };
            magic.map(Matcher::Magic)
        };
        if let Some(matcher) = matcher.filter(|matcher| native.is_safe(matcher)) {
            return matcher;
        }
    }
}

pub(crate) fn flags(random: &mut Random) -> Flags {
    Flags {
        preserve_argv0: random.once_in(2),
        open_binary: random.once_in(4),
        credentials: random.once_in(4),
        fix_binary: random.once_in(2),
    }
}

/// A rule of this name, served by this interpreter.
pub(crate) fn rule(
    random: &mut Random,
    table: &Table,
    native: &Native,
    there: &[Rule],
    name: &str,
    interpreter: &Path,
) -> Rule {
    loop {
        let matcher = matcher(random, table, native, there);
        let interpreter = InterpreterPath::new(interpreter).expect("an absolute path");
        // Fails only when the string is too long: then another one.
        if let Ok(rule) =
            Rule::new(name.parse().expect("a name"), matcher, interpreter, flags(random))
        {
            return rule;
        }
    }
}

/// A file that matches one of the rules, or some, or nearly, or none; of any length.
pub(crate) fn file(random: &mut Random, native: &Native, rules: &[Rule]) -> Vec<u8> {
    loop {
        let mut file = match random.below(3) {
            0 => vec![0; HEADER_SIZE],
            1 => (0..HEADER_SIZE).map(|_| random.byte()).collect(),
            _ => bytes(random, HEADER_SIZE),
        };
        for magic in rules.iter().filter_map(|rule| rule.matcher().magic()) {
            if random.once_in(2) {
                let place = file[magic.offset()..].iter_mut();
                for ((byte, magic), mask) in place.zip(magic.magic()).zip(magic.mask()) {
                    *byte = *byte & !mask | magic & mask;
                }
            }
        }
        if random.once_in(3) {
            let end = if random.once_in(2) { 8 } else { HEADER_SIZE };
            let at = random.below(end);
            file[at] ^= 1 << random.below(8);
        }
        match random.below(8) {
            0 => file.truncate(random.below(24)),
            1 => file.truncate(random.below(HEADER_SIZE + 1)),
            2 => file.extend_from_slice(b"beyond what the kernel looks at"),
            _ => {}
        }
        if native.leaves(&Header::new(&file)) {
            return file;
        }
    }
}
