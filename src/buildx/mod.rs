//! Builders of buildx: observe → plan → apply, through the docker command line, and the proof that they
//! build.
//!
//! Four facts about each platform, which are easily taken for one another: what the kernel runs (`kernel`), what
//! `BuildKit`'s image embeds (`embedded`), what the builder advertises (`builder`), and what it builds
//! (`trial`); `facts` says what they mean together.

pub mod apply;
pub mod builder;
pub mod docker;
pub mod driver;
pub mod embedded;
pub mod engine;
pub mod facts;
pub mod inspection;
pub mod kernel;
pub mod observe;
pub mod options;
pub mod plan;
pub mod platform;
pub mod record;
pub mod refusal;
pub mod spec;
pub mod test_build;

#[cfg(test)]
mod tests;
