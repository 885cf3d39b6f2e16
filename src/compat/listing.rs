//! The listing on standard output: which programs run, and which rules there are.

use std::io::{self, Write as _};

use super::binfmt::Binfmt;
use super::output::Worst;
use crate::failure::Failure;
use crate::observe;
use crate::probe::CpuLevel;
use crate::report::BinfmtDocument;
use crate::system::host::machine;
use crate::system::process::batch::Limits;
use crate::target::Target;
use crate::verify::{self, Depth, Level, LevelOutcome, ProbeSubject, Proof};

impl Binfmt {
    pub(super) fn print(&self) -> Result<Worst, Failure> {
        let mut document = Vec::new();
        self.look()?.write(&mut document)?;
        let mut stdout = io::stdout().lock();
        match stdout.write_all(&document).and_then(|()| stdout.flush()) {
            // The reader has closed the pipe, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            Ok(()) => Ok(None),
            Err(error) => Err(Failure::io("write the result to standard output")(error)),
        }
    }

    /// Runs a program for each target, as BuildKit does.
    fn look(&self) -> Result<BinfmtDocument, Failure> {
        let host = observe::host_target(&self.settings)?;
        let host_platform = host.platform(&machine::describe()?.machine);
        let known = BinfmtDocument::ARCHITECTURES.map(|name| self.settings.table.find(name));
        let known: Vec<&Target> = known.into_iter().collect::<Result<_, _>>()?;
        let prove = |targets: &[&Target], depth| {
            let subjects = targets.iter().filter_map(|it| Some((it.name.clone(), subject(it)?)));
            verify::prove(subjects, depth, Limits::default(), &mut |_, _| {})
        };
        let proofs = prove(&known, Depth::Quick)?;
        let runs = |target: &&Target| proofs.get(&target.name).is_some_and(ran);
        let running: Vec<&Target> = known.into_iter().filter(runs).collect();
        let amd64 = running.iter().copied().find(|target| target.name == "x86_64");
        let cpu = match amd64 {
            Some(amd64) => prove(&[amd64], Depth::Full)?.into_values().next(),
            None => None,
        };
        let cpu = cpu.and_then(|proof| proof.cpu);
        let facts = self.instance.look()?;
        Ok(BinfmtDocument::new(host, host_platform, &running, cpu.unwrap_or(CpuLevel::V1), &facts))
    }
}

fn subject(target: &Target) -> Option<ProbeSubject<'_>> {
    let machine = *target.identity.machines.first()?;
    Some(ProbeSubject::taken_by(target, machine, None))
}

/// In an empty root, or on the host if this process may not change its root.
fn ran(proof: &Proof) -> bool {
    let passed = |level| matches!(proof.level(level), Some(LevelOutcome::Pass(_)));
    passed(Level::EmptyRoot) || passed(Level::Host)
}
