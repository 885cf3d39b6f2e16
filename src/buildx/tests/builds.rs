use super::*;

fn build(nonce: &str) -> Build {
    Build { folder: PathBuf::from("/nowhere"), nonce: nonce.to_owned() }
}

const NATIVE: [(&str, &str); 2] = [
    (recorded!("build-0.13-native.txt"), "4ef497387f0091af"),
    (recorded!("build-0.29-native.txt"), "48d45878906d7263"),
];
const RULE: [(&str, &str); 2] = [
    (recorded!("build-0.13-rule.txt"), "d2eb08132889b531"),
    (recorded!("build-0.29-rule.txt"), "268b0e6733a023f1"),
];
const REFUSED: [(&str, &str); 2] = [
    (recorded!("build-0.13-refused.txt"), "9011153bc0a545dd"),
    (recorded!("build-0.29-refused.txt"), "1ab89aed6a17402b"),
];
const VERSION: &str = "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)";

fn by(built: Built) -> (Runner, Option<String>) {
    match built {
        Built::Yes { by, version, .. } => (by, version),
        other => panic!("{other:?}"),
    }
}

fn why(built: Built) -> String {
    match built {
        Built::No { why, log } => {
            assert!(!log.is_empty());
            why
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_ran_it_is_told_by_what_was_said() {
    for (said, nonce) in NATIVE {
        let built = build(nonce).judge(&answer("", said, 0), None);
        assert_eq!(by(built), (Runner::Native, None));
    }
    for (said, nonce) in RULE {
        let built = build(nonce).judge(&answer("", said, 0), None);
        assert_eq!(by(built), (Runner::Rule, Some(VERSION.to_owned())));
    }
    // Both are there: only where the host's own program did not run, the emulator was put before it.
    for (said, witness, nonce) in [
        (
            recorded!("build-0.13-embedded.txt"),
            recorded!("build-0.13-embedded-witness.txt"),
            "af7afc50edf4f143",
        ),
        (
            recorded!("build-0.29-embedded.txt"),
            recorded!("build-0.29-embedded-witness.txt"),
            "d204d00ae1391ec4",
        ),
    ] {
        let built = build(nonce).judge(&answer("", said, 0), Some(&answer("", witness, 1)));
        assert_eq!(by(built), (Runner::Embedded, Some(VERSION.to_owned())));
    }
    for (said, witness, nonce) in [
        (
            recorded!("build-0.13-both.txt"),
            recorded!("build-0.13-both-witness.txt"),
            "cd6f0a7c02c98450",
        ),
        (
            recorded!("build-0.29-both.txt"),
            recorded!("build-0.29-both-witness.txt"),
            "cfdf2c0e68980f5f",
        ),
    ] {
        let witness = answer("", witness, 0);
        let built = build(nonce).judge(&answer("", said, 0), Some(&witness));
        assert_eq!(by(built), (Runner::Rule, Some(VERSION.to_owned())));
    }
}

/// It is what tells a build from one that says that it is: the text of the step has the nonce, too.
#[test]
fn a_nonce_in_the_name_of_a_step_proves_nothing() {
    for (said, nonce) in NATIVE.into_iter().chain(RULE) {
        let log = BuildLog::read(said);
        assert!(log.text.contains(nonce));
        let without = without_outputs(said);
        let named = BuildLog::read(&without);
        assert!(named.text.contains(nonce) && named.outputs.is_empty(), "{named:?}");
        let built = build(nonce).judge(&answer("", &without, 0), None);
        assert_eq!(why(built), "the build succeeded, but the probe did not print its nonce");
        // Nor does another's, or a status beside an answer.
        assert!(build("0000000000000000").judge(&answer("", said, 0), None).works() == Some(false));
        assert!(build(nonce).judge(&answer("", said, 1), None).works() == Some(false));
    }
    // Nor one that was said beside the progress.
    let (_, nonce) = RULE[0];
    let beside = answer("", &format!("aarch64\n/probe\n{nonce}\n\n"), 0);
    assert_eq!(build(nonce).judge(&beside, None).works(), Some(false));
    // Nor one that no step of ours gave back: an answer is a whole line of a report.
    let echoed = rawjson(&[("RUN", &format!("would run /probe {nonce} now\n"))]);
    assert_eq!(build(nonce).judge(&answer("", &echoed, 0), None).works(), Some(false));
    let reported = rawjson(&[("RUN", &format!("aarch64\n/probe\n{nonce}\n\n"))]);
    assert_eq!(build(nonce).judge(&answer("", &reported, 0), None).works(), Some(true));
}

/// The same documents without what steps wrote.
fn without_outputs(text: &str) -> String {
    let mut kept = String::new();
    let mut left = text;
    while !left.is_empty() {
        if left.starts_with('{') {
            let mut read = serde_json::Deserializer::from_str(left).into_iter();
            let mut document: serde_json::Value = read.next().unwrap().unwrap();
            document.as_object_mut().unwrap().remove("logs");
            kept.push_str(&document.to_string());
            kept.push('\n');
            left = left[read.byte_offset()..].trim_start();
        } else {
            let (line, behind) = left.split_once('\n').unwrap_or((left, ""));
            kept.push_str(line);
            kept.push('\n');
            left = behind;
        }
    }
    kept
}

/// Steps with what they wrote, as 0.29 prints them.
fn rawjson(steps: &[(&str, &str)]) -> String {
    let lines = steps.iter().enumerate().map(|(number, (name, said))| {
        let step = serde_json::json!({
            "vertexes": [{"digest": format!("sha256:{number}"), "name": name}],
            "logs": [{"vertex": format!("sha256:{number}"), "data": BASE64.encode(said)}],
        });
        format!("{step}\n")
    });
    lines.collect()
}

#[test]
fn what_a_program_said_is_why_it_failed() {
    for (said, nonce) in REFUSED {
        let built = build(nonce).judge(&answer("", said, 1), None);
        assert!(why(built).contains("exec /probe: exec format error"));
    }
    let failed = |said: &str| why(build("x").judge(&answer("", said, 1), None));
    assert_eq!(failed("ERROR: no builder \"nobody\" found\n"), "no builder \"nobody\" found");
    assert_eq!(
        failed("WARNING: x\nERROR: failed to build: failed to solve: process did not complete\n"),
        "process did not complete"
    );
    assert_eq!(failed("only words\n"), "only words");
    assert_eq!(
        failed(&rawjson(&[("RUN", "qemu: uncaught target signal 11\n")])),
        "qemu: uncaught target signal 11"
    );
    let silent = build("x").judge(&answer("", "", 1), None);
    assert_eq!(
        silent,
        Built::No { why: "the build failed and did not say why".to_owned(), log: String::new() }
    );
    let (said, nonce) = RULE[1];
    let slow = DockerOutput {
        ended: Ended::TimedOut,
        time: Duration::from_secs(120),
        ..answer("", &said[..said.len() / 2], 0)
    };
    let built = build(nonce).judge(&slow, None);
    assert_eq!(why(built), "the build did not end in 120 s");
}

#[test]
fn lines_for_people_may_be_anywhere() {
    let (said, nonce) = RULE[1];
    let plain = BuildLog::read(said);
    let chatty: String = said
        .lines()
        .flat_map(|line| ["WARN[0000] words", line])
        .fold(String::new(), |all, line| all + line + "\n");
    let chatty = format!("{{ not a document\n{{\"logs\":7}}\n{chatty}WARN[0001] the end");
    let log = BuildLog::read(&chatty);
    assert_eq!(log.outputs, plain.outputs);
    assert_eq!(log.errors, plain.errors);
    assert!(log.rest.starts_with("{ not a document\n{\"logs\":7}\nWARN[0000]"), "{}", log.rest);
    assert!(log.rest.ends_with("WARN[0001] the end"));
    assert_eq!(by(build(nonce).judge(&answer("", &chatty, 0), None)).0, Runner::Rule);
}

/// What one step wrote comes in pieces, which may split a character.
#[test]
fn pieces_of_output_are_put_together() {
    let piece = |data: &[u8]| {
        let data = BASE64.encode(data);
        format!("{{\"logs\":[{{\"vertex\":\"v\",\"data\":\"{data}\"}}]}}\n")
    };
    let word = "aé".as_bytes();
    let said = format!(
        "{}{}{{\"logs\":[{{\"vertex\":\"w\",\"data\":\"not base64!\"}}]}}\n{}",
        piece(&word[..2]),
        piece(&word[2..]),
        piece(b"!")
    );
    let log = BuildLog::read(&said);
    assert_eq!(log.outputs, ["aé!", ""]);
    assert_eq!(log.rest, "");
}

#[test]
fn a_log_that_is_cut_short_says_no_more_than_the_whole() {
    for (said, nonce) in RULE {
        let whole = BuildLog::read(said);
        for end in (0..said.len()).filter(|end| said.is_char_boundary(*end)) {
            let cut = BuildLog::read(&said[..end]);
            for (output, all) in cut.outputs.iter().zip(&whole.outputs) {
                assert!(all.starts_with(output.as_str()));
            }
            assert!(cut.outputs.len() <= whole.outputs.len());
            let built = build(nonce).judge(&answer("", &said[..end], 1), None);
            assert_eq!(built.works(), Some(false));
        }
    }
}

proptest! {
    #[test]
    fn any_log_is_read(said in "(?s).*|([\\[{}\\]\",:a-z0-9\\n =]|\"logs\":|\"vertexes\":|\"vertex\":)*") {
        let log = BuildLog::read(&said);
        prop_assert!(!log.why().is_empty());
        let built = build("0123456789abcdef").judge(&answer("", &said, 0), None);
        prop_assert_eq!(built.works(), Some(false));
    }

    #[test]
    fn steps_are_read_as_they_were_written(
        steps in proptest::collection::vec(("[a-z ]{1,20}", "\\PC{0,40}"), 0..5)
    ) {
        let pairs: Vec<(&str, &str)> =
            steps.iter().map(|(name, said)| (name.as_str(), said.as_str())).collect();
        let log = BuildLog::read(&rawjson(&pairs));
        let outputs: Vec<&str> = pairs.iter().map(|(_, said)| *said).collect();
        prop_assert_eq!(log.outputs, outputs);
        prop_assert_eq!(log.rest, "");
    }
}
