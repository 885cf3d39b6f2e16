//! Family `kernel`: limits that emulated programs run into.

use super::known::Version;
use super::scope;
use crate::doctor::check::Check;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix};
use crate::observation::Observation;
use crate::target::Class;

pub(in crate::doctor) static LIMIT: Check = Check {
    id: CheckId::KernelLimit,
    title: "more rules can be registered",
    proves: "The number of rules is well below user.max_binfmt_misc_interpreters, on kernels that have that limit.",
    cure: "Raise it: sysctl -w user.max_binfmt_misc_interpreters=N. Above the limit, registration fails with \"no space left on device\".",
    run: |facts, id| scope::instance(facts, id, limit),
};

fn limit(facts: &HostFacts<'_>, seen: &Observation, draft: Draft) -> Finding {
    let there = u64::try_from(seen.instance.entries.len()).unwrap_or(u64::MAX);
    let Some(limit) = facts.limits.interpreters else {
        return draft.pass("this kernel does not limit the number of rules");
    };
    // Replacing a rule takes one more for a moment.
    if there.saturating_add(there / 10).saturating_add(1) < limit {
        draft.pass(format!("{there} rules of {limit}"))
    } else {
        draft
            .warn(format!("{there} rules of at most {limit}: the next may be refused"))
            .with("user.max_binfmt_misc_interpreters")
            .fix(facts.sysctl(
                "user.max_binfmt_misc_interpreters",
                limit.max(there).saturating_mul(2).max(64),
            ))
    }
}

/// The page size that most programs are linked for.
const USUAL_PAGE: u64 = 4096;

pub(in crate::doctor) static PAGE_SIZE: Check = Check {
    id: CheckId::KernelPageSize,
    title: "the page size is 4 KiB",
    proves: "The kernel's page size is the one that most programs for other CPUs are linked for.",
    cure: "Boot a kernel with 4 KiB pages (on arm64, distributions offer one beside those with 16 or 64 KiB). With larger pages, programs that are linked for 4 KiB may fail to load or to map files, even if a small probe runs.",
    run: |facts, id| scope::host(facts, id, page_size),
};

fn page_size(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    let size = facts.limits.page_size;
    match size {
        USUAL_PAGE => draft.pass("the page size is 4 KiB"),
        _ if facts.foreign().next().is_none() => draft
            .skip(format!("the page size is {} KiB, and nothing is emulated here", size / 1024)),
        _ => draft
            .warn(format!(
                "the page size is {} KiB: foreign programs that are linked for 4 KiB may not run",
                size / 1024
            ))
            .with(format!("getconf PAGE_SIZE says {size}"))
            .fix(Fix::advice("boot a kernel with 4 KiB pages")),
    }
}

/// The value that distributions use (`CONFIG_DEFAULT_MMAP_MIN_ADDR`); programs of every target begin above it.
pub(super) const LOWEST_ADDRESS: u64 = 65536;

const LOWEST_ADDRESS_SETTING: &str = "vm.mmap_min_addr";

/// Measured with QEMU 7.2: with 4.3 GB of address space most 32-bit guests fail, with 5 GB none.
const GUEST_SPACE: u64 = 5 << 30;

/// Measured with QEMU 10.0 and 11.1, for ARM and x86: above it, a 32-bit position-independent program does not start
/// if there is a `/proc`, where QEMU reads the limit. In an empty root it starts.
const HIGHEST_FOR_SHARED: u64 = 8 << 20;

/// The last version that works with any `vm.mmap_min_addr` (measured with all targets, up to 1 TiB).
const CAREFREE: Version = Version(7, 2, u32::MAX);

pub(in crate::doctor) static ADDRESS_SPACE: Check = Check {
    id: CheckId::KernelAddressSpace,
    title: "a 32-bit program has room for its addresses",
    proves: "Neither RLIMIT_AS nor vm.mmap_min_addr prevents QEMU from reserving the 4 GiB that a 32-bit program may address.",
    cure: "Lift the limit (prlimit --as=unlimited COMMAND, LimitAS=infinity), or lower vm.mmap_min_addr to the value that distributions use: sysctl -w vm.mmap_min_addr=65536.",
    run: |facts, id| scope::host(facts, id, address_space),
};

fn address_space(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    let small: Vec<&TargetFacts<'_>> =
        facts.foreign().filter(|asked| asked.target.identity.class == Class::Elf32).collect();
    if small.is_empty() {
        return draft.skip("no 32-bit target is asked about");
    }
    let limits = &facts.limits;
    let narrow = limits.address_space.filter(|limit| *limit < GUEST_SPACE);
    let high = limits.lowest_address.filter(|address| *address > LOWEST_ADDRESS);
    let shown = |limit: Option<u64>, none: &str| limit.map_or(none.to_owned(), |it| it.to_string());
    let draft = draft.seen(format!(
        "{LOWEST_ADDRESS_SETTING} {}, RLIMIT_AS {}",
        shown(limits.lowest_address, "unknown"),
        shown(limits.address_space, "unlimited")
    ));
    if narrow.is_none() && high.is_none() {
        return draft.pass("no limit affects the addresses of a 32-bit program");
    }
    let ran = |asked: &&&TargetFacts<'_>| asked.proof.as_ref().is_some_and(|proof| !proof.nobody);
    if small.iter().any(|asked| ran(&asked) && !asked.works()) {
        return draft.skip("the checks of each 32-bit target report why it does not run");
    }
    // Without a rule nothing ran, so the limit may still matter.
    let untried: Vec<&str> =
        small.iter().filter(|asked| !ran(asked)).map(|asked| asked.target.name.as_str()).collect();
    let is_carefree = |asked: &&TargetFacts<'_>| {
        let version =
            asked.proof.as_ref().and_then(|proof| Version::read(proof.version.as_deref()?));
        version.is_none_or(|version| version <= CAREFREE)
    };
    let sensitive = small.iter().any(|asked| !is_carefree(asked));
    match (untried.is_empty(), narrow) {
        (true, _) if sensitive && high.is_some_and(|address| address > HIGHEST_FOR_SHARED) => draft
            .warn("vm.mmap_min_addr is above addresses that position-independent 32-bit programs need: only small ones, without /proc, run")
            .fix(facts.sysctl(LOWEST_ADDRESS_SETTING, LOWEST_ADDRESS)),
        (true, _) => draft.pass("32-bit programs run nevertheless"),
        (false, Some(limit)) => draft
            .warn(format!(
                "this process may use {limit} bytes of address space, and QEMU reserves up to 4 GiB for {}",
                untried.join(", ")
            ))
            .fix(Fix::run(
                "lift the limit, and check again",
                [Command::user(&["prlimit", "--as=unlimited", "binfmtd", "doctor"])],
            )),
        (false, None) => draft
            .warn(format!(
                "vm.mmap_min_addr is above the lowest addresses of programs for {}",
                untried.join(", ")
            ))
            .fix(facts.sysctl(LOWEST_ADDRESS_SETTING, LOWEST_ADDRESS)),
    }
}

pub(in crate::doctor) static WRITTEN_CODE: Check = Check {
    id: CheckId::KernelWrittenCode,
    title: "memory may be written and then executed",
    proves: "This process is not in a sandbox (MemoryDenyWriteExecute=) in which QEMU's code generator cannot work. Such a sandbox says nothing about the rest of the host.",
    cure: "Run the doctor outside of that sandbox: systemd-run --wait --pipe binfmtd doctor, or MemoryDenyWriteExecute=no in its unit.",
    run: |facts, id| scope::host(facts, id, written_code),
};

fn written_code(facts: &HostFacts<'_>, draft: Draft) -> Finding {
    if !facts.limits.no_written_code {
        return draft.pass("this process may execute memory that it wrote");
    }
    let ran = |asked: &&TargetFacts<'_>| asked.proof.as_ref().is_some_and(|proof| !proof.nobody);
    let tried: Vec<_> = facts.foreign().filter(ran).collect();
    match tried.as_slice() {
        _ if facts.foreign().next().is_none() => {
            draft.skip("this process may not execute memory that it wrote, and nothing is emulated here")
        }
        [_, ..] if tried.iter().all(|asked| asked.works()) => {
            draft.pass("this process may not execute memory that it wrote, and programs run nevertheless")
        }
        [_, ..] => draft.skip("this process may not execute memory that it wrote: the checks of each target report the consequences"),
        // The sandbox is at fault, not the host.
        [] => draft
            .error("this process may not execute memory that it wrote, which QEMU has to do: nothing can be proved from here")
            .with("PR_GET_MDWE, which MemoryDenyWriteExecute= sets")
            .fix(Fix::run(
                "check again outside of the sandbox",
                [Command::root(&["systemd-run", "--wait", "--pipe", "binfmtd", "doctor"])],
            )),
    }
}
