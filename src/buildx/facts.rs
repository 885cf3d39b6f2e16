//! The four facts of each platform side by side, and what they say together. Pure.
//!
//! `BuildKit` only ever adds to what it advertises (`worker/base`): a rule that went away stays advertised
//! until its process ends. So only a build tells.

use super::embedded::Embedded;
use super::kernel::Kernel;
use super::test_build::{Built, Runner};
use crate::fix::{Command, Fix};

/// What is known of one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct PlatformFacts {
    /// OCI's name.
    pub platform: String,
    /// QEMU's name of what runs it.
    pub target: String,
    /// What this kernel runs.
    pub kernel: Kernel,
    /// What `BuildKit`'s image carries.
    pub embedded: Embedded,
    /// What the builder says that it builds for.
    pub advertised: bool,
    /// Whether a node of the builder does not run, and so says nothing.
    pub resting: bool,
    /// What it built.
    pub built: Built,
}

/// What the facts say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// How good or bad that is.
    pub grade: Grade,
    /// One sentence, where something is to be said.
    pub sentence: Option<String>,
    /// What to do, where something would help.
    pub fix: Option<Fix>,
}

/// How good or bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It builds.
    Builds,
    /// Nothing was built, and nothing speaks against it.
    Likely,
    /// It builds, and will bite somebody.
    Doubtful,
    /// It does not build, or would not.
    Fails,
}

impl Grade {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builds => "builds",
            Self::Likely => "likely",
            Self::Doubtful => "doubtful",
            Self::Fails => "fails",
        }
    }
}

impl PlatformFacts {
    /// What they say together, of a builder of this name.
    pub fn judge(&self, builder: &str) -> Assessment {
        match &self.built {
            Built::Yes { by, .. } => self.judge_built(*by, builder),
            Built::No { why, .. } => self.judge_not_built(why, builder),
            Built::NotTried(_) => self.judge_untried(builder),
        }
    }

    fn judge_built(&self, by: Runner, builder: &str) -> Assessment {
        let register =
            || Some(Fix::run("register the target's rule", [Command::register(&self.target)]));
        match (by, self.kernel.works()) {
            // What `docker run` needs is the kernel's rule.
            (Runner::Embedded, Some(false)) => doubtful(
                "builds, by the emulator in BuildKit's image alone: the kernel has no working rule, so docker run \
                 and docker build without this builder fail",
                register(),
            ),
            (Runner::Embedded, Some(true)) if self.kernel == Kernel::Native => doubtful(
                "builds, by the emulator in BuildKit's image, though this machine runs it by itself: the builder did not see \
                 that, or is on another machine",
                None,
            ),
            (Runner::Embedded, Some(true)) => doubtful(
                "builds, by the emulator in BuildKit's image, though the kernel runs it: the builder looked before the \
                 rule was there",
                Some(restart(builder)),
            ),
            (Runner::Rule | Runner::Native, Some(false))
                if !matches!(self.embedded, Embedded::Unknown(_)) =>
            {
                doubtful(
                    "builds, though the kernel did not run it just now: the rule was not there all the time, or the builder \
                     sees another instance of binfmt_misc",
                    Some(Fix::run(
                        "see how often the kernel runs it",
                        [Command::user(&["binfmtd", "doctor", "--repeat", "20"])
                            .target(&self.target)],
                    )),
                )
            }
            _ => Assessment { grade: Grade::Builds, sentence: None, fix: None },
        }
    }

    fn judge_not_built(&self, why: &str, builder: &str) -> Assessment {
        let again = Some(self.again(builder));
        match (self.kernel.works(), self.advertised, self.embedded.is_there()) {
            // It advertises nothing because it does not run.
            (Some(true), false, _) if self.resting => fails(format!("not built: {why}"), None),
            // No rule has a part in it.
            (Some(true), _, _) if self.kernel == Kernel::Native => fails(
                format!(
                    "this machine runs it by itself, and the builder does not build it: it is on another machine, or the build \
                     failed for a reason of its own ({why})"
                ),
                None,
            ),
            (Some(false), true, false) => fails(
                format!(
                    "advertised, and does not build: {}, and a builder never takes back what it advertised ({why})",
                    self.lost()
                ),
                again,
            ),
            (Some(false), false, false) if self.embedded == Embedded::No => fails(
                format!(
                    "not built: the kernel has no working rule, and BuildKit's image no emulator ({why})"
                ),
                again,
            ),
            (Some(false), false, false) => {
                fails(format!("not built: the kernel has no working rule ({why})"), again)
            }
            (Some(false), true, true) => fails(
                format!(
                    "advertised, and does not build: {}, and a builder never takes back what it advertised, nor puts the \
                     emulator of its image in front of that ({why})",
                    self.lost()
                ),
                again,
            ),
            (Some(false), false, true) => fails(
                format!(
                    "the emulator in BuildKit's image does not run it, and the kernel has no working rule ({why})"
                ),
                again,
            ),
            (Some(true), true, _) => fails(
                format!(
                    "the kernel runs it, and the builder does not: its container sees another kernel or another instance of \
                     binfmt_misc, or the build failed for a reason of its own ({why})"
                ),
                Some(restart(builder)),
            ),
            (Some(true), false, _) => fails(
                format!(
                    "the kernel runs it, and the builder does not know: it looked before the rule was there ({why})"
                ),
                Some(restart(builder)),
            ),
            (None, _, _) => fails(format!("not built: {why}"), None),
        }
    }

    /// Puts the rule there, and has the builder see it.
    fn again(&self, builder: &str) -> Fix {
        let bootstrap = Command::user(&["binfmtd", "buildx", "bootstrap"]).word(builder);
        let bootstrap = bootstrap.word("--platform").own(&self.platform);
        Fix::run("put the rule there, and have the builder see it", [bootstrap])
    }

    /// How a rule was lost that a builder once saw.
    fn lost(&self) -> &'static str {
        match self.kernel {
            Kernel::Fails { .. } => "the rule is there and does not work any more",
            _ => "the rule went away after the builder started",
        }
    }

    fn judge_untried(&self, builder: &str) -> Assessment {
        let again = Some(self.again(builder));
        match (self.kernel.works(), self.advertised, self.embedded.is_there()) {
            // Whatever the image carries: what is advertised is not given to it.
            (Some(false), true, _) => fails(
                format!(
                    "advertised, and the kernel does not run it: {}; builds will fail",
                    self.lost()
                ),
                again,
            ),
            // Nobody has looked into the image.
            (Some(false), false, false) => fails(
                "the kernel does not run it; builds fail unless BuildKit's image carries an emulator"
                    .to_owned(),
                again,
            ),
            (works, false, false) if works != Some(false) && !self.resting => {
                let (sentence, restarted) = match self.kernel {
                    Kernel::Native => (
                        "this machine runs it by itself, and the builder does not say that it does: it has no probe for it, or \
                         is on another machine",
                        false,
                    ),
                    Kernel::HasRule(_) => (
                        "the kernel has a rule for it, and the builder does not say that it builds for it: it looked before the \
                         rule was there, has no probe for it, or the rule does not work",
                        true,
                    ),
                    Kernel::Unknown(_) => {
                        ("the builder does not say that it builds for it, and nothing was built", false)
                    }
                    _ => (
                        "the kernel runs it, and the builder does not say so: it looked before the rule was there, or has no \
                         probe for it",
                        true,
                    ),
                };
                doubtful(sentence, restarted.then(|| restart(builder)))
            }
            _ => Assessment { grade: Grade::Likely, sentence: None, fix: None },
        }
    }
}

fn restart(builder: &str) -> Fix {
    let stop = Command::user(&["docker", "buildx", "stop"]).word(builder);
    let boot = Command::user(&["docker", "buildx", "inspect", "--bootstrap"]).word(builder);
    Fix::run("start the builder again", [stop, boot])
}

fn doubtful(sentence: &str, fix: Option<Fix>) -> Assessment {
    Assessment { grade: Grade::Doubtful, sentence: Some(sentence.to_owned()), fix }
}

fn fails(sentence: String, fix: Option<Fix>) -> Assessment {
    Assessment { grade: Grade::Fails, sentence: Some(sentence), fix }
}
