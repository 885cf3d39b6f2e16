//! Which rule the kernel picks, and why not the others.

use std::collections::HashMap;
use std::path::Path;

use super::entry::Entry;
use super::magic::{HEADER_SIZE, Header, Magic};
use super::parts::Matcher;

/// What the kernel makes of one entry when a certain file is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchResult {
    Wins,
    /// It would, but a newer rule takes the file first.
    Shadowed,
    /// It would, but it is switched off.
    Disabled,
    /// This byte of the file is not what the rule wants.
    Differs {
        /// Offset in the file.
        at: usize,
        file: u8,
        magic: u8,
        /// The bits that count.
        mask: u8,
    },
    /// The path does not have the rule's extension.
    OtherExtension,
}

/// Judges every entry as the kernel does: `entries` are in its order, newest first, and the first enabled one that
/// matches wins. The caller has to check the switch of the instance as a whole.
pub fn judge(entries: &[Entry], header: &Header, path: &Path) -> Vec<MatchResult> {
    let mut taken = false;
    entries
        .iter()
        .map(|entry| {
            if !entry.matcher.matches(header, path) {
                return why_not(&entry.matcher, header);
            }
            if !entry.enabled {
                return MatchResult::Disabled;
            }
            if std::mem::replace(&mut taken, true) {
                MatchResult::Shadowed
            } else {
                MatchResult::Wins
            }
        })
        .collect()
}

/// The entry that runs a file; `None` leaves it to the kernel's own loaders.
pub fn winner<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    header: &Header,
    path: &Path,
) -> Option<&'a Entry> {
    entries.into_iter().find(|entry| entry.takes(header, path))
}

/// Offset and mask: where an entry looks.
type Window<'a> = (usize, &'a [u8]);

/// Enabled entries, grouped by the bytes that they compare. Most compare the same bytes, so the first match is found
/// without trying each entry: finding it for all of N takes N steps, as long as there are few offsets and masks.
#[derive(Debug)]
pub struct Takers<'a> {
    by_magic: HashMap<Window<'a>, HashMap<Vec<u8>, usize>>,
    by_extension: HashMap<&'a str, usize>,
}

impl<'a> Takers<'a> {
    /// `entries` are in the kernel's order.
    pub fn new(entries: &'a [Entry]) -> Self {
        let mut takers = Self { by_magic: HashMap::new(), by_extension: HashMap::new() };
        for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.enabled) {
            match &entry.matcher {
                Matcher::Magic(magic) => {
                    let alike = takers.by_magic.entry((magic.offset(), magic.mask())).or_default();
                    alike.entry(masked(magic.magic(), magic.mask())).or_insert(place);
                }
                Matcher::Extension(extension) => {
                    takers.by_extension.entry(extension.as_str()).or_insert(place);
                }
            }
        }
        takers
    }

    /// The index of the first entry that takes a typical file of this matcher; for a magic, the magic itself is such
    /// a file.
    pub fn first(&self, matcher: &Matcher) -> Option<usize> {
        match matcher {
            Matcher::Magic(magic) => {
                let file = typical(magic);
                let takes = self.by_magic.iter().filter_map(|((offset, mask), alike)| {
                    alike.get(&masked(&file.bytes()[*offset..], mask)).copied()
                });
                takes.min()
            }
            Matcher::Extension(extension) => self.by_extension.get(extension.as_str()).copied(),
        }
    }
}

fn typical(magic: &Magic) -> Header {
    let mut file = vec![0; magic.offset()];
    file.extend_from_slice(magic.magic());
    Header::new(&file)
}

fn masked(bytes: &[u8], mask: &[u8]) -> Vec<u8> {
    bytes.iter().zip(mask).map(|(byte, mask)| byte & mask).collect()
}

fn why_not(matcher: &Matcher, header: &Header) -> MatchResult {
    let Matcher::Magic(magic) = matcher else { return MatchResult::OtherExtension };
    (magic.offset()..HEADER_SIZE)
        .zip(magic.magic().iter().zip(magic.mask()))
        .map(|(at, (magic, mask))| (at, header.bytes()[at], *magic, *mask))
        .find(|(_, file, magic, mask)| (file ^ magic) & mask != 0)
        .map_or(MatchResult::OtherExtension, |(at, file, magic, mask)| MatchResult::Differs {
            at,
            file,
            magic,
            mask,
        })
}
