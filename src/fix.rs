//! A fix, as data: commands and edits that a program can carry out, and one sentence for a person.
//!
//! Every output format renders the same data, so a command never has to be cut out of a sentence. Shape in JSON:
//! `docs/reference/json.md`.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::phrase::Phrase;
use crate::shown::quote;

/// What to do about a finding or a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// One sentence. If neither commands nor edits would help, it says who has to do what.
    pub text: Phrase,
    /// Each runs only if the one before it succeeded.
    pub commands: Vec<Command>,
    /// One line of shell builtins, only where no program can start: a rule captures the native ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Changes to files, before the commands.
    pub edits: Vec<Edit>,
}

/// One program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    argv: Vec<Argument>,
    #[serde(flatten)]
    runs_as: RunsAs,
    #[serde(flatten)]
    place: Place,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unset: Vec<&'static str>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Argument {
    /// The same for every target.
    Word(String),
    /// For one target only, such as a rule's name in a script: commands that differ in it are not merged.
    Own(String),
    /// An argument of a command that accepts several: `chmod a+x A B`.
    Each(String),
    /// A target's name, for a command that handles all configured targets if none is named.
    Target(String),
}

/// As whom a command has to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "as", rename_all = "kebab-case")]
pub enum RunsAs {
    Root,
    /// Whoever ran binfmtd.
    User,
    /// Who owns the builder or the file.
    Owner {
        uid: u32,
    },
}

/// Where a command has to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "where", rename_all = "kebab-case")]
pub enum Place {
    /// Where binfmtd ran.
    Here,
    /// On the host of this container.
    Host,
    /// On the machine of this builder's node.
    Node { node: String },
}

/// A change to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Edit {
    /// As text: the name may not be UTF-8.
    pub file: String,
    /// Whether it is a new file.
    pub create: bool,
    /// Where, counted from 1; `None` for the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Lines to remove, from that line on.
    pub remove: Vec<String>,
    /// Lines to put in their place.
    pub add: Vec<String>,
}

/// Who is to run a fix, which decides about `sudo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The effective uid; 0 needs no `sudo`.
    pub uid: u32,
}

impl Reader {
    pub const ROOT: Self = Self { uid: 0 };
}

impl Command {
    pub fn root(argv: &[&str]) -> Self {
        Self::new(RunsAs::Root, argv)
    }

    pub fn user(argv: &[&str]) -> Self {
        Self::new(RunsAs::User, argv)
    }

    pub fn new(runs_as: RunsAs, argv: &[&str]) -> Self {
        let argv = argv.iter().map(|word| Argument::Word((*word).to_owned())).collect();
        Self { argv, runs_as, place: Place::Here, unset: Vec::new() }
    }

    /// `binfmtd register TARGET`, as root.
    pub fn register(target: &str) -> Self {
        Self::root(&["binfmtd", "register"]).target(target)
    }

    #[must_use]
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.argv.push(Argument::Word(word.into()));
        self
    }

    /// A word for one target only.
    #[must_use]
    pub fn own(mut self, word: impl Into<String>) -> Self {
        self.argv.push(Argument::Own(word.into()));
        self
    }

    /// An argument of which the command accepts several.
    #[must_use]
    pub fn each(mut self, word: impl Into<String>) -> Self {
        self.argv.push(Argument::Each(word.into()));
        self
    }

    /// A target's name, for a command that handles all configured targets if none is named.
    #[must_use]
    pub fn target(mut self, name: impl Into<String>) -> Self {
        self.argv.push(Argument::Target(name.into()));
        self
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Without this variable of the environment, which would change what the command does.
    #[must_use]
    pub fn without(mut self, variable: &'static str) -> Self {
        self.unset.push(variable);
        self
    }

    pub fn argv(&self) -> impl Iterator<Item = &str> {
        self.argv.iter().map(Argument::as_str)
    }

    /// Whether the two differ only in arguments that one command could take together, or in per-target words.
    fn is_like(&self, other: &Self) -> bool {
        (self.runs_as, &self.place, &self.unset) == (other.runs_as, &other.place, &other.unset)
            && self.argv.len() == other.argv.len()
            && self.argv.iter().zip(&other.argv).all(|(one, another)| one.is_like(another))
    }

    /// Merges commands that are alike into one; `None` if they differ in a per-target word.
    fn of_all(commands: &[&Self], configured: &BTreeSet<&str>) -> Option<Self> {
        let (first, _) = commands.split_first()?;
        let mut argv = Vec::new();
        for (at, argument) in first.argv.iter().enumerate() {
            let all = commands.iter().filter_map(|command| command.argv.get(at));
            let all: BTreeSet<&str> = all.map(Argument::as_str).collect();
            match argument {
                Argument::Target(_) if all.len() > 1 && all == *configured => {}
                Argument::Target(_) | Argument::Each(_) => {
                    argv.extend(all.iter().map(|word| Argument::Word((*word).to_owned())));
                }
                Argument::Own(_) if all.len() > 1 => return None,
                Argument::Own(_) | Argument::Word(_) => argv.push(argument.clone()),
            }
        }
        Some(Self { argv, ..(*first).clone() })
    }

    pub fn line(&self, reader: Reader) -> String {
        let mut words: Vec<String> = Vec::new();
        match self.runs_as {
            RunsAs::Root if reader.uid != 0 => words.push("sudo".to_owned()),
            RunsAs::Owner { uid } if reader.uid != uid => {
                words.extend(["sudo".to_owned(), "-u".to_owned(), quote(&format!("#{uid}"))]);
            }
            RunsAs::Root | RunsAs::User | RunsAs::Owner { .. } => {}
        }
        if !self.unset.is_empty() {
            words.push("env".to_owned());
            words.extend(self.unset.iter().flat_map(|name| ["-u".to_owned(), (*name).to_owned()]));
        }
        words.extend(self.argv().map(quote));
        words.join(" ")
    }
}

impl Argument {
    fn as_str(&self) -> &str {
        match self {
            Self::Word(word) | Self::Own(word) | Self::Each(word) | Self::Target(word) => word,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Word(word), Self::Word(another)) => word == another,
            (Self::Own(_), Self::Own(_))
            | (Self::Each(_), Self::Each(_))
            | (Self::Target(_), Self::Target(_)) => true,
            (Self::Word(_) | Self::Own(_) | Self::Each(_) | Self::Target(_), _) => false,
        }
    }
}

impl Fix {
    /// No command would help: the sentence says what would, and who has to do it.
    pub fn advice(text: impl Into<Phrase>) -> Self {
        Self { text: text.into(), commands: Vec::new(), shell: None, edits: Vec::new() }
    }

    /// Commands, and the sentence that says what they do.
    pub fn run(text: impl Into<Phrase>, commands: impl IntoIterator<Item = Command>) -> Self {
        Self { commands: commands.into_iter().collect(), ..Self::advice(text) }
    }

    /// One line of builtins, where no program can start.
    pub fn builtins(text: impl Into<Phrase>, line: impl Into<String>) -> Self {
        Self { shell: Some(line.into()), ..Self::advice(text) }
    }

    #[must_use]
    pub fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    /// Whether the two differ in per-target values only, so that they can be merged.
    pub fn is_like(&self, other: &Self) -> bool {
        self.text.is_like(&other.text)
            && (&self.shell, &self.edits) == (&other.shell, &other.edits)
            && self.commands.len() == other.commands.len()
            && self.commands.iter().zip(&other.commands).all(|(one, another)| one.is_like(another))
    }

    /// Merges fixes that are alike: the commands to copy, or the sentence if the commands cannot be merged.
    /// `configured` are the targets that a command without names handles.
    pub fn of_all(fixes: &[&Self], configured: &BTreeSet<&str>, reader: Reader) -> String {
        let Some((first, _)) = fixes.split_first() else { return String::new() };
        let merged: Option<Vec<Command>> = (0..first.commands.len())
            .map(|at| {
                let all: Vec<&Command> =
                    fixes.iter().filter_map(|fix| fix.commands.get(at)).collect();
                Command::of_all(&all, configured)
            })
            .collect();
        let texts: Vec<&Phrase> = fixes.iter().map(|fix| &fix.text).collect();
        match merged {
            Some(commands) if !commands.is_empty() || first.shell.is_some() => {
                Self { commands, ..(*first).clone() }.line(reader)
            }
            _ => Phrase::of_all(&texts, configured),
        }
    }

    /// What to copy into a shell, or else the sentence. Never empty.
    pub fn line(&self, reader: Reader) -> String {
        if let Some(line) = &self.shell {
            return line.clone();
        }
        let mut line = String::new();
        let mut place = &Place::Here;
        for command in &self.commands {
            line.push_str(match (line.is_empty(), &command.place == place) {
                (true, _) => "",
                (false, true) => " && ",
                (false, false) => "; then ",
            });
            if &command.place != place {
                place = &command.place;
                match place {
                    Place::Here => line.push_str("here: "),
                    Place::Host => line.push_str("on the host: "),
                    Place::Node { node } => {
                        line.extend(["on the machine of node ", node.as_str(), ": "]);
                    }
                }
            }
            line.push_str(&command.line(reader));
        }
        if line.is_empty() { self.text.to_string() } else { line }
    }
}

#[cfg(test)]
mod tests;
