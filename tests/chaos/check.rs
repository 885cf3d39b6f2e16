//! What has to be so: soon after each operation, and when all rests.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use crate::scene::{Disk, Scene, Target};
use crate::support::daemon::children_of;
use crate::support::stage::{children, listing};
use crate::support::{INSTANCE, Private};

/// How soon it has to be so, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// How often it is looked at while nothing is told; of the files that the kernel runs, and of what is
/// in the service's mind, nobody tells.
const TICK: u16 = 25;
/// Programs are not started more often than this while one waits.
const BETWEEN_RUNS: Duration = Duration::from_millis(50);

/// What an unfinished replacement goes by.
const SWAP: &str = ".binfmtd-swap";

impl Scene {
    /// Each target's program is to be started with the next check.
    pub(crate) fn see_all(&mut self) {
        for target in &mut self.targets {
            target.to_be_seen = true;
        }
    }

    /// Waits until everything is as it has to be.
    pub(crate) fn settle(&mut self) {
        let begin = Instant::now();
        let mut last_run: Option<Instant> = None;
        loop {
            let over = begin.elapsed() > LIMIT;
            let is_time = last_run.is_none_or(|run| run.elapsed() >= BETWEEN_RUNS);
            let problem = self.problem(&mut |target| {
                if !is_time && !over {
                    return Err("not started yet".to_owned());
                }
                last_run = Some(Instant::now());
                target.runs()
            });
            let Err(problem) = problem else { return self.settled() };
            assert!(!over, "not after {LIMIT:?}: {problem}");
            self.wait();
        }
    }

    /// Until something happens to the instance, or a moment.
    fn wait(&mut self) {
        // A full pipe would stop the service.
        self.daemon().mark();
        let mut watched = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        // EINTR: looked at again.
        let _ = poll(&mut watched, PollTimeout::from(TICK));
        while self.inotify.read_events().is_ok() {}
    }

    /// All rules, newest first, when nobody changes them.
    pub(crate) fn listed() -> Vec<(String, Vec<u8>)> {
        list().expect("an instance that nobody changes")
    }

    /// What is not as it has to be.
    fn problem(
        &mut self,
        run: &mut dyn FnMut(&Target) -> Result<u64, String>,
    ) -> Result<(), String> {
        let listed = list().map_err(|error| format!("changes while it is read: {error}"))?;
        let status = fs::read_to_string(Private::path("status")).unwrap_or_default();
        if status != "enabled\n" {
            return Err(format!("the instance is {status:?}"));
        }
        let by_name: BTreeMap<&str, &[u8]> =
            listed.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
        self.check_others(&listed)?;
        self.check_names(&by_name)?;
        self.check_order(&listed)?;
        for place in 0..self.targets.len() {
            self.check_rule(place, &by_name)?;
        }
        for place in 0..self.targets.len() {
            if self.targets[place].to_be_seen {
                self.check_program(place, &by_name, run)?;
                self.targets[place].to_be_seen = false;
            }
        }
        Ok(())
    }

    /// Rules of others are what they were, in their order.
    fn check_others(&self, listed: &[(String, Vec<u8>)]) -> Result<(), String> {
        let is_other = |it: &&(String, Vec<u8>)| self.others.iter().any(|(name, _)| *name == it.0);
        let now: Vec<_> = listed.iter().rev().filter(is_other).collect();
        if now.iter().copied().eq(&self.others) {
            return Ok(());
        }
        let text = |it: &(String, Vec<u8>)| format!("{}: {}", it.0, String::from_utf8_lossy(&it.1));
        Err(format!(
            "rules of others were:\n{}\nand are:\n{}",
            self.others.iter().map(text).collect::<Vec<_>>().join("\n"),
            now.into_iter().map(text).collect::<Vec<_>>().join("\n")
        ))
    }

    /// Nothing is there that nobody put there.
    fn check_names(&self, by_name: &BTreeMap<&str, &[u8]>) -> Result<(), String> {
        for name in by_name.keys() {
            let is_known = self.others.iter().any(|(other, _)| other == name)
                || self.targets.iter().any(|target| target.rule == *name);
            if name.ends_with(SWAP) {
                let target = self.targets.iter().find(|it| name.starts_with(it.rule.as_str()));
                if target.is_none_or(|target| !target.wanted || target.good().is_some()) {
                    return Err(format!("{name} was left"));
                }
            } else if !is_known && !self.shadows.contains_key(*name) {
                return Err(format!("{name} is nobody's"));
            }
        }
        Ok(())
    }

    /// Ours come before those that would break them; further back these harm nobody.
    fn check_order(&self, listed: &[(String, Vec<u8>)]) -> Result<(), String> {
        let at = |wanted: &str| listed.iter().position(|(name, _)| name == wanted);
        for (name, place) in &self.shadows {
            let target = &self.targets[*place];
            // Without an interpreter there is nothing to put in its place.
            if target.wanted
                && target.good().is_some()
                && at(name).is_some_and(|shadow| at(&target.rule).is_none_or(|own| own > shadow))
            {
                return Err(format!("{name} stands before {}", target.rule));
            }
        }
        Ok(())
    }

    fn check_rule(&mut self, place: usize, by_name: &BTreeMap<&str, &[u8]>) -> Result<(), String> {
        let target = &self.targets[place];
        let rule = &target.rule;
        let found = by_name.get(rule.as_str()).copied();
        if found.is_some_and(|found| target.is_impostor(found)) {
            return match target.good() {
                Some(_) if target.wanted => Err(format!("{rule} is somebody else's")),
                _ => Ok(()),
            };
        }
        let Some(found) = found else {
            let unfinished = |name: &&&str| name.starts_with(rule.as_str()) && name.ends_with(SWAP);
            let is_there = by_name.keys().any(|name| unfinished(&name));
            return match target.disk {
                _ if !target.wanted => Ok(()),
                Disk::Good(_) => Err(format!("there is no {rule}")),
                _ if target.may_be_gone || is_there => Ok(()),
                _ => Err(format!("{rule} is gone, with a file that cannot be had again")),
            };
        };
        if !target.wanted {
            return Err(format!("{rule} is not asked for"));
        }
        if target.good().is_none() && target.pins.is_empty() {
            return Err(format!("{rule} came back without a file that works"));
        }
        let text = String::from_utf8_lossy(found);
        let is_ours = if let Some(known) = self.content.get(rule) {
            found == *known
        } else {
            let path = format!("interpreter {}\n", self.interpreter(place).display());
            text.starts_with("enabled\n") && text.contains(&path) && text.contains("flags: POF\n")
        };
        if !is_ours {
            return Err(format!("{rule} says {text}"));
        }
        if !self.content.contains_key(rule) {
            self.content.insert(rule.clone(), found.to_vec());
        }
        Ok(())
    }

    /// Which file the kernel runs.
    fn check_program(
        &self,
        place: usize,
        by_name: &BTreeMap<&str, &[u8]>,
        run: &mut dyn FnMut(&Target) -> Result<u64, String>,
    ) -> Result<(), String> {
        let target = &self.targets[place];
        let name = target.name;
        // If it is, for want of a file, there is nothing to be said.
        let is_shadowed = target.good().is_none()
            && by_name.keys().any(|name| self.shadows.get(*name).is_some_and(|it| *it == place));
        let found = by_name.get(target.rule.as_str()).copied();
        let is_served = found.is_some_and(|found| !target.is_impostor(found)) && !is_shadowed;
        if !target.wanted || !is_served {
            return Ok(());
        }
        let runs = run(target).map_err(|why| format!("{name} does not run: {why}"))?;
        match target.good() {
            Some(good) if runs == good => Ok(()),
            Some(good) => Err(format!("{name} is run by inode {runs}, not {good}")),
            None if target.pins.contains(&runs) => Ok(()),
            None => Err(format!("{name} is run by inode {runs}, not one of {:?}", target.pins)),
        }
    }

    /// From here on only this is possible, whatever the service is doing.
    fn settled(&mut self) {
        for target in &mut self.targets {
            if let (true, Some(good)) = (target.wanted, target.good()) {
                target.pins = [good].into();
                // What was asked for before may still be on its way.
                target.may_be_gone = target.is_restless;
                target.impostor = None;
            }
        }
    }

    /// Leaves it alone until it has nothing more to do, and looks at all that it says and did.
    pub(crate) fn rest(&mut self) {
        let begin = Instant::now();
        loop {
            self.settle();
            let Err(problem) = self.unrest() else { break };
            assert!(begin.elapsed() < LIMIT, "no rest after {LIMIT:?}: {problem}");
            self.wait();
        }
        for target in &mut self.targets {
            target.is_restless = false;
            target.is_beyond_repair = target.good().is_none();
            if !target.wanted {
                target.pins = target.good().into_iter().collect();
                target.may_be_gone = true;
            }
        }
    }

    /// What the service still has to do, or to tell.
    fn unrest(&mut self) -> Result<(), String> {
        let daemon = self.daemon();
        daemon.mark();
        let (pid, state) = (daemon.pid(), daemon.find_state());
        let state = state.filter(|state| state["pid"] == pid).ok_or("it has not begun")?;
        let kin = children_of(pid);
        let [helper] = kin[..] else { return Err(format!("its children: {kin:?}")) };
        let workers = children_of(helper);
        if !workers.is_empty() {
            return Err(format!("workers: {workers:?}"));
        }
        let ours = children();
        if ours.len() != 1 {
            return Err(format!("processes: {ours:?}"));
        }
        let left = listing(&self.stage.path("scratch"));
        if !left.is_empty() {
            return Err(format!("files: {left:?}"));
        }
        if !state["trouble"].is_null() || !state["paused-until"].is_null() {
            return Err(format!("trouble: {state:#}"));
        }
        let rules = state["rules"].as_array().map_or(&[][..], Vec::as_slice);
        let there = list().map_err(|error| error.to_string())?;
        for target in &self.targets {
            let told = rules.iter().find(|rule| rule["target"] == target.name);
            self.check_told(target, told, &there)?;
        }
        Ok(())
    }

    /// Whether the state file says of a target what is so.
    fn check_told(
        &self,
        target: &Target,
        told: Option<&Value>,
        there: &[(String, Vec<u8>)],
    ) -> Result<(), String> {
        let Some(told) = told else {
            return if target.wanted { Err(format!("no word of {}", target.name)) } else { Ok(()) };
        };
        if !target.wanted {
            return Err(format!("it still has {}", target.name));
        }
        let serves = told["ours"] == true && told["by"] == target.rule;
        let found = there.iter().find(|(name, _)| *name == target.rule);
        let is_there = found.is_some_and(|it| Some(&it.1) == self.content.get(&target.rule));
        let is_so = match target.disk {
            Disk::Good(inode) => {
                told["condition"] == "working" && serves && told["file"]["inode"] == inode
            }
            // A file that vanished is no fault as long as the old one goes on.
            Disk::Missing if is_there && told["condition"] == "working" => {
                serves && told["why"].is_string()
            }
            Disk::Missing | Disk::Faulty => {
                told["condition"] == "degraded" && told["why"].is_string()
            }
        };
        if is_so { Ok(()) } else { Err(format!("it says of {}: {told:#}", target.name)) }
    }
}

/// The names of all rules, newest first, and what they say.
fn list() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(INSTANCE)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !matches!(name.as_str(), "register" | "status") {
            let content = fs::read(Private::path(&name))?;
            all.push((name, content));
        }
    }
    Ok(all)
}
