//! Family `builder`: whether a builder of buildx builds for each platform, and what it was wrongly thought
//! to.

use super::docker::{Seen, seen};
use super::{Check, Draft, Examination, Finding};
use crate::buildx::builder::{Builder, DRIVER, NodeStatus};
use crate::buildx::facts::{Grade, PlatformFacts};
use crate::buildx::inspection::Inspection;
use crate::buildx::test_build::Built;
use crate::phrase::Phrase;

const PRESENT: &str = "builder.present";
const RUNNING: &str = "builder.running";
const BUILDS: &str = "builder.builds";
const FACTS: &str = "builder.facts";
const ORPHANS: &str = "builder.orphans";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: PRESENT,
        title: "the builder is there, with the right driver",
        proves: "buildx knows the builder and can load it, and it runs BuildKit in a container of the engine (docker-container): the docker driver builds with the engine's own, and cannot put several platforms into one image.",
        cure: "Make it: binfmtd buildx bootstrap NAME. One of another driver, or of somebody else, is left alone: choose another name.",
        run: |examination| vec![present(examination)],
    },
    Check {
        id: RUNNING,
        title: "the builder runs",
        proves: "Each node's container is there and answers.",
        cure: "Boot it: binfmtd buildx bootstrap NAME, or docker buildx inspect --bootstrap NAME. A node whose context is gone: docker buildx rm NAME.",
        run: |examination| vec![running(examination)],
    },
    Check {
        id: BUILDS,
        title: "it builds for the platform",
        proves: "A build from scratch, without network or cache, ran a program of the platform, which said the nonce that it was given. What a builder advertises proves nothing: BuildKit never takes it back.",
        cure: "Put the rule there, and have the builder see it: binfmtd buildx bootstrap NAME --platform PLATFORM.",
        run: builds,
    },
    Check {
        id: FACTS,
        title: "what runs, is embedded, is advertised and is built agree",
        proves: "The platform is built by the kernel's rule, as everything else on this host, and not by an emulator that BuildKit's image carries; the builder advertises what it builds.",
        cure: "Register the rule: binfmtd register TARGET. A builder that looked before the rule was there is started again by binfmtd buildx bootstrap NAME.",
        run: facts,
    },
    Check {
        id: ORPHANS,
        title: "nothing is left of builders that are gone",
        proves: "The engine has no container and no volume of a builder that this user's buildx does not know: states of builders may have hundreds of gigabytes.",
        cure: "List them: binfmtd buildx remove --all-orphans; --yes takes away what binfmtd made. What is somebody else's may be another user's builder.",
        run: |examination| vec![orphans(examination)],
    },
];

/// The builder that was found, and everything around it; or the finding that says why there is none.
fn found<'a>(
    examination: &'a Examination<'_>,
    draft: Draft,
) -> Result<(Draft, &'a Inspection, &'a Builder), Finding> {
    match seen(examination) {
        Seen::Not(why) => Err(draft.skip(why)),
        Seen::Trouble(_) => Err(draft.skip("docker could not be asked")),
        Seen::Well(inspection) => match &inspection.builder {
            Some(builder) => Ok((draft, inspection, builder)),
            None => Err(draft.skip(format!("{PRESENT}: there is no such builder"))),
        },
    }
}

fn name<'a>(examination: &'a Examination<'_>) -> &'a str {
    examination.builder.as_ref().map(|asked| asked.name.as_str()).unwrap_or_default()
}

fn present(examination: &Examination<'_>) -> Finding {
    let draft = Draft::host(PRESENT);
    let name = name(examination);
    let inspection = match seen(examination) {
        Seen::Not(why) => return draft.skip(why),
        Seen::Trouble(_) => return draft.skip("docker could not be asked"),
        Seen::Well(inspection) => inspection,
    };
    let Some(builder) = &inspection.builder else {
        let others = &inspection.seen.builders;
        let others: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
        return draft
            .fail(format!("there is no builder {name}"))
            .with(format!("there are: {}", others.join(", ")))
            .fix(format!("binfmtd buildx bootstrap {name}"));
    };
    if let Some(error) = &builder.error {
        let fix = if builder.is_ours() {
            format!("binfmtd buildx bootstrap {name}")
        } else {
            format!("docker buildx rm {name}")
        };
        return draft
            .fail(format!("buildx cannot load builder {name}"))
            .with(error.clone())
            .fix(fix);
    }
    let whose = if builder.is_ours() { "made by binfmtd" } else { "not made by binfmtd" };
    if builder.driver == DRIVER {
        return draft.pass(format!("builder {name} is there")).with(whose);
    }
    draft
        .warn(format!("builder {name} has the driver {}, not {DRIVER}", builder.driver))
        .with(whose)
        .fix("binfmtd buildx bootstrap")
}

fn running(examination: &Examination<'_>) -> Finding {
    let (draft, inspection, builder) = match found(examination, Draft::host(RUNNING)) {
        Ok(found) => found,
        Err(finding) => return finding,
    };
    let name = &builder.name;
    let nodes: Vec<String> =
        builder.nodes.iter().map(|node| format!("{} {}", node.name, node.status.word())).collect();
    let draft = Draft { evidence: nodes.join(", ").into(), ..draft };
    let Some(node) = inspection.resting() else {
        let versions: Vec<&str> =
            builder.nodes.iter().filter_map(|node| node.version.as_deref()).collect();
        return draft.pass(format!("builder {name} runs BuildKit {}", versions.join(", ")));
    };
    let boot = if builder.is_ours() {
        format!("binfmtd buildx bootstrap {name}")
    } else {
        format!("docker buildx inspect --bootstrap {name}")
    };
    match &node.status {
        NodeStatus::Broken(error) => draft
            .fail(format!("node {} of builder {name} cannot be reached", node.name))
            .with(error.clone())
            .fix(format!("docker buildx rm {name}, then binfmtd buildx bootstrap {name}")),
        // The next build starts it, and pays for it.
        status => draft
            .warn(format!("node {} of builder {name} is {}", node.name, status.word()))
            .fix(boot),
    }
}

fn each(
    examination: &Examination<'_>,
    id: &'static str,
    judge: impl Fn(Draft, &PlatformFacts, &Builder) -> Finding,
) -> Vec<Finding> {
    let (inspection, builder) = match found(examination, Draft::host(id)) {
        Ok((_, inspection, builder)) => (inspection, builder),
        Err(finding) => return vec![finding],
    };
    if inspection.facts.is_empty() {
        return vec![Draft::host(id).skip("no platform is asked for")];
    }
    let findings = inspection.facts.iter().map(|facts| {
        let target = Some(facts.target.clone());
        judge(Draft { target, ..Draft::host(id) }, facts, builder)
    });
    findings.collect()
}

fn builds(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, BUILDS, |draft, facts, builder| {
        let judgement = facts.judge(&builder.name);
        match (&facts.built, judgement.grade) {
            (Built::Yes { by, version, time }, _) => {
                let by = format!("built in {:.2} s, {}", time.as_secs_f64(), by.as_str());
                let version = version.as_deref().map(|version| format!(": {version}"));
                draft
                    .pass(Phrase::from("it builds for ") + own(&facts.platform))
                    .with(by + &version.unwrap_or_default())
            }
            (_, Grade::Fails) if facts.kernel.works() == Some(false) && !facts.advertised => {
                draft.skip("not built: the kernel does not run it, which is told by itself")
            }
            (_, Grade::Fails) => {
                let sentence = judgement.sentence.unwrap_or_default();
                let draft = draft.fail(own(&facts.platform) + " " + sentence.as_str());
                match judgement.fix {
                    // Of several platforms at once: without names it is for all.
                    Some(_) if facts.kernel.is_lacking() => {
                        draft.fix(format!("binfmtd buildx bootstrap {}", builder.name))
                    }
                    Some(fix) => draft.fix(fix),
                    None => draft,
                }
            }
            (Built::NotTried(why), _) => draft.skip(format!("not built: {why}")),
            (Built::No { why, .. }, _) => draft.fail(format!("not built: {why}")),
        }
    })
}

fn own(platform: &str) -> Phrase {
    Phrase::own(platform, "these platforms")
}

fn facts(examination: &Examination<'_>) -> Vec<Finding> {
    each(examination, FACTS, |draft, facts, builder| {
        if let Built::NotTried(why) = &facts.built {
            return draft.skip(format!("not built: {why}"));
        }
        let judgement = facts.judge(&builder.name);
        match (judgement.grade, judgement.sentence) {
            (Grade::Doubtful, Some(sentence)) => {
                let finding = draft.warn(own(&facts.platform) + " " + sentence.as_str());
                match judgement.fix {
                    Some(fix) => finding.fix(fix),
                    None => finding,
                }
            }
            (Grade::Fails, _) => draft.skip(format!("{BUILDS} says what is wrong")),
            _ => draft.pass("what runs, is embedded, advertised and built agree"),
        }
    })
}

fn orphans(examination: &Examination<'_>) -> Finding {
    let draft = Draft::host(ORPHANS);
    let inspection = match seen(examination) {
        Seen::Not(why) => return draft.skip(why),
        Seen::Trouble(_) => return draft.skip("docker could not be asked"),
        Seen::Well(inspection) => inspection,
    };
    let names = |ours: bool| -> Vec<&str> {
        let orphans = inspection.orphans.iter().filter(|orphan| orphan.ours == ours);
        orphans.map(|orphan| orphan.name.as_str()).collect()
    };
    let (ours, others) = (names(true), names(false));
    let others = match others.as_slice() {
        [] => String::new(),
        // Another user's builders look the same from here.
        others => format!("not made by binfmtd: {}", others.join(", ")),
    };
    if ours.is_empty() {
        return draft.pass("nothing of binfmtd's is left of builders that are gone").with(others);
    }
    draft
        .warn("containers or volumes are left of builders that are gone")
        .with(ours.join(", "))
        .with(others)
        .fix("binfmtd buildx remove --all-orphans --yes")
}
