//! Which rule the kernel picks, and why not the others.

use std::path::Path;

use super::entry::Entry;
use super::magic::{HEADER_SIZE, Header};
use super::parts::Matcher;

/// What the kernel makes of one entry when a certain file is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It runs the file.
    Wins,
    /// It would, but a newer rule takes the file first.
    Shadowed,
    /// It would, but it is switched off.
    Disabled,
    /// This byte of the file is not what the rule wants.
    Differs {
        /// Offset in the file.
        at: usize,
        /// The file's byte.
        file: u8,
        /// The rule's byte.
        magic: u8,
        /// The bits that count.
        mask: u8,
    },
    /// The path has not the rule's extension.
    OtherExtension,
}

/// Judges every entry as the kernel does: `entries` are in its order, newest first, and the first
/// enabled one that matches wins. The switch of the whole instance is the caller's to look at.
pub fn judge(entries: &[Entry], header: &Header, path: &Path) -> Vec<Verdict> {
    let mut taken = false;
    entries
        .iter()
        .map(|entry| {
            if !entry.matcher.matches(header, path) {
                return why_not(&entry.matcher, header);
            }
            if !entry.enabled {
                return Verdict::Disabled;
            }
            if std::mem::replace(&mut taken, true) { Verdict::Shadowed } else { Verdict::Wins }
        })
        .collect()
}

/// The entry that runs a file; `None` leaves it to the kernel's own loaders.
pub fn winner<'a>(entries: &'a [Entry], header: &Header, path: &Path) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.takes(header, path))
}

fn why_not(matcher: &Matcher, header: &Header) -> Verdict {
    let Matcher::Magic(magic) = matcher else { return Verdict::OtherExtension };
    (magic.offset()..HEADER_SIZE)
        .zip(magic.magic().iter().zip(magic.mask()))
        .map(|(at, (magic, mask))| (at, header.bytes()[at], *magic, *mask))
        .find(|(_, file, magic, mask)| (file ^ magic) & mask != 0)
        .map_or(Verdict::OtherExtension, |(at, file, magic, mask)| Verdict::Differs {
            at,
            file,
            magic,
            mask,
        })
}
