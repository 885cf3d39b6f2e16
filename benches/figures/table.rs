//! The table: for each figure what was measured, of whom, and whether the goal is met.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
    Seconds,
    Calls,
    Mebibytes,
    Kibibytes,
    /// Millions of bytes.
    Megabytes,
    /// A ratio of two of our own figures.
    Times,
    /// Wakeups, descriptors.
    Count,
}

/// A figure of one program: the median, and between which values the middle half lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) median: f64,
    pub(crate) quartiles: Option<(f64, f64)>,
}

/// Somebody else's program.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) measured: Result<Measured, String>,
}

/// What is aimed at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At most this.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// At most this part of the peer's.
    OfPeer(f64),
    /// Nothing: it explains another figure.
    None,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Measured,
    /// Nobody where there is nothing to compare with.
    pub(crate) peer: Option<Peer>,
    pub(crate) goal: Goal,
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        let peer = self.peer.as_ref()?.measured.as_ref().ok()?;
        Some(self.ours.median / peer.median)
    }

    /// `None` where there is no goal, or no peer to compare with.
    fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMost(limit) => Some(self.ours.median <= limit),
            Goal::Below(limit) => Some(self.ours.median < limit),
            Goal::OfPeer(limit) => self.ratio().map(|ratio| ratio <= limit),
            Goal::None => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let peer = match &self.peer {
            Some(Peer { name, measured: Ok(measured) }) => {
                format!("{} ({name})", self.unit.show(measured.median))
            }
            Some(Peer { name, measured: Err(why) }) => format!("{name}: {why}"),
            None => "-".to_owned(),
        };
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "not met",
            None => "-",
        };
        [
            self.what.clone(),
            self.unit.show(self.ours.median),
            peer,
            self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            self.goal.to_string(),
            met.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let value = |measured: &Measured| {
            json!({
                "median": measured.median,
                "quartiles": measured.quartiles.map(|(lower, upper)| [lower, upper]),
            })
        };
        json!({
            "figure": self.what,
            "unit": self.unit.name(),
            "binfmtd": value(&self.ours),
            "peer": self.peer.as_ref().map(|peer| json!({
                "name": peer.name,
                "measured": peer.measured.as_ref().ok().map(value),
                "missing": peer.measured.as_ref().err(),
            })),
            "ratio": self.ratio(),
            "goal": self.goal.to_string(),
            "met": self.is_met(),
        })
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Seconds => "s",
            Self::Calls => "system calls",
            Self::Mebibytes => "MiB",
            Self::Kibibytes => "KiB",
            Self::Megabytes => "MB",
            Self::Times => "times",
            Self::Count => "count",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Calls => format!("{value:.1}"),
            Self::Count => format!("{value:.0}"),
            Self::Kibibytes => format!("{value:.0} KiB"),
            unit => format!("{value:.2} {}", unit.name()),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::Below(limit) => write!(f, "fewer than {limit}"),
            Self::OfPeer(limit) => write!(f, "at most {limit} of the peer"),
            Self::None => f.write_str("-"),
        }
    }
}

/// All lines.
#[derive(Debug)]
pub(crate) struct Table {
    binary: PathBuf,
    figures: Vec<Figure>,
}

const HEADINGS: [&str; 6] = ["figure", "binfmtd", "peer", "ratio", "goal", "met"];

impl Table {
    pub(crate) fn new(binary: &Path, figures: Vec<Figure>) -> Self {
        Self { binary: binary.to_owned(), figures }
    }

    pub(crate) fn json(&self) -> String {
        let figures: Vec<_> = self.figures.iter().map(Figure::json).collect();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let document = json!({
            "schema": 1,
            "binary": self.binary,
            "kernel": kernel.trim(),
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "figures": figures,
        });
        format!("{document:#}\n")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.figures.iter().map(Figure::cells));
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; HEADINGS.len()] = std::array::from_fn(width);
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                write!(line, "{cell:<width$}  ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
