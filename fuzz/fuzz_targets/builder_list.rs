//! A list of builders is read or refused; a builder is in it once, and is ours by its mark alone.
#![no_main]

use std::time::Duration;

use binfmtd::testing::buildx::builder::{read_containers, read_list, read_names};
use binfmtd::testing::buildx::docker::DockerOutput;
use binfmtd::testing::system::process::batch::Ended;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let answer = DockerOutput {
        command: "docker buildx ls --format json".to_owned(),
        ended: Ended::Exited(0),
        output: data.to_vec(),
        errors: String::new(),
        time: Duration::ZERO,
    };
    let _ = (read_names(&answer), read_containers(&answer));
    let Ok(builders) = read_list(&answer) else { return };
    for (number, builder) in builders.iter().enumerate() {
        assert!(builders[..number].iter().all(|other| other.name != builder.name));
        assert_eq!(
            builder.is_ours(),
            !builder.nodes.is_empty() && builder.nodes.iter().all(|node| node.mark().is_some())
        );
        assert!(!builder.is_running() || !builder.nodes.is_empty());
    }
});
