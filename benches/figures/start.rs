//! Starting the binary at all: no registration can be faster.

use crate::table::{Figure, Goal, Peer, Unit};
use crate::{BINFMTD, Setting, measure, program};

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let mut ours = program(BINFMTD.as_path());
    ours.arg("--version");
    let mut commands = [ours, program("true")];
    let measured = measure::interleaved(&mut commands, setting.runs, &|_| Ok(()))?;
    let &[ours, theirs] = measured.as_slice() else { return Err("not two".to_owned()) };
    Ok(vec![Figure {
        what: "start: --version".to_owned(),
        unit: Unit::Milliseconds,
        ours,
        peer: Some(Peer { name: "true".to_owned(), measured: Ok(theirs) }),
        goal: Goal::None,
    }])
}
