//! The man pages and completions that packages ship.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use binfmtd::cli::Arguments;
use clap::CommandFactory as _;

fn run(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_binfmtd-manual")).arg(folder).output().unwrap()
}

/// What the program writes into a subfolder: names and contents.
fn generated(what: &str, folder: &Path) -> Vec<(String, String)> {
    let output = run(folder);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let files = fs::read_dir(folder.join(what)).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// A program of the machine that a test needs. Without it the test is skipped, unless none may be.
#[allow(clippy::print_stdout, reason = "as the project's other tests say what they skip")]
fn is_here(program: &str) -> bool {
    let Err(error) = Command::new(program).arg("--version").output() else { return true };
    let all = std::env::var_os("BINFMTD_TESTS").is_some_and(|value| value == "require-all");
    assert!(!all, "{program} is required by BINFMTD_TESTS=require-all, but: {error}");
    println!("skipped: {program} is not here: {error}");
    false
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
        let version = program().get_version().unwrap().to_owned();
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
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/command-line.md");
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
    if !is_here("man") {
        return;
    }
    for (name, _) in pages {
        let output = Command::new("man")
            .args(["--warnings", "--encoding=UTF-8", "--local-file"])
            .arg(folder.path().join("man").join(&name))
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
    }
    for (shell, file) in [("bash", "binfmtd.bash"), ("zsh", "_binfmtd"), ("fish", "binfmtd.fish")] {
        if !is_here(shell) {
            continue;
        }
        let file = folder.path().join("completions").join(file);
        let output = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}: {output:?}",
            file.display()
        );
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = tempfile::tempdir().unwrap();
    generated("completions", folder.path());
    if !is_here("bash") {
        return;
    }
    for (words, wanted) in [
        ("binfmtd reg", "register"),
        ("binfmtd buildx ins", "inspect"),
        ("binfmtd doctor --expl", "--explain"),
    ] {
        // As the shell calls it: the words, and which of them is completed.
        let script = format!(
            ". {}/completions/binfmtd.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _binfmtd binfmtd \"${{COMP_WORDS[COMP_CWORD]}}\" x; echo \"${{COMPREPLY[*]}}\"",
            folder.path().display()
        );
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), wanted, "{words}: {output:?}");
    }
}

#[test]
fn what_is_out_of_date_goes() {
    let folder = tempfile::tempdir().unwrap();
    generated("man", folder.path());
    let old = folder.path().join("man/binfmtd-gone.1");
    fs::write(&old, "").unwrap();
    generated("man", folder.path());
    assert!(!old.exists());
}

#[test]
fn the_version_is_the_program_s() {
    let cargo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let cargo = fs::read_to_string(cargo).unwrap();
    let (_, package) = cargo.split_once("[package]\n").unwrap();
    let version = package.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    assert_eq!(program().get_version(), Some(version.trim_matches('"')));
}

#[test]
fn it_says_what_fails() {
    let output = run(Path::new("/proc/no-such"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3));
    assert!(said.starts_with("binfmtd-manual: /proc/no-such: "), "{said}");
    let output = Command::new(env!("CARGO_BIN_EXE_binfmtd-manual")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
