//! One file's settings, and several laid over each other.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors};
use super::origin::{Located, Origin};
use super::settings::{PreserveArgv0, Verify};
use crate::rule::{Extension, Flags, HEADER_SIZE, InterpreterPath, parse_hex};

/// The keys of a file.
pub(super) const KEYS: &[&str] = &[
    "targets",
    "interpreter-directories",
    "verify",
    "credentials",
    "preserve-argv0",
    "daemon",
    "buildx",
    "target",
    "rule",
];
/// The keys of `[daemon]`.
pub(super) const DAEMON_KEYS: &[&str] =
    &["backstop-minutes", "pause-after", "longest-pause-seconds", "metrics-file"];
/// The keys of `[buildx]`.
pub(super) const BUILDX_KEYS: &[&str] =
    &["name", "platforms", "driver-options", "buildkitd-flags", "buildkitd-config"];
/// The keys of `[target.NAME]`.
pub(super) const TARGET_KEYS: &[&str] = &["interpreter", "flags"];
/// The keys of `[rule.NAME]`.
pub(super) const RULE_KEYS: &[&str] =
    &["magic", "mask", "offset", "extension", "interpreter", "flags"];

/// What one file says, or several laid over each other: every value is well-formed by itself, and
/// knows where it was written. Whether they go together is seen when all files are there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fragment {
    pub(super) targets: Option<Located<NamedTargets>>,
    pub(super) interpreter_directories: Option<Located<Vec<PathBuf>>>,
    pub(super) verify: Option<Located<Verify>>,
    pub(super) credentials: Option<Located<bool>>,
    pub(super) preserve_argv0: Option<Located<PreserveArgv0>>,
    pub(super) daemon: DaemonParts,
    pub(super) buildx: BuildxParts,
    /// In the order of reading: a target may go by several names, and the last one wins.
    pub(super) overrides: Vec<NamedOverride>,
    pub(super) rules: BTreeMap<String, RuleParts>,
}

/// `targets` or `platforms`, by whatever names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NamedTargets {
    Auto,
    List(Vec<Located<String>>),
}

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DaemonParts {
    pub(super) backstop: Option<Located<Option<Duration>>>,
    pub(super) pause_after: Option<Located<u32>>,
    pub(super) longest_pause: Option<Located<Duration>>,
    pub(super) metrics_file: Option<Located<PathBuf>>,
}

/// `[buildx]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BuildxParts {
    pub(super) name: Option<Located<String>>,
    pub(super) platforms: Option<Located<NamedTargets>>,
    pub(super) driver_options: BTreeMap<String, Located<String>>,
    pub(super) buildkitd_flags: Option<Located<String>>,
    pub(super) buildkitd_config: Option<Located<PathBuf>>,
}

/// `[target.NAME]`, by whatever name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedOverride {
    pub(super) name: Located<String>,
    pub(super) interpreter: Option<Located<InterpreterPath>>,
    pub(super) flags: Option<Located<Flags>>,
}

/// `[rule.NAME]`, complete or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleParts {
    /// Where its table begins.
    pub(super) origin: Origin,
    pub(super) magic: Option<Located<Vec<u8>>>,
    pub(super) mask: Option<Located<Vec<u8>>>,
    pub(super) offset: Option<Located<usize>>,
    pub(super) extension: Option<Located<Extension>>,
    pub(super) interpreter: Option<Located<InterpreterPath>>,
    pub(super) flags: Option<Located<Flags>>,
}

impl Fragment {
    /// Lays a later file over this one, key by key; a list replaces a list.
    #[must_use]
    pub(super) fn overridden_by(mut self, later: Self) -> Self {
        self.overrides.extend(later.overrides);
        for (name, later) in later.rules {
            let rule = match self.rules.remove(&name) {
                Some(earlier) => earlier.overridden_by(later),
                None => later,
            };
            self.rules.insert(name, rule);
        }
        Self {
            targets: later.targets.or(self.targets),
            interpreter_directories: later.interpreter_directories.or(self.interpreter_directories),
            verify: later.verify.or(self.verify),
            credentials: later.credentials.or(self.credentials),
            preserve_argv0: later.preserve_argv0.or(self.preserve_argv0),
            daemon: self.daemon.overridden_by(later.daemon),
            buildx: self.buildx.overridden_by(later.buildx),
            overrides: self.overrides,
            rules: self.rules,
        }
    }
}

impl DaemonParts {
    fn overridden_by(self, later: Self) -> Self {
        Self {
            backstop: later.backstop.or(self.backstop),
            pause_after: later.pause_after.or(self.pause_after),
            longest_pause: later.longest_pause.or(self.longest_pause),
            metrics_file: later.metrics_file.or(self.metrics_file),
        }
    }
}

impl BuildxParts {
    fn overridden_by(mut self, later: Self) -> Self {
        self.driver_options.extend(later.driver_options);
        Self {
            name: later.name.or(self.name),
            platforms: later.platforms.or(self.platforms),
            driver_options: self.driver_options,
            buildkitd_flags: later.buildkitd_flags.or(self.buildkitd_flags),
            buildkitd_config: later.buildkitd_config.or(self.buildkitd_config),
        }
    }
}

impl RuleParts {
    fn overridden_by(self, later: Self) -> Self {
        Self {
            origin: later.origin,
            magic: later.magic.or(self.magic),
            mask: later.mask.or(self.mask),
            offset: later.offset.or(self.offset),
            extension: later.extension.or(self.extension),
            interpreter: later.interpreter.or(self.interpreter),
            flags: later.flags.or(self.flags),
        }
    }
}

/// Reads one file's text; `file` is only what errors and origins are to say. Touches nothing.
pub fn parse(text: &str, file: &Path) -> Result<Fragment, ConfigErrors> {
    let mut reader = Reader::new(text, file);
    let document = reader.document()?;
    let mut top = reader.section(String::new(), &document, KEYS);
    let mut fragment = Fragment {
        targets: top.get("targets", |reader, value| names(reader, value, "targets")),
        interpreter_directories: top.get("interpreter-directories", directories),
        verify: top.one("verify", |value| {
            word(
                value,
                &[("before", Verify::Before), ("after", Verify::After), ("off", Verify::Off)],
            )
        }),
        credentials: top.one("credentials", |value| {
            value.as_bool().ok_or_else(|| format!("{} is neither true nor false", what(value)))
        }),
        preserve_argv0: top.one("preserve-argv0", |value| match value.as_bool() {
            Some(true) => Ok(PreserveArgv0::Yes),
            Some(false) => Ok(PreserveArgv0::No),
            None => word(
                value,
                &[
                    ("auto", PreserveArgv0::Auto),
                    ("yes", PreserveArgv0::Yes),
                    ("no", PreserveArgv0::No),
                ],
            ),
        }),
        ..Fragment::default()
    };
    let daemon = top.table("daemon", DAEMON_KEYS, |mut table| DaemonParts {
        backstop: table.one("backstop-minutes", |value| {
            let minutes = number(value, 0..=10080_u32)?;
            Ok((minutes > 0).then(|| Duration::from_secs(u64::from(minutes) * 60)))
        }),
        pause_after: table.one("pause-after", |value| number(value, 0..=1_000_000)),
        longest_pause: table.one("longest-pause-seconds", |value| {
            number(value, 1..=86400).map(Duration::from_secs)
        }),
        metrics_file: table.one("metrics-file", metrics_file),
    });
    let buildx = top.table("buildx", BUILDX_KEYS, |mut table| BuildxParts {
        name: table.one("name", builder),
        platforms: table.get("platforms", platforms),
        driver_options: table.entries("driver-options", "OPTION = \"VALUE\"", driver_option),
        buildkitd_flags: table.one("buildkitd-flags", |value| buildkitd_flags(text_of(value)?)),
        buildkitd_config: table.one("buildkitd-config", absolute_file),
    });
    let overrides = top.tables("target", TARGET_KEYS, |name, mut table| NamedOverride {
        name,
        interpreter: table.one("interpreter", interpreter),
        flags: table.one("flags", flags),
    });
    let rules = top.tables("rule", RULE_KEYS, |name, mut table| {
        let parts = RuleParts {
            origin: name.origin,
            magic: table.get("magic", bytes),
            mask: table.get("mask", bytes),
            offset: table.one("offset", |value| number(value, 0..=HEADER_SIZE - 1)),
            extension: table.one("extension", |value| {
                text_of(value)?.parse::<Extension>().map_err(|error| error.to_string())
            }),
            interpreter: table.one("interpreter", interpreter),
            flags: table.one("flags", flags),
        };
        (name.value, parts)
    });
    fragment.daemon = daemon.unwrap_or_default();
    fragment.buildx = buildx.unwrap_or_default();
    fragment.overrides = overrides;
    fragment.rules = rules.into_iter().collect();
    reader.finish(fragment)
}

/// Whether a text is TOML at all, for files that somebody else reads.
pub(super) fn check_syntax(text: &str, file: &Path) -> Result<(), ConfigErrors> {
    Reader::new(text, file).document().map(|_| ())
}

/// What a value's reader answers: the value, or sentences, each with its line (0 for the key's).
type Read<T> = Result<T, Vec<(usize, String)>>;

/// Gathers the faults of one text.
struct Reader<'x> {
    text: &'x str,
    file: Arc<Path>,
    /// Where each line begins, so that a line is found without counting from the start again.
    lines: Vec<usize>,
    errors: Vec<ConfigError>,
}

impl<'x> Reader<'x> {
    fn new(text: &'x str, file: &Path) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { text, file: file.into(), lines, errors: Vec::new() }
    }

    fn origin(&self, at: usize) -> Origin {
        Origin {
            file: Arc::clone(&self.file),
            line: self.lines.partition_point(|begin| *begin <= at),
        }
    }

    /// The whole text as a table, or all places where it is no TOML.
    fn document(&self) -> Result<DeTable<'x>, ConfigErrors> {
        let (document, mut faults) = DeTable::parse_recoverable(self.text);
        if faults.is_empty() {
            return Ok(document.into_inner());
        }
        faults.sort_by_key(|fault| fault.span().map(|span| span.start));
        let mut errors: Vec<ConfigError> = Vec::new();
        for fault in faults {
            let line = fault.span().map(|span| self.origin(span.start).line);
            // What follows on the same line mostly follows from the first.
            if errors.last().is_none_or(|last| last.line != line) {
                let problem = format!("not TOML: {}", fault.message().replace('`', "\""));
                errors.push(ConfigError { line, ..ConfigError::of_file(&self.file, problem) });
            }
        }
        Err(ConfigErrors::new(errors))
    }

    /// Sorts a table's keys into known ones and faults.
    fn section<'r, 't>(
        &'r mut self,
        prefix: String,
        table: &'t DeTable<'x>,
        known: &'static [&'static str],
    ) -> Section<'r, 't, 'x> {
        let mut found = BTreeMap::new();
        for (key, value) in table {
            let origin = self.origin(key.span().start);
            if let Some(known) = known.iter().find(|known| **known == key.get_ref().as_ref()) {
                found.insert(*known, (origin, value));
            } else {
                let path = join(&prefix, key.get_ref());
                self.errors.push(ConfigError::at(&origin, path, unknown(key.get_ref(), known)));
            }
        }
        Section { reader: self, prefix, found }
    }

    fn finish(mut self, fragment: Fragment) -> Result<Fragment, ConfigErrors> {
        if self.errors.is_empty() {
            return Ok(fragment);
        }
        self.errors.sort_by_key(|error| error.line);
        Err(ConfigErrors::new(self.errors))
    }
}

/// One table, its known keys yet to be read.
struct Section<'r, 't, 'x> {
    reader: &'r mut Reader<'x>,
    prefix: String,
    found: BTreeMap<&'static str, (Origin, &'t Spanned<DeValue<'x>>)>,
}

impl<'t, 'x> Section<'_, 't, 'x> {
    /// Reads a key's value whose faults may lie on several lines.
    fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Reader<'x>, &'t Spanned<DeValue<'x>>) -> Read<T>,
    ) -> Option<Located<T>> {
        let (origin, value) = self.found.remove(key)?;
        match read(self.reader, value) {
            Ok(value) => Some(Located { value, origin }),
            Err(problems) => {
                let path = join(&self.prefix, key);
                self.reader.errors.extend(problems.into_iter().map(|(line, problem)| {
                    let line = if line == 0 { origin.line } else { line };
                    ConfigError::at(&Origin { line, ..origin.clone() }, path.clone(), problem)
                }));
                None
            }
        }
    }

    /// Reads a key's value that stands on one line.
    fn one<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'t DeValue<'x>) -> Result<T, String>,
    ) -> Option<Located<T>> {
        self.get(key, |_, value| read(value.get_ref()).map_err(|problem| vec![(0, problem)]))
    }

    /// Reads a table: `[key]`.
    fn table<T>(
        &mut self,
        key: &'static str,
        known: &'static [&'static str],
        read: impl FnOnce(Section<'_, 't, 'x>) -> T,
    ) -> Option<T> {
        let (origin, value) = self.found.remove(key)?;
        let path = join(&self.prefix, key);
        if let Some(table) = value.get_ref().as_table() {
            return Some(read(self.reader.section(path, table, known)));
        }
        let problem = no_table(value.get_ref(), &path, known);
        self.reader.errors.push(ConfigError::at(&origin, path, problem));
        None
    }

    /// Reads a table whose keys are anybody's; `entry` is what a line of it looks like.
    fn entries<T>(
        &mut self,
        key: &'static str,
        entry: &'static str,
        read: impl Fn(&str, &'t DeValue<'x>) -> Result<T, String>,
    ) -> BTreeMap<String, Located<T>> {
        let Some((origin, value)) = self.found.remove(key) else { return BTreeMap::new() };
        let path = join(&self.prefix, key);
        let Some(table) = value.get_ref().as_table() else {
            let problem = no_table(value.get_ref(), &path, &[entry]);
            self.reader.errors.push(ConfigError::at(&origin, path, problem));
            return BTreeMap::new();
        };
        let mut results = BTreeMap::new();
        for (name, value) in table {
            let origin = self.reader.origin(name.span().start);
            match read(name.get_ref(), value.get_ref()) {
                Ok(value) => {
                    results.insert(name.get_ref().clone().into_owned(), Located { value, origin });
                }
                Err(problem) => {
                    let path = join(&path, name.get_ref());
                    self.reader.errors.push(ConfigError::at(&origin, path, problem));
                }
            }
        }
        results
    }

    /// Reads a table of tables: `[key.NAME]`.
    fn tables<T>(
        &mut self,
        key: &'static str,
        known: &'static [&'static str],
        mut read: impl FnMut(Located<String>, Section<'_, 't, 'x>) -> T,
    ) -> Vec<T> {
        let Some((origin, value)) = self.found.remove(key) else { return Vec::new() };
        let path = join(&self.prefix, key);
        let Some(table) = value.get_ref().as_table() else {
            let problem = no_table(value.get_ref(), &join(&path, "NAME"), known);
            self.reader.errors.push(ConfigError::at(&origin, path, problem));
            return Vec::new();
        };
        let mut all: Vec<_> = table.iter().collect();
        all.sort_by_key(|(name, _)| name.span().start);
        let mut results = Vec::new();
        for (name, value) in all {
            let path = join(&path, name.get_ref());
            let origin = self.reader.origin(name.span().start);
            let Some(table) = value.get_ref().as_table() else {
                let problem = no_table(value.get_ref(), &path, known);
                self.reader.errors.push(ConfigError::at(&origin, path, problem));
                continue;
            };
            let name = Located { value: name.get_ref().clone().into_owned(), origin };
            results.push(read(name, self.reader.section(path, table, known)));
        }
        results
    }
}

/// A key after its table's, as TOML writes it.
pub(super) fn join(prefix: &str, key: &str) -> String {
    let key = key_text(key);
    if prefix.is_empty() { key } else { format!("{prefix}.{key}") }
}

/// A key as TOML writes it: bare where it can be. Never with a control character.
pub(super) fn key_text(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else if key.chars().any(char::is_control) {
        format!("{key:?}")
    } else {
        // What a value may do, to go over several lines in three quotes, a key may not.
        format!("\"{}\"", key.replace('\\', r"\\").replace('"', "\\\""))
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    // Somebody who writes interpreter_directories is told of the hyphen.
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, key), known))
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 4))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, nearest)) => format!("unknown key (did you mean {nearest}?)"),
        None => format!("unknown key (known: {})", known.join(", ")),
    }
}

fn no_table(value: &DeValue<'_>, path: &str, known: &[&str]) -> String {
    format!("{} is no table; write [{path}] and {} below it", what(value), known.join(", "))
}

/// A value as it is named in a sentence.
fn what(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn text_of<'t>(value: &'t DeValue<'_>) -> Result<&'t str, String> {
    value.as_str().ok_or_else(|| format!("{} is no string; put it in quotes", what(value)))
}

fn word<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("{} is none of {}", what(value), words.join(", "))
    })
}

fn interpreter(value: &DeValue<'_>) -> Result<InterpreterPath, String> {
    InterpreterPath::new(text_of(value)?).map_err(|error| error.to_string())
}

fn flags(value: &DeValue<'_>) -> Result<Flags, String> {
    text_of(value)?.parse::<Flags>().map_err(|error| error.to_string())
}

fn bytes(reader: &Reader<'_>, value: &Spanned<DeValue<'_>>) -> Read<Vec<u8>> {
    let one = |problem: String| vec![(0, problem)];
    let text = text_of(value.get_ref()).map_err(one)?;
    // "\x41\x42" would arrive here as AB, which are hex digits too, of another byte.
    let written = reader.text.get(value.span()).unwrap_or_default();
    if written.starts_with('"') && written.replace(r"\\", "").contains('\\') {
        let problem = "TOML itself reads backslashes in double quotes; put it in single quotes";
        return Err(one(problem.to_owned()));
    }
    parse_hex(text).map_err(|error| one(error.to_string()))
}

fn number<T: TryFrom<u64> + PartialOrd + Display>(
    value: &DeValue<'_>,
    range: RangeInclusive<T>,
) -> Result<T, String> {
    value
        .as_integer()
        .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            format!("{} is no number from {} to {}", what(value), range.start(), range.end())
        })
}

fn absolute(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let text = text_of(value)?;
    let is_plain = text.starts_with('/') && !text.chars().any(char::is_control);
    let problem = || format!("{text:?} is no absolute path without control characters");
    is_plain.then(|| PathBuf::from(text)).ok_or_else(problem)
}

fn absolute_file(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = absolute(value)?;
    let text = text_of(value)?;
    // `Path::file_name` overlooks a slash or a dot at the end, which only a folder can have.
    if matches!(text.rsplit('/').next(), Some("" | "." | "..")) {
        return Err(format!("{text:?} is a folder; add the name of a file in it"));
    }
    Ok(path)
}

fn metrics_file(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = absolute_file(value)?;
    // The only names that a textfile collector reads; and none of the service's own files has it.
    if path.extension().is_none_or(|end| end != "prom") {
        return Err(format!("{} does not end in .prom", what(value)));
    }
    Ok(path)
}

/// A builder's or node's name, by the rule of buildx (its `store/util.go`), as buildx keeps it and calls it ever
/// after.
pub fn builder_name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(is_allowed) {
        return Err(format!(
            "{text:?} cannot name a builder: a letter, then letters, digits, \".\", \"_\" and \"-\""
        ));
    }
    Ok(text.to_ascii_lowercase())
}

fn builder(value: &DeValue<'_>) -> Result<String, String> {
    let text = text_of(value)?;
    let name = builder_name(text)?;
    if name == "default" {
        return Err(format!("{text:?} is Docker's own builder; choose another name"));
    }
    Ok(name)
}

fn platforms(reader: &Reader<'_>, value: &Spanned<DeValue<'_>>) -> Read<NamedTargets> {
    let found = names(reader, value, "platforms")?;
    if found == NamedTargets::List(Vec::new()) {
        let problem = "an empty list: no platform is asked for; \"auto\" means all that work";
        return Err(vec![(0, problem.to_owned())]);
    }
    Ok(found)
}

/// The mark of the builders that are ours: an option of the docker-container driver, kept with the builder,
/// which gives its container a variable. Nobody else sets it.
pub const BUILDER_MARK: &str = "env.BINFMTD_BUILDER";

/// What is wrong with an option of the driver, if anything is: buildx gets it as `NAME=VALUE` in a line of CSV, and
/// splits it at the first `=`.
pub fn check_driver_option(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', ',']) || name.chars().any(char::is_control) {
        return Err(format!(
            "{name:?} cannot name an option: at least one character, and no \"=\", \",\" or control character"
        ));
    }
    if name == BUILDER_MARK {
        return Err("binfmtd sets it itself, as the mark of its builders; remove this".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Err(format!("{value:?} has control characters"));
    }
    Ok(())
}

fn driver_option(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    check_driver_option(name, "")?;
    if let Some((inner, _)) = value.as_table().and_then(|table| table.iter().next()) {
        let whole = key_text(&format!("{name}.{}", inner.get_ref()));
        return Err(format!("a table is no string; put a name with a dot in quotes: {whole}"));
    }
    let text = text_of(value)?;
    check_driver_option(name, text)?;
    Ok(text.to_owned())
}

/// Flags for `buildkitd`, in one word as buildx takes them.
pub fn buildkitd_flags(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("{text:?} has no flags; give some, or remove this"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{text:?} has control characters"));
    }
    Ok(text.to_owned())
}

/// `"auto"`, or a list of names; `of` is what they are names of.
fn names(reader: &Reader<'_>, value: &Spanned<DeValue<'_>>, of: &str) -> Read<NamedTargets> {
    let value = value.get_ref();
    let Some(list) = value.as_array() else {
        return match value.as_str() {
            Some("auto") => Ok(NamedTargets::Auto),
            Some(name) => {
                Err(vec![(0, format!("{name:?} is not \"auto\"; write a list: [{name:?}]"))])
            }
            None => {
                Err(vec![(0, format!("{} is neither \"auto\" nor a list of {of}", what(value)))])
            }
        };
    };
    let name = |value: &DeValue<'_>| text_of(value).map(str::to_owned);
    each(reader, list, name).map(NamedTargets::List)
}

fn directories(reader: &Reader<'_>, value: &Spanned<DeValue<'_>>) -> Read<Vec<PathBuf>> {
    let value = value.get_ref();
    let list = value
        .as_array()
        .ok_or_else(|| vec![(0, format!("{} is no list of absolute paths", what(value)))])?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for Located { value, .. } in each(reader, list, absolute)? {
        if !paths.contains(&value) {
            paths.push(value);
        }
    }
    Ok(paths)
}

/// Reads every element of a list, or says what is wrong with each that is.
fn each<T>(
    reader: &Reader<'_>,
    list: &[Spanned<DeValue<'_>>],
    read: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> Read<Vec<Located<T>>> {
    let mut values = Vec::new();
    let mut problems = Vec::new();
    for element in list {
        let origin = reader.origin(element.span().start);
        match read(element.get_ref()) {
            Ok(value) => values.push(Located { value, origin }),
            Err(problem) => problems.push((origin.line, problem)),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}
