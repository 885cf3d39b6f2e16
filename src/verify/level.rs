//! The levels of a proof.

/// One of the claims that a proof is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// It ran on the host and answered.
    Host,
    /// It ran in an empty root.
    EmptyRoot,
    /// A position-independent program (`ET_DYN`) ran as well.
    Pie,
    /// It saw the `argv[0]` that it was started with, and its arguments in their places.
    Argv0,
    /// Its exit status came through.
    Status,
    /// It died from a signal that was sent to it.
    Signal,
    /// The interpreter that runs is the file on disk.
    Identity,
    /// A set-user-ID program has its owner's rights, which is what the flag `C` is for.
    Credentials,
    /// It ran again, as often as `--repeat` asks for.
    Repeat,
}

impl Level {
    /// In the order of a report.
    pub const ALL: [Self; 9] = [
        Self::Host,
        Self::EmptyRoot,
        Self::Pie,
        Self::Argv0,
        Self::Status,
        Self::Signal,
        Self::Identity,
        Self::Credentials,
        Self::Repeat,
    ];

    /// The last part of its check's id, after `exec.`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::EmptyRoot => "empty-root",
            Self::Pie => "pie",
            Self::Argv0 => "argv0",
            Self::Status => "status",
            Self::Signal => "signal",
            Self::Identity => "identity",
            Self::Credentials => "credentials",
            Self::Repeat => "repeat",
        }
    }
}

/// The result of one level, with what was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LevelOutcome {
    Pass(String),
    /// It works, with a loss that some programs notice.
    Warn(String),
    Fail(String),
    /// Not judged, and why not.
    Skip(String),
}

impl LevelOutcome {
    pub fn failed(&self) -> bool {
        matches!(self, Self::Fail(_))
    }
}
