//! One boot of one kernel under `qemu-system-x86_64`, and what its steps said.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::stage::{fetched, has_ended};

/// Far more than a boot and all steps take on two cores.
const LIMIT: Duration = Duration::from_secs(180);

/// Debian's cloud kernel of a suite, as `tests/setup/kernel` fetched it.
pub(crate) struct Kernel {
    pub(crate) suite: &'static str,
    pub(crate) folder: PathBuf,
    /// What `uname -r` says.
    pub(crate) release: String,
}

impl Kernel {
    pub(crate) fn fetch(suite: &'static str) -> Result<Self, String> {
        let folder = fetched("kernel", &[suite])?;
        let release = fs::read_to_string(folder.join("release"))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { suite, folder, release: release.trim().to_owned() })
    }
}

/// What one step of the guest's scenarios came to.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    /// Seconds since the kernel began.
    pub(crate) time: f64,
}

impl Step {
    /// The document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The document, when it ended with `code`.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{self:#?}");
        self.json()
    }

    /// Asserts the code and every part of the sentence of an error document.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        let document = self.ended(code);
        assert_eq!(document["error"]["exit"], code, "{document:#}");
        crate::support::stage::says(&document["error"]["message"], parts);
    }

    /// Its words.
    pub(crate) fn words(&self) -> Vec<&str> {
        self.out.split_whitespace().collect()
    }
}

/// What a machine said until it ended.
pub(crate) struct Report {
    pub(crate) kernel: Kernel,
    steps: BTreeMap<String, Step>,
    /// From the start of QEMU to its end.
    pub(crate) time: Duration,
}

impl Report {
    #[track_caller]
    pub(crate) fn step(&self, name: &str) -> &Step {
        self.steps.get(name).unwrap_or_else(|| panic!("no step {name}"))
    }

    /// Whether a step succeeded.
    #[track_caller]
    pub(crate) fn is_well(&self, name: &str) -> bool {
        self.step(name).code == 0
    }

    /// Whether a user namespace could mount an instance of its own.
    #[track_caller]
    pub(crate) fn has_private_instances(&self) -> bool {
        self.is_well("private-mount")
    }

    /// Whether an interpreter hears of the flag `P` (`AT_FLAGS_PRESERVE_ARGV0`).
    #[track_caller]
    pub(crate) fn tells_of_p(&self) -> bool {
        self.step("arguments").words()[1..] == ["another", "first"]
    }

    /// Whether a rule was still there after the last mount had gone.
    #[track_caller]
    pub(crate) fn rules_outlive_mounts(&self) -> bool {
        self.step("last-rules").words().contains(&"one")
    }
}

/// The doctor's finding of a check, for the host or for a target.
#[track_caller]
pub(crate) fn finding<'a>(document: &'a Value, id: &str, target: Option<&str>) -> &'a Value {
    let checks = document["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["id"] == id && check["target"].as_str() == target);
    found.unwrap_or_else(|| panic!("no {id} for {target:?}: {document:#}"))
}

/// Ends with whoever holds it, however that ends: a panic drops it, and `setpriv` has the kernel end
/// it with the thread that started it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots `kernel` with `initramfs` and some words more on its command line; its two serial lines go to
/// files in `scratch`.
pub(crate) fn boot(
    kernel: Kernel,
    initramfs: &Path,
    scratch: &Path,
    words: &str,
) -> Result<Report, String> {
    let console = scratch.join(format!("{}.console", kernel.suite));
    let results = scratch.join(format!("{}.results", kernel.suite));
    let messages = scratch.join(format!("{}.qemu", kernel.suite));
    let log = File::create(&messages).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    let mut machine = Running(
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-accel", "tcg", "-m", "512", "-smp", "1", "-nodefaults", "-nic", "none"])
            // Without cmpxchg16b: after one, under QEMU 7.2, a dozen boots had one kernel die of garbage in EFLAGS.
            .args(["-cpu", "qemu64,-cx16", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(kernel.folder.join("vmlinuz"))
            .arg("-initrd")
            .arg(initramfs)
            // A panic ends the machine as well: it reboots, which QEMU was told not to do.
            .args(["-append", &format!("console=ttyS0 quiet panic=-1 rdinit=/init {words}")])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-serial")
            .arg(format!("file:{}", results.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("setpriv: {error}"))?,
    );
    while !has_ended(&mut machine.0) {
        if begin.elapsed() > LIMIT {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let time = begin.elapsed();
    drop(machine);
    let text = fs::read(&results).unwrap_or_default();
    let steps = parse(&String::from_utf8_lossy(&text))?;
    if !steps.contains_key("over") {
        let tail = |path: &Path| {
            let text = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(30)..].join("\n")
        };
        return Err(format!(
            "Linux {} did not come to the end in {time:.1?}; after {:?}; the console:\n{}\n{}",
            kernel.release,
            steps.keys().last(),
            tail(&console),
            tail(&messages),
        ));
    }
    Ok(Report { kernel, steps, time })
}

/// `step NAME CODE SECONDS`, lines of `out` and `err`, `end`: as `guest/init` writes them.
fn parse(text: &str) -> Result<BTreeMap<String, Step>, String> {
    let mut steps = BTreeMap::new();
    let mut current: Option<(String, Step)> = None;
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (kind, &mut current) {
            ("step", None) => {
                let mut words = rest.split(' ');
                let mut word = || words.next().ok_or_else(|| format!("half a step: {line}"));
                let name = word()?.to_owned();
                let code = word()?.parse().map_err(|_| format!("no code: {line}"))?;
                let time = word()?.parse().map_err(|_| format!("no time: {line}"))?;
                current = Some((name, Step { code, time, ..Step::default() }));
            }
            ("out", Some((_, step))) => step.out.extend([rest, "\n"]),
            ("err", Some((_, step))) => step.err.extend([rest, "\n"]),
            ("end", Some(_)) => {
                if let Some((name, step)) = current.take()
                    && steps.insert(name.clone(), step).is_some()
                {
                    return Err(format!("two steps of the name {name}"));
                }
            }
            _ => return Err(format!("a line that no step writes: {line}")),
        }
    }
    Ok(steps)
}
