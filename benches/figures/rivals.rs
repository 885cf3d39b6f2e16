//! Registering what other tools register, beside each of them: as many targets, no verification, an empty instance.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use binfmtd::testing::target::Table;

use crate::measure::{self, Moment};
use crate::register::{Place, entries, sentence};
use crate::table::{Figure, Goal, Peer, Unit};
use crate::{Setting, program};

/// How the tool is called, once what it needs is there.
type Prepare = fn(&Place) -> Result<Command, String>;

const RIVALS: [(&str, Prepare); 3] = [
    ("update-binfmts", update_binfmts),
    ("qemu-binfmt-conf.sh", qemu_script),
    ("tonistiigi/binfmt", tonistiigi),
];

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let place = Place::prepare(&setting.private.folder().join("rivals"))?;
    RIVALS.iter().map(|(name, prepare)| figure(setting, &place, name, *prepare)).collect()
}

fn figure(
    setting: &Setting,
    place: &Place,
    name: &str,
    prepare: Prepare,
) -> Result<Figure, String> {
    // All of these take longer than what they are beside.
    let runs = setting.runs.div_ceil(4);
    let theirs = prepare(place).and_then(|theirs| {
        let targets = targets_of(place, &theirs)?;
        Ok((theirs, targets))
    });
    let (what, mut commands, peer) = match theirs {
        Ok((theirs, targets)) => {
            let names: Vec<&str> = targets.iter().map(String::as_str).collect();
            let what = format!("register {} targets, not verified", names.len());
            (what, vec![place.binfmtd(&names), theirs], Ok(()))
        }
        Err(why) => {
            let what = "register all targets, not verified".to_owned();
            (what, vec![place.binfmtd(&[])], Err(why))
        }
    };
    let measured = measure::interleaved(&mut commands, runs, &|moment| match moment {
        Moment::Before => place.reset(),
        Moment::After if entries().map_err(sentence)?.is_empty() => {
            Err(format!("{name}: nothing was registered"))
        }
        Moment::After => Ok(()),
    })?;
    Ok(Figure {
        what,
        unit: Unit::Milliseconds,
        ours: measured[0],
        peer: Some(Peer { name: name.to_owned(), measured: peer.map(|()| measured[1]) }),
        goal: Goal::None,
    })
}

/// The targets that the tool makes rules for, and that we know.
fn targets_of(place: &Place, command: &Command) -> Result<Vec<String>, String> {
    place.reset()?;
    let mut once = program(command.get_program());
    once.args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => once.env(name, value),
            None => once.env_remove(name),
        };
    }
    let output = once.output().map_err(sentence)?;
    let table = Table::embedded();
    let names = entries().map_err(sentence)?;
    let mut targets: Vec<String> = names
        .iter()
        .filter_map(|name| table.find(name.strip_prefix("qemu-")?).ok())
        .map(|target| target.name.clone())
        .collect();
    targets.sort();
    targets.dedup();
    if output.status.success() && targets.len() > 2 {
        return Ok(targets);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().last().unwrap_or_default();
    Err(format!("ended with {} and {} rules: {last}", output.status, names.len()))
}

/// What `benches/peers` finds.
fn found(tool: &str) -> Result<Command, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let output = Command::new(&script).arg(tool).stdin(Stdio::null()).output().map_err(sentence)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut words = said.lines();
    match words.next() {
        Some(first) if output.status.success() => {
            let mut command = program(first);
            command.args(words);
            Ok(command)
        }
        _ => {
            let why = String::from_utf8_lossy(&output.stderr);
            let why = why.lines().last().unwrap_or("it says nothing");
            Err(why.strip_prefix("peers: ").unwrap_or(why).to_owned())
        }
    }
}

/// With our own rules in its format, as a package brings them: `--enable` is what it does at boot.
fn update_binfmts(place: &Place) -> Result<Command, String> {
    let (import, state) = (place.folder().join("import"), place.folder().join("state"));
    for folder in [&import, &state] {
        fs::create_dir_all(folder).map_err(sentence)?;
    }
    let export = ["export", "--as", "debian", "--output"];
    let mut export = place.words(&export);
    succeeds(export.arg(&import))?;
    let called = |what: &str| {
        let mut command = found("update-binfmts")?;
        command.arg("--admindir").arg(&state).arg("--importdir").arg(&import).arg(what);
        Ok::<_, String>(command)
    };
    succeeds(&mut called("--import")?)?;
    called("--enable")
}

fn qemu_script(place: &Place) -> Result<Command, String> {
    let mut command = found("qemu-binfmt-conf.sh")?;
    let folder = place.interpreter()?.parent().map(Path::to_owned).unwrap_or_default();
    command.arg("--qemu-path").arg(folder);
    command.args(["--qemu-suffix", "-static", "--persistent", "yes"]);
    Ok(command)
}

/// It looks for names without `-static`.
fn tonistiigi(place: &Place) -> Result<Command, String> {
    let mut command = found("tonistiigi")?;
    let folder = place.folder().join("emulators");
    fs::create_dir_all(&folder).map_err(sentence)?;
    let there = place.interpreter()?.parent().map(Path::to_owned).unwrap_or_default();
    for entry in fs::read_dir(there).map_err(sentence)? {
        let path: PathBuf = entry.map_err(sentence)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(bare) = name.strip_suffix("-static").filter(|name| name.starts_with("qemu-")) {
            symlink(&path, folder.join(bare)).map_err(sentence)?;
        }
    }
    command.args(["--install", "all"]).env("QEMU_BINARY_PATH", &folder);
    Ok(command)
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(sentence)?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} ended with {}: {}", output.status, words.trim()))
}
