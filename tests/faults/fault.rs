//! What a row of the matrix is, and what is held of each.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::host::{Examined, Found, Host, OTHER, VICTIM};

/// A row, as data.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// How it is made, in a few words.
    pub(crate) how: &'static str,
    /// The host before; with both targets registered unless it says otherwise.
    pub(crate) host: fn() -> Option<Host>,
    /// Makes it happen; nothing when that cannot be done here, which was said.
    pub(crate) make: fn(&Host) -> Option<()>,
    /// A script that ends in `"$@"`: where the doctor is started, when that is the fault.
    pub(crate) within: &'static str,
    /// Further words for the doctor.
    pub(crate) arguments: &'static str,
    /// The check that has to name it, and its status.
    pub(crate) named_by: (&'static str, &'static str),
    /// The target it is about; none for the host as a whole.
    pub(crate) target: Option<&'static str>,
    /// The verdicts on targets; who is not named has to be working.
    pub(crate) verdicts: &'static [(&'static str, &'static str)],
    /// Checks that may speak up as well, and why that is no second voice for the same fault.
    pub(crate) beside: &'static [(&'static str, &'static str)],
    pub(crate) cure: Cure,
}

/// How the fix that was proposed is carried out.
#[derive(Clone, Copy)]
pub(crate) enum Cure {
    /// It is run, as it is.
    Fix,
    /// It is run in the same shell as the doctor after it: it changes that shell's own limits.
    InTheSameShell,
    /// It cannot be run here; what is done in its place.
    InPlace(&'static str, fn(&Host) -> Option<()>),
    /// The same, of the fix, where the host cannot be examined afterwards: it also holds that all is well.
    Elsewhere(&'static str, fn(&Host, &str)),
}

/// What running a program shows of a fault that has its name elsewhere.
pub(crate) const SYMPTOMS: &[(&str, &str)] = &[
    ("exec.host", "its programs do not run, and say what the kernel said"),
    ("exec.empty-root", "the same in another root"),
];

/// What most rows have.
pub(crate) const PLAIN: Fault = Fault {
    name: "",
    how: "",
    host: Host::registered,
    make: |_| Some(()),
    within: HERE,
    arguments: "",
    named_by: ("", "fail"),
    target: Some(VICTIM),
    verdicts: &[(VICTIM, "broken")],
    beside: SYMPTOMS,
    cure: Cure::Fix,
};

/// Where a user is who is in no special place.
pub(crate) const HERE: &str = "\"$@\"";

/// More rounds than any fault needs: one that hides another takes two.
const ROUNDS: usize = 3;

impl Fault {
    /// Makes it, has it named, and cures it; figures for the harness.
    pub(crate) fn run(&self) -> Option<String> {
        let host = (self.host)()?;
        (self.make)(&host)?;
        let begin = Instant::now();
        let mut examined = host.doctor(self.within, "", self.arguments);
        let time = begin.elapsed();
        let named = self.is_named(&examined);
        let mut done: Vec<String> = Vec::new();
        let row = |done: &[String]| {
            let named_by = format!("{} {}", named.id, named.status);
            let row = Row { how: self.how.to_owned(), named_by, cure: done.join("; then "), time };
            row.write();
            format!("{}, {:.2} s", row.named_by, time.as_secs_f64())
        };
        if let Cure::Elsewhere(what, cure) = self.cure {
            cure(&host, &way_out(&named));
            return Some(row(&[what.to_owned()]));
        }
        // What was hidden behind the fault is told after it, and cured by what is said of it.
        let mut faults = vec![named.clone()];
        for round in 0..ROUNDS {
            let cure = if round == 0 { self.cure } else { Cure::Fix };
            let (mut before, mut within) = (String::new(), self.within);
            match cure {
                Cure::InPlace(what, instead) => {
                    instead(&host)?;
                    done.push(what.to_owned());
                }
                Cure::InTheSameShell => {
                    before = way_out(&named);
                    done.push(before.clone());
                }
                _ => {
                    for fix in faults.iter().map(way_out).collect::<BTreeSet<_>>() {
                        let said = host.script(HERE, &fix);
                        assert_eq!(said.code, 0, "a fix, {fix}: {said:#?}");
                        done.push(fix);
                    }
                }
            }
            if matches!(self.cure, Cure::InPlace(..)) {
                within = HERE;
            }
            examined = host.doctor(within, &before, self.arguments);
            faults = examined.faults();
            if faults.is_empty() {
                break;
            }
        }
        examined.is_green(&format!("{}: after {done:?}", self.how));
        Some(row(&done))
    }

    /// Holds that the fault is named, that everybody else is well, and that no other check has a voice of
    /// its own; what names it.
    fn is_named(&self, examined: &Examined) -> Found {
        let (id, status) = self.named_by;
        let faults = examined.faults();
        let shown = || format!("{}: {examined}", self.how);
        let named = faults
            .iter()
            .find(|found| found.id == id && found.target.as_deref() == self.target)
            .unwrap_or_else(|| panic!("not named by {id}: {}", shown()))
            .clone();
        assert_eq!(named.status, status, "{}", shown());
        for found in &faults {
            let known = found.id == id || self.beside.iter().any(|(id, _)| found.id == *id);
            assert!(known, "{} speaks up as well: {}", found.id, shown());
            let who = found.target.as_deref();
            let is_meant = who.is_none()
                || who == self.target
                || self.target.is_none()
                || self.verdicts.iter().any(|(target, _)| who == Some(*target));
            assert!(is_meant, "{who:?} has nothing to do with it: {}", shown());
        }
        for target in [VICTIM, OTHER].into_iter().chain(self.verdicts.iter().map(|(it, _)| *it)) {
            let wanted = self.verdicts.iter().find(|(name, _)| *name == target);
            let wanted = wanted.map_or("working", |(_, verdict)| verdict);
            if let Some(verdict) = examined.verdict(target) {
                assert_eq!(verdict, wanted, "{target}: {}", shown());
            }
        }
        let is_well = status == "warn" && self.verdicts.iter().all(|(_, it)| *it == "working");
        // What could not be looked at says nothing about the host.
        let code = if status == "error" { 3 } else { i32::from(!is_well) };
        assert_eq!(examined.code, code, "{}", shown());
        named
    }
}

/// What is proposed.
fn way_out(fault: &Found) -> String {
    fault.fix.clone().unwrap_or_else(|| panic!("no way out: {fault:#?}"))
}

/// A row of the table.
pub(crate) struct Row {
    pub(crate) how: String,
    pub(crate) named_by: String,
    pub(crate) cure: String,
    /// What the doctor took.
    pub(crate) time: Duration,
}

/// Rows come from other processes: each appends one to its parent's file.
fn table(process: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{process}"))
}

impl Row {
    pub(crate) fn write(&self) {
        let parent = std::os::unix::process::parent_id();
        let line =
            [&*self.how, &self.named_by, &self.cure, &format!("{:.2} s", self.time.as_secs_f64())];
        let line = line.join("\t").replace('\n', " ");
        let file = OpenOptions::new().create(true).append(true).open(table(parent));
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())).expect("a table");
    }
}

/// Prints what the rows said, aligned; the last column as long as it is.
pub(crate) fn print_table() {
    let path = table(std::process::id());
    let Ok(text) = fs::read_to_string(&path) else { return };
    let _ = fs::remove_file(&path);
    let mut rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    rows.sort_by_key(|row| row[1]);
    rows.insert(0, vec!["fault", "named by", "cured by", "time"]);
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (how, named, time) = (width(0), width(1), width(3));
    for row in &rows {
        println!("{:how$}  {:named$}  {:>time$}  {}", row[0], row[1], row[3], row[2]);
    }
    println!("\n{} faults", rows.len() - 1);
}
