//! Versions of QEMU that are known to fail, as data: from measurements and from public reports.
//!
//! A probe is too small to trigger most of these, so without this table they would first show up in a build. An entry
//! claims no more than its source does.

use std::fmt;

use crate::verify::Pinned;

/// A version of QEMU: `7.2.22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32, pub(super) u32);

impl Version {
    /// From QEMU's own version line: `qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (_, after) = line.split_once(" version ")?;
        let number = after.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = number.split('.').map(|part| part.parse().ok());
        let mut next = || parts.next().flatten();
        // A development build (`9.1.50`) is taken literally; a missing last part counts as 0.
        Some(Self(next()?, next()?, next().unwrap_or(0)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Which builds of a version are affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builds {
    Any,
    /// Those linked for a fixed address (`--disable-pie`), on kernels that randomize all addresses, including the
    /// heap's (`kernel.randomize_va_space = 2`).
    FixedAddress,
}

/// One flaw of some versions.
#[derive(Debug)]
pub(super) struct Known {
    first: Version,
    /// Inclusive.
    last: Version,
    /// Empty for all.
    targets: &'static [&'static str],
    builds: Builds,
    /// The signal that every program dies by, including a probe: a probe that runs shows that the distribution has the
    /// fix. `None` if only some programs are hit, or only sometimes.
    pub(super) signal: Option<i32>,
    pub(super) what: &'static str,
    pub(super) way_out: &'static str,
    pub(super) source: &'static str,
}

pub(super) const KNOWN: &[Known] = &[
    Known {
        first: Version(10, 0, 0),
        last: Version(10, 1, 1),
        targets: &["microblazeel"],
        builds: Builds::Any,
        signal: Some(11),
        what: "every program dies by signal 11: QEMU does not set the CPU to little-endian",
        way_out: "install QEMU 10.1.2 or newer, or one before 10.0",
        source: "QEMU's commit 91fc6d8101de; measured with 10.0.2, and not so with 7.2.22 and 11.1.3",
    },
    Known {
        first: Version(0, 0, 0),
        last: Version(8, 0, u32::MAX),
        targets: &[],
        builds: Builds::FixedAddress,
        signal: None,
        what: "programs die by signal 11 now and then: it is linked for one address, where the kernel may put \
               something else (seen since Debian's 5.10.0-33 and 6.1.112, and Ubuntu's kernels after 6.8.0-49)",
        way_out: "install a QEMU that is built as a static PIE (Debian's is, since 7.2.15), or QEMU 8.1 or newer; \
                  kernel.randomize_va_space = 0 avoids it, at the price of what that protects",
        source: "tonistiigi/binfmt#215, actions/runner-images#11471, docker/buildx#2841, docker/buildx#3170, \
                 Debian #1087822",
    },
    Known {
        first: Version(9, 2, 0),
        last: Version(9, 2, 2),
        targets: &["aarch64"],
        builds: Builds::Any,
        signal: None,
        what: "ldconfig of Ubuntu 22.04 and Debian 11 dies by signal 11, and with it apt-get install (libc-bin)",
        way_out: "install another version, or use newer base images",
        source: "tonistiigi/binfmt#231, #240, #244, #245, docker/setup-qemu-action#198",
    },
    Known {
        first: Version(10, 1, 3),
        last: Version(10, 1, 3),
        targets: &["aarch64"],
        builds: Builds::Any,
        signal: None,
        what: "ldconfig of Ubuntu 22.04 dies by signal 11, and with it apt-get install (libc-bin)",
        way_out: "install another version, or use newer base images",
        source: "tonistiigi/binfmt#298",
    },
    Known {
        first: Version(5, 1, 0),
        last: Version(5, 2, 0),
        targets: &["aarch64"],
        builds: Builds::Any,
        signal: None,
        what: "small static programs die by signal 11 now and then, so builders take the platform for missing",
        way_out: "install QEMU 6.0 or newer",
        source: "docker/buildx#542, go-debos/debos#261",
    },
];

/// The flaw of a version that affects a target.
pub(super) fn known(
    version: Version,
    target: &str,
    pinned: Option<&Pinned>,
    randomize: Option<u64>,
) -> Option<&'static Known> {
    // Only 2 randomizes the heap. If it cannot be read, nothing is claimed.
    let fixed = pinned.is_some_and(|pinned| pinned.fixed_address == Some(true))
        && randomize.is_some_and(|how| how >= 2);
    KNOWN.iter().find(|known| {
        (known.first..=known.last).contains(&version)
            && (known.targets.is_empty() || known.targets.contains(&target))
            && (known.builds == Builds::Any || fixed)
    })
}

#[cfg(test)]
mod tests;
