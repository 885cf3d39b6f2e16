//! The documents of `buildx`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::buildx::bootstrap::Bootstrapped;
use crate::buildx::builder::{Builder, Node, NodeStatus};
use crate::buildx::embedded::Embedded;
use crate::buildx::engine::{Engine, Location};
use crate::buildx::facts::{Assessment, Grade, PlatformFacts};
use crate::buildx::inspection::Inspection;
use crate::buildx::kernel::Kernel;
use crate::buildx::message::with_fix;
use crate::buildx::observe::{Orphan, OrphanKind};
use crate::buildx::removal::BuilderRemoval;
use crate::buildx::test_build::Built;
use crate::fix::{Fix, Reader};
use crate::system::host::privilege;

/// What `bootstrap`, `inspect` and `verify` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuilderDocument {
    /// Whether the builder is there and nothing that was asked for fails.
    pub ok: bool,
    /// The engine of the current context, and buildx.
    pub engine: EngineDocument,
    /// The builder; null when there is none of that name.
    pub builder: Option<BuilderState>,
    /// What was done, in words.
    pub steps: Vec<String>,
    /// What could not be done; it is no failure where everything that was asked for is built all the same.
    pub warnings: Vec<String>,
    /// What was not done or does not work, besides the platforms.
    pub errors: Vec<String>,
    /// The four facts of each platform.
    pub platforms: Vec<PlatformDocument>,
    /// What is left of builders that are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphans: Option<Vec<OrphanDocument>>,
    /// Who is to run a fix: decides about `sudo`; in no document.
    #[serde(skip)]
    pub reader: Reader,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EngineDocument {
    pub context: String,
    /// Where it listens.
    pub endpoint: String,
    pub version: String,
    /// The version of the docker command.
    pub client: String,
    pub buildx: String,
    /// Kernel release where it runs.
    pub kernel: String,
    pub rootless: bool,
    pub here: bool,
    /// Why it is thought not to; null when it does.
    pub elsewhere: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuilderState {
    pub name: String,
    pub driver: String,
    /// Whether builds go to it that name no other; null where buildx does not say.
    pub current: Option<bool>,
    /// Whether binfmtd made it.
    pub ours: bool,
    /// Why it is of no use, in buildx' words.
    pub error: Option<String>,
    pub nodes: Vec<NodeDocument>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeDocument {
    pub name: String,
    /// The engine that it is in.
    pub endpoint: String,
    /// `running`, `stopped`, `missing`, `broken`, or buildx' word.
    pub status: String,
    pub error: Option<String>,
    /// `BuildKit`'s version, while it runs.
    pub version: Option<String>,
    /// What it advertises.
    pub platforms: Vec<String>,
    /// The driver's options.
    pub driver_options: BTreeMap<String, String>,
    /// `buildkitd`'s flags.
    pub flags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlatformDocument {
    /// OCI's name.
    pub platform: String,
    /// QEMU's name.
    pub target: String,
    pub kernel: KernelDocument,
    /// What `BuildKit`'s image carries.
    pub embedded: EmbeddedDocument,
    /// Whether the builder says that it builds for it.
    pub advertised: bool,
    pub built: BuiltDocument,
    /// `builds`, `likely` (nothing was built), `doubtful` or `fails`.
    pub grade: &'static str,
    /// What the four facts mean together, where something is to be said.
    pub finding: Option<String>,
    pub fix: Option<Fix>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KernelDocument {
    /// `native`, `runs`, `has-rule` (nothing was run), `no-rule`, `fails` or `unknown`.
    pub state: &'static str,
    pub rule: Option<String>,
    /// What the QEMU that ran says of itself.
    pub version: Option<String>,
    /// What went wrong, or why nothing is known.
    pub why: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EmbeddedDocument {
    /// `yes`, `no` or `unknown`.
    pub state: &'static str,
    pub name: Option<String>,
    pub version: Option<String>,
    pub sha256: Option<String>,
    pub why: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuiltDocument {
    /// `yes`, `no` or `not-tried`.
    pub state: &'static str,
    /// Who ran it: `native`, `rule` or `embedded`.
    pub by: Option<&'static str>,
    /// What the emulator that ran says of itself.
    pub version: Option<String>,
    /// From start to end.
    pub seconds: Option<f64>,
    pub why: Option<String>,
    /// All that the build said, when it failed.
    pub log: Option<String>,
}

/// Something that is left of a builder that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OrphanDocument {
    /// `container` or `volume`.
    pub kind: &'static str,
    pub name: String,
    pub state: Option<String>,
    /// Whether binfmtd made it.
    pub ours: bool,
    pub removed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemovalDocument {
    /// Whether everything that was asked for is gone.
    pub ok: bool,
    pub builder: Option<String>,
    /// What is, or was, left of builders that are gone.
    pub orphans: Vec<OrphanDocument>,
    pub errors: Vec<String>,
}

impl BuilderDocument {
    /// From what was seen and found.
    pub fn new(engine: &Engine, builder: Option<&Builder>, facts: &[PlatformFacts]) -> Self {
        let assessments = facts.iter().map(PlatformFacts::assess);
        Self::assessed(engine, builder, facts, assessments)
    }

    pub fn inspected(found: &Inspection) -> Self {
        let document = Self::new(&found.seen.engine, found.builder.as_ref(), &found.facts);
        match found.problem() {
            Some(problem) => document.with_error(&with_fix(&problem, &problem.fix())),
            None => document,
        }
    }

    pub fn bootstrapped(done: &Bootstrapped) -> Self {
        let builder = Some(&done.builder);
        let document = Self::assessed(&done.engine, builder, &done.facts, done.assessments());
        let document = Self {
            steps: done.steps.iter().map(ToString::to_string).collect(),
            warnings: done.warnings.clone(),
            ..document
        };
        match &done.error {
            Some(error) => document.with_error(error),
            None => document,
        }
    }

    fn assessed(
        engine: &Engine,
        builder: Option<&Builder>,
        facts: &[PlatformFacts],
        assessments: impl Iterator<Item = Assessment>,
    ) -> Self {
        let of = |builder| {
            let platforms = facts.iter().zip(assessments);
            platforms.map(|(facts, of)| PlatformDocument::new(facts, of, builder)).collect()
        };
        let platforms: Vec<PlatformDocument> = builder.map(of).unwrap_or_default();
        let ok =
            builder.is_some() && platforms.iter().all(|one| one.grade != Grade::Fails.as_str());
        Self {
            ok,
            engine: engine.into(),
            builder: builder.map(BuilderState::from),
            steps: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            platforms,
            orphans: None,
            reader: Reader { uid: privilege::uid() },
        }
    }

    /// The same with something that went wrong besides.
    #[must_use]
    pub fn with_error(mut self, error: &impl ToString) -> Self {
        self.errors.push(error.to_string());
        self.ok = false;
        self
    }

    /// The platforms that were built, or would be where nothing was.
    pub fn working(&self) -> impl Iterator<Item = &PlatformDocument> {
        self.platforms.iter().filter(|one| one.grade != Grade::Fails.as_str())
    }
}

impl From<&Engine> for EngineDocument {
    fn from(engine: &Engine) -> Self {
        let elsewhere = match &engine.location {
            Location::Here => None,
            Location::Elsewhere(why) => Some(why.clone()),
        };
        Self {
            context: engine.context.clone(),
            endpoint: engine.endpoint.clone(),
            version: engine.version.clone(),
            client: engine.client.clone(),
            buildx: engine.buildx.clone(),
            kernel: engine.kernel.clone(),
            rootless: engine.rootless,
            here: elsewhere.is_none(),
            elsewhere,
        }
    }
}

impl From<&Builder> for BuilderState {
    fn from(builder: &Builder) -> Self {
        Self {
            name: builder.name.clone(),
            driver: builder.driver.clone(),
            current: builder.current,
            ours: builder.is_ours(),
            error: builder.error.clone(),
            nodes: builder.nodes.iter().map(NodeDocument::from).collect(),
        }
    }
}

impl From<&Node> for NodeDocument {
    fn from(node: &Node) -> Self {
        let error = match &node.status {
            NodeStatus::Broken(error) => Some(error.clone()),
            _ => None,
        };
        Self {
            name: node.name.clone(),
            endpoint: node.endpoint.clone(),
            status: node.status.word().to_owned(),
            error,
            version: node.version.clone(),
            platforms: node.platforms.clone(),
            driver_options: node.options.clone(),
            flags: node.flags.clone(),
        }
    }
}

impl PlatformDocument {
    fn new(facts: &PlatformFacts, assessment: Assessment, builder: &Builder) -> Self {
        Self {
            platform: facts.platform.clone(),
            target: facts.target.clone(),
            kernel: (&facts.kernel).into(),
            embedded: (&facts.embedded).into(),
            advertised: facts.advertised,
            built: (&facts.built).into(),
            grade: assessment.grade.as_str(),
            finding: assessment.sentence,
            fix: assessment.remedy.map(|remedy| remedy.fix(facts, builder)),
        }
    }
}

impl From<&Kernel> for KernelDocument {
    fn from(kernel: &Kernel) -> Self {
        let (state, version, why) = match kernel {
            Kernel::Native => ("native", None, None),
            Kernel::Runs { version, .. } => ("runs", version.clone(), None),
            Kernel::HasRule(_) => ("has-rule", None, None),
            Kernel::NoRule => ("no-rule", None, None),
            Kernel::Fails { why, .. } => ("fails", None, Some(why.clone())),
            Kernel::Unknown(why) => ("unknown", None, Some(why.clone())),
        };
        Self { state, rule: kernel.rule().map(str::to_owned), version, why }
    }
}

impl From<&Embedded> for EmbeddedDocument {
    fn from(embedded: &Embedded) -> Self {
        let none = Self { state: "no", name: None, version: None, sha256: None, why: None };
        match embedded {
            Embedded::No => none,
            Embedded::Unknown(why) => Self { state: "unknown", why: Some(why.clone()), ..none },
            Embedded::Yes { name, version, sha256 } => Self {
                state: "yes",
                name: Some(name.clone()),
                version: version.clone(),
                sha256: sha256.clone(),
                why: None,
            },
        }
    }
}

impl From<&Built> for BuiltDocument {
    fn from(built: &Built) -> Self {
        let none =
            Self { state: "no", by: None, version: None, seconds: None, why: None, log: None };
        match built {
            Built::Yes { by, version, time } => Self {
                state: "yes",
                by: Some(by.as_str()),
                version: version.clone(),
                seconds: Some(time.as_secs_f64()),
                ..none
            },
            Built::No { why, log } => {
                Self { why: Some(why.clone()), log: Some(log.clone()), ..none }
            }
            Built::NotTried(why) => Self { state: "not-tried", why: Some(why.clone()), ..none },
        }
    }
}

impl From<&Orphan> for OrphanDocument {
    fn from(orphan: &Orphan) -> Self {
        let state = match &orphan.kind {
            OrphanKind::Container(state) => Some(state.clone()),
            OrphanKind::Volume => None,
        };
        let (kind, name) = (orphan.kind.word(), orphan.name.clone());
        Self { kind, name, state, ours: orphan.ours, removed: false }
    }
}

impl From<&BuilderRemoval> for RemovalDocument {
    fn from(removal: &BuilderRemoval) -> Self {
        let orphans = removal.orphans.iter().map(|one| OrphanDocument {
            removed: matches!(one.outcome, Some(Ok(()))),
            ..OrphanDocument::from(&one.orphan)
        });
        let errors: Vec<String> = removal.errors().collect();
        let (ok, builder) = (errors.is_empty(), removal.builder.clone());
        Self { ok, builder, orphans: orphans.collect(), errors }
    }
}
