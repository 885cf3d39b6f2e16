//! An instance of `binfmt_misc` that behaves as the kernel does, and fails when it is told to.
//!
//! A unit test and a test against the real kernel read this file, so its paths begin with the library's name.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use crate::apply::Registry;
use crate::observation::InstanceFacts;
use crate::rule::{Entry, ObservedFlags, Rule};
use crate::system::binfmt_misc::instance::Refused;

/// A handle; its clones are of the same instance.
#[derive(Clone, Default)]
pub(crate) struct FakeKernel(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    disabled: bool,
    /// Newest first.
    entries: Vec<Entry>,
    /// Interpreters that there are.
    files: BTreeSet<PathBuf>,
    /// Writes that fail from now on, as in the journal.
    failing: BTreeSet<String>,
    journal: Vec<String>,
}

impl FakeKernel {
    /// With these interpreters on the disk.
    pub(crate) fn with(files: &[&str]) -> Self {
        let kernel = Self::default();
        kernel.0.borrow_mut().files = files.iter().map(PathBuf::from).collect();
        kernel
    }

    /// What somebody else writes to an entry, or to `status`: `0`, `1` or `-1`.
    pub(crate) fn tell(&self, name: &str, word: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        match (name, word) {
            ("status", "0") => state.disabled = true,
            ("status", "1") => state.disabled = false,
            ("status", "-1") => state.entries.clear(),
            (name, word) => return state.tell(OsStr::new(name), word),
        }
        Ok(())
    }

    /// A rule that somebody else registers.
    pub(crate) fn plant(&self, rule: &Rule) -> Result<(), Refused> {
        self.0.borrow_mut().register(rule)
    }

    /// Whatever was written through [`Registry`], in order, refused or not: `add NAME`, `remove NAME`,
    /// `enable NAME`, `enable all`; with what others noted in between.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.0.borrow().journal.clone()
    }

    pub(crate) fn note(&self, line: &str) {
        self.0.borrow_mut().journal.push(line.to_owned());
    }

    /// Lets a write fail (EIO), named as in the journal.
    pub(crate) fn fail(&self, write: &str) {
        self.0.borrow_mut().failing.insert(write.to_owned());
    }

    fn write(&self, line: String) -> io::Result<std::cell::RefMut<'_, State>> {
        let mut state = self.0.borrow_mut();
        let fails = state.failing.contains(&line);
        state.journal.push(line);
        if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(state) }
    }
}

impl State {
    fn tell(&mut self, name: &OsStr, word: &str) -> io::Result<()> {
        // ENOENT from opening it.
        let place = self.entries.iter().position(|entry| entry.name == name);
        let place = place.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        match word {
            "0" => self.entries[place].enabled = false,
            "1" => self.entries[place].enabled = true,
            "-1" => drop(self.entries.remove(place)),
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
        Ok(())
    }

    fn register(&mut self, rule: &Rule) -> Result<(), Refused> {
        // With F the kernel opens the interpreter before it looks for the name.
        if rule.flags().fix_binary && !self.files.contains(rule.interpreter().as_path()) {
            return Err(Refused::NoInterpreter);
        }
        if self.entries.iter().any(|entry| entry.name == rule.name().as_str()) {
            return Err(Refused::Exists);
        }
        let entry = Entry {
            name: rule.name().as_str().into(),
            enabled: true,
            interpreter: rule.interpreter().as_path().to_owned(),
            flags: ObservedFlags { known: rule.flags(), unknown: String::new() },
            matcher: rule.matcher().clone(),
            unknown: Vec::new(),
        };
        self.entries.insert(0, entry);
        Ok(())
    }
}

impl Registry for FakeKernel {
    fn open(&mut self) -> io::Result<()> {
        if self.0.borrow().failing.contains("open") {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        Ok(())
    }

    fn look(&self) -> io::Result<InstanceFacts> {
        let state = self.0.borrow();
        Ok(InstanceFacts {
            device: 1,
            enabled: !state.disabled,
            writable: true,
            entries: state.entries.clone(),
            unreadable: Vec::new(),
        })
    }

    fn register(&mut self, rule: &Rule) -> Result<(), Refused> {
        let state = self.write(format!("add {}", rule.name()));
        state.map_err(|error| Refused::Other(error.to_string()))?.register(rule)
    }

    fn remove(&mut self, name: &OsStr) -> io::Result<()> {
        self.write(format!("remove {}", name.display()))?.tell(name, "-1")
    }

    fn enable(&mut self, name: &OsStr) -> io::Result<()> {
        self.write(format!("enable {}", name.display()))?.tell(name, "1")
    }

    fn enable_all(&mut self) -> io::Result<()> {
        self.write("enable all".to_owned())?.disabled = false;
        Ok(())
    }
}
