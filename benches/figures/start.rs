//! Starting the binary at all: no registration can be faster.

use crate::table::{Figure, Goal, Measured, Peer, Unit};
use crate::{BINFMTD, Setting, measure, program};

pub(crate) fn figures(setting: &Setting) -> Result<Vec<Figure>, String> {
    let mut ours = program(BINFMTD.as_path());
    ours.arg("--version");
    let mut commands = [ours, program("true")];
    let measured = measure::interleaved(&mut commands, setting.runs, &|_| Ok(()))?;
    let &[ours, theirs] = measured.as_slice() else { return Err("not two".to_owned()) };
    let bytes = std::fs::metadata(BINFMTD.as_path()).map_err(|error| error.to_string())?.len();
    let size = f64::from(u32::try_from(bytes).map_err(|error| error.to_string())?) / 1e6;
    Ok(vec![
        Figure {
            what: "start: --version".to_owned(),
            unit: Unit::Milliseconds,
            ours,
            peer: Some(Peer { name: "true".to_owned(), measured: Ok(theirs) }),
            goal: Goal::None,
        },
        Figure {
            what: "its size".to_owned(),
            unit: Unit::Megabytes,
            ours: Measured { median: size, quartiles: None },
            peer: None,
            goal: Goal::AtMost(5.0),
        },
    ])
}
