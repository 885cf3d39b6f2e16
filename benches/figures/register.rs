//! Registering every rule of this machine, without verification, in an empty instance: beside systemd-binfmt, which
//! is given the very same rules.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure::{self, Moment};
use crate::support::{INSTANCE, Private};
use crate::table::{Figure, Goal, Measured, Peer, Unit};
use crate::{BINFMTD, Setting, program, strace};

const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd-binfmt", "/lib/systemd/systemd-binfmt"];

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let place = Place::prepare(setting.private.folder())?;
    let peer = Systemd::find();
    let rules = place.rules_of(&place.binfmtd(&[]))?;
    if let Ok(peer) = &peer {
        let theirs = place.rules_of(&peer.command(&place.all))?;
        if rules != theirs {
            return Err("systemd-binfmt did not make the same rules".to_owned());
        }
    }
    let mut figures = vec![time(setting, &place, &peer, rules.len())?];
    match strace::find() {
        Ok(()) => figures.extend(calls(&place, &peer, rules.len())?),
        Err(why) => return Err(format!("system calls cannot be counted: {why}")),
    }
    Ok(figures)
}

fn time(
    setting: &Setting,
    place: &Place,
    peer: &Result<Systemd, String>,
    rules: usize,
) -> Result<Figure, String> {
    let mut commands = vec![place.binfmtd(&[])];
    commands.extend(peer.iter().map(|peer| peer.command(&place.all)));
    let measured = measure::interleaved(&mut commands, setting.runs, &|moment| match moment {
        Moment::Before => place.reset(),
        // Else a tool that fails quickly would win.
        Moment::After if entries().map_err(sentence)?.len() == rules => Ok(()),
        Moment::After => Err("not all rules were made".to_owned()),
    })?;
    Ok(Figure {
        what: format!("register {rules} rules, not verified"),
        unit: Unit::Milliseconds,
        ours: measured[0],
        peer: Some(compared(peer, |_| Ok(measured[1]))?),
        goal: Goal::OfPeer(0.6),
    })
}

/// A straight line through the calls for one rule and for all: its slope, and where it begins.
fn calls(
    place: &Place,
    peer: &Result<Systemd, String>,
    rules: usize,
) -> Result<[Figure; 2], String> {
    let line = |all: &Command, one: &Command| {
        let (of_all, many) = place.calls(all)?;
        let (of_one, few) = place.calls(one)?;
        if many <= few {
            return Err(format!("{many} rules are too few for a line"));
        }
        let [of_all, many, of_one, few] = [of_all, many, of_one, few]
            .map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        let slope = (of_all - of_one) / (many - few);
        Ok((slope, of_one - slope * few))
    };
    let exact = |value: f64| Measured { median: value, quartiles: None };
    let ours = line(&place.binfmtd(&[]), &place.binfmtd(&[&place.target]))?;
    let theirs = |peer: &Systemd| line(&peer.command(&place.all), &peer.command(&place.one));
    let figure = |what: &str, ours, peer, goal| Figure {
        what: what.to_owned(),
        unit: Unit::Calls,
        ours: exact(ours),
        peer: Some(peer),
        goal,
    };
    Ok([
        figure(
            &format!("register {rules} rules: system calls for each"),
            ours.0,
            compared(peer, |peer| Ok(exact(theirs(peer)?.0)))?,
            Goal::AtMost(6.0),
        ),
        figure(
            "and besides",
            ours.1,
            compared(peer, |peer| Ok(exact(theirs(peer)?.1)))?,
            Goal::Below(60.0),
        ),
    ])
}

fn compared(
    peer: &Result<Systemd, String>,
    measure: impl FnOnce(&Systemd) -> Result<Measured, String>,
) -> Result<Peer, String> {
    Ok(match peer {
        Ok(peer) => Peer { name: peer.name.clone(), measured: Ok(measure(peer)?) },
        Err(why) => Peer { name: "systemd-binfmt".to_owned(), measured: Err(why.clone()) },
    })
}

/// systemd's tool, and what it calls itself.
struct Systemd {
    path: PathBuf,
    name: String,
}

impl Systemd {
    fn find() -> Result<Self, String> {
        let path = SYSTEMD.iter().map(PathBuf::from).find(|path| path.exists());
        let path = path.ok_or("not installed")?;
        let output = program(&path).arg("--version").output().map_err(sentence)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.split_whitespace().nth(1).unwrap_or_default();
        Ok(Self { path, name: format!("systemd-binfmt {version}") })
    }

    /// Given one file, it neither looks for others nor flushes: less than it does at a boot.
    fn command(&self, rules: &Path) -> Command {
        let mut command = program(&self.path);
        command.arg(rules);
        command
    }
}

/// Where it is measured: files with the rules, and a folder that stands in for `/run/binfmtd`.
pub(crate) struct Place {
    folder: PathBuf,
    /// Every rule, in the format of binfmt.d.
    all: PathBuf,
    /// The first of them, and its target.
    one: PathBuf,
    target: String,
}

impl Place {
    pub(crate) fn prepare(folder: &Path) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(sentence)?;
        let at = |name: &str| folder.join(name);
        let mut place = Self {
            folder: folder.to_owned(),
            all: at("all.conf"),
            one: at("one.conf"),
            target: String::new(),
        };
        fs::write(at("binfmtd.toml"), "").map_err(sentence)?;
        let output = place.words(&["export", "--as", "binfmt.d"]).output().map_err(sentence)?;
        let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
        let first = text.lines().find(|line| line.starts_with(":qemu-")).ok_or_else(|| {
            format!("nothing to register: {}", String::from_utf8_lossy(&output.stderr).trim())
        })?;
        fs::write(&place.one, format!("{first}\n")).map_err(sentence)?;
        fs::write(&place.all, &text).map_err(sentence)?;
        let name = first.split(':').nth(1).unwrap_or_default();
        name.trim_start_matches("qemu-").clone_into(&mut place.target);
        Ok(place)
    }

    pub(crate) fn words(&self, words: &[&str]) -> Command {
        let mut command = program(BINFMTD.as_path());
        // The machine's own configuration does not count.
        command
            .arg("--config")
            .arg(self.folder.join("binfmtd.toml"))
            .args(words)
            .env("BINFMTD_RUNTIME_DIRECTORY", self.runtime());
        command
    }

    pub(crate) fn binfmtd(&self, targets: &[&str]) -> Command {
        let mut command = self.words(&["register", "--no-verify"]);
        command.args(targets);
        command
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// One that the first rule runs.
    pub(crate) fn interpreter(&self) -> Result<PathBuf, String> {
        let text = fs::read_to_string(&self.one).map_err(sentence)?;
        let path = text.rsplit(':').nth(1);
        path.map(PathBuf::from).ok_or_else(|| "no rule".to_owned())
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// As on a machine that just booted: no rule, no record.
    pub(crate) fn reset(&self) -> Result<(), String> {
        Private::flush().map_err(sentence)?;
        match fs::remove_dir_all(self.runtime()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(sentence(error)),
            _ => Ok(()),
        }
    }

    /// What a command registers: each rule's name, and what the kernel says of it.
    fn rules_of(&self, command: &Command) -> Result<BTreeMap<String, String>, String> {
        self.calls(command)?;
        entries()
            .map_err(sentence)?
            .into_iter()
            .map(|name| Ok((fs::read_to_string(Private::path(&name)).map_err(sentence)?, name)))
            .map(|read| read.map(|(content, name)| (name, content)))
            .collect()
    }

    /// The system calls of a command in an empty instance, and how many rules it makes.
    fn calls(&self, command: &Command) -> Result<(usize, usize), String> {
        self.reset()?;
        let calls = strace::count(command, &self.folder.join("strace"))?;
        Ok((calls, entries().map_err(sentence)?.len()))
    }
}

pub(crate) fn entries() -> io::Result<Vec<String>> {
    let names = fs::read_dir(INSTANCE)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| name != "register" && name != "status").collect())
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn sentence(error: io::Error) -> String {
    error.to_string()
}
