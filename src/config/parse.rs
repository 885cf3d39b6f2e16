//! The keys of a file, and how each value is read.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::error::ConfigError;
use super::fragment::{BuildxParts, DaemonParts, Fragment, NamedOverride, NamedTargets, RuleParts};
use super::origin::Located;
use super::reader::{Read, TomlReader, key_text, what};
use super::values::{
    PreserveArgv0, ValueError, Verify, builder_name, buildkitd_flags, check_driver_option,
};
use crate::rule::{Extension, Flags, HEADER_SIZE, InterpreterPath, parse_hex};

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
pub(super) const DAEMON_KEYS: &[&str] =
    &["backstop-minutes", "pause-after", "longest-pause-seconds", "metrics-file"];
pub(super) const BUILDX_KEYS: &[&str] =
    &["name", "platforms", "driver-options", "buildkitd-flags", "buildkitd-config"];
pub(super) const TARGET_KEYS: &[&str] = &["interpreter", "flags"];
pub(super) const RULE_KEYS: &[&str] =
    &["magic", "mask", "offset", "extension", "interpreter", "flags"];

/// Reads one file's text. Pure: `file` is only for errors and origins.
pub fn parse(text: &str, file: &Path) -> Result<Fragment, Vec<ConfigError>> {
    let mut reader = TomlReader::new(text, file);
    let document = reader.document()?;
    let mut top = reader.section(String::new(), &document, KEYS);
    let mut fragment = Fragment {
        targets: top.get("targets", |reader, value| names(reader, value, "targets")),
        interpreter_directories: top.get("interpreter-directories", directories),
        verify: top.one("verify", |value| {
            word(value, &[Verify::Before, Verify::After, Verify::Off], Verify::as_str)
        }),
        credentials: top.one("credentials", |value| {
            value.as_bool().ok_or_else(|| ValueError::NotBoolean(what(value)))
        }),
        preserve_argv0: top.one("preserve-argv0", |value| match value.as_bool() {
            Some(true) => Ok(PreserveArgv0::Yes),
            Some(false) => Ok(PreserveArgv0::No),
            None => {
                let all = [PreserveArgv0::Auto, PreserveArgv0::Yes, PreserveArgv0::No];
                word(value, &all, PreserveArgv0::as_str)
            }
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
            extension: table.one("extension", |value| Ok(text_of(value)?.parse::<Extension>()?)),
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

fn text_of<'t>(value: &'t DeValue<'_>) -> Result<&'t str, ValueError> {
    value.as_str().ok_or_else(|| ValueError::NotString(what(value)))
}

fn word<T: Copy>(
    value: &DeValue<'_>,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<T, ValueError> {
    let found = all.iter().find(|one| value.as_str() == Some(word(**one)));
    found.copied().ok_or_else(|| {
        let words = all.iter().map(|one| word(*one)).collect();
        ValueError::UnknownWord { value: what(value), words }
    })
}

fn interpreter(value: &DeValue<'_>) -> Result<InterpreterPath, ValueError> {
    Ok(InterpreterPath::new(text_of(value)?)?)
}

fn flags(value: &DeValue<'_>) -> Result<Flags, ValueError> {
    Ok(text_of(value)?.parse::<Flags>()?)
}

fn bytes(reader: &TomlReader<'_>, value: &Spanned<DeValue<'_>>) -> Read<Vec<u8>> {
    let one = |problem| vec![(None, problem)];
    let text = text_of(value.get_ref()).map_err(one)?;
    // "\x41\x42" would arrive here as AB, which are the hex digits of another byte.
    let written = reader.text.get(value.span()).unwrap_or_default();
    if written.starts_with('"') && written.replace(r"\\", "").contains('\\') {
        return Err(one(ValueError::TomlEscapes));
    }
    parse_hex(text).map_err(|error| one(error.into()))
}

fn number<T: TryFrom<u64> + PartialOrd + Display>(
    value: &DeValue<'_>,
    range: RangeInclusive<T>,
) -> Result<T, ValueError> {
    value
        .as_integer()
        .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| ValueError::NotInRange {
            value: what(value),
            from: range.start().to_string(),
            to: range.end().to_string(),
        })
}

fn absolute(value: &DeValue<'_>) -> Result<PathBuf, ValueError> {
    let text = text_of(value)?;
    let is_plain = text.starts_with('/') && !text.chars().any(char::is_control);
    is_plain.then(|| PathBuf::from(text)).ok_or_else(|| ValueError::NotAbsolute(text.to_owned()))
}

fn absolute_file(value: &DeValue<'_>) -> Result<PathBuf, ValueError> {
    let path = absolute(value)?;
    let text = text_of(value)?;
    // `Path::file_name` ignores a trailing slash or dot, which only a folder can have.
    if matches!(text.rsplit('/').next(), Some("" | "." | "..")) {
        return Err(ValueError::Folder(text.to_owned()));
    }
    Ok(path)
}

fn metrics_file(value: &DeValue<'_>) -> Result<PathBuf, ValueError> {
    let path = absolute_file(value)?;
    // A textfile collector reads only these names, and none of the service's own files has one.
    if path.extension().is_none_or(|end| end != "prom") {
        return Err(ValueError::NotMetrics(what(value)));
    }
    Ok(path)
}

fn builder(value: &DeValue<'_>) -> Result<String, ValueError> {
    let text = text_of(value)?;
    let name = builder_name(text)?;
    if name == "default" {
        return Err(ValueError::DefaultBuilder(text.to_owned()));
    }
    Ok(name)
}

fn platforms(reader: &TomlReader<'_>, value: &Spanned<DeValue<'_>>) -> Read<NamedTargets> {
    let found = names(reader, value, "platforms")?;
    if found == NamedTargets::List(Vec::new()) {
        return Err(vec![(None, ValueError::NoPlatforms)]);
    }
    Ok(found)
}

fn driver_option(name: &str, value: &DeValue<'_>) -> Result<String, ValueError> {
    check_driver_option(name, "")?;
    if let Some((inner, _)) = value.as_table().and_then(|table| table.iter().next()) {
        let whole = key_text(&format!("{name}.{}", inner.get_ref()));
        return Err(ValueError::TableForOption(whole));
    }
    let text = text_of(value)?;
    check_driver_option(name, text)?;
    Ok(text.to_owned())
}

/// `"auto"`, or a list of names; `of` says in errors what they name.
fn names(
    reader: &TomlReader<'_>,
    value: &Spanned<DeValue<'_>>,
    of: &'static str,
) -> Read<NamedTargets> {
    let value = value.get_ref();
    let Some(list) = value.as_array() else {
        return match value.as_str() {
            Some("auto") => Ok(NamedTargets::Auto),
            Some(name) => Err(vec![(None, ValueError::NotAuto(name.to_owned()))]),
            None => Err(vec![(None, ValueError::NotNames { value: what(value), of })]),
        };
    };
    let name = |value: &DeValue<'_>| text_of(value).map(str::to_owned);
    each(reader, list, name).map(NamedTargets::List)
}

fn directories(reader: &TomlReader<'_>, value: &Spanned<DeValue<'_>>) -> Read<Vec<PathBuf>> {
    let value = value.get_ref();
    let list = value.as_array().ok_or_else(|| vec![(None, ValueError::NotPaths(what(value)))])?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for Located { value, .. } in each(reader, list, absolute)? {
        if !paths.contains(&value) {
            paths.push(value);
        }
    }
    Ok(paths)
}

/// Reads every element of a list and gathers all faults.
fn each<T>(
    reader: &TomlReader<'_>,
    list: &[Spanned<DeValue<'_>>],
    read: impl Fn(&DeValue<'_>) -> Result<T, ValueError>,
) -> Read<Vec<Located<T>>> {
    let mut values = Vec::new();
    let mut problems = Vec::new();
    for element in list {
        let origin = reader.origin(element.span().start);
        match read(element.get_ref()) {
            Ok(value) => values.push(Located { value, origin }),
            Err(problem) => problems.push((Some(origin.line), problem)),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}
