//! What an instance of `binfmt_misc` does, case by case: of the fake one in a unit test, and of the kernel's in
//! `tests/kernel`. Its paths begin with the library's name, as in `fake.rs`.

use std::ffi::OsStr;
use std::io;

use binfmtd::testing::apply::Registry;
use binfmtd::testing::rule::{Rule, parse_register};
use binfmtd::testing::system::binfmt_misc::instance::Refused;

/// An interpreter that every machine has.
pub(crate) const PRESENT: &str = "/bin/sh";

/// An instance, empty at first, and somebody else who writes to it.
pub(crate) trait Machine {
    fn registry(&mut self) -> &mut dyn Registry;
    /// Writes `0`, `1` or `-1` to an entry or to `status`.
    fn tell(&mut self, name: &str, word: &str) -> io::Result<()>;
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Add(&'static str),
    Remove(&'static str),
    Enable(&'static str),
    EnableAll,
    /// By somebody else.
    Tell(&'static str, &'static str),
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Refused(Refused),
    Missing,
    Other(String),
}

use Answer::{Done, Missing};
use Step::{Add, Enable, EnableAll, Remove, Tell};

const EXISTS: Answer = Answer::Refused(Refused::Exists);
const NO_INTERPRETER: Answer = Answer::Refused(Refused::NoInterpreter);

const A: &str = ":a:M::AB::/bin/sh:F";
const B: &str = ":b:M:2:CD:\\xff\\x00:/bin/sh:OF";
const B_OTHER: &str = ":b:M::EF::/bin/sh:";
const C: &str = ":c:E::abc::/nowhere/interpreter:POC";
const NOT_THERE: &str = ":n:M::GH::/nowhere/interpreter:F";
const A_NOT_THERE: &str = ":a:M::GH::/nowhere/interpreter:F";

/// A step, its answer, and what is there after it: names, newest first, with `-` behind those that are off, and
/// `off` in front where the instance is.
const CASES: &[&[(Step, Answer, &str)]] = &[
    // The newest comes first.
    &[(Add(A), Done, "a"), (Add(B), Done, "b a"), (Add(C), Done, "c b a")],
    // A name is there once, whatever it stands for.
    &[
        (Add(A), Done, "a"),
        (Add(B), Done, "b a"),
        (Add(A), EXISTS, "b a"),
        (Add(B_OTHER), EXISTS, "b a"),
    ],
    // What is registered again is the newest.
    &[
        (Add(A), Done, "a"),
        (Add(B), Done, "b a"),
        (Remove("a"), Done, "b"),
        (Remove("a"), Missing, "b"),
        (Add(A), Done, "a b"),
    ],
    // With F the interpreter has to be there, and that is looked at first; without it nobody looks.
    &[
        (Add(NOT_THERE), NO_INTERPRETER, ""),
        (Add(C), Done, "c"),
        (Add(A), Done, "a c"),
        (Add(A_NOT_THERE), NO_INTERPRETER, "a c"),
    ],
    // Switched off and on it keeps its place.
    &[
        (Add(A), Done, "a"),
        (Add(B), Done, "b a"),
        (Tell("a", "0"), Done, "b a-"),
        (Add(A), EXISTS, "b a-"),
        (Enable("a"), Done, "b a"),
        (Enable("a"), Done, "b a"),
        (Enable("n"), Missing, "b a"),
        (Tell("n", "0"), Missing, "b a"),
    ],
    // The instance's own switch leaves the entries alone, and new ones are taken.
    &[
        (Add(A), Done, "a"),
        (Tell("a", "0"), Done, "a-"),
        (Tell("status", "0"), Done, "off a-"),
        (Add(B), Done, "off b a-"),
        (EnableAll, Done, "b a-"),
        (EnableAll, Done, "b a-"),
    ],
    // A flush by somebody else.
    &[
        (Add(A), Done, "a"),
        (Add(B), Done, "b a"),
        (Tell("status", "-1"), Done, ""),
        (Remove("b"), Missing, ""),
        (Enable("b"), Missing, ""),
        (Add(B), Done, "b"),
        (Tell("b", "-1"), Done, ""),
        (Remove("b"), Missing, ""),
    ],
];

/// Runs every case; returns how many steps there were, or the first difference.
pub(crate) fn check(machine: &mut dyn Machine) -> Result<usize, String> {
    let mut steps = 0;
    for (number, case) in CASES.iter().enumerate() {
        machine.tell("status", "1").map_err(|error| error.to_string())?;
        machine.tell("status", "-1").map_err(|error| error.to_string())?;
        let mut rules: Vec<Rule> = Vec::new();
        for (step, wanted, wanted_there) in *case {
            let answer = take(machine, *step, &mut rules);
            let there = there(machine, &rules)?;
            if (&answer, there.as_str()) != (wanted, *wanted_there) {
                return Err(format!(
                    "case {number}, {step:?}: {answer:?} and [{there}], not {wanted:?} and [{wanted_there}]"
                ));
            }
            steps += 1;
        }
    }
    Ok(steps)
}

fn take(machine: &mut dyn Machine, step: Step, rules: &mut Vec<Rule>) -> Answer {
    let of = |result: io::Result<()>| match result {
        Ok(()) => Done,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Missing,
        Err(error) => Answer::Other(error.to_string()),
    };
    match step {
        Add(string) => {
            let rule = parse_register(string.as_bytes()).expect("a rule");
            match machine.registry().register(&rule) {
                Ok(()) => {
                    rules.retain(|known| known.name() != rule.name());
                    rules.push(rule);
                    Done
                }
                Err(refused) => Answer::Refused(refused),
            }
        }
        Remove(name) => of(machine.registry().remove(OsStr::new(name))),
        Enable(name) => of(machine.registry().enable(OsStr::new(name))),
        EnableAll => of(machine.registry().enable_all()),
        Tell(name, word) => of(machine.tell(name, word)),
    }
}

/// What is there, each entry compared with the rule that was taken.
fn there(machine: &mut dyn Machine, rules: &[Rule]) -> Result<String, String> {
    let facts = machine.registry().look().map_err(|error| error.to_string())?;
    let mut words: Vec<String> = Vec::new();
    if !facts.enabled {
        words.push("off".to_owned());
    }
    for entry in &facts.entries {
        if !rules.iter().any(|rule| rule.is(entry)) {
            return Err(format!("an entry that nobody registered: {entry:?}"));
        }
        words.push(format!("{}{}", entry.display_name(), if entry.enabled { "" } else { "-" }));
    }
    Ok(words.join(" "))
}
