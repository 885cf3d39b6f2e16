//! Register strings, valid and broken, given to the kernel and to our own reader. We may be stricter,
//! for the reasons that are listed here and no others; we never take what the kernel refuses.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;

use binfmtd::testing::rule::{
    Entry, MAX_REGISTER_STRING, MagicError, PartError, RegisterError, Rule, parse_register,
};
use binfmtd::testing::target::Table;
use nix::errno::Errno;

use crate::generate::{self, Native};
use crate::random::Random;
use crate::support::Private;
use crate::{Outcome, Setting};

/// Strings for each file that is started elsewhere: they are that much cheaper.
const STRINGS_PER_CASE: usize = 8;

/// Why we refuse what the kernel takes; each has to occur in a run of the usual length.
const STRICTER: [&str; 9] = [
    "delimiter: letters, digits, spaces, control characters, bytes above 127",
    "NUL: the kernel drops it and what follows",
    "name: spaces, control characters, no UTF-8",
    "extension: dots (it could never match), spaces, control characters, no UTF-8",
    "interpreter: relative, or control characters",
    "mask: all zeros",
    "offset: -0, or a newline behind it",
    "length: it fits only with bytes unescaped that we escape",
    "flags: of a newer kernel",
];
/// The last ones depend on luck and on the kernel.
const CERTAIN: usize = 7;

fn why_stricter(error: &RegisterError, string: &[u8]) -> Option<&'static str> {
    let reason = match error {
        RegisterError::BadDelimiter(byte) if !byte.is_ascii_punctuation() || *byte == b'\\' => 0,
        RegisterError::Nul(at) if string[*at] == 0 => 1,
        RegisterError::Part(PartError::Name(name))
            if !name.contains('/') && name.chars().any(|c| c.is_whitespace() || c.is_control()) =>
        {
            2
        }
        RegisterError::Text("name") => 2,
        RegisterError::Part(PartError::Extension(text))
            if !text.is_empty() && !text.contains('/') =>
        {
            3
        }
        RegisterError::Text("extension") => 3,
        RegisterError::Part(PartError::Interpreter(path)) if !path.as_os_str().is_empty() => 4,
        RegisterError::Magic(MagicError::ZeroMask) => 5,
        RegisterError::Offset(text)
            if text.trim_start_matches(['-', '+', '0']).trim_end_matches('\n').is_empty() =>
        {
            6
        }
        RegisterError::Offset(text) if text.ends_with('\n') => 6,
        RegisterError::Length(length)
            if string.len() <= MAX_REGISTER_STRING && *length > MAX_REGISTER_STRING =>
        {
            7
        }
        RegisterError::Flags(flag) if "TLD".contains(flag.0) => 8,
        _ => return None,
    };
    Some(STRICTER[reason])
}

pub(crate) fn run(setting: &mut Setting) -> Outcome {
    let table = Table::embedded();
    let native = Native::of_host(&table)?;
    let there = setting.private.folder().join("there");
    fs::write(&there, "").map_err(|error| error.to_string())?;
    let there = there.to_str().ok_or("the folder's path is no text")?.to_owned();
    let (mut taken, mut refused, mut reasons) = (0, 0, BTreeMap::new());
    let count = setting.cases * STRINGS_PER_CASE;
    for _ in 0..count {
        let random = &mut setting.random;
        let string = if random.once_in(2) {
            fields(random, &there)
        } else {
            mutant(random, &table, &native, &there)
        };
        let kernel = setting.private.register(&string);
        let ours = parse_register(&string);
        let problem = match (&kernel, &ours) {
            (Ok(()), Ok(rule)) => {
                taken += 1;
                same_entry(&setting.private, rule)
            }
            (Ok(()), Err(error)) => match why_stricter(error, &string) {
                Some(reason) => {
                    *reasons.entry(reason).or_insert(0) += 1;
                    Ok(())
                }
                None => Err(format!("the kernel takes it, but we say: {error}")),
            },
            // Then the string was fine, and opening the interpreter was not.
            (Err(error), Ok(rule))
                if rule.flags().fix_binary
                    && error.raw_os_error() != Some(Errno::EINVAL as i32) =>
            {
                taken += 1;
                Ok(())
            }
            (Err(error), Ok(rule)) => {
                Err(format!("we take it as {rule:?}, but the kernel says: {error}"))
            }
            (Err(_), Err(_)) => {
                refused += 1;
                Ok(())
            }
        };
        problem.map_err(|problem| format!("{}\n{problem}", string.escape_ascii()))?;
        if kernel.is_ok() {
            Private::flush().map_err(|error| format!("flush: {error}"))?;
        }
    }
    let never = STRICTER[..CERTAIN].iter().find(|reason| !reasons.contains_key(*reason));
    if let Some(reason) = never.filter(|_| count >= 10_000) {
        return Err(format!(
            "listed as a reason to be stricter, but no string showed it: {reason}"
        ));
    }
    let stricter: usize = reasons.values().sum();
    Ok(format!("{count} strings: {taken} taken, {refused} refused by both, {stricter} by us alone"))
}

/// The kernel's entry is the rule that we read, and so is the entry of what we would write.
fn same_entry(private: &Private, rule: &Rule) -> Result<(), String> {
    let name = rule.name().as_str();
    let read = || {
        let content = fs::read(Private::path(name)).map_err(|error| error.to_string())?;
        let entry = Entry::parse(OsStr::new(name), &content)
            .map_err(|error| format!("{error}: {}", content.escape_ascii()))?;
        if rule.is(&entry) {
            Ok(entry)
        } else {
            Err(format!("we read {rule:?}, the kernel {entry:?}"))
        }
    };
    let first = read()?;
    Private::flush().map_err(|error| format!("flush: {error}"))?;
    private.register(rule.register_string()).map_err(|error| {
        format!("written again as {}: {error}", rule.register_string().escape_ascii())
    })?;
    let second = read()?;
    // The mask may be written out or not, and masked bits differ; all else is the same.
    if first.flags == second.flags && first.enabled {
        Ok(())
    } else {
        Err(format!("{first:?} is not {second:?}"))
    }
}

/// Seven fields, each from a list of the usual and the odd.
fn fields(random: &mut Random, there: &str) -> Vec<u8> {
    let long = [b'n'; 256];
    let (there, bad_there) = (there.as_bytes(), &there.as_bytes()[1..]);
    let names: [&[u8]; 16] = [
        b"n",
        b"n",
        b"n",
        b"qemu-x",
        b"",
        b".",
        b"..",
        b"...",
        b"a/b",
        b"a b",
        b"a\nb",
        b"\xc3\xa4",
        b"\xff",
        b"a\\x41",
        &long[1..],
        &long,
    ];
    let kinds: [&[u8]; 8] = [b"M", b"M", b"M", b"M", b"E", b"E", b"", b"ME"];
    let offsets: [&[u8]; 20] = [
        b"",
        b"",
        b"",
        b"",
        b"0",
        b"7",
        b"+5",
        b"++5",
        b"-0",
        b"-+0",
        b"-1",
        b"255",
        b"256",
        b"00000000000000000000000004",
        b"4294967296",
        b"18446744073709551616",
        b"1\n",
        b"1 ",
        b"0x1",
        b"1x",
    ];
    let magics: [&[u8]; 18] = [
        b"A",
        b"AB",
        b"AB",
        br"\x41\x42",
        br"\xab\xCD",
        br"\x00\x01",
        br"\\x41",
        br"\\\x41",
        br"\x4",
        br"\x",
        br"\",
        br"A\",
        br"\n\t",
        b"\x80\n",
        b"A\0B",
        b"",
        b"A.B",
        b"A/B",
    ];
    let masks: [&[u8]; 12] = [
        b"",
        b"",
        b"",
        b"",
        br"\xff\xf0",
        br"\xff",
        br"\x00\x00",
        br"\x00",
        br"\\x41",
        b"\0",
        b"AB",
        br"\xff\xf",
    ];
    let interpreters: [&[u8]; 9] =
        [b"/q", b"/q", b"/usr/bin/qemu", there, there, bad_there, b"", b"/a b\\x41\xff", b"/a\nb"];
    let flags: [&[u8]; 14] = [
        b"", b"", b"", b"P", b"OC", b"C", b"FP", b"PPOCF", b"X", b"T", b"\n", b"P\n", b"P\n\n",
        b"\nP",
    ];
    let delimiters: [u8; 15] =
        [b':', b':', b':', b':', b':', b':', b',', b'|', b'+', b'-', b';', b' ', b'x', b'\\', 0xff];
    let delimiter = delimiters[random.below(delimiters.len())];
    let mut string = Vec::new();
    for list in [&names[..], &kinds, &offsets, &magics, &masks, &interpreters, &flags] {
        string.push(delimiter);
        // Mostly the first, or few strings would have no flaw at all and few exactly one.
        let pick = if random.once_in(3) { random.below(list.len()) } else { random.below(3) };
        string.extend_from_slice(list[pick]);
    }
    string
}

/// A rule's own string with a few bytes changed.
fn mutant(random: &mut Random, table: &Table, native: &Native, there: &str) -> Vec<u8> {
    let rule = generate::rule(random, table, native, &[], "rule", there.as_ref());
    let mut string = rule.register_string().to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(string.len());
        let odd = b":\\x0aF/\n\0 ,.~\xff1-+PEM"[random.below(20)];
        match random.below(6) {
            0 => string[at] = odd,
            1 => string[at] = random.byte(),
            2 => string.insert(at, odd),
            3 => drop(string.remove(at)),
            4 => string[at] ^= 1 << random.below(8),
            _ => {
                let end = (at + 1 + random.below(40)).min(string.len());
                let part = string[at..end].to_vec();
                string.splice(at..at, part);
            }
        }
        if string.is_empty() {
            break;
        }
    }
    if random.once_in(20) {
        string.push(b'\n');
    }
    string
}
