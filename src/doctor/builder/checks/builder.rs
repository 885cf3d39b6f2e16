//! Family `builder`: whether a builder builds for each platform.

use super::docker::named;
use crate::buildx::builder::Builder;
use crate::buildx::driver::MANAGED;
use crate::buildx::facts::{Grade, PlatformFacts, Remedy};
use crate::buildx::inspection::Inspection;
use crate::buildx::problem::BuilderProblem;
use crate::buildx::test_build::Built;
use crate::doctor::check::Check;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Draft, Finding};
use crate::doctor::id::CheckId;
use crate::fix::{Command, Fix};
use crate::phrase::Phrase;

/// What docker knows of the builder that was named.
fn inspected(
    facts: &Facts<'_>,
    id: CheckId,
    judge: impl Fn(&Inspection, Draft) -> Finding,
) -> Vec<Finding> {
    named(facts, id, |seen, draft| match seen {
        Ok(inspection) => judge(inspection, draft),
        Err(_) => draft.skip("docker could not be asked"),
    })
}

/// The builder that was named, if there is one.
fn found(facts: &Facts<'_>, id: CheckId, judge: fn(&Builder, Draft) -> Finding) -> Vec<Finding> {
    inspected(facts, id, |inspection, draft| match &inspection.builder {
        Some(builder) => judge(builder, draft),
        None => draft.skip(format!("{}: there is no such builder", CheckId::BuilderPresent)),
    })
}

/// Each platform that is asked about.
fn each(
    facts: &Facts<'_>,
    id: CheckId,
    judge: fn(&PlatformFacts, &Builder, Draft) -> Finding,
) -> Vec<Finding> {
    if let Some(asked) = &facts.builder
        && let Ok(Inspection { builder: Some(builder), facts: platforms, .. }) = &asked.outcome
        && !platforms.is_empty()
    {
        let draft = |platform: &PlatformFacts| asked.draft(id).target(&platform.target);
        return platforms.iter().map(|one| judge(one, builder, draft(one))).collect();
    }
    found(facts, id, |_, draft| draft.skip("no platform is asked for"))
}

pub(in crate::doctor) static PRESENT: Check = Check {
    id: CheckId::BuilderPresent,
    title: "the builder exists and has the right driver",
    proves: "buildx can load the builder, which runs BuildKit in a container (driver docker-container). The docker driver uses the BuildKit inside the engine and cannot put several platforms into one image.",
    cure: "Create it: binfmtd buildx bootstrap NAME. A builder with another driver, or of somebody else, is left alone: choose another name.",
    run: |facts, id| {
        let name = facts.builder.as_ref().map_or("", |asked| &asked.name);
        inspected(facts, id, |inspection, draft| present(name, inspection, draft))
    },
};

fn present(name: &str, inspection: &Inspection, draft: Draft) -> Finding {
    let Some(builder) = &inspection.builder else {
        let others = &inspection.seen.builders;
        let others: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
        return draft
            .fail(format!("there is no builder {name}"))
            .with(format!("there are: {}", others.join(", ")))
            .fix(BuilderProblem::missing(name, &inspection.seen).fix());
    };
    if let (Some(error), Some(problem)) = (&builder.error, BuilderProblem::of(builder)) {
        return draft
            .fail(format!("buildx cannot load builder {name}"))
            .with(error.clone())
            .fix(problem.fix());
    }
    let whose = if builder.is_ours() { "created by binfmtd" } else { "not created by binfmtd" };
    if builder.is_managed() {
        return draft.pass(format!("builder {name} exists")).with(whose);
    }
    draft
        .warn(format!("builder {name} has the driver {}, not {}", builder.driver, MANAGED.name))
        .with(whose)
        .with(builder.driver().limits)
        .fix((builder.driver().repair)(name, None))
}

pub(in crate::doctor) static RUNNING: Check = Check {
    id: CheckId::BuilderRunning,
    title: "the builder runs",
    proves: "The container of each node exists and answers.",
    cure: "Start it: binfmtd buildx bootstrap NAME, or docker buildx inspect --bootstrap NAME. If the context of a node is gone: docker buildx rm NAME.",
    run: |facts, id| found(facts, id, running),
};

fn running(builder: &Builder, draft: Draft) -> Finding {
    let name = &builder.name;
    let nodes: Vec<String> =
        builder.nodes.iter().map(|node| format!("{} {}", node.name, node.status.word())).collect();
    let draft = draft.seen(nodes.join(", "));
    let problem = BuilderProblem::of(builder);
    let fix = problem.as_ref().map(BuilderProblem::fix);
    let finding = match problem {
        None => {
            let versions: Vec<&str> =
                builder.nodes.iter().filter_map(|node| node.version.as_deref()).collect();
            draft.pass(format!("builder {name} runs BuildKit {}", versions.join(", ")))
        }
        Some(BuilderProblem::NotLoaded { .. } | BuilderProblem::Missing { .. }) => {
            return draft.skip(format!("{} reports why", CheckId::BuilderPresent));
        }
        Some(BuilderProblem::Unreachable(node)) => draft
            .fail(format!("node {} of builder {name} cannot be reached", node.node))
            .with(node.error),
        // The next build starts it, which takes time.
        Some(BuilderProblem::NotRunning { node, status, .. }) => {
            draft.warn(format!("node {node} of builder {name} is {status}"))
        }
    };
    match fix {
        Some(fix) => finding.fix(fix),
        None => finding,
    }
}

pub(in crate::doctor) static BUILDS: Check = Check {
    id: CheckId::BuilderBuilds,
    title: "it builds for the platform",
    proves: "A build FROM scratch, without network or cache, ran a program of the platform, which printed the nonce that it was given. What a builder advertises proves nothing: BuildKit never withdraws a platform.",
    cure: "Register the rule and make the builder detect it: binfmtd buildx bootstrap NAME --platform PLATFORM.",
    run: |facts, id| each(facts, id, builds),
};

fn builds(platform: &PlatformFacts, builder: &Builder, draft: Draft) -> Finding {
    let judgement = platform.assess();
    match (&platform.built, judgement.grade) {
        (Built::Yes { by, version, time }, _) => {
            let by = format!("built in {:.2} s, {}", time.as_secs_f64(), by.as_str());
            let version = version.as_deref().map(|version| format!(": {version}"));
            draft
                .pass(Phrase::from("it builds for ") + own(&platform.platform))
                .with(by + &version.unwrap_or_default())
        }
        (_, Grade::Fails) if platform.kernel.works() == Some(false) && !platform.advertised => {
            draft.skip("not built: the kernel does not run it, as the checks of the host report")
        }
        (_, Grade::Fails) => {
            let sentence = judgement.sentence.unwrap_or_default();
            let draft = draft.fail(own(&platform.platform) + " " + sentence.as_str());
            match judgement.remedy {
                // Without --platform, so that one command repairs all platforms.
                Some(Remedy::Bootstrap) => {
                    draft.fix((builder.driver().repair)(&builder.name, None))
                }
                Some(remedy) => draft.fix(remedy.fix(platform, builder)),
                None => draft,
            }
        }
        (Built::NotTried(why), _) => draft.skip(format!("not built: {why}")),
        (Built::No { why, .. }, _) => draft.fail(format!("not built: {why}")),
    }
}

fn own(platform: &str) -> Phrase {
    Phrase::own(platform, "these platforms")
}

pub(in crate::doctor) static FACTS: Check = Check {
    id: CheckId::BuilderFacts,
    title: "kernel, image, builder and build agree",
    proves: "The kernel's rule runs the platform's programs in builds, as everywhere else on this host, and not an emulator from BuildKit's image; and the builder advertises the platform.",
    cure: "Register the rule: binfmtd register TARGET. If the builder looked for rules before, restart it: binfmtd buildx bootstrap NAME.",
    run: |facts, id| each(facts, id, agreement),
};

fn agreement(platform: &PlatformFacts, builder: &Builder, draft: Draft) -> Finding {
    if let Built::NotTried(why) = &platform.built {
        return draft.skip(format!("not built: {why}"));
    }
    let judgement = platform.assess();
    match (judgement.grade, judgement.sentence) {
        (Grade::Doubtful, Some(sentence)) => {
            let finding = draft.warn(own(&platform.platform) + " " + sentence.as_str());
            match judgement.remedy {
                Some(remedy) => finding.fix(remedy.fix(platform, builder)),
                None => finding,
            }
        }
        (Grade::Fails, _) => {
            draft.skip(format!("{} reports what is wrong", CheckId::BuilderBuilds))
        }
        _ => draft.pass("kernel, image, builder and build agree"),
    }
}

pub(in crate::doctor) static ORPHANS: Check = Check {
    id: CheckId::BuilderOrphans,
    title: "deleted builders left nothing behind",
    proves: "The engine has no container or volume of a builder that this user's buildx does not know. The state of a builder may take hundreds of gigabytes.",
    cure: "List them: binfmtd buildx remove --all-orphans; with --yes, those that binfmtd created are removed. The others may belong to another user's builder.",
    run: |facts, id| inspected(facts, id, orphans),
};

fn orphans(inspection: &Inspection, draft: Draft) -> Finding {
    let names = |ours: bool| -> Vec<&str> {
        let orphans = inspection.orphans.iter().filter(|orphan| orphan.ours == ours);
        orphans.map(|orphan| orphan.name.as_str()).collect()
    };
    let (ours, others) = (names(true), names(false));
    let others = match others.as_slice() {
        [] => String::new(),
        // They may be another user's builders: those look the same.
        others => format!("not created by binfmtd: {}", others.join(", ")),
    };
    if ours.is_empty() {
        return draft.pass("deleted builders left nothing of binfmtd's behind").with(others);
    }
    draft
        .warn("deleted builders left containers or volumes behind")
        .with(ours.join(", "))
        .with(others)
        .fix(Fix::run(
            "remove what binfmtd created",
            [Command::user(&["binfmtd", "buildx", "remove", "--all-orphans", "--yes"])],
        ))
}
