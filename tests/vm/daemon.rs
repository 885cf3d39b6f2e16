//! The daemon brings rules back.

use crate::machine::Report;

pub(crate) fn heals(report: &Report) -> String {
    let log = &report.step("daemon-log").out;
    for name in
        ["daemon-registers", "daemon-flush", "daemon-remove", "daemon-alive", "daemon-after"]
    {
        assert!(report.is_well(name), "{:#?}\n{log}", report.step(name));
    }
    assert_eq!(report.step("daemon-status").words(), ["0"], "{log}");
    let rules = report.step("daemon-rules").words();
    for rule in ["qemu-aarch64", "qemu-arm", "qemu-riscv64", "qemu-s390x"] {
        assert!(rules.contains(&rule), "{rules:?}\n{log}");
    }
    assert_eq!(rules.len(), 6, "nothing half done: {rules:?}");
    let times = report.step("daemon-flush").words();
    let times: Vec<f64> = times.iter().map(|word| word.parse().expect("seconds")).collect();
    let [begin, end] = times[..] else { panic!("two times, not {times:?}") };
    format!("healed after {:.1} s in the machine", end - begin)
}
