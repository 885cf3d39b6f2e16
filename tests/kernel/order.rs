//! The order of entries, which nothing but the folder tells, and the switch of the whole instance.

use std::fs;

use binfmtd::testing::rule::parse_register;

use crate::support::{INSTANCE, Private};
use crate::{Outcome, Setting};

/// The names of all entries, as the kernel lists them.
pub(crate) fn listed() -> Result<Vec<String>, String> {
    let folder = fs::read_dir(INSTANCE).map_err(|error| format!("read {INSTANCE}: {error}"))?;
    let names = folder.map(|entry| {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        name.into_string().map_err(|name| format!("{} is no text", name.display()))
    });
    let names = names.filter(|name| !matches!(name.as_deref(), Ok("register" | "status")));
    names.collect()
}

fn expect(what: &str, wanted: &[&str]) -> Result<(), String> {
    let names = listed()?;
    if names == wanted {
        Ok(())
    } else {
        Err(format!("{what}: listed as {names:?}, not {wanted:?}"))
    }
}

/// The rules' own order is not to be seen; the folder's has the same beginning, and must stay so
/// whatever is done to entries, or `status` and `which` would be wrong about who wins.
pub(crate) fn newest_first(setting: &mut Setting) -> Outcome {
    let add = |name: &str| {
        let string = format!(":{name}:M:9:AB::/usr/bin/{name}:");
        parse_register(string.as_bytes()).map_err(|error| error.to_string())?;
        setting
            .private
            .register(string.as_bytes())
            .map_err(|error| format!("register {name}: {error}"))
    };
    let tell = |name: &str, word: &str| {
        Private::tell(name, word).map_err(|error| format!("{name}: {error}"))
    };
    for name in ["a1", "b1", "c1"] {
        add(name)?;
    }
    expect("three", &["c1", "b1", "a1"])?;
    tell("b1", "0")?;
    tell("a1", "1")?;
    tell("b1", "1")?;
    expect("switched off and on", &["c1", "b1", "a1"])?;
    // A look for a name that is not there must not keep a place for it.
    assert!(fs::metadata(Private::path("e1")).is_err());
    let open = fs::File::open(Private::path("b1")).map_err(|error| error.to_string())?;
    add("d1")?;
    add("e1")?;
    expect("looked for before", &["e1", "d1", "c1", "b1", "a1"])?;
    tell("b1", "-1")?;
    expect("removed", &["e1", "d1", "c1", "a1"])?;
    add("b1")?;
    expect("added again while the old one is open", &["b1", "e1", "d1", "c1", "a1"])?;
    drop(open);
    if add("a1").is_ok() {
        return Err("the kernel took a name twice".to_owned());
    }
    expect("refused", &["b1", "e1", "d1", "c1", "a1"])?;
    Ok("5 entries, 7 steps".to_owned())
}

/// `0` in `status` stops all rules and keeps them.
pub(crate) fn disabled_instance(setting: &mut Setting) -> Outcome {
    let path = setting.private.folder().join("all-off");
    fs::write(&path, "AB").map_err(|error| error.to_string())?;
    let mut permissions = fs::metadata(&path).map_err(|error| error.to_string())?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&path, permissions).map_err(|error| error.to_string())?;
    let string = format!(":all:M::AB::{}/absent:", setting.private.folder().display());
    setting.private.register(string.as_bytes()).map_err(|error| error.to_string())?;
    let start = || std::process::Command::new(&path).status().map_err(|error| error.kind());
    let on = start();
    Private::tell("status", "0").map_err(|error| error.to_string())?;
    let off = start();
    let entry = fs::read_to_string(Private::path("all")).map_err(|error| error.to_string())?;
    Private::tell("status", "1").map_err(|error| error.to_string())?;
    // The interpreter is not there: only a rule that was picked can say so.
    if on != Err(std::io::ErrorKind::NotFound)
        || off == on
        || off.is_ok()
        || !entry.starts_with("enabled\n")
    {
        return Err(format!("on {on:?}, off {off:?}, entry {entry:?}"));
    }
    Ok("1 rule".to_owned())
}
