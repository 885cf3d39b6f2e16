//! A way out, as data: commands and edits that a program can carry out, and one sentence for a person.
//!
//! Every output format renders the same data, so a command never has to be cut out of a sentence. Shape in JSON:
//! `docs/reference/json.md`.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use crate::phrase::Phrase;
use crate::shown::quote;

/// What to do about a finding or a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// One sentence. Where neither commands nor edits would help, it says whose it is to do.
    pub text: Phrase,
    /// In this order, each only if the one before succeeded.
    pub commands: Vec<Command>,
    /// One line of shell builtins, only where no program can start: a rule captures the native ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Changes to files, before the commands.
    pub edits: Vec<Edit>,
}

/// One program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    argv: Vec<Argument>,
    runs_as: RunsAs,
    place: Place,
    unset: Vec<&'static str>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    /// The same for every target.
    Word(String),
    /// One target's own, and of no use for another: a path, a rule's name in a script.
    Own(String),
    /// One of several that the command takes at once: `chmod a+x A B`.
    Each(String),
    /// The same for a target's name, of a command that without any name is about every configured target.
    Target(String),
}

/// As whom a command has to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunsAs {
    /// uid 0.
    Root,
    /// Whoever ran binfmtd.
    User,
    /// The user with this uid, who owns the builder or the file.
    Owner(u32),
}

/// Where a command has to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Where binfmtd ran.
    Here,
    /// On the host of this container.
    Host,
    /// On the machine of this builder's node.
    Node(String),
}

/// A change to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Edit {
    /// The file, as text: its name may be no UTF-8.
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
    /// As root, here.
    pub fn root(argv: &[&str]) -> Self {
        Self::new(RunsAs::Root, argv)
    }

    /// As the user who ran binfmtd, here.
    pub fn user(argv: &[&str]) -> Self {
        Self::new(RunsAs::User, argv)
    }

    /// As anybody, here.
    pub fn new(runs_as: RunsAs, argv: &[&str]) -> Self {
        let argv = argv.iter().map(|word| Argument::Word((*word).to_owned())).collect();
        Self { argv, runs_as, place: Place::Here, unset: Vec::new() }
    }

    /// `binfmtd register TARGET`, as root.
    pub fn register(target: &str) -> Self {
        Self::root(&["binfmtd", "register"]).target(target)
    }

    /// One more word.
    #[must_use]
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.argv.push(Argument::Word(word.into()));
        self
    }

    /// One more word, that of one target alone.
    #[must_use]
    pub fn own(mut self, word: impl Into<String>) -> Self {
        self.argv.push(Argument::Own(word.into()));
        self
    }

    /// One more word, of which the command takes several.
    #[must_use]
    pub fn each(mut self, word: impl Into<String>) -> Self {
        self.argv.push(Argument::Each(word.into()));
        self
    }

    /// The target's name, of which the command takes several, and without any does all.
    #[must_use]
    pub fn target(mut self, name: impl Into<String>) -> Self {
        self.argv.push(Argument::Target(name.into()));
        self
    }

    /// Not here.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Without this variable of the environment, which would decide otherwise.
    #[must_use]
    pub fn without(mut self, variable: &'static str) -> Self {
        self.unset.push(variable);
        self
    }

    /// The words.
    pub fn argv(&self) -> impl Iterator<Item = &str> {
        self.argv.iter().map(Argument::as_str)
    }

    /// As whom.
    pub fn runs_as(&self) -> RunsAs {
        self.runs_as
    }

    /// Where.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the two differ in nothing but words that a single command could take together, or that are each
    /// target's own.
    fn is_like(&self, other: &Self) -> bool {
        (self.runs_as, &self.place, &self.unset) == (other.runs_as, &other.place, &other.unset)
            && self.argv.len() == other.argv.len()
            && self.argv.iter().zip(&other.argv).all(|(one, another)| one.is_like(another))
    }

    /// One command that does what all of these do; `None` where each has a word of its own.
    fn of_all(commands: &[&Self], configured: &BTreeSet<&str>) -> Option<Self> {
        let (first, _) = commands.split_first()?;
        let mut argv = Vec::new();
        for (at, argument) in first.argv.iter().enumerate() {
            let all: BTreeSet<&str> = commands
                .iter()
                .filter_map(|command| command.argv.get(at))
                .map(Argument::as_str)
                .collect();
            match argument {
                Argument::Target(_) if all.len() > 1 && all == *configured => {}
                Argument::Target(_) => {
                    argv.extend(all.iter().map(|name| Argument::Target((*name).to_owned())));
                }
                Argument::Each(_) => {
                    argv.extend(all.iter().map(|word| Argument::Each((*word).to_owned())));
                }
                Argument::Own(_) if all.len() > 1 => return None,
                Argument::Own(_) | Argument::Word(_) => argv.push(argument.clone()),
            }
        }
        Some(Self { argv, ..(*first).clone() })
    }

    /// The line for a shell.
    pub fn line(&self, reader: Reader) -> String {
        let mut words: Vec<String> = Vec::new();
        match self.runs_as {
            RunsAs::Root if reader.uid != 0 => words.push("sudo".to_owned()),
            RunsAs::Owner(uid) if reader.uid != uid => {
                words.extend(["sudo".to_owned(), "-u".to_owned(), quote(&format!("#{uid}"))]);
            }
            RunsAs::Root | RunsAs::User | RunsAs::Owner(_) => {}
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
    /// No command would help: the sentence says what would, and whose it is to do.
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

    /// The same, with a change to a file before the commands.
    #[must_use]
    pub fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    /// Whether the two say and do the same, each of its own target.
    pub fn is_like(&self, other: &Self) -> bool {
        self.text.is_like(&other.text)
            && (&self.shell, &self.edits) == (&other.shell, &other.edits)
            && self.commands.len() == other.commands.len()
            && self.commands.iter().zip(&other.commands).all(|(one, another)| one.is_like(another))
    }

    /// Of several that are alike, what to copy or to read: [`Fix::line`] of all at once, where that is possible.
    /// `configured` are the targets that a command without names is about.
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
                    Place::Node(node) => {
                        line.extend(["on the machine of node ", node.as_str(), ": "]);
                    }
                }
            }
            line.push_str(&command.line(reader));
        }
        if line.is_empty() { self.text.to_string() } else { line }
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut command = serializer.serialize_struct("Command", 6)?;
        command.serialize_field("argv", &self.argv().collect::<Vec<_>>())?;
        match self.runs_as {
            RunsAs::Root => command.serialize_field("as", "root")?,
            RunsAs::User => command.serialize_field("as", "user")?,
            RunsAs::Owner(uid) => {
                command.serialize_field("as", "owner")?;
                command.serialize_field("uid", &uid)?;
            }
        }
        match &self.place {
            Place::Here => command.serialize_field("where", "here")?,
            Place::Host => command.serialize_field("where", "host")?,
            Place::Node(node) => {
                command.serialize_field("where", "node")?;
                command.serialize_field("node", node)?;
            }
        }
        if !self.unset.is_empty() {
            command.serialize_field("unset", &self.unset)?;
        }
        command.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROOT: Reader = Reader::ROOT;
    const USER: Reader = Reader { uid: 1000 };

    fn register(target: &str) -> Fix {
        let register = Command::register(target).word("--takeover");
        Fix::run(
            "register it",
            [Command::root(&["chmod", "a+x"]).each(format!("/q/{target}")), register],
        )
    }

    #[test]
    fn who_is_not_root_is_told_to_use_sudo() {
        let fix = register("arm");
        assert_eq!(fix.line(ROOT), "chmod a+x /q/arm && binfmtd register arm --takeover");
        assert_eq!(fix.line(USER), "sudo chmod a+x /q/arm && sudo binfmtd register arm --takeover");
        let user =
            Fix::run("", [Command::user(&["docker", "context", "ls"]).without("DOCKER_HOST")]);
        assert_eq!(user.line(ROOT), "env -u DOCKER_HOST docker context ls");
        let owner = Fix::run("", [Command::new(RunsAs::Owner(1000), &["docker", "ps"])]);
        assert_eq!(owner.line(ROOT), "sudo -u '#1000' docker ps");
        assert_eq!(owner.line(USER), "docker ps");
    }

    #[test]
    fn a_word_is_quoted_for_a_shell() {
        let fix = Fix::run("", [Command::root(&["chmod", "a+x"]).each("/q/a b'c")]);
        assert_eq!(fix.line(ROOT), r"chmod a+x '/q/a b'\''c'");
    }

    #[test]
    fn another_place_is_named_once() {
        let host = Fix::run("", ["a", "b"].map(|name| Command::root(&[name]).at(Place::Host)));
        assert_eq!(host.line(ROOT), "on the host: a && b");
        let both = Fix::run(
            "",
            [Command::root(&["a"]).at(Place::Node("n0".to_owned())), Command::user(&["b"])],
        );
        assert_eq!(both.line(USER), "on the machine of node n0: sudo a; then here: b");
    }

    #[test]
    fn without_commands_it_is_the_sentence() {
        assert_eq!(Fix::advice("ask its maintainer").line(USER), "ask its maintainer");
        let line = "echo -1 > /proc/sys/fs/binfmt_misc/x";
        assert_eq!(Fix::builtins("remove it", line).line(USER), line);
    }

    #[test]
    fn several_are_one_command_where_it_takes_several() {
        let fixes = [register("mips"), register("arm"), register("mips")];
        let all: Vec<&Fix> = fixes.iter().collect();
        assert!(all[0].is_like(all[1]));
        let none = BTreeSet::new();
        assert_eq!(
            Fix::of_all(&all, &none, ROOT),
            "chmod a+x /q/arm /q/mips && binfmtd register arm mips --takeover"
        );
        let configured = BTreeSet::from(["arm", "mips"]);
        assert!(Fix::of_all(&all, &configured, ROOT).ends_with("&& binfmtd register --takeover"));
        // One that is the only configured target is still named.
        assert!(Fix::of_all(&all[..1], &BTreeSet::from(["mips"]), ROOT).contains("register mips"));
    }

    #[test]
    fn what_each_has_of_its_own_is_told_in_words() {
        let own = |path: &str| {
            let text = Phrase::from("remove ") + Phrase::own(path, "its rule");
            Fix::run(text, [Command::root(&["rm"]).own(path)])
        };
        let (one, other) = (own("a"), own("b"));
        assert!(one.is_like(&other));
        let none = BTreeSet::new();
        assert_eq!(Fix::of_all(&[&one, &other], &none, ROOT), "remove its rule");
        assert_eq!(Fix::of_all(&[&one, &one.clone()], &none, ROOT), "rm a");
        assert_eq!(Fix::of_all(&[], &none, ROOT), "");
    }

    #[test]
    fn only_other_words_places_and_rights_are_another_fix() {
        let fix = |command: Command| Fix::run("x", [command]);
        let plain = fix(Command::root(&["a"]));
        for other in [
            fix(Command::root(&["b"])),
            fix(Command::user(&["a"])),
            fix(Command::root(&["a"]).at(Place::Host)),
            fix(Command::root(&["a"]).without("X")),
            fix(Command::root(&["a", "b"])),
            Fix::run("x", [Command::root(&["a"]), Command::root(&["a"])]),
            Fix::run("y", [Command::root(&["a"])]),
            Fix::builtins("x", "a"),
            Fix::advice("x").edit(Edit {
                file: "/f".into(),
                create: true,
                line: None,
                remove: Vec::new(),
                add: vec!["x".to_owned()],
            }),
        ] {
            assert!(!plain.is_like(&other) && !other.is_like(&plain), "{other:?}");
        }
        let kinds = ["word", "own", "each", "target"];
        let of_kind = |kind: &str| match kind {
            "word" => Command::root(&[]).word("a"),
            "own" => Command::root(&[]).own("a"),
            "each" => Command::root(&[]).each("a"),
            _ => Command::root(&[]).target("a"),
        };
        for (one, other) in kinds.iter().flat_map(|one| kinds.map(|other| (*one, other))) {
            assert_eq!(
                fix(of_kind(one)).is_like(&fix(of_kind(other))),
                one == other,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn its_json() {
        let fix = Fix::run(
            "register it there",
            [
                Command::register("arm"),
                Command::new(RunsAs::Owner(1000), &["docker"])
                    .at(Place::Node("n".to_owned()))
                    .without("X"),
            ],
        )
        .edit(Edit {
            file: "/f".into(),
            create: false,
            line: Some(3),
            remove: Vec::new(),
            add: vec!["x".to_owned()],
        });
        assert_eq!(
            serde_json::to_value(&fix).unwrap(),
            json!({
                "text": "register it there",
                "commands": [
                    {"argv": ["binfmtd", "register", "arm"], "as": "root", "where": "here"},
                    {"argv": ["docker"], "as": "owner", "uid": 1000, "where": "node", "node": "n", "unset": ["X"]},
                ],
                "edits": [{"file": "/f", "create": false, "line": 3, "remove": [], "add": ["x"]}],
            })
        );
        let builtins = serde_json::to_value(Fix::builtins("x", "echo")).unwrap();
        assert_eq!(builtins, json!({"text": "x", "commands": [], "shell": "echo", "edits": []}));
    }
}
