//! `binfmtd generate`: man pages and completions, for packages. Hidden: it is for who builds one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args as _, Command, CommandFactory as _, FromArgMatches as _, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Failure;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// A page for the program, and one for each of its commands
    Man,
    /// Completions for bash, zsh and fish
    Completions,
}

#[derive(Debug, clap::Args)]
struct Arguments {
    /// What to write
    what: What,
    /// The folder to write into; it is made if it is not there
    folder: PathBuf,
}

const NAME: &str = "generate";

/// Not one of [`super::Command`]: then it would be in the pages and completions that it writes.
pub(super) fn command() -> Command {
    Arguments::augment_args(Command::new(NAME)).hide(true).about("Write man pages or completions")
}

/// Runs it, when that is what the arguments ask for.
pub(super) fn run_if_asked(matches: &ArgMatches) -> Option<Result<(), Failure>> {
    let (NAME, own) = matches.subcommand()? else { return None };
    Some(Arguments::from_arg_matches(own).map_err(Failure::usage).and_then(|arguments| {
        let folder = &arguments.folder;
        let written = fs::create_dir_all(folder).and_then(|()| match arguments.what {
            What::Man => man(folder),
            What::Completions => completions(folder),
        });
        written.map_err(|error| {
            Failure::of_io(&error, format!("generate: {}: {error}", folder.display()))
        })
    }))
}

fn completions(folder: &Path) -> io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut super::Arguments::command(), "binfmtd", folder)?;
    }
    Ok(())
}

fn man(folder: &Path) -> io::Result<()> {
    let mut program = super::Arguments::command().disable_help_subcommand(true);
    // Gives the commands the options of all, and their full names.
    program.build();
    let pages = pages(&program);
    for page in &pages {
        let mut text = Vec::new();
        page.write(&program, &pages, &mut text)?;
        fs::write(folder.join(format!("{}.1", page.name())), text)?;
    }
    Ok(())
}

/// The program and all commands below it that are shown, each before its own.
fn pages(command: &Command) -> Vec<Page<'_>> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    std::iter::once(Page(command)).chain(below.flat_map(pages)).collect()
}

struct Page<'a>(&'a Command);

impl Page<'_> {
    /// `binfmtd-buildx-inspect`
    fn name(&self) -> &str {
        self.0.get_display_name().unwrap_or_else(|| self.0.get_name())
    }

    fn write(&self, program: &Command, pages: &[Page<'_>], out: &mut dyn Write) -> io::Result<()> {
        let man = Man::new(self.0.clone());
        // Not Man's own: it leaves out the date when there is none, and the rest moves up.
        let title = self.name().to_uppercase().replace('-', "\\-");
        let version = program.get_version().unwrap_or_default();
        writeln!(out, ".TH {title} 1 \"\" \"binfmtd {version}\" binfmtd")?;
        man.render_name_section(out)?;
        man.render_synopsis_section(out)?;
        man.render_description_section(out)?;
        man.render_options_section(out)?;
        if self.0.has_subcommands() {
            man.render_subcommands_section(out)?;
        }
        let mut rest = Roff::new();
        exit_status(&mut rest, &after(program));
        if self.name() == program.get_name() {
            environment(&mut rest);
        }
        examples(&mut rest, &after(self.0));
        self.see_also(&mut rest, pages);
        rest.to_writer(out)
    }

    /// The pages above, below and beside this one, and that of the configuration.
    fn see_also(&self, roff: &mut Roff, pages: &[Page<'_>]) {
        let above = |name: &str| name.rsplit_once('-').map(|(above, _)| above.to_owned());
        let own = above(self.name());
        let near = pages.iter().map(Page::name).filter(|name| {
            let other = above(name);
            *name != self.name()
                && (own.as_deref() == Some(name)
                    || other == own
                    || other.as_deref() == Some(self.name()))
        });
        roff.control("SH", ["SEE ALSO"]);
        for name in near {
            roff.text([bold(name), roman("(1),")]);
        }
        roff.text([bold("binfmtd.toml"), roman("(5)")]);
    }
}

/// What stands below the options in `--help`.
fn after(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

const EXIT_CODES: &str = "Exit codes: ";

/// The program's `--help` names them in one sentence: `Exit codes: 0 all well, 1 …, 4 not permitted.`
fn exit_status(roff: &mut Roff, after: &str) {
    let sentence = after.split("\n\n").find_map(|part| part.strip_prefix(EXIT_CODES));
    let Some(sentence) = sentence else { return };
    roff.control("SH", ["EXIT STATUS"]);
    let words = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    let each = words.trim_end_matches('.').split(", ").filter_map(|part| part.split_once(' '));
    for (code, meaning) in each {
        roff.control("TP", []).text([bold(code)]).text([roman(meaning)]);
    }
}

/// The variables that are read, as the reference has them (`docs/reference/command-line.md`).
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "BINFMTD_RUNTIME_DIRECTORY",
        "The folder of the record of ownership and of what the service writes, in place of /run/binfmtd.",
    ),
    (
        "BINFMTD_STATE_DIRECTORY",
        "The folder of the record of the builders that are ours, in place of $XDG_STATE_HOME/binfmtd or \
         ~/.local/state/binfmtd.",
    ),
    (
        "TMPDIR",
        "Where probes are put and started from, before /tmp, /var/tmp, /run and /dev/shm; the first that is not mounted \
         noexec.",
    ),
    ("NO_COLOR", "No colours."),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, JOURNAL_STREAM",
        "Set by systemd, for the service; without them it tells nobody, and writes its log to standard error.",
    ),
];

fn environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        roff.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
}

/// The rest. Lines that are indented are shown as they stand, the others filled.
fn examples(roff: &mut Roff, after: &str) {
    let mut section = Some("EXAMPLES");
    let mut is_literal = false;
    for part in after.split("\n\n").filter(|part| !part.starts_with(EXIT_CODES)) {
        for line in part.lines().filter(|line| !matches!(*line, "Example:" | "Examples:")) {
            let literal = line.strip_prefix("  ");
            if let Some(section) = section.take() {
                roff.control("SH", [section]);
            } else if literal.is_some() && !is_literal {
                roff.control("PP", []);
            }
            if is_literal != literal.is_some() {
                is_literal = !is_literal;
                roff.control(if is_literal { "nf" } else { "fi" }, []);
                if !is_literal {
                    roff.control("PP", []);
                }
            }
            roff.text([roman(literal.unwrap_or(line))]);
        }
    }
    if is_literal {
        roff.control("fi", []);
    }
}
