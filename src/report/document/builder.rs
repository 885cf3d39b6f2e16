//! The documents of `buildx`.

use serde::Serialize;

use crate::buildx::bootstrap::Bootstrapped;
use crate::buildx::builder::Builder;
use crate::buildx::engine::Engine;
use crate::buildx::facts::{Assessment, Grade, PlatformFacts};
use crate::buildx::inspection::Inspection;
use crate::buildx::message::with_fix;
use crate::buildx::observe::Orphan;
use crate::fix::{Fix, Reader};
use crate::system::host::privilege;

/// What `bootstrap`, `inspect` and `verify` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuilderDocument {
    /// Whether the builder is there and nothing that was asked for fails.
    pub ok: bool,
    pub engine: Engine,
    /// Null if no builder has that name.
    pub builder: Option<BuilderState>,
    /// What was done, in words.
    pub steps: Vec<String>,
    /// What could not be done; it is no failure if everything that was asked for is built all the same.
    pub warnings: Vec<String>,
    /// What was not done or does not work, besides the platforms.
    pub errors: Vec<String>,
    pub platforms: Vec<PlatformDocument>,
    /// What is left of builders that are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphans: Option<Vec<Orphan>>,
    /// Who is to run a fix: decides about `sudo`; in no document.
    #[serde(skip)]
    pub reader: Reader,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuilderState {
    #[serde(flatten)]
    pub builder: Builder,
    /// Whether binfmtd created it.
    pub ours: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlatformDocument {
    #[serde(flatten)]
    pub facts: PlatformFacts,
    pub grade: Grade,
    /// What the four facts mean together, if there is something to say.
    pub finding: Option<String>,
    pub fix: Option<Fix>,
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
        let document =
            Self { steps: done.steps.clone(), warnings: done.warnings.clone(), ..document };
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
        let ok = builder.is_some() && platforms.iter().all(|one| one.grade != Grade::Fails);
        Self {
            ok,
            engine: engine.clone(),
            builder: builder
                .map(|builder| BuilderState { ours: builder.is_ours(), builder: builder.clone() }),
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
        self.platforms.iter().filter(|one| one.grade != Grade::Fails)
    }
}

impl PlatformDocument {
    fn new(facts: &PlatformFacts, assessment: Assessment, builder: &Builder) -> Self {
        Self {
            facts: facts.clone(),
            grade: assessment.grade,
            finding: assessment.sentence,
            fix: assessment.remedy.map(|remedy| remedy.fix(facts, builder)),
        }
    }
}
