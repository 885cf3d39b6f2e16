//! A foreign program that is started again and again in the machine, while something happens.

use std::process::Child;
use std::time::Duration;

use crate::machine::{LONG, Machine};
use crate::support::stage::eventually;

pub(crate) struct Load(Child);

/// What became of the starts.
pub(crate) struct Answer {
    pub(crate) starts: usize,
    pub(crate) failures: usize,
    /// From the first failure in a row to the next success.
    pub(crate) longest_gap: Duration,
}

impl Load {
    pub(crate) fn begin(machine: &Machine, target: &str) -> Self {
        // One line for each start: when, and its status.
        let script = format!(
            "rm -f /run/load.end /run/load
             while [ ! -e /run/load.end ]; do
                 /srv/empty/{target} >/dev/null 2>&1; status=$?
                 echo \"$(date +%s.%N) $status\" >>/run/load
             done"
        );
        let load = Self(machine.command(&["sh", "-c", &script]).spawn().unwrap());
        eventually("a first start", LONG, || machine.run(&["test", "-s", "/run/load"]).1);
        load
    }

    pub(crate) fn end(mut self, machine: &Machine) -> Answer {
        machine.well(&["touch", "/run/load.end"]);
        assert!(self.0.wait().unwrap().success());
        let text = machine.well(&["cat", "/run/load"]);
        let mut answer = Answer { starts: 0, failures: 0, longest_gap: Duration::ZERO };
        let mut since: Option<f64> = None;
        for line in text.lines() {
            let (time, status) = line.split_once(' ').unwrap();
            let time: f64 = time.parse().unwrap();
            answer.starts += 1;
            if status == "0" {
                if let Some(begin) = since.take() {
                    let gap = Duration::from_secs_f64(time - begin);
                    answer.longest_gap = answer.longest_gap.max(gap);
                }
            } else {
                answer.failures += 1;
                since.get_or_insert(time);
            }
        }
        assert_eq!(since, None, "the last start failed: {}", machine.journal());
        answer
    }
}
