use super::*;

fn ready(status: &str) -> Notification {
    Notification::Ready { status: status.to_owned() }
}

fn status(status: &str) -> Notification {
    Notification::Status(status.to_owned())
}

#[test]
fn a_status_is_told_once_and_ready_even_if_the_status_is_the_same() {
    let now = Instant::now();
    let mut told = Publication::new(None, now);
    assert!(told.take_changed(now), "the first state is written");
    assert!(!told.take_changed(now));
    assert_eq!(told.notification("first check"), Some(status("first check")));
    assert_eq!(told.notification("first check"), None);
    told.announce_ready();
    assert!(told.take_changed(now));
    assert_eq!(told.notification("first check"), Some(ready("first check")));
    assert_eq!(told.notification("first check"), None);
    told.changed();
    assert!(told.take_changed(now));
    assert_eq!(told.notification("other"), Some(status("other")));
    assert_eq!(told.deadline(), None);
}

#[test]
fn what_was_lost_is_told_again_after_a_second() {
    let now = Instant::now();
    let mut told = Publication::new(None, now);
    told.announce_ready();
    told.take_changed(now);
    let sent = told.notification("well").unwrap();
    told.lost(&sent, now);
    assert_eq!(told.deadline(), Some(now + NOTIFY_AGAIN));
    assert!(!told.take_changed(now + Duration::from_millis(999)));
    assert!(told.take_changed(now + NOTIFY_AGAIN));
    assert_eq!(told.notification("well"), Some(ready("well")));
    assert_eq!(told.deadline(), None);
    told.lost(&Notification::Status("well".to_owned()), now);
    assert_eq!(told.notification("well"), Some(status("well")));
    assert_eq!(told.deadline(), None, "told by something else in between");
}

#[test]
fn what_comes_again_by_itself_is_not_repeated() {
    let now = Instant::now();
    let mut told = Publication::new(None, now);
    told.notification("well");
    for lost in [Notification::Reloading, Notification::Stopping, Notification::Watchdog] {
        told.lost(&lost, now);
        assert_eq!(told.deadline(), None);
    }
    assert_eq!(told.notification("well"), None);
}

#[test]
fn the_watchdog_is_told_at_each_interval() {
    let (now, every) = (Instant::now(), Duration::from_secs(5));
    let mut told = Publication::new(Some(every), now);
    assert_eq!(told.deadline(), Some(now + every));
    assert!(!told.take_watchdog(now + Duration::from_millis(4999)));
    assert!(told.take_watchdog(now + every * 2));
    assert_eq!(told.deadline(), Some(now + every * 3));
    assert!(!told.take_watchdog(now + every * 2));
    assert!(!Publication::new(None, now).take_watchdog(now + every));
}
