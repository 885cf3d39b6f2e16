//! The service, with all emulators of QEMU 7.2: how fast it heals, and what it costs while it does and while
//! nothing happens.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::Value;

use crate::support::daemon::{children_of, status_of};
use crate::support::stage::Qemu;
use crate::support::{INSTANCE, Private};
use crate::table::{Figure, Goal, Measured, Unit};
use crate::{BINFMTD, Setting, program};

/// More than anything here takes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// More than the time after which all that was put back is proved, and looked at thoroughly.
const PROOF: Duration = Duration::from_secs(5);
/// How often each is started, flushed and healed, for one start of the other programs.
const FLUSHES: usize = 5;
const HEALS: usize = 50;

type Entries = BTreeMap<String, String>;

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let place = Place::prepare(setting.private.folder())?;
    let mut figures = vec![start(setting, &place)?];
    place.reset()?;
    let service = Service::start(&place)?;
    service.wait_ready()?;
    service.wait_rest()?;
    let rules = entries()?;
    figures.extend(rest(setting, &service)?);
    let before = service.cost()?;
    figures.extend(flushes(setting, &rules)?);
    let healed = service.cost()?;
    figures.push(Figure {
        what: format!("processor time of 1,000 such heals of {} rules", rules.len()),
        unit: Unit::Seconds,
        ours: exact(healed.since(&before) * 1e3 / of(setting.runs * FLUSHES)),
        peer: None,
        goal: Goal::None,
    });
    service.wait_rest()?;
    figures.extend(heals(setting, &service, &rules)?);
    if entries()? != rules {
        return Err("the rules are not what they were".to_owned());
    }
    service.stop()?;
    Ok(figures)
}

/// From its start, in an empty instance, until it says that all is ready.
fn start(setting: &Setting, place: &Place) -> Result<Figure, String> {
    let mut times = Vec::new();
    let mut rules = 0;
    for _ in 0..setting.runs.div_ceil(20) {
        place.reset()?;
        let service = Service::start(place)?;
        times.push(service.wait_ready()?.as_secs_f64() * 1e3);
        rules = entries()?.len();
        service.stop()?;
    }
    times.sort_by(f64::total_cmp);
    Ok(Figure {
        what: format!("service: from its start to READY, {rules} rules"),
        unit: Unit::Milliseconds,
        ours: Measured {
            median: at(&times, 0.5),
            quartiles: Some((at(&times, 0.25), at(&times, 0.75))),
        },
        peer: None,
        goal: Goal::None,
    })
}

fn rest(setting: &Setting, service: &Service) -> Result<[Figure; 3], String> {
    let processes = service.processes()?;
    let waits = || processes.map(|pid| number(&status_of(pid, "voluntary_ctxt_switches")));
    let before = waits();
    sleep(setting.rest);
    let wakeups: u64 = waits().iter().zip(before).map(|(now, before)| now - before).sum();
    let mut shared = 0;
    for pid in processes {
        shared += proportional(pid)?;
    }
    let figure = |what: String, unit, value, goal| Figure {
        what,
        unit,
        ours: exact(value),
        peer: None,
        goal,
    };
    Ok([
        figure(
            format!("at rest for {} s: wakeups of both processes", setting.rest.as_secs()),
            Unit::Count,
            of_u64(wakeups),
            Goal::AtMost(0.0),
        ),
        figure(
            "its memory: resident, of the loop".to_owned(),
            Unit::Mebibytes,
            of_u64(resident(processes[0])) / 1024.0,
            Goal::AtMost(4.0),
        ),
        figure(
            "and of both, what they share counted once".to_owned(),
            Unit::Mebibytes,
            of_u64(shared) / 1024.0,
            Goal::AtMost(4.0),
        ),
    ])
}

/// From the moment at which `-1` was written to `status` until all rules are there again, as a process sees it
/// that waits for the kernel to tell of them.
fn flushes(setting: &Setting, rules: &Entries) -> Result<[Figure; 3], String> {
    let watch = Watch::new()?;
    let runs = setting.runs * FLUSHES;
    let mut times = Vec::with_capacity(runs);
    for run in 0..runs {
        // Neither in step with it, nor before it has seen that all is well.
        sleep(Duration::from_micros(5_000 + 730 * (run as u64 % 13)));
        Private::flush().map_err(|error| format!("flush: {error}"))?;
        let begin = Instant::now();
        watch.until(|| count() == rules.len())?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        if entries()? != *rules {
            return Err("the rules are not what they were".to_owned());
        }
    }
    times.sort_by(f64::total_cmp);
    let figure = |what: String, value, goal| Figure {
        what,
        unit: Unit::Milliseconds,
        ours: exact(value),
        peer: None,
        goal,
    };
    Ok([
        figure(
            format!("heal after a flush of {} rules: half of {runs} in", rules.len()),
            at(&times, 0.5),
            Goal::None,
        ),
        figure("99 of 100 in".to_owned(), at(&times, 0.99), Goal::AtMost(5.0)),
        figure("the slowest".to_owned(), at(&times, 1.0), Goal::None),
    ])
}

/// One rule after the other is removed: what is left of so many heals.
fn heals(setting: &Setting, service: &Service, rules: &Entries) -> Result<[Figure; 3], String> {
    let watch = Watch::new()?;
    let runs = setting.runs * HEALS;
    let names: Vec<PathBuf> = rules.keys().map(|name| Private::path(name)).collect();
    let before = service.cost()?;
    for path in names.iter().cycle().take(runs) {
        fs::write(path, "-1").map_err(|error| format!("{}: {error}", path.display()))?;
        watch.until(|| path.exists())?;
    }
    let healed = service.cost()?;
    service.wait_rest()?;
    let after = service.cost()?;
    let figure = |what: String, unit, value, goal| Figure {
        what,
        unit,
        ours: exact(value),
        peer: None,
        goal,
    };
    let more = |now: u64, then: u64| of_u64(now) - of_u64(then);
    Ok([
        figure(
            format!("{runs} heals of one rule: memory more than before"),
            Unit::Kibibytes,
            more(after.resident, before.resident),
            Goal::None,
        ),
        figure(
            "descriptors more than before".to_owned(),
            Unit::Count,
            more(after.descriptors, before.descriptors),
            Goal::AtMost(0.0),
        ),
        figure(
            "processor time of 1,000 of them".to_owned(),
            Unit::Seconds,
            healed.since(&before) * 1e3 / of(runs),
            Goal::None,
        ),
    ])
}

/// Its configuration, and a folder that stands in for `/run/binfmtd`.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn prepare(folder: &Path) -> Result<Self, String> {
        let qemu = Qemu::release("7.2").map_err(|why| format!("QEMU 7.2: {why}"))?;
        let text = format!(
            "interpreter-directories = [\"{}\"]\n[daemon]\npause-after = 1000000\n",
            qemu.folder.display()
        );
        let place = Self { folder: folder.join("service") };
        fs::create_dir(&place.folder).map_err(sentence)?;
        fs::write(place.config(), text).map_err(sentence)?;
        fs::create_dir(place.runtime()).map_err(sentence)?;
        Ok(place)
    }

    fn config(&self) -> PathBuf {
        self.folder.join("binfmtd.toml")
    }

    fn runtime(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// As on a machine that just booted: no rule, no record.
    fn reset(&self) -> Result<(), String> {
        Private::flush().map_err(sentence)?;
        fs::remove_dir_all(self.runtime()).map_err(sentence)?;
        fs::create_dir(self.runtime()).map_err(sentence)
    }
}

/// It, running; killed when dropped.
struct Service {
    child: Child,
    begun: Instant,
    socket: UnixDatagram,
    runtime: PathBuf,
}

impl Service {
    fn start(place: &Place) -> Result<Self, String> {
        let address = place.folder.join("manager");
        let _ = fs::remove_file(&address);
        let socket = UnixDatagram::bind(&address).map_err(sentence)?;
        socket.set_read_timeout(Some(LIMIT)).map_err(sentence)?;
        let begun = Instant::now();
        // It must not outlive us.
        let child = program("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(BINFMTD.as_path())
            .arg("--config")
            .arg(place.config())
            .arg("daemon")
            .env("BINFMTD_RUNTIME_DIRECTORY", place.runtime())
            .env("NOTIFY_SOCKET", &address)
            .env_remove("WATCHDOG_USEC")
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("setpriv (util-linux): {error}"))?;
        Ok(Self { child, begun, socket, runtime: place.runtime() })
    }

    /// How long it took from the start.
    fn wait_ready(&self) -> Result<Duration, String> {
        let mut buffer = [0; 8192];
        while self.begun.elapsed() < LIMIT {
            let length = self.socket.recv(&mut buffer).map_err(sentence)?;
            let text = String::from_utf8_lossy(&buffer[..length]);
            if text.lines().any(|line| line == "READY=1") {
                return Ok(self.begun.elapsed());
            }
        }
        Err("the service is not ready".to_owned())
    }

    /// Waits until it has proved all, knows each interpreter, and has nothing to do any more.
    fn wait_rest(&self) -> Result<(), String> {
        let begin = Instant::now();
        sleep(PROOF);
        while begin.elapsed() < LIMIT {
            let state = fs::read(self.runtime.join("state.json")).map_err(sentence)?;
            let state: Value = serde_json::from_slice(&state).map_err(|error| error.to_string())?;
            let rules = state["rules"].as_array().map_or(&[][..], Vec::as_slice);
            let is_known = rules.iter().all(|rule| rule["version"].is_string());
            if is_known && children_of(self.processes()?[1]).is_empty() {
                sleep(Duration::from_secs(1));
                return Ok(());
            }
            sleep(Duration::from_millis(100));
        }
        Err("the service comes to no rest".to_owned())
    }

    /// Loop and helper.
    fn processes(&self) -> Result<[u32; 2], String> {
        let pid = self.child.id();
        let helper = children_of(pid).first().copied();
        Ok([pid, helper.ok_or("the service has no helper")?])
    }

    fn cost(&self) -> Result<Cost, String> {
        let processes = self.processes()?;
        let mut cost = Cost { processor: 0.0, resident: 0, descriptors: 0 };
        for pid in processes {
            cost.processor += processor(pid)?;
            cost.resident += resident(pid);
            cost.descriptors +=
                fs::read_dir(format!("/proc/{pid}/fd")).map_err(sentence)?.count() as u64;
        }
        Ok(cost)
    }

    fn stop(mut self) -> Result<(), String> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGTERM).map_err(|errno| errno.to_string())?;
        let status = self.child.wait().map_err(sentence)?;
        if status.success() { Ok(()) } else { Err(format!("the service ended with {status}")) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What both processes took so far.
struct Cost {
    /// In seconds.
    processor: f64,
    /// In KiB.
    resident: u64,
    descriptors: u64,
}

impl Cost {
    fn since(&self, then: &Self) -> f64 {
        self.processor - then.processor
    }
}

/// Processor time of a process and of the children that it waited for, in seconds (`proc_pid_stat(5)`).
fn processor(pid: u32) -> Result<f64, String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(sentence)?;
    // The name may have spaces; what follows begins with the third field.
    let rest = stat.rsplit_once(')').map_or("", |it| it.1);
    let ticks: u64 = rest.split_whitespace().skip(11).take(4).map(number).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Ok(of_u64(ticks) / of_u64(per_second.cast_unsigned()))
}

/// In KiB.
fn resident(pid: u32) -> u64 {
    number(status_of(pid, "VmRSS").trim_end_matches("kB"))
}

/// Memory, of which what is shared counts in part, in KiB.
fn proportional(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    Ok(number(line.ok_or("no Pss")?.trim_end_matches("kB")))
}

/// Hears of every change of the instance.
struct Watch(Inotify);

impl Watch {
    fn new() -> Result<Self, String> {
        let told = |errno: nix::Error| format!("inotify: {errno}");
        let inotify =
            Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(told)?;
        let events = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE;
        inotify.add_watch(INSTANCE, events).map_err(told)?;
        Ok(Self(inotify))
    }

    /// Looks whenever something changed.
    fn until(&self, is_so: impl Fn() -> bool) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            while self.0.read_events().is_ok() {}
            if is_so() {
                return Ok(());
            }
            if begin.elapsed() > LIMIT {
                return Err(format!("not healed after {LIMIT:?}"));
            }
            let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            // EINTR: looked at again.
            let _ = poll(&mut watched, PollTimeout::from(1000u16));
        }
    }
}

/// How many rules there are.
fn count() -> usize {
    // `register` and `status` are none.
    fs::read_dir(INSTANCE).map_or(0, |folder| folder.count().saturating_sub(2))
}

fn entries() -> Result<Entries, String> {
    let mut entries = Entries::new();
    for entry in fs::read_dir(INSTANCE).map_err(sentence)? {
        let name = entry.map_err(sentence)?.file_name().to_string_lossy().into_owned();
        if name != "register" && name != "status" {
            let content = fs::read_to_string(Private::path(&name)).map_err(sentence)?;
            entries.insert(name, content);
        }
    }
    Ok(entries)
}

/// The value below which this part of the sorted ones lies.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a small number"
)]
fn at(sorted: &[f64], part: f64) -> f64 {
    let place = (of(sorted.len()) * part).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn exact(value: f64) -> Measured {
    Measured { median: value, quartiles: None }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn of(count: usize) -> f64 {
    of_u64(count as u64)
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn of_u64(count: u64) -> f64 {
    count as f64
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn sentence(error: io::Error) -> String {
    error.to_string()
}
