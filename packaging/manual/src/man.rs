//! A man page for the program and one for each command, from the same definition as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Writes every page of `program` into a folder.
pub(crate) fn write(program: Command, folder: &Path) -> io::Result<()> {
    let mut program = program.disable_help_subcommand(true);
    // Gives the commands the global options, and their full names.
    program.build();
    let pages = pages(&program);
    for page in &pages {
        let mut text = Vec::new();
        page.write(&program, &pages, &mut text)?;
        fs::write(folder.join(format!("{}.1", page.name())), text)?;
    }
    Ok(())
}

/// The program and every command that is not hidden, each before its subcommands.
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
        // Man's own title drops an empty date, and the fields after it move up.
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

    /// The pages of the parent, the siblings and the subcommands, and binfmtd.toml(5).
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

fn after(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

const EXIT_CODES: &str = "Exit codes: ";

/// `--help` lists them in one sentence: `Exit codes: 0 all well, 1 …, 4 not permitted.`
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

/// The same variables as in `docs/reference/command-line.md`; a test compares them.
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "BINFMTD_RUNTIME_DIRECTORY",
        "The folder for the record of ownership and the service's files, instead of /run/binfmtd.",
    ),
    (
        "BINFMTD_STATE_DIRECTORY",
        "The folder for the record of the builders that binfmtd created, instead of $XDG_STATE_HOME/binfmtd or \
         ~/.local/state/binfmtd.",
    ),
    (
        "TMPDIR",
        "Where probes are written and started, tried before /tmp, /var/tmp, /run and /dev/shm; the first one not mounted \
         noexec is used.",
    ),
    ("NO_COLOR", "No colours."),
    (
        "NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, JOURNAL_STREAM",
        "Set by systemd for the service. Without them it notifies nobody and logs to standard error.",
    ),
];

fn environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        roff.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
}

/// The rest of the text below the options: indented lines literally, the others filled.
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
