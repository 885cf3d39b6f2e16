//! The commands of the README and the guide that take Docker, run in their order as a reader would.
//! `tests/docs/commands.rs` runs the others, and knows these by the same words.

use std::fmt::Write as _;

use crate::engine::Engine;

/// What a reader does first to last: later files use the builder that earlier ones made.
const FILES: [&str; 3] = ["README.md", "docs/guide/buildx.md", "docs/guide/doctor.md"];

/// What the guide builds.
const DOCKERFILE: &str = "FROM scratch\nCOPY Dockerfile /\n";

fn is_of_docker(command: &str) -> bool {
    command.contains("buildx") || command.contains("--builder")
}

pub(crate) fn runs(engine: &mut Engine) -> String {
    engine.configure("");
    engine.write("/guide/Dockerfile", DOCKERFILE);
    // Whoever reads on as root needs none.
    engine.program("/guide/bin/sudo", "#!/bin/sh\nexec \"$@\"\n");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut script = "cd /guide; PATH=$PATH:/guide/bin\n".to_owned();
    let mut count = 0;
    for file in FILES {
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
