//! A second bootstrap of a healthy builder, without verification, beside what buildx itself has for that: with a real engine,
//! in a world of its own.

use crate::engine::{Buildx, Engine};
use crate::table::{Figure, Goal, Peer, Unit};
use crate::{BINFMTD, measure};

/// Both are timed in the world: to enter it takes as long as one of them.
const SCRIPT: &str = r#"
    timed() { begin=$(date +%s%N); "$@" >/dev/null; end=$(date +%s%N); echo $((end - begin)); }
    for run in $(seq "$1"); do
        ours=$(timed /opt/bench/binfmtd buildx bootstrap --no-verify)
        theirs=$(timed docker buildx inspect --bootstrap binfmtd)
        echo "$ours $theirs"
    done"#;

/// Has to be called before anything enters another user namespace.
pub(crate) fn figures(runs: usize) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    for buildx in [Buildx::Trixie, Buildx::Sid] {
        let engine = Engine::start(buildx)?;
        engine.configure("");
        engine.copy(&BINFMTD, "/opt/bench/binfmtd");
        engine.well(&["/opt/bench/binfmtd", "buildx", "bootstrap"]);
        let version = engine.well(&["docker", "buildx", "version"]);
        let version = version.split_whitespace().nth(1).unwrap_or("of an unknown version");
        let runs = runs.div_ceil(10).max(5).to_string();
        let said = engine.well(&["sh", "-ec", SCRIPT, "sh", &runs]);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for line in said.lines() {
            let numbers: Vec<f64> =
                line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            let [own, other] = numbers.as_slice() else {
                return Err(format!("not two times: {line}"));
            };
            ours.push(own / 1e6);
            theirs.push(other / 1e6);
        }
        figures.push(Figure {
            what: format!("buildx bootstrap of a healthy builder, not verified, buildx {version}"),
            unit: Unit::Milliseconds,
            ours: measure::summary(ours),
            peer: Some(Peer {
                name: "docker buildx inspect --bootstrap".to_owned(),
                measured: Ok(measure::summary(theirs)),
            }),
            goal: Goal::OfPeer(1.3),
        });
    }
    Ok(figures)
}
