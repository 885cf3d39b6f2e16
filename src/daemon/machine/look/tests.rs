use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn due(looks: &LookSchedule, start: Instant) -> Option<u128> {
    looks.deadline().map(|due| (due - start).as_millis())
}

#[test]
fn changes_put_a_look_off_but_not_for_ever() {
    let start = Instant::now();
    let mut looks = LookSchedule::default();
    assert_eq!(looks.deadline(), None);
    for (at, expected) in [(0, 1), (1, 2), (10, 11), (18, 19), (19, 20), (20, 20), (30, 20)] {
        looks.changed(start + ms(at));
        assert_eq!(due(&looks, start), Some(expected), "after {at} ms");
    }
    assert!(!looks.is_due(start + ms(19)) && looks.is_due(start + ms(20)));
    looks.start(&BTreeSet::new(), start + ms(20));
    assert_eq!(looks.deadline(), None);
    assert_eq!(looks.first_change(start + ms(40)), start);
    looks.settled();
    assert_eq!(looks.first_change(start + ms(40)), start + ms(40));
}

#[test]
fn a_look_is_due_at_the_earliest_of_what_was_asked_for() {
    let start = Instant::now();
    let mut looks = LookSchedule::default();
    looks.by(start + ms(5));
    looks.by(start + ms(7));
    assert_eq!(due(&looks, start), Some(5));
    looks.by(start + ms(3));
    assert_eq!(due(&looks, start), Some(3));
    looks.start(&BTreeSet::new(), start + ms(2));
    assert_eq!(due(&looks, start), Some(3), "it is not served before it is due");
}

#[test]
fn names_of_systemd_binfmt_are_left_alone_for_a_quarter_of_a_second() {
    let start = Instant::now();
    let claimed: BTreeSet<String> = ["qemu-arm".to_owned()].into();
    let mut looks = LookSchedule::default();
    looks.changed(start);
    assert_eq!(looks.start(&claimed, start + ms(1)), claimed);
    assert!(!looks.wait_for_claimed(&["other".into()], start + ms(1)));
    assert_eq!(looks.deadline(), None);
    looks.settled();
    assert!(looks.wait_for_claimed(&["other".into(), "qemu-arm".into()], start));
    assert_eq!(due(&looks, start), Some(250));
    assert_eq!(looks.start(&claimed, start + ms(249)), claimed);
    assert_eq!(looks.start(&claimed, start + ms(250)), BTreeSet::new());
    assert!(!looks.wait_for_claimed(&["qemu-arm".into()], start + ms(250)));
}

#[test]
fn a_busy_lock_is_tried_again_and_reported_once() {
    let start = Instant::now();
    let mut looks = LookSchedule::default();
    let (mut now, mut waits, mut reports) = (start, Vec::new(), Vec::new());
    while now < start + ms(30_000) {
        if looks.lock_busy(false, now) {
            reports.push((now - start).as_millis());
        }
        waits.push((looks.deadline().unwrap() - now).as_millis());
        now = looks.deadline().unwrap();
    }
    assert_eq!(waits[..7], [20, 40, 80, 160, 320, 640, 1000]);
    assert!(waits[7..].iter().all(|wait| *wait == 1000));
    assert_eq!(reports, [10_260]);
    looks.lock_taken();
    assert!(!looks.lock_busy(false, now));
    assert_eq!(looks.deadline(), Some(now + ms(20)));
    assert!(!looks.lock_busy(false, now + ms(9_999)));
    assert!(looks.lock_busy(false, now + REPORT_LOCK));
}

#[test]
fn while_our_worker_has_the_lock_nothing_is_reported() {
    let start = Instant::now();
    let mut looks = LookSchedule::default();
    assert!(!looks.lock_busy(true, start));
    assert!(!looks.lock_busy(true, start + REPORT_LOCK * 3));
    assert!(!looks.lock_busy(false, start + ms(39_999)), "counted from then");
    assert!(looks.lock_busy(false, start + REPORT_LOCK * 4));
    assert_eq!(looks.deadline(), Some(start + REPORT_LOCK * 4 + ms(160)));
}

#[test]
fn a_pause_goes_on_whatever_changes() {
    let start = Instant::now();
    let mut looks = LookSchedule::default();
    looks.pause(start + ms(500));
    looks.changed(start + ms(100));
    assert_eq!(due(&looks, start), Some(500));
    looks.pause_for_check();
    looks.changed(start + ms(600));
    assert_eq!(looks.deadline(), None, "the check brings the next look");
    looks.end_pause();
    looks.changed(start + ms(700));
    assert!(looks.is_due(start + ms(701)));
}
