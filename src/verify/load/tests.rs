use super::*;

const LIMIT: Duration = Duration::from_secs(10);

fn why(ended: Ended, output: &str, errors: &str) -> Option<(String, bool)> {
    let expected = Expected { output: Some("ok\n".to_owned()), ended: Ended::Exited(0) };
    let written = Written { output: output.as_bytes(), errors: errors.as_bytes() };
    let failed = judge(&expected, ended, &written, LIMIT).err()?;
    assert_eq!(failed.refused, None);
    Some((failed.why, failed.hung))
}

#[test]
fn a_run_does_what_is_expected_or_says_why_not() {
    assert_eq!(why(Ended::Exited(0), "ok\n", "whatever"), None);
    for (ended, output, errors, wanted) in [
        (Ended::TimedOut, "", "", "it did not end in 10 s and was killed"),
        (Ended::Flooded, "ok\n", "", "it wrote without end and was killed"),
        (Ended::Signaled(11), "", "one\n two \n\n", "it died by signal 11 (two)"),
        (Ended::Exited(1), "ok\nno\n", "", "it exited with status 1 (no)"),
        // Expected lines are no complaint.
        (Ended::Exited(1), "ok\n", "", "it exited with status 1"),
        (Ended::Exited(0), "no\n", "", "it wrote something other than expected (no)"),
        (Ended::Exited(0), "", "", "it wrote something other than expected"),
    ] {
        let hung = ended == Ended::TimedOut;
        assert_eq!(why(ended, output, errors), Some((wanted.to_owned(), hung)));
    }
    let (long, _) = why(Ended::Exited(1), "", &"x".repeat(300)).unwrap();
    assert!(long.ends_with(&format!(" ({})", "x".repeat(200))), "{long}");

    let any = Expected { output: None, ended: Ended::Signaled(SIGTERM) };
    let written = Written { output: b"anything", errors: b"" };
    assert!(judge(&any, Ended::Signaled(SIGTERM), &written, LIMIT).is_ok());
    let failed = judge(&any, Ended::Signaled(9), &written, LIMIT).err().unwrap();
    assert_eq!(failed.why, "it died by signal 9 (anything)");
}

#[test]
fn runs_are_counted() {
    let mut tally = Tally::default();
    assert_eq!((tally.each(), tally.is_well(), tally.is_flaky()), (None, true, false));
    tally.add(Ok(()), Duration::from_secs(1));
    assert!(tally.is_well() && !tally.is_flaky());
    let busy = ExecError::Busy;
    let refused = Failed { why: busy.to_string(), refused: Some(busy), hung: false };
    tally.add(Err(refused), Duration::from_secs(3));
    let hung = || Failed { why: "later".to_owned(), refused: None, hung: true };
    tally.add(Err(hung()), Duration::from_secs(2));
    assert!(!tally.is_well() && tally.is_flaky());
    assert_eq!((tally.runs, tally.well, tally.each()), (3, 1, Some(Duration::from_secs(2))));
    // The first failure stays.
    assert_eq!(tally.failure, Some(ExecError::Busy.to_string()));
    assert_eq!(tally.refused, Some(ExecError::Busy));
}

#[test]
fn what_always_hangs_is_given_up() {
    let hung = || Failed { why: "hung".to_owned(), refused: None, hung: true };
    let mut tally = Tally::default();
    for _ in 0..HANGS {
        assert!(!tally.is_hopeless());
        tally.add(Err(hung()), LIMIT);
    }
    assert!(tally.is_hopeless());
    tally.add(Ok(()), LIMIT);
    assert!(!tally.is_hopeless());
}
