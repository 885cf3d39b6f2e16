//! Builders of buildx: observe → plan → apply, through the docker command line, and test builds that prove them.
//!
//! Four facts about each platform are easily confused: what the kernel runs (`kernel`), what `BuildKit`'s image embeds
//! (`embedded`), what the builder advertises (`builder`), and what it builds (`test_build`). `facts` says what they mean
//! together.

pub mod apply;
pub mod bootstrap;
pub mod builder;
pub mod docker;
pub mod driver;
pub mod embedded;
pub mod engine;
pub mod facts;
pub mod inspection;
pub mod kernel;
pub mod message;
pub mod observe;
pub mod options;
pub mod plan;
pub mod platform;
pub mod problem;
pub mod record;
pub mod refusal;
pub mod removal;
pub mod selection;
pub mod spec;
pub mod test_build;

#[cfg(test)]
mod tests;
