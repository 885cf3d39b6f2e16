//! Magic and mask: how the kernel tells files apart by their first bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::escape::to_hex;

/// How many bytes of a file the kernel looks at (`BINPRM_BUF_SIZE`).
pub const HEADER_SIZE: usize = 256;

/// The first bytes of a file; a shorter file is filled up with zeros, as in the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header([u8; HEADER_SIZE]);

impl Header {
    /// Takes the first 256 of `bytes`, or all of them and zeros.
    pub fn new(bytes: &[u8]) -> Self {
        let mut header = [0; HEADER_SIZE];
        let length = bytes.len().min(HEADER_SIZE);
        header[..length].copy_from_slice(&bytes[..length]);
        Self(header)
    }

    pub fn bytes(&self) -> &[u8; HEADER_SIZE] {
        &self.0
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({}…)", to_hex(&self.0[..64]))
    }
}

/// Bytes that a file must have at an offset, and which of their bits count.
///
/// Also used for what a CPU's own kernel accepts: two of them overlap when one file could be both.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Magic {
    offset: u8,
    bytes: Vec<u8>,
    mask: Vec<u8>,
}

/// Why bytes are not a magic that the kernel takes and that is safe to register.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MagicError {
    /// The kernel answers EINVAL.
    #[error("the magic is empty")]
    Empty,
    /// The kernel answers EINVAL.
    #[error("the magic has {magic} bytes and the mask {mask}: they must have one length")]
    Lengths { magic: usize, mask: usize },
    /// The kernel answers EINVAL.
    #[error(
        "offset {offset} and {length} bytes reach past the {HEADER_SIZE} bytes that the kernel looks at"
    )]
    Reach { offset: usize, length: usize },
    /// The kernel takes it, and no exec of the host works any more.
    #[error("the mask is all zeros: the rule would match every file")]
    ZeroMask,
}

impl Magic {
    /// A magic with a mask; `None` compares every bit.
    pub fn new(offset: usize, magic: Vec<u8>, mask: Option<Vec<u8>>) -> Result<Self, MagicError> {
        let magic = Self::observed(offset, magic, mask)?;
        if magic.mask.iter().all(|byte| *byte == 0) {
            return Err(MagicError::ZeroMask);
        }
        Ok(magic)
    }

    /// Takes whatever the kernel takes, an all-zero mask included: others may register what binfmtd would not.
    pub(super) fn observed(
        offset: usize,
        magic: Vec<u8>,
        mask: Option<Vec<u8>>,
    ) -> Result<Self, MagicError> {
        let mask = mask.unwrap_or_else(|| vec![0xff; magic.len()]);
        if magic.is_empty() {
            return Err(MagicError::Empty);
        }
        if magic.len() != mask.len() {
            return Err(MagicError::Lengths { magic: magic.len(), mask: mask.len() });
        }
        let reach = || MagicError::Reach { offset, length: magic.len() };
        if offset.checked_add(magic.len()).is_none_or(|end| end > HEADER_SIZE) {
            return Err(reach());
        }
        let offset = u8::try_from(offset).map_err(|_| reach())?;
        Ok(Self { offset, bytes: magic, mask })
    }

    /// Where in the file the first byte stands.
    pub fn offset(&self) -> usize {
        usize::from(self.offset)
    }

    /// The bytes as they were given, including bits that the mask ignores.
    pub fn magic(&self) -> &[u8] {
        &self.bytes
    }

    /// The bits that are compared; as long as the magic.
    pub fn mask(&self) -> &[u8] {
        &self.mask
    }

    pub fn is_exact(&self) -> bool {
        self.mask.iter().all(|byte| *byte == 0xff)
    }

    /// The kernel's own test: `(file ^ magic) & mask == 0` for each byte (`search_binfmt_handler`).
    pub fn matches(&self, header: &Header) -> bool {
        let file = &header.0[self.offset()..];
        file.iter()
            .zip(&self.bytes)
            .zip(&self.mask)
            .all(|((file, magic), mask)| (file ^ magic) & mask == 0)
    }

    /// Whether some file could match both: where both masks look, the magics must agree.
    pub fn overlaps(&self, other: &Self) -> bool {
        // Outside of the common range one of them compares nothing.
        let ends = [self, other].map(|it| it.offset() + it.bytes.len());
        (self.offset().max(other.offset())..ends[0].min(ends[1])).all(|at| {
            let (magic, mask) = self.at(at);
            let (other_magic, other_mask) = other.at(at);
            (magic ^ other_magic) & mask & other_mask == 0
        })
    }

    /// The first byte that keeps `self` from matching everything that `other` matches: there `self` compares bits
    /// that `other` ignores, or expects other values. `None` when `self` matches all of it.
    pub fn narrower_at(&self, other: &Self) -> Option<usize> {
        (0..HEADER_SIZE).find(|at| {
            let ((magic, mask), (other_magic, other_mask)) = (self.at(*at), other.at(*at));
            mask & !other_mask != 0 || (magic ^ other_magic) & mask != 0
        })
    }

    /// What `self` matches and `other` does not, as magics that have no file in common; empty when `other` matches
    /// all of it.
    pub fn without(&self, other: &Self) -> Vec<Self> {
        if !self.overlaps(other) {
            return vec![self.clone()];
        }
        let mut parts = Vec::new();
        // One part for each bit that `other` compares: files that differ from `other` in that bit and agree in all
        // bits before it.
        let mut rest = self.at_the_start();
        for at in 0..HEADER_SIZE {
            let (magic, mask) = other.at(at);
            for bit in (0..8).map(|bit| 1 << bit).filter(|bit| mask & bit != 0) {
                if rest.mask.len() <= at {
                    rest.bytes.resize(at + 1, 0);
                    rest.mask.resize(at + 1, 0);
                }
                if rest.mask[at] & bit == 0 {
                    rest.mask[at] |= bit;
                    rest.bytes[at] = rest.bytes[at] & !bit | !magic & bit;
                    parts.push(rest.clone());
                    rest.bytes[at] ^= bit;
                }
            }
        }
        parts
    }

    /// The same magic with offset 0.
    fn at_the_start(&self) -> Self {
        let end = self.offset() + self.bytes.len();
        let (bytes, mask) = (0..end).map(|at| self.at(at)).unzip();
        Self { offset: 0, bytes, mask }
    }

    /// Whether both match exactly the same files, however they are written.
    pub fn is_same(&self, other: &Self) -> bool {
        (0..HEADER_SIZE).all(|at| {
            let ((magic, mask), (other_magic, other_mask)) = (self.at(at), other.at(at));
            mask == other_mask && (magic ^ other_magic) & mask == 0
        })
    }

    /// Magic and mask of one byte of the file; outside of the magic the mask is 0.
    fn at(&self, at: usize) -> (u8, u8) {
        at.checked_sub(self.offset())
            .and_then(|index| Some((*self.bytes.get(index)?, *self.mask.get(index)?)))
            .unwrap_or((0, 0))
    }

    pub fn magic_hex(&self) -> String {
        to_hex(&self.bytes)
    }

    pub fn mask_hex(&self) -> String {
        to_hex(&self.mask)
    }
}

impl fmt::Debug for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Magic({}+{}/{})", self.offset, self.magic_hex(), self.mask_hex())
    }
}
