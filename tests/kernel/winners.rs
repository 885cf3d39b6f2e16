//! Which rule runs a file: told by the interpreter that ran, a probe for this host under many names.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use binfmtd::testing::probe::{self, Report};
use binfmtd::testing::rule::{Entry, Header, MatchResult, Rule, judge, winner};
use binfmtd::testing::target::Table;
use nix::errno::Errno;

use crate::generate::{self, Native};
use crate::order::listed;
use crate::random::Random;
use crate::support::Private;
use crate::{Outcome, Setting};

const MOST_RULES: usize = 6;
/// How many files are started with one set of rules.
const FILES: usize = 4;

#[derive(Default)]
struct Figures {
    cases: usize,
    won: usize,
    shadowed: usize,
    disabled: usize,
}

pub(crate) fn run(setting: &mut Setting) -> Outcome {
    let table = Table::embedded();
    let native = Native::of_host(&table)?;
    let folder = setting.private.folder().to_owned();
    let interpreters = interpreters(&native, &folder)?;
    fs::create_dir(folder.join("d.x")).map_err(|error| error.to_string())?;
    let mut figures = Figures::default();
    while figures.cases < setting.cases {
        let rules = register(setting, &table, &native, &interpreters)?;
        let entries = compare_entries(&rules)?;
        for _ in 0..FILES {
            one_file(&mut setting.random, &native, &folder, &rules, &entries, &mut figures)?;
        }
        Private::flush().map_err(|error| format!("flush: {error}"))?;
    }
    let Figures { cases, won, shadowed, disabled } = figures;
    if won * 4 < cases || won * 20 > cases * 19 || shadowed * 10 < cases || disabled * 20 < cases {
        return Err(format!(
            "too one-sided: {won} won, {shadowed} shadowed, {disabled} disabled of {cases}"
        ));
    }
    Ok(format!(
        "{cases} files; a rule won {won}, shadowed another in {shadowed}, was disabled in {disabled}"
    ))
}

fn interpreters(native: &Native, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let machine = native.target.identity.machines[0];
    let program = probe::build(&native.target, machine).ok_or("there is no probe for this host")?;
    (0..MOST_RULES)
        .map(|index| {
            let path = folder.join(format!("interpreter{index}"));
            write_program(&path, &program).map(|()| path)
        })
        .collect()
}

fn write_program(path: &Path, content: &[u8]) -> Result<(), String> {
    fs::write(path, content)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("write {}: {error}", path.display()))
}

/// Registers a few rules; gives them newest first, with whether they are enabled.
fn register(
    setting: &mut Setting,
    table: &Table,
    native: &Native,
    interpreters: &[PathBuf],
) -> Result<Vec<(Rule, bool)>, String> {
    let random = &mut setting.random;
    let mut rules: Vec<Rule> = Vec::new();
    for (index, interpreter) in interpreters.iter().enumerate().take(1 + random.below(MOST_RULES)) {
        let rule =
            generate::rule(random, table, native, &rules, &format!("rule{index}"), interpreter);
        setting
            .private
            .register(rule.register_string())
            .map_err(|error| format!("register {rule:?}: {error}"))?;
        rules.push(rule);
    }
    // One that is removed and comes back is the newest.
    if random.once_in(4) {
        let again = rules.remove(random.below(rules.len()));
        Private::tell(again.name().as_str(), "-1")
            .map_err(|error| format!("remove {again:?}: {error}"))?;
        setting
            .private
            .register(again.register_string())
            .map_err(|error| format!("again {again:?}: {error}"))?;
        rules.push(again);
    }
    let rules = rules.into_iter().rev().map(|rule| {
        let enabled = !random.once_in(4);
        let word = if enabled { "1" } else { "0" };
        let told = Private::tell(rule.name().as_str(), word);
        told.map(|()| (rule, enabled)).map_err(|error| format!("write {word}: {error}"))
    });
    rules.collect()
}

/// The kernel lists them in this order, and says about each what we meant.
fn compare_entries(rules: &[(Rule, bool)]) -> Result<Vec<Entry>, String> {
    let names = listed()?;
    if !names.iter().map(String::as_str).eq(rules.iter().map(|(rule, _)| rule.name().as_str())) {
        return Err(format!("listed as {names:?}, but newest first is {rules:?}"));
    }
    let entries = rules.iter().map(|(rule, enabled)| {
        let content =
            fs::read(Private::path(rule.name().as_str())).map_err(|error| error.to_string())?;
        let entry = Entry::parse(OsStr::new(rule.name().as_str()), &content)
            .map_err(|error| format!("{error}: {}", content.escape_ascii()))?;
        if rule.is(&entry) && entry.enabled == *enabled && entry.unknown.is_empty() {
            Ok(entry)
        } else {
            Err(format!("{rule:?} ({enabled}) is not {entry:?}, which the kernel says"))
        }
    });
    entries.collect()
}

fn one_file(
    random: &mut Random,
    native: &Native,
    folder: &Path,
    rules: &[(Rule, bool)],
    entries: &[Entry],
    figures: &mut Figures,
) -> Result<(), String> {
    let plain: Vec<Rule> = rules.iter().map(|(rule, _)| rule.clone()).collect();
    let file = generate::file(random, native, &plain);
    let header = Header::new(&file);
    let path = folder.join(
        random.pick(&["f", "f", "f", "f.x", "f.yy", "f.x.yy", "d.x/f", "f.", "x", "f.X", "f.x86"]),
    );
    write_program(&path, &file)?;

    let ours = winner(entries, &header, &path);
    let wanted = ours.map(|entry| arguments(entry, &path));
    let kernel = start(&path)?;
    let verdicts = judge(entries, &header, &path);
    figures.cases += 1;
    figures.won += usize::from(ours.is_some());
    figures.shadowed += usize::from(verdicts.contains(&MatchResult::Shadowed));
    figures.disabled += usize::from(verdicts.contains(&MatchResult::Disabled));
    if kernel == wanted {
        return Ok(());
    }
    let mut problem =
        format!("started {}\nheader {:?}\n", path.display(), file.escape_ascii().to_string());
    for ((rule, enabled), verdict) in rules.iter().zip(verdicts) {
        let string = rule.register_string().escape_ascii();
        let _ = writeln!(
            problem,
            "{} {verdict:?}: {string}",
            if *enabled { "enabled" } else { "disabled" }
        );
    }
    let lossy = |arguments: Option<Vec<Vec<u8>>>| {
        arguments
            .map(|all| all.iter().map(|one| one.escape_ascii().to_string()).collect::<Vec<_>>())
    };
    let _ =
        write!(problem, "the kernel ran {:?}\nwe would say   {:?}", lossy(kernel), lossy(wanted));
    Err(problem)
}

/// What the interpreter of a rule sees, as the kernel rearranges it (`load_misc_binary`).
fn arguments(entry: &Entry, path: &Path) -> Vec<Vec<u8>> {
    let mut arguments = vec![
        entry.interpreter.as_os_str().as_bytes().to_vec(),
        path.as_os_str().as_bytes().to_vec(),
    ];
    if entry.flags.known.preserve_argv0 {
        arguments.push(b"zero".to_vec());
    }
    arguments.push(b"nonce".to_vec());
    arguments
}

/// Starts a file; gives the arguments that its interpreter reports, or nothing for `ENOEXEC`.
fn start(path: &Path) -> Result<Option<Vec<Vec<u8>>>, String> {
    let mut command = Command::new(path);
    command.arg0("zero").arg("nonce").stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => {
            let report =
                Report::parse(&output.stdout).ok_or_else(|| format!("no report: {output:?}"))?;
            Ok(Some(report.arguments))
        }
        Ok(output) => Err(format!("an interpreter failed: {output:?}")),
        Err(error) if error.raw_os_error() == Some(Errno::ENOEXEC as i32) => Ok(None),
        Err(error) => Err(format!("start {}: {error}", path.display())),
    }
}
