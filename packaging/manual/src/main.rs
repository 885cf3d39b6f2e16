//! Writes binfmtd's man pages into FOLDER/man and its completions into FOLDER/completions.

mod man;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use binfmtd::cli::Arguments;
use clap::CommandFactory as _;
use clap_complete::Shell;

#[allow(clippy::print_stderr, reason = "a program for builds, without a log")]
fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        eprintln!("usage: binfmtd-manual FOLDER");
        return ExitCode::from(2);
    };
    let folder = PathBuf::from(folder);
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("binfmtd-manual: {}: {error}", folder.display());
            ExitCode::from(3)
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    for folder in [&pages, &completions] {
        // A page of a command that is no more would be installed with the others.
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    man::write(Arguments::command(), &pages)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "binfmtd", &completions)?;
    }
    Ok(())
}
