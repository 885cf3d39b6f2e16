//! Foreign programs that fail to start while their rule is replaced, again and again: by us, and by who removes the old rule
//! and adds the new one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::bare;
use crate::register::{Place, sentence};
use crate::support::Private;
use crate::support::stage::Qemu;
use crate::table::{Figure, Goal, Measured, Peer, Unit};
use crate::{Setting, program};

/// For one start of the other programs.
const SWAPS: usize = 50;
const TARGET: &str = "aarch64";

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let folder = setting.private.folder().join("swap");
    let place = Place::prepare(&folder)?;
    place.reset()?;
    // The same emulator at two places.
    let qemu = Qemu::release("7.2").map_err(|why| format!("QEMU 7.2: {why}"))?;
    let name = format!("qemu-{TARGET}-static");
    let configurations = ["one", "two"].map(|side| {
        let side = folder.join(side);
        fs::create_dir_all(&side)?;
        fs::copy(qemu.folder.join(&name), side.join(&name))?;
        let file = side.join("binfmtd.toml");
        let text = format!(
            "targets = [\"{TARGET}\"]\ninterpreter-directories = [\"{}\"]\n",
            side.display()
        );
        fs::write(&file, text)?;
        Ok(file)
    });
    let configurations = configurations.into_iter().collect::<Result<Vec<PathBuf>, _>>();
    let configurations = configurations.map_err(sentence)?;
    let probe = bare::write_probes(&folder.join("bare"), &[TARGET])?.remove(0);

    let register = |file: &Path| {
        let mut command = program(crate::BINFMTD.as_path());
        command.arg("--config").arg(file).args(["register", "--no-verify"]);
        command.env("BINFMTD_RUNTIME_DIRECTORY", place.runtime());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status().map_err(sentence)?;
        if status.success() { Ok(()) } else { Err(format!("register ended with {status}")) }
    };
    let swaps = setting.runs * SWAPS;
    let rule = format!("qemu-{TARGET}");
    let mut entries = Vec::new();
    for file in &configurations {
        register(file)?;
        entries.push(register_string(&rule)?);
    }
    let begin = Instant::now();
    let ours =
        under_load(&probe, || (0..swaps).try_for_each(|swap| register(&configurations[swap % 2])))?;
    let each = begin.elapsed() / u32::try_from(swaps).unwrap_or(u32::MAX);
    let theirs = under_load(&probe, || {
        (0..swaps).try_for_each(|swap| {
            let begin = Instant::now();
            Private::tell(&rule, "-1").map_err(sentence)?;
            setting.private.register(entries[swap % 2].as_bytes()).map_err(sentence)?;
            // As often as ours, not as fast as it goes.
            std::thread::sleep(each.saturating_sub(begin.elapsed()));
            Ok(())
        })
    })?;
    place.reset()?;
    let exact = |failed: u32| Measured { median: f64::from(failed), quartiles: None };
    Ok(vec![Figure {
        what: format!("{swaps} swaps: failed foreign execs of {}", ours.execs),
        unit: Unit::Count,
        ours: exact(ours.failed),
        peer: Some(Peer {
            name: format!("delete, then add; of {}", theirs.execs),
            measured: Ok(exact(theirs.failed)),
        }),
        goal: Goal::AtMost(0.0),
    }])
}

/// The rule as one would write it to `register`.
fn register_string(rule: &str) -> Result<String, String> {
    let text = fs::read_to_string(Private::path(rule)).map_err(sentence)?;
    let said = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| value.trim().to_owned()).ok_or_else(|| format!("{rule} has no {key}"))
    };
    let bytes = |hex: String| {
        let pairs = hex.as_bytes().chunks(2).map(String::from_utf8_lossy);
        pairs.flat_map(|pair| ["\\x".into(), pair]).collect::<String>()
    };
    let (magic, mask) = (bytes(said("magic ")?), bytes(said("mask ")?));
    let (interpreter, flags) = (said("interpreter ")?, said("flags:")?);
    Ok(format!(":{rule}:M::{magic}:{mask}:{interpreter}:{flags}"))
}

struct Load {
    execs: u32,
    failed: u32,
}

/// Starts foreign programs, one after the other, while `work` is done.
fn under_load(probe: &Path, work: impl FnOnce() -> Result<(), String>) -> Result<Load, String> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut load = Load { execs: 0, failed: 0 };
            while !over.load(Ordering::Relaxed) {
                load.execs += 1;
                // What it gets for its nonce, and no byte: it runs, and ends.
                let mut child = Command::new(probe);
                child.arg("nonce").env_clear().stdin(Stdio::null()).stdout(Stdio::null());
                load.failed += u32::from(child.status().is_err());
            }
            load
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        let load = load.join().map_err(|_| "the load".to_owned())?;
        done.map(|()| load)
    })
}
