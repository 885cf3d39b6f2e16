//! What is removed of builders: of a name, or what builders that are gone have left.

use super::apply::{ApplyError, Executor};
use super::docker::Docker;
use super::observe::{self, Orphan};
use super::record::{BuilderRecord, BuilderStore};
use crate::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalRequest<'a> {
    /// A builder of ours, and what is left of one that buildx no longer knows.
    Builder { name: &'a str, keep_state: bool },
    /// Everything that builders that are gone have left, whoever created them; only what is ours is removed.
    Orphans { remove: bool },
}

#[derive(Debug)]
pub struct BuilderRemoval {
    /// The builder that was removed.
    pub builder: Option<String>,
    pub orphans: Vec<OrphanRemoval>,
}

/// An orphan, and what became of it.
#[derive(Debug)]
pub struct OrphanRemoval {
    pub orphan: Orphan,
    /// `None` if it was only listed.
    pub outcome: Option<Result<(), ApplyError>>,
}

/// Removes what is asked for. An orphan that cannot be removed does not stop the others.
pub fn remove(docker: &Docker, request: RemovalRequest<'_>) -> Result<BuilderRemoval, Failure> {
    let mut store = BuilderStore::open()?;
    let seen = observe::observe(docker)?;
    let orphans = observe::orphans(docker, &seen, &store.record)?;
    let orphans = request.select(orphans, &store.record, &seen.engine.id);
    let mut executor = Executor::new(docker, &seen.engine, &mut store);
    let mut removal = BuilderRemoval { builder: None, orphans: Vec::new() };
    if let RemovalRequest::Builder { name, keep_state } = request
        && let Some(builder) = seen.builder(name)
    {
        executor.remove(builder, keep_state)?;
        removal.builder = Some(name.to_owned());
    }
    for orphan in orphans {
        let outcome = request.removes(&orphan).then(|| executor.remove_orphan(&orphan));
        removal.orphans.push(OrphanRemoval { orphan, outcome });
    }
    Ok(removal)
}

impl RemovalRequest<'_> {
    /// The orphans that it is about.
    pub(super) fn select(
        self,
        mut orphans: Vec<Orphan>,
        record: &BuilderRecord,
        engine: &str,
    ) -> Vec<Orphan> {
        match self {
            Self::Orphans { .. } => {}
            Self::Builder { keep_state: true, .. } => orphans.clear(),
            Self::Builder { name, keep_state: false } => orphans.retain(|orphan| {
                orphan.ours && record.builder_of(engine, &orphan.node) == Some(name)
            }),
        }
        orphans
    }

    pub(super) fn removes(self, orphan: &Orphan) -> bool {
        orphan.ours && !matches!(self, Self::Orphans { remove: false })
    }
}

impl BuilderRemoval {
    /// What could not be removed, a line each.
    pub fn errors(&self) -> impl Iterator<Item = String> {
        self.orphans.iter().filter_map(|one| {
            let error = one.outcome.as_ref()?.as_ref().err()?;
            Some(format!("{} {}: {error}", one.orphan.kind.word(), one.orphan.name))
        })
    }
}
