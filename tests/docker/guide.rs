//! The commands of the README and the guide that take Docker, run in their order as a reader would.
//! `tests/docs/commands.rs` runs the others.

#[path = "../docs/by_docker.rs"]
pub(crate) mod by_docker;

use std::fmt::Write as _;

use crate::engine::Engine;

use by_docker::{SHELL, is_of_docker};

/// What the guide builds.
const DOCKERFILE: &str = "FROM scratch\nCOPY Dockerfile /\n";

pub(crate) fn runs(engine: &mut Engine) -> String {
    engine.configure("");
    engine.write("/guide/Dockerfile", DOCKERFILE);
    // Whoever reads on as root needs none.
    engine.program("/guide/bin/sudo", "#!/bin/sh\nexec \"$@\"\n");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut script = "cd /guide; PATH=$PATH:/guide/bin\n".to_owned();
    let mut count = 0;
    for file in SHELL {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let mut is_shell = false;
        for (number, line) in text.lines().enumerate() {
            if line.starts_with("```") {
                is_shell = line == "```sh";
            } else if is_shell && is_of_docker(line) {
                count += 1;
                let place = format!("{file}:{}", number + 1);
                writeln!(script, "{line} || {{ echo \"{place}: status $?\"; exit 1; }}").unwrap();
            }
        }
    }
    assert!(count > 12, "only {count} commands were found");
    let output = engine.run(&["sh", "-c", &script]);
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    format!("{count} commands")
}
