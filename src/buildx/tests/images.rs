use super::*;

fn of(output: &str, errors: &str, code: i32) -> Embedded {
    Embedded::of("buildkit-qemu-aarch64".to_owned(), &answer(output, errors, code))
}

fn yes(version: Option<&str>) -> Embedded {
    Embedded::Yes {
        name: "buildkit-qemu-aarch64".to_owned(),
        version: version.map(str::to_owned),
        sha256: None,
    }
}

#[test]
fn what_docker_exec_says_tells_what_the_image_carries() {
    assert_eq!(
        of(
            "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright (c) 2003-2022 Fabrice Bellard\n",
            "",
            0
        ),
        yes(Some("qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)"))
    );
    assert_eq!(of("", "", 0), yes(None));
    // 26.1.5 says it on standard output, others on the other.
    let missing = "OCI runtime exec failed: exec failed: unable to start container process: exec: \
                       \"buildkit-qemu-aarch64\": executable file not found in $PATH: unknown\n";
    assert_eq!(of(missing, "", 126), Embedded::No);
    assert_eq!(of("", missing, 126), Embedded::No);
    assert_eq!(of("", missing, 127), Embedded::No);
    let old = "qemu: unknown option '--version'\n";
    assert_eq!(of("", old, 1), yes(None));
    for (output, errors, code) in [
        ("", "Error response from daemon: container 1f2e is not running\n", 1),
        ("", "Error response from daemon: No such container: x\n", 1),
        ("OCI runtime exec failed: permission denied: unknown\n", "", 126),
        ("", "", 139),
    ] {
        let Embedded::Unknown(why) = of(output, errors, code) else { panic!("{errors}") };
        assert!(!why.is_empty() && !why.contains('\n'), "{why}");
    }
    let slow = DockerOutput { ended: Ended::TimedOut, ..well("") };
    assert_eq!(
        Embedded::of("x".to_owned(), &slow),
        Embedded::Unknown("docker exec failed".to_owned())
    );
}

proptest! {
    #[test]
    fn any_archive_is_read(
        archive in proptest::collection::vec(any::<u8>(), 0..1200),
        size in "[0-7 \\x00]{12}",
    ) {
        let mut archive = archive;
        if let Some(place) = archive.get_mut(124..136) {
            place.copy_from_slice(size.as_bytes());
        }
        if let Some(content) = first_file(&archive) {
            prop_assert!(content.len() <= archive.len().saturating_sub(512));
        }
    }
}
