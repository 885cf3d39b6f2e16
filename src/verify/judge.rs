//! Draws conclusions from the runs of a subject's probe. Pure: what it judges was collected before.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::level::{Level, LevelOutcome};
use super::proof::{FailedRun, Pinned, Proof};
use super::run::{ARGV0, Again, Run, STATUS};
use crate::probe::CpuLevel;
use crate::system::process::batch::Ended;
use crate::system::process::child::{ExecError, SIGTERM};

/// Enough of endless output to show the reason.
const MOST_WORDS: usize = 2000;
/// The longest version line of a QEMU so far has 75 characters.
const LONGEST_NAME: usize = 200;

/// What was observed of a subject's runs; `None` for a run that was not asked for.
pub(super) struct RunEvidence<'a> {
    pub(super) host: Option<Run>,
    /// Further runs on the host.
    pub(super) again: Again,
    /// In an empty root; of the position-independent program at full depth.
    pub(super) empty: Option<Run>,
    /// Of the other program in the same root, if that one did not answer.
    pub(super) fixed: Option<Run>,
    pub(super) version: Option<Run>,
    /// With the uid that owns the file.
    pub(super) set_user_id: Result<(Run, u32), NoSetUserId>,
    /// Of the program that reports its CPU.
    pub(super) cpu: Option<Run>,
    pub(super) executed: Executed,
    /// The rule's path of the interpreter.
    pub(super) rule_path: Option<&'a Path>,
}

/// Which program ran a probe.
pub(super) enum Executed {
    /// It ended before it could be inspected.
    Unknown,
    /// The probe itself: it is native.
    Itself,
    Interpreter(Pinned, AtPath),
}

/// What is at the rule's path of the interpreter, where that is not the file that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtPath {
    Nothing,
    /// A folder, say.
    NoFile,
    File,
}

/// Why no set-user-ID program was run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum NoSetUserId {
    #[error("not asked for")]
    NotAsked,
    #[error(
        "the rule has no flag C: set-user-ID programs (sudo, su) run with their caller's rights under emulation, which \
         is the safe choice"
    )]
    NoFlag,
    #[error("this process has no_new_privs, which takes the set-user-ID bit away")]
    NoNewPrivileges,
    #[error("{} is mounted nosuid (set TMPDIR)", .0.display())]
    Nosuid(PathBuf),
    #[error("a program with another owner cannot be made here: {0}")]
    Unmakable(String),
}

pub(super) fn judge(seen: RunEvidence<'_>) -> Proof {
    let levels = Level::ALL.map(|level| (level, seen.level(level))).into();
    let first = seen.first();
    let native = matches!(seen.executed, Executed::Itself);
    Proof {
        native,
        nobody: first.is_some_and(|run| run.started == Err(ExecError::Format)),
        machine: first.and_then(|run| run.report.as_ref()).map(|report| short(&report.machine)),
        version: if native { None } else { seen.version.as_ref().and_then(version) },
        time: first.map(|run| run.time).unwrap_or_default(),
        cost: seen.cost(),
        cpu: seen.cpu.as_ref().and_then(|run| CpuLevel::read(&run.output)),
        failures: seen.failures(),
        tries: tries(first, &seen.again),
        pinned: match seen.executed {
            Executed::Interpreter(pinned, _) => Some(pinned),
            Executed::Unknown | Executed::Itself => None,
        },
        levels,
    }
}

impl RunEvidence<'_> {
    /// At quick depth there is a run on the host only if this process may not change its root.
    fn first(&self) -> Option<&Run> {
        self.host.as_ref().or(self.empty.as_ref())
    }

    fn in_empty_root(&self) -> Option<&Run> {
        self.fixed.as_ref().or(self.empty.as_ref())
    }

    fn level(&self, level: Level) -> LevelOutcome {
        let of = |run: Option<&Run>, judge: fn(&Run) -> LevelOutcome| {
            run.map_or_else(|| skip("not run"), judge)
        };
        let quick = self.host.is_none();
        match level {
            Level::Host | Level::Signal | Level::Pie if quick => skip("not asked for"),
            Level::Host => of(self.first(), ran),
            Level::EmptyRoot => of(self.in_empty_root(), ran_in_empty_root),
            Level::Pie => {
                let other_ran = self.fixed.as_ref().is_some_and(Run::answered);
                self.empty.as_ref().map_or_else(|| skip("not run"), |run| pie(run, other_ran))
            }
            Level::Argv0 => of(self.first(), argv0),
            Level::Status => of(self.first(), status),
            Level::Signal => of(self.in_empty_root(), signal),
            Level::Identity => identity(&self.executed, self.rule_path),
            Level::Credentials => match (&self.executed, &self.set_user_id) {
                (Executed::Itself, _) => skip("native: there is no rule"),
                (_, Ok((run, owner))) => credentials(run, *owner),
                (_, Err(why)) => LevelOutcome::Skip(why.to_string()),
            },
            Level::Repeat => again(self.first(), &self.again),
        }
    }

    fn cost(&self) -> Option<std::time::Duration> {
        let runs = [self.host.as_ref(), self.empty.as_ref(), self.fixed.as_ref()];
        let answered = runs.into_iter().flatten().filter(|run| run.answered());
        answered.map(|run| run.time).chain(self.again.quickest).min()
    }

    fn failures(&self) -> Vec<(Level, FailedRun)> {
        let mut repeated = self.first().into_iter().chain(&self.again.failure);
        let runs = [
            (Level::Host, self.host.as_ref()),
            (Level::EmptyRoot, self.in_empty_root()),
            (Level::Pie, self.empty.as_ref().filter(|_| self.fixed.is_some())),
            (Level::Credentials, self.set_user_id.as_ref().ok().map(|(run, _)| run)),
            (Level::Repeat, repeated.find(|run| !run.answered())),
        ];
        let failed = |run: &Run| (!run.answered()).then(|| FailedRun::of(run));
        runs.into_iter().filter_map(|(level, run)| Some((level, failed(run?)?))).collect()
    }
}

impl FailedRun {
    fn of(run: &Run) -> Self {
        Self {
            refused: run.started.as_ref().err().cloned(),
            ended: run.ended,
            words: run.errors.chars().chain(run.output.chars()).take(MOST_WORDS).collect(),
        }
    }
}

fn skip(why: &str) -> LevelOutcome {
    LevelOutcome::Skip(why.to_owned())
}

fn ran(run: &Run) -> LevelOutcome {
    if let Some(report) = &run.report {
        return LevelOutcome::Pass(format!(
            "it ran and saw the machine {}",
            short(&report.machine)
        ));
    }
    LevelOutcome::Fail(match (&run.started, run.ended) {
        (Err(error), _) => error.to_string(),
        (Ok(()), Some(Ended::TimedOut)) => {
            format!("it gave no answer in {:.0} s and was killed", run.time.as_secs_f64())
        }
        (Ok(()), Some(Ended::Flooded)) => "it wrote without end and was killed".to_owned(),
        (Ok(()), Some(Ended::Signaled(number))) => {
            format!("it died by signal {number}{}", complaint(run))
        }
        (Ok(()), Some(Ended::Exited(status))) => {
            format!(
                "it exited with status {status} and did not answer as the probe does{}",
                complaint(run)
            )
        }
        (Ok(()), None) => "it did not end".to_owned(),
    })
}

fn complaint(run: &Run) -> String {
    let line = run.errors.lines().chain(run.output.lines()).find(|line| !line.trim().is_empty());
    line.map(|line| format!(" ({})", line.trim().chars().take(200).collect::<String>()))
        .unwrap_or_default()
}

fn ran_in_empty_root(run: &Run) -> LevelOutcome {
    match &run.started {
        Err(ExecError::NotPermitted) => skip(
            "this process may not change its root, and user namespaces are forbidden (run it as root)",
        ),
        _ => ran(run),
    }
}

/// Of the position-independent program's run in an empty root; `other_ran` is whether the other program answered
/// there.
fn pie(run: &Run, other_ran: bool) -> LevelOutcome {
    match ran_in_empty_root(run) {
        LevelOutcome::Pass(_) => {
            LevelOutcome::Pass("a position-independent program (ET_DYN) ran".to_owned())
        }
        LevelOutcome::Fail(why) if other_ran => {
            LevelOutcome::Fail(format!("a position-independent program (ET_DYN): {why}"))
        }
        LevelOutcome::Fail(_) => skip("no program of it ran in an empty root"),
        other => other,
    }
}

fn argv0(run: &Run) -> LevelOutcome {
    let Some(report) = &run.report else { return skip("it did not run") };
    let seen: Vec<_> =
        report.arguments.iter().map(|argument| short(&String::from_utf8_lossy(argument))).collect();
    if seen.len() != 2 {
        return LevelOutcome::Fail(format!(
            "its arguments are shifted: it sees {seen:?} where two were given"
        ));
    }
    if seen[0] == ARGV0 {
        LevelOutcome::Pass("argv[0] was passed on".to_owned())
    } else {
        // Without the flag P the arguments come through, and only the name is lost.
        LevelOutcome::Warn(format!("it sees argv[0] {:?} in place of {ARGV0:?}", seen[0]))
    }
}

fn status(run: &Run) -> LevelOutcome {
    match (&run.report, run.ended) {
        (None, _) => skip("it did not run"),
        (Some(_), Some(Ended::Exited(status))) if status == i32::from(STATUS) => {
            LevelOutcome::Pass(format!("exit status {STATUS} was passed on"))
        }
        (Some(_), ended) => LevelOutcome::Fail(format!(
            "it should have exited with status {STATUS}: {}",
            end(ended)
        )),
    }
}

fn signal(run: &Run) -> LevelOutcome {
    match (&run.report, run.ended) {
        (None, _) => skip("it did not run"),
        (Some(_), Some(Ended::Signaled(SIGTERM))) => {
            LevelOutcome::Pass("it died by the signal it was sent".to_owned())
        }
        (Some(_), ended) => {
            LevelOutcome::Fail(format!("SIGTERM should have killed it: {}", end(ended)))
        }
    }
}

/// The uid is that of the process while it was held.
fn credentials(run: &Run, owner: u32) -> LevelOutcome {
    match (&run.report, run.effective_user) {
        (None, _) => match ran(run) {
            LevelOutcome::Fail(why) => LevelOutcome::Fail(format!("a set-user-ID program: {why}")),
            other => other,
        },
        (Some(_), Some(user)) if user == owner => {
            LevelOutcome::Pass(format!("a set-user-ID program of uid {owner} ran with that uid"))
        }
        (Some(_), Some(user)) => LevelOutcome::Fail(format!(
            "a set-user-ID program of uid {owner} ran as uid {user}, though the rule has the flag C"
        )),
        (Some(_), None) => skip("it ended before it could be inspected"),
    }
}

fn tries(first: Option<&Run>, again: &Again) -> Option<(usize, usize)> {
    let first = usize::from(first.is_some_and(Run::answered));
    (again.runs > 0).then_some((first + again.answered, again.runs + 1))
}

fn again(first: Option<&Run>, again: &Again) -> LevelOutcome {
    let Some((answered, of)) = tries(first, again) else {
        return skip("run once; --repeat N runs it again");
    };
    let runs = first.into_iter().chain(&again.failure);
    let mut failures = runs.filter(|run| !run.answered());
    match failures.next().map(ran) {
        None => LevelOutcome::Pass(format!("{answered} of {of} runs answered")),
        Some(LevelOutcome::Fail(why)) => LevelOutcome::Fail(format!(
            "{answered} of {of} runs answered; one of the others: {why}"
        )),
        Some(other) => other,
    }
}

fn end(ended: Option<Ended>) -> String {
    match ended {
        Some(Ended::Exited(status)) => format!("it exited with status {status}"),
        Some(Ended::Signaled(number)) => format!("it died by signal {number}"),
        Some(Ended::TimedOut) => "it did not end in time".to_owned(),
        Some(Ended::Flooded) => "it wrote without end".to_owned(),
        None => "it did not end".to_owned(),
    }
}

fn identity(executed: &Executed, rule_path: Option<&Path>) -> LevelOutcome {
    let (pinned, at_path) = match executed {
        Executed::Itself => return skip("native: there is no interpreter"),
        Executed::Unknown => return skip("it ended before it could be inspected"),
        Executed::Interpreter(pinned, at_path) => (pinned, *at_path),
    };
    let Some(path) = rule_path else {
        return skip("no visible rule names an interpreter to compare with");
    };
    let (runs, path) = (pinned.path.display(), path.display());
    match at_path {
        _ if pinned.is_on_disk => {
            LevelOutcome::Pass(format!("the interpreter that runs is {path}"))
        }
        _ if pinned.is_elsewhere => LevelOutcome::Skip(format!(
            "the kernel runs a file of another root filesystem, so {path} in this one says nothing about it"
        )),
        AtPath::Nothing => LevelOutcome::Warn(format!(
            "{path} is gone from the disk; the kernel keeps using the file that it pinned"
        )),
        AtPath::NoFile => LevelOutcome::Fail(format!(
            "the kernel runs {runs}, and {path} is no longer a regular file: the rule is older than that change"
        )),
        AtPath::File => LevelOutcome::Fail(format!(
            "the kernel runs {runs}, which is not the file that {path} is now: the rule is older than the file"
        )),
    }
}

/// As QEMU writes it: `qemu-aarch64 version 7.2.17 (Debian 1:7.2+dfsg-7+deb12u13)`.
pub(super) fn version(run: &Run) -> Option<String> {
    let line = run.output.lines().next()?;
    line.contains("version").then(|| short(line.trim()))
}

/// An interpreter may write as much as it likes.
fn short(text: &str) -> String {
    text.chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests;
