//! Family `exec`: what the interpreter that runs is, and what it costs.

use std::time::Duration;

use super::known::{self, Known, Version};
use super::scope::{self, TargetCase};
use crate::doctor::check::Check;
use crate::doctor::finding::Finding;
use crate::doctor::fixes::then_register;
use crate::doctor::host::facts::{HostFacts, TargetFacts};
use crate::doctor::id::CheckId;
use crate::phrase::Phrase;
use crate::probe::CpuLevel;
use crate::verify::{Level, Proof};

/// A cost is absurd if it exceeds both. All targets of QEMU 7.2 to 11.1 at once, on two loaded cores, took at most
/// 79 ms and 102 times a native start (`binfmtd doctor -v`). The first limit alone would blame a slow machine, the
/// second a fast one. Beyond both, a build that starts a thousand small programs takes a quarter of an hour longer.
const ABSURD: Duration = Duration::from_secs(1);
const ABSURD_TIMES: f64 = 500.0;

pub(super) fn known_of(
    facts: &HostFacts<'_>,
    asked: &TargetFacts<'_>,
    proof: &Proof,
) -> Option<&'static Known> {
    let version = Version::read(proof.version.as_deref()?)?;
    let randomize = facts.limits.randomize;
    known::known(version, &asked.target.name, proof.pinned.as_ref(), randomize)
}

pub(in crate::doctor) static VERSION: Check = Check {
    id: CheckId::ExecVersion,
    title: "its version of QEMU is not known to fail",
    proves: "The QEMU that the kernel runs, which may not be the one on disk, is not of a version that is reported or was measured to fail for this target.",
    cure: "Install another version of QEMU, then binfmtd register TARGET.",
    run: |facts, id| scope::proof(facts, id, version),
};

fn version(case: TargetCase<'_>, proof: &Proof) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    if proof.native {
        return draft.skip("native: there is no interpreter");
    }
    let Some(line) = &proof.version else {
        return draft
            .skip("the interpreter does not report a version as QEMU does (QEMU_VERSION=1)");
    };
    let evidence = digest(proof);
    let works = proof.level(Level::Host).is_some_and(|host| !host.failed());
    match known_of(facts, asked, proof) {
        // This flaw would have hit the probe, too. If the probe ran, this build has the fix.
        Some(known) if known.signal.is_some() && !works => {
            draft.skip(format!("{line}: {} reports what is known about it", CheckId::ExecHost))
        }
        Some(known) if known.signal.is_none() => draft
            .warn(told(line) + &format!(" is known to fail: {}", known.what))
            .with(evidence)
            .with(format!("see {}", known.source))
            .fix(then_register(known.way_out, &asked.target.name)),
        _ => draft.pass(line).with(evidence),
    }
}

fn digest(proof: &Proof) -> Phrase {
    let pinned = proof.pinned.as_ref();
    let sha256 = pinned.and_then(|pinned| pinned.sha256.as_ref());
    sha256.map(|sha256| Phrase::own(format!("sha256 {sha256}"), "")).unwrap_or_default()
}

pub(in crate::doctor) static COST: Check = Check {
    id: CheckId::ExecCost,
    title: "how long one start takes",
    proves: "How long the fastest run of its probe took from start to end, compared with a native one in the same batch. Emulation is slow; only an absurd slowdown is a warning.",
    cure: "See what the interpreter does with strace -f, install QEMU's own static build, or build such images on a machine of that CPU.",
    run: |facts, id| scope::proof(facts, id, cost),
};

fn cost(case: TargetCase<'_>, proof: &Proof) -> Finding {
    let TargetCase { facts, asked, draft } = case;
    let Some(time) = proof.cost else { return draft.skip("it did not run") };
    let took = format!("{:.1} ms from start to end", time.as_secs_f64() * 1000.0);
    if proof.native {
        return draft.pass(format!("{took}, natively"));
    }
    let Some(times) = facts.native_cost.and_then(|native| times(time, native)) else {
        return draft.pass(format!("{took}; there is no native one to compare with"));
    };
    let summary = format!("{took}, {times:.0} times a native one");
    if !is_absurd(time, times) {
        return draft.pass(summary);
    }
    let install = "install QEMU's own static build (qemu-user-static)";
    draft
        .warn(Phrase::own(summary, "one start takes seconds") + ": more than emulation explains")
        .with(evidence(proof))
        .fix(then_register(install, &asked.target.name))
}

fn times(time: Duration, native: Duration) -> Option<f64> {
    (!native.is_zero()).then(|| time.as_secs_f64() / native.as_secs_f64())
}

fn is_absurd(time: Duration, times: f64) -> bool {
    time > ABSURD && times > ABSURD_TIMES
}

pub(in crate::doctor) static CPU_LEVEL: Check = Check {
    id: CheckId::ExecCpuLevel,
    title: "which x86-64 CPU programs see",
    proves: "The level (x86-64-v1 to v4) that cpuid reports to a program. Distributions require one: RHEL 9 requires v2, RHEL 10 v3.",
    cure: "Install QEMU 7.2 or newer, which reports v3, then run binfmtd register x86_64; or use an older base image.",
    run: |facts, id| scope::proof_where(facts, id, |target| target.name == "x86_64", cpu_level),
};

fn cpu_level(case: TargetCase<'_>, proof: &Proof) -> Finding {
    let TargetCase { asked, draft, .. } = case;
    let Some(level) = proof.cpu else {
        return draft.skip("its programs did not run, so the CPU is unknown");
    };
    let name = level.as_str();
    if proof.native {
        return draft.pass(format!("the host's own CPU is {name}"));
    }
    let next = match level {
        CpuLevel::V1 => 2,
        CpuLevel::V2 => 3,
        CpuLevel::V3 | CpuLevel::V4 => return draft.pass(format!("programs see {name}")),
    };
    draft
        .warn(format!(
            "programs see {name}; those of newer distributions fail with \"CPU does not support x86-64-v{next}\""
        ))
        .with(evidence(proof))
        .with("see docker/buildx#2566, runfinch/finch#20")
        .fix(then_register("install QEMU 7.2 or newer", &asked.target.name))
}

/// What ran.
pub(super) fn evidence(proof: &Proof) -> Phrase {
    let ran = proof.pinned.as_ref().map(|pinned| Phrase::interpreter(&pinned.path));
    match (ran, proof.version.as_deref().map(told)) {
        (Some(ran), Some(version)) => ran + ", " + version,
        (ran, version) => ran.or(version).unwrap_or_default(),
    }
}

/// QEMU's version line, which begins with the name of the target's emulator; merged, the version alone.
fn told(line: &str) -> Phrase {
    let version = Version::read(line);
    version.map_or_else(|| line.into(), |version| Phrase::own(line, format!("QEMU {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_slow_by_any_measure_is_absurd() {
        let native = Duration::from_micros(500);
        let judge = |time: Duration, native| is_absurd(time, times(time, native).unwrap());
        assert!(!judge(Duration::from_millis(12), native));
        // A machine under load: everything takes long.
        assert!(!judge(Duration::from_secs(3), Duration::from_millis(150)));
        // A fast one: many times a small time is a small time.
        assert!(!judge(Duration::from_millis(400), native));
        assert!(judge(Duration::from_secs(3), native));
        assert_eq!(times(native, Duration::ZERO), None);
    }
}
