//! The four facts of each platform, and what they mean together. Pure.
//!
//! `BuildKit` only ever adds to what it advertises (`worker/base`): a platform whose rule went away stays advertised until
//! buildkitd ends. So only a build tells.

use serde::Serialize;

use super::builder::Builder;
use super::embedded::Embedded;
use super::kernel::Kernel;
use super::test_build::{Built, Runner};
use crate::fix::{Command, Fix};

/// What is known of one platform.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlatformFacts {
    /// OCI's name.
    pub platform: String,
    /// QEMU's name of the target.
    pub target: String,
    pub kernel: Kernel,
    pub embedded: Embedded,
    /// Whether the builder says that it builds for the platform.
    pub advertised: bool,
    /// Whether a node of the builder does not run, and so advertises nothing.
    #[serde(skip)]
    pub resting: bool,
    pub built: Built,
}

/// What the facts mean together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    pub grade: Grade,
    /// One sentence, if there is something to say.
    pub sentence: Option<String>,
    pub remedy: Option<Remedy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    Register,
    /// Have the builder look at the rules again.
    Restart,
    /// Register the rule, and have the builder look at it.
    Bootstrap,
    /// Run the probe often, because it fails now and then.
    Repeat,
    /// Find out why the kernel does not run it.
    Diagnose,
}

impl Remedy {
    pub fn fix(self, facts: &PlatformFacts, builder: &Builder) -> Fix {
        let doctor = || Command::user(&["binfmtd", "doctor"]);
        match self {
            Self::Register => {
                Fix::run("register the target's rule", [Command::register(&facts.target)])
            }
            Self::Restart => (builder.driver().restart)(&builder.name),
            Self::Bootstrap => (builder.driver().repair)(&builder.name, Some(&facts.platform)),
            Self::Repeat => Fix::run(
                "see how often the kernel runs it",
                [doctor().word("--repeat").word("20").target(&facts.target)],
            ),
            Self::Diagnose => {
                Fix::run("see why the kernel does not run it", [doctor().target(&facts.target)])
            }
        }
    }
}

impl Assessment {
    /// The same after a bootstrap: another one would not help.
    #[must_use]
    pub fn after_bootstrap(self) -> Self {
        let remedy = match self.remedy {
            Some(Remedy::Bootstrap) => Some(Remedy::Diagnose),
            remedy => remedy,
        };
        Self { remedy, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// It builds.
    Builds,
    /// Nothing was built, and nothing speaks against it.
    Likely,
    /// It builds, but other uses of the platform fail.
    Doubtful,
    /// It does not build, or would not.
    Fails,
}

impl PlatformFacts {
    pub fn assess(&self) -> Assessment {
        match &self.built {
            Built::Yes { by, .. } => self.assess_built(*by),
            Built::No { why, .. } => self.assess_not_built(why),
            Built::NotTried(_) => self.assess_untried(),
        }
    }

    /// Whether a failed build may succeed once the builder has looked at the rules again: the kernel runs the program; or the
    /// image has an emulator, which `BuildKit` does not use for what it advertises.
    pub fn may_build_after_restart(&self) -> bool {
        let is_outdated = self.advertised && self.embedded.is_there();
        self.built.works() == Some(false) && (self.kernel.works() == Some(true) || is_outdated)
    }

    fn assess_built(&self, by: Runner) -> Assessment {
        match (by, self.kernel.works()) {
            // `docker run` needs the kernel's rule.
            (Runner::Embedded, Some(false)) => doubtful(
                "builds, by the emulator in BuildKit's image alone: the kernel has no working rule, so docker run \
                 and docker build without this builder fail",
                Some(Remedy::Register),
            ),
            (Runner::Embedded, Some(true)) if self.kernel == Kernel::Native => doubtful(
                "builds, by the emulator in BuildKit's image, though this machine runs it by itself: the builder did not see \
                 that, or is on another machine",
                None,
            ),
            (Runner::Embedded, Some(true)) => doubtful(
                "builds, by the emulator in BuildKit's image, though the kernel runs it: the builder looked before the \
                 rule was there",
                Some(Remedy::Restart),
            ),
            (Runner::Rule | Runner::Native, Some(false))
                if !matches!(self.embedded, Embedded::Unknown(_)) =>
            {
                doubtful(
                    "builds, though the kernel did not run it just now: the rule was not there all the time, or the builder \
                     sees another instance of binfmt_misc",
                    Some(Remedy::Repeat),
                )
            }
            (Runner::Rule | Runner::Native, Some(_)) | (_, None) => {
                Assessment { grade: Grade::Builds, sentence: None, remedy: None }
            }
        }
    }

    fn assess_not_built(&self, why: &str) -> Assessment {
        let advertised = format!(
            "advertised, and does not build: {}, and a builder never takes back what it advertised",
            self.lost()
        );
        let emulated = format!("{advertised}, nor puts the emulator of its image in front of that");
        let (sentence, remedy) = match (
            self.kernel.works(),
            self.advertised,
            self.embedded.is_there(),
        ) {
            (None, _, _) => return fails(format!("not built: {why}"), None),
            // It advertises nothing because it does not run.
            (Some(true), false, _) if self.resting => {
                return fails(format!("not built: {why}"), None);
            }
            // Rules play no part.
            (Some(true), _, _) if self.kernel == Kernel::Native => (
                "this machine runs it by itself, and the builder does not build it: it is on another machine, or the build \
                 failed for a reason of its own",
                None,
            ),
            (Some(false), true, false) => (advertised.as_str(), Some(Remedy::Bootstrap)),
            (Some(false), true, true) => (emulated.as_str(), Some(Remedy::Bootstrap)),
            (Some(false), false, false) if self.embedded == Embedded::No => (
                "not built: the kernel has no working rule, and BuildKit's image no emulator",
                Some(Remedy::Bootstrap),
            ),
            (Some(false), false, false) => {
                ("not built: the kernel has no working rule", Some(Remedy::Bootstrap))
            }
            (Some(false), false, true) => (
                "the emulator in BuildKit's image does not run it, and the kernel has no working rule",
                Some(Remedy::Bootstrap),
            ),
            (Some(true), true, _) => (
                "the kernel runs it, and the builder does not: its container sees another kernel or another instance of \
                 binfmt_misc, or the build failed for a reason of its own",
                Some(Remedy::Restart),
            ),
            (Some(true), false, _) => (
                "the kernel runs it, and the builder does not know: it looked before the rule was there",
                Some(Remedy::Restart),
            ),
        };
        fails(format!("{sentence} ({why})"), remedy)
    }

    /// How a rule was lost that the builder once saw.
    fn lost(&self) -> &'static str {
        match self.kernel {
            Kernel::Fails { .. } => "the rule is there and does not work any more",
            Kernel::Native
            | Kernel::Runs { .. }
            | Kernel::HasRule(_)
            | Kernel::NoRule
            | Kernel::Unknown(_) => "the rule went away after the builder started",
        }
    }

    fn assess_untried(&self) -> Assessment {
        match (self.kernel.works(), self.advertised, self.embedded.is_there()) {
            // Whatever the image carries: BuildKit does not use it for what it advertises.
            (Some(false), true, _) => fails(
                format!(
                    "advertised, and the kernel does not run it: {}; builds will fail",
                    self.lost()
                ),
                Some(Remedy::Bootstrap),
            ),
            // Nobody has looked into the image.
            (Some(false), false, false) => fails(
                "the kernel does not run it; builds fail unless BuildKit's image carries an emulator"
                    .to_owned(),
                Some(Remedy::Bootstrap),
            ),
            (Some(true) | None, false, false) if !self.resting => self.assess_not_advertised(),
            (Some(_) | None, _, _) => {
                Assessment { grade: Grade::Likely, sentence: None, remedy: None }
            }
        }
    }

    fn assess_not_advertised(&self) -> Assessment {
        let (sentence, remedy) = match self.kernel {
            Kernel::Native => (
                "this machine runs it by itself, and the builder does not say that it does: it has no probe for it, or \
                 is on another machine",
                None,
            ),
            Kernel::HasRule(_) => (
                "the kernel has a rule for it, and the builder does not say that it builds for it: it looked before the \
                 rule was there, has no probe for it, or the rule does not work",
                Some(Remedy::Restart),
            ),
            Kernel::Unknown(_) => {
                ("the builder does not say that it builds for it, and nothing was built", None)
            }
            Kernel::Runs { .. } | Kernel::NoRule | Kernel::Fails { .. } => (
                "the kernel runs it, and the builder does not say so: it looked before the rule was there, or has no \
                 probe for it",
                Some(Remedy::Restart),
            ),
        };
        doubtful(sentence, remedy)
    }
}

/// Emulators other than QEMU (FEX, Rosetta) do not print a version: if the kernel has a rule, the rule ran the program.
pub fn by_rule_where_there_is_one(built: Built, kernel: &Kernel) -> Built {
    match (built, kernel) {
        (Built::Yes { by: Runner::Native, version, time }, Kernel::Runs { .. }) => {
            Built::Yes { by: Runner::Rule, version, time }
        }
        (built, _) => built,
    }
}

fn doubtful(sentence: &str, remedy: Option<Remedy>) -> Assessment {
    Assessment { grade: Grade::Doubtful, sentence: Some(sentence.to_owned()), remedy }
}

fn fails(sentence: String, remedy: Option<Remedy>) -> Assessment {
    Assessment { grade: Grade::Fails, sentence: Some(sentence), remedy }
}
