//! An entry is read or refused; what is read and well-formed could be registered, and is then itself.
#![no_main]

use std::ffi::OsStr;
use std::path::Path;

use binfmtd::testing::rule::{Entry, Header, InterpreterPath, Rule, MatchResult, judge, winner};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(entry) = Entry::parse(OsStr::new("entry"), data) else { return };
    let header = Header::new(data);
    let path = Path::new("a.exe");
    let entries = [entry.clone(), entry.clone()];
    let verdicts = judge(&entries, &header, path);
    assert_eq!(entry.takes(&header, path), verdicts[0] == MatchResult::Wins);
    assert_eq!(winner(&entries, &header, path).is_some(), verdicts[0] == MatchResult::Wins);
    assert_eq!(verdicts[1] == MatchResult::Shadowed, verdicts[0] == MatchResult::Wins);

    let name = "entry".parse().expect("a name");
    let Ok(interpreter) = InterpreterPath::new(entry.interpreter.clone()) else { return };
    let Ok(rule) = Rule::new(name, entry.matcher.clone(), interpreter, entry.flags.known) else {
        return;
    };
    assert_eq!(rule.is(&entry), entry.flags.unknown.is_empty());
});
