use super::*;

const LONGEST: Duration = Duration::from_secs(60);

#[test]
fn a_few_times_are_free_then_pauses_grow_and_end() {
    let mut pace = Pace::new(3, LONGEST);
    let mut now = Instant::now();
    assert_eq!(pace.wait(now), None, "the first time");
    assert!(pace.has_work());
    pace.done(now);
    let mut pauses = Vec::new();
    for _ in 0..16 {
        now += Duration::from_millis(1);
        let until = pace.wait(now);
        assert_eq!(pace.wait(now), until, "asking again changes nothing");
        pauses.push(until.map_or(Duration::ZERO, |until| until - now));
        now = until.unwrap_or(now);
        assert_eq!(pace.wait(now), None, "then is the moment");
        pace.done(now);
    }
    assert_eq!(pauses[..3], [Duration::ZERO; 3]);
    assert!(pauses[3..].iter().all(|pause| !pause.is_zero()));
    assert!(pauses.is_sorted());
    assert!(*pauses.last().unwrap() <= LONGEST);
    assert!(*pauses.last().unwrap() > LONGEST / 2);
    assert_eq!(pace.is_pausing(), Some(16));
    now += LONGEST * 3;
    assert_eq!(pace.wait(now), None, "long after, all is forgotten");
    assert_eq!(pace.is_pausing(), None);
}

#[test]
fn each_pause_is_twice_as_long_as_the_one_before() {
    let mut pace = Pace::new(1, Duration::from_millis(500));
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let until = pace.wait(now).unwrap_or(now);
        pauses.push((until - now).as_millis());
        now = until;
        pace.done(now);
    }
    // The first is the work itself, the second is free.
    assert_eq!(pauses, [0, 0, 100, 200, 400, 500]);
}

#[test]
fn a_pause_counts_from_when_the_work_was_done() {
    let mut pace = Pace::new(0, LONGEST);
    let start = Instant::now();
    pace.done(start);
    assert!(!pace.has_work());
    let later = start + Duration::from_millis(40);
    assert_eq!(pace.wait(later), Some(start + FIRST_PAUSE));
    assert!(pace.has_work());
    assert_eq!(pace.is_pausing(), Some(1));
    pace.done(later);
    assert!(!pace.has_work());
}

#[test]
fn work_is_suspicious_for_ten_seconds_or_twice_the_last_pause() {
    let start = Instant::now();
    for (gap, times) in [(SUSPICIOUS, Some(1)), (SUSPICIOUS + Duration::from_nanos(1), None)] {
        let mut pace = Pace::new(0, LONGEST);
        pace.done(start);
        pace.wait(start + gap);
        assert_eq!(pace.is_pausing(), times, "{gap:?}");
    }
    // Nine times in a row: 25.6 s.
    let mut pace = Pace::new(0, LONGEST);
    pace.done(start);
    let mut now = start;
    for _ in 0..9 {
        now = pace.wait(now).unwrap_or(now);
        pace.done(now);
    }
    pace.wait(now + Duration::from_secs(51));
    assert_eq!(pace.is_pausing(), Some(10));
}

#[test]
fn rare_work_is_never_paused() {
    let mut pace = Pace::new(0, LONGEST);
    let mut now = Instant::now();
    for _ in 0..100 {
        assert_eq!(pace.wait(now), None);
        pace.done(now);
        now += SUSPICIOUS * 2;
    }
}
