//! The man pages and completions that packages ship.

use std::fs;
use std::path::Path;
use std::process::Command;

use binfmtd::cli::Arguments;
use clap::CommandFactory as _;

use crate::support::need;
use crate::world::World;

/// What the program writes into a folder: names and contents.
fn generated(what: &str, folder: &Path) -> Vec<(String, String)> {
    let line = format!("generate {what} {}", folder.display());
    let said = World::host().binfmtd(&line).ended(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// Each command by its words, with `binfmtd` before them, the program itself first.
fn commands(command: &clap::Command, words: &str) -> Vec<(String, clap::Command)> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    std::iter::once((words.to_owned(), command.clone()))
        .chain(below.flat_map(|below| commands(below, &format!("{words} {}", below.get_name()))))
        .collect()
}

fn program() -> clap::Command {
    let mut program = Arguments::command();
    program.build();
    program
}

#[test]
fn there_is_a_page_for_each_command_with_all_that_help_says() {
    let folder = tempfile::tempdir().unwrap();
    let pages = generated("man", folder.path());
    let commands = commands(&program(), "binfmtd");
    let mut wanted: Vec<String> =
        commands.iter().map(|(words, _)| format!("{}.1", words.replace(' ', "-"))).collect();
    wanted.sort();
    assert_eq!(pages.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), wanted);
    assert!(commands.len() > 15, "{wanted:?}");

    for (words, command) in &commands {
        let file = format!("{}.1", words.replace(' ', "-"));
        let (_, source) = pages.iter().find(|(name, _)| *name == file).unwrap();
        // As it is read: without what roff makes of it.
        let page = source.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "");
        let page = page.replace("\\fR", "").replace("\\*(Aq", "'").replace("\\\\", "\\");
        let title = words.replace(' ', "-").to_uppercase();
        let version = env!("CARGO_PKG_VERSION");
        assert!(
            page.contains(&format!(".TH {title} 1 \"\" \"binfmtd {version}\" binfmtd\n")),
            "{page}"
        );
        for section in
            ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "\"SEE ALSO\""]
        {
            assert!(page.contains(&format!(".SH {section}\n")), "{file}: {section}: {page}");
        }
        for code in 0..=4 {
            assert!(page.contains(&format!(".TP\n{code}\n")), "{file}: exit code {code}: {page}");
        }
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            if let Some(long) = argument.get_long() {
                assert!(page.contains(&format!("--{long}")), "{file}: --{long}");
            }
            let help = argument.get_long_help().or(argument.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let first = help.lines().next().unwrap_or_default();
            assert!(!first.is_empty() && page.contains(first), "{file}: {first}");
        }
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in after.lines().filter_map(|line| line.strip_prefix("  binfmtd")) {
            assert!(page.contains(&format!("\nbinfmtd{line}\n")), "{file}: {line}: {page}");
        }
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            assert!(page.contains(&format!("{}-{}(1)", words.replace(' ', "-"), below.get_name())));
        }
        assert!(!page.contains("generate"), "{page}");
    }
}

#[test]
fn the_page_has_the_variables_of_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let pages = generated("man", folder.path());
    let of = |name: &str| &pages.iter().find(|(page, _)| page == name).unwrap().1;
    let (_, environment) = of("binfmtd.1").split_once(".SH ENVIRONMENT\n").unwrap();
    let section = environment.split(".SH ").next().unwrap();
    let bold = |line: &str| line.strip_prefix("\\fB").map(|name| name.replace("\\fR", ""));
    let names: Vec<String> = section.lines().filter_map(bold).collect();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/command-line.md");
    let reference = std::fs::read_to_string(reference).unwrap();
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split(" | ").next()?.replace('`', ""));
    let wanted: Vec<String> = reference.lines().filter_map(cell).collect();
    assert!(names.len() > 3, "{section}");
    assert_eq!(names, wanted);
    assert!(!of("binfmtd-register.1").contains(".SH ENVIRONMENT"));
}

#[test]
fn man_has_nothing_to_say_against_the_pages() {
    let folder = tempfile::tempdir().unwrap();
    let pages = generated("man", folder.path());
    let here = |program: &str| {
        Command::new(program).arg("--version").output().map_err(|error| error.to_string())
    };
    if need("man", here("man")).is_none() {
        return;
    }
    for (name, _) in pages {
        let output = Command::new("man")
            .args(["--warnings", "--encoding=UTF-8", "--local-file"])
            .arg(folder.path().join(&name))
            .env("LC_ALL", "C.UTF-8")
            .env("MANWIDTH", "100")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("SYNOPSIS") && text.contains("--config"), "{name}: {text}");
    }
}

#[test]
fn completions_know_all_commands_and_options() {
    let folder = tempfile::tempdir().unwrap();
    let files = generated("completions", folder.path());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["_binfmtd", "binfmtd.bash", "binfmtd.fish"]);
    for (name, text) in &files {
        for (words, command) in commands(&program(), "binfmtd") {
            let own = words.rsplit(' ').next().unwrap();
            assert!(text.contains(own), "{name}: {words}");
            for long in command.get_arguments().filter_map(clap::Arg::get_long) {
                // fish has them without dashes.
                assert!(text.contains(long), "{name}: {words}: --{long}");
            }
        }
        assert!(!text.contains("generate"), "{name}");
    }
    for (shell, file) in [("bash", "binfmtd.bash"), ("zsh", "_binfmtd"), ("fish", "binfmtd.fish")] {
        let output = Command::new(shell).arg("-n").arg(folder.path().join(file)).output();
        let Some(output) = need(shell, output.map_err(|error| error.to_string())) else { continue };
        assert!(output.status.success() && output.stderr.is_empty(), "{file}: {output:?}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = tempfile::tempdir().unwrap();
    generated("completions", folder.path());
    let here = Command::new("bash").arg("--version").output().map_err(|error| error.to_string());
    if need("bash", here).is_none() {
        return;
    }
    for (words, wanted) in [
        ("binfmtd reg", "register"),
        ("binfmtd buildx ins", "inspect"),
        ("binfmtd doctor --expl", "--explain"),
    ] {
        // As the shell calls it: the words, and which of them is completed.
        let script = format!(
            ". {}/binfmtd.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _binfmtd binfmtd \"${{COMP_WORDS[COMP_CWORD]}}\" x; echo \"${{COMPREPLY[*]}}\"",
            folder.path().display()
        );
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), wanted, "{words}: {output:?}");
    }
}

#[test]
fn it_is_hidden_and_says_what_fails() {
    let world = World::host();
    assert!(!world.binfmtd("--help").ended(0).out.contains("generate"));
    let said = world.binfmtd("generate man /proc/no-such").ended(3);
    assert!(said.err.contains("generate: /proc/no-such: "), "{said:#?}");
    let said = world.binfmtd("generate nonsense /tmp").ended(2);
    assert!(said.err.contains("nonsense"), "{said:#?}");
}
