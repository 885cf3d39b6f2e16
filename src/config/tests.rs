use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::files::is_read;
use super::validate::{Whole, validate};
use super::*;
use crate::rule::{Flags, Matcher};

const FILE: &str = "/etc/binfmtd/binfmtd.toml";
const WHOLE: Whole = Whole { settings: true, table: true };

fn read(text: &str) -> Result<Settings, String> {
    let file = Path::new(FILE);
    let read = parse(text, file)
        .and_then(|fragment| validate(fragment, Table::embedded(), vec![file.to_owned()], WHOLE));
    read.map_err(|errors| Failure::from(errors).message)
}

/// The errors without the file's name, which is the same in all.
fn errors(text: &str) -> Vec<String> {
    let errors = read(text).expect_err(text);
    errors.lines().map(|line| line.strip_prefix(FILE).expect(line).to_owned()).collect()
}

#[test]
fn nothing_is_required() {
    for text in ["", "# nothing\n", "[daemon]\n[buildx.driver-options]\n[target]\n[rule]\n"] {
        let settings = read(text).unwrap();
        assert_eq!(settings, Settings { sources: settings.sources.clone(), ..Settings::default() });
    }
}

#[test]
fn every_key_is_read() {
    let settings = read(
        r#"
        targets = ["arm64", "linux/arm/v7", "aarch64", "armhf"]
        interpreter-directories = ["/opt/qemu/bin", "/usr/bin", "/opt/qemu/bin/"]
        verify = "after"
        credentials = true
        preserve-argv0 = false
        [daemon]
        backstop-minutes = 1_440
        pause-after = 0x20
        longest-pause-seconds = 60
        metrics-file = "/var/lib/node exporter/../binfmtd.prom"
        [buildx]
        name = "ci.Builder_2-b"
        platforms = ["arm64", "linux/arm/v6"]
        buildkitd-flags = "--debug --allow-insecure-entitlement 'network.host'"
        buildkitd-config = "/etc/buildkit/buildkitd.toml"
        [buildx.driver-options]
        network = "host"
        "env.NO_PROXY" = "localhost,127.0.0.1,a=b"
        [target.arm64]
        interpreter = "/opt/qemu/bin/qemu-aarch64"
        flags = "FOC"
        [rule.jar]
        extension = "jar"
        interpreter = "/usr/bin/jexec"
        "#,
    )
    .unwrap();
    assert_eq!(settings.targets, Targets::List(vec!["aarch64".into(), "arm".into()]));
    assert_eq!(
        settings.interpreter_directories,
        [Path::new("/opt/qemu/bin"), Path::new("/usr/bin")]
    );
    assert_eq!(settings.verify, Verify::After);
    assert!(settings.credentials);
    assert_eq!(settings.preserve_argv0, PreserveArgv0::No);
    let daemon = Daemon {
        backstop: Some(Duration::from_secs(86400)),
        pause_after: 32,
        longest_pause: Duration::from_secs(60),
        metrics_file: Some("/var/lib/node exporter/../binfmtd.prom".into()),
    };
    assert_eq!(settings.daemon, daemon);
    assert_eq!(settings.sources.origins["daemon.pause-after"].line, 9);
    let buildx = Buildx {
        name: "ci.builder_2-b".into(),
        platforms: Some(vec!["linux/arm64".into(), "linux/arm/v6".into()]),
        driver_options: [("env.NO_PROXY", "localhost,127.0.0.1,a=b"), ("network", "host")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        buildkitd_flags: Some("--debug --allow-insecure-entitlement 'network.host'".into()),
        buildkitd_config: Some("/etc/buildkit/buildkitd.toml".into()),
    };
    assert_eq!(settings.buildx, buildx);
    for (key, line) in [
        ("buildx.name", 13),
        ("buildx.platforms", 14),
        ("buildx.driver-options.network", 18),
        ("buildx.driver-options.\"env.NO_PROXY\"", 19),
    ] {
        assert_eq!(settings.sources.origins[key].line, line, "{key}");
    }
    let special = &settings.overrides["aarch64"];
    assert_eq!(special.interpreter.as_ref().unwrap().to_string(), "/opt/qemu/bin/qemu-aarch64");
    assert_eq!(special.flags.unwrap().to_string(), "OCF");
    assert_eq!(settings.rules[0].rule.register_string(), b":jar:E::jar::/usr/bin/jexec:");
    assert_eq!(settings.rules[0].origin.to_string(), format!("{FILE}:23"));
    assert_eq!(settings.sources.origins["target.aarch64.flags"].line, 22);
}

#[test]
fn the_service_has_defaults_and_bounds() {
    let daemon = |text: &str| read(&format!("[daemon]\n{text}\n")).unwrap().daemon;
    let defaults = Daemon {
        backstop: Some(Duration::from_secs(900)),
        pause_after: 10,
        longest_pause: Duration::from_secs(300),
        metrics_file: None,
    };
    assert_eq!(daemon(""), defaults);
    assert_eq!(daemon("backstop-minutes = 0"), Daemon { backstop: None, ..defaults.clone() });
    let week = Some(Duration::from_secs(7 * 86400));
    assert_eq!(daemon("backstop-minutes = 10080"), Daemon { backstop: week, ..defaults.clone() });
    for (text, pause_after) in [("0", 0), ("1000000", 1_000_000)] {
        let wanted = Daemon { pause_after, ..defaults.clone() };
        assert_eq!(daemon(&format!("pause-after = {text}")), wanted);
    }
    for seconds in [1, 86400] {
        let longest_pause = Duration::from_secs(seconds);
        let wanted = Daemon { longest_pause, ..defaults.clone() };
        assert_eq!(daemon(&format!("longest-pause-seconds = {seconds}")), wanted);
    }
}

#[test]
fn the_builder_has_defaults() {
    let buildx = |text: &str| read(&format!("[buildx]\n{text}\n")).unwrap().buildx;
    let defaults = Buildx {
        name: "binfmtd".into(),
        platforms: None,
        driver_options: std::collections::BTreeMap::new(),
        buildkitd_flags: None,
        buildkitd_config: None,
    };
    assert_eq!(buildx(""), defaults);
    assert_eq!(buildx("platforms = 'auto'"), defaults);
    // The shortest, all signs, and capitals, which buildx does not keep.
    for (written, name) in
        [("b", "b"), ("a1._-", "a1._-"), ("X-1", "x-1"), ("Defaults", "defaults")]
    {
        let wanted = Buildx { name: name.into(), ..defaults.clone() };
        assert_eq!(buildx(&format!("name = '{written}'")), wanted);
    }
    let empty =
        Buildx { driver_options: [("cgroup-parent".to_owned(), String::new())].into(), ..defaults };
    assert_eq!(buildx("driver-options.cgroup-parent = ''"), empty);
}

#[test]
fn a_platform_is_the_one_that_was_meant() {
    let meant = |names: &[&str]| {
        let text = format!("buildx.platforms = {names:?}");
        read(&text).unwrap().buildx.platforms.unwrap()
    };
    for (name, platform) in [
        ("linux/arm/v6", "linux/arm/v6"),
        ("Linux/ARM/v5", "linux/arm/v5"),
        ("arm/v6", "linux/arm/v6"),
        ("armv6", "linux/arm/v6"),
        ("armv6l", "linux/arm/v6"),
        ("armv5tel", "linux/arm/v5"),
        ("arm", "linux/arm/v7"),
        ("armhf", "linux/arm/v7"),
        ("armv8l", "linux/arm/v7"),
        ("linux/arm64", "linux/arm64"),
        ("arm64/v8", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
        ("i386", "linux/386"),
        ("ppc64el", "linux/ppc64le"),
        ("mips64el", "linux/mips64le"),
    ] {
        assert_eq!(meant(&[name]), [platform], "{name}");
    }
    let names = ["arm64", "linux/arm/v6", "aarch64", "arm", "armhf", "linux/arm/v7", "armv6"];
    assert_eq!(meant(&names), ["linux/arm64", "linux/arm/v6", "linux/arm/v7"]);
}

#[test]
fn a_watcher_knows_where_to_look() {
    let all = places(Path::new("/"), None);
    for place in [
        "/etc/binfmtd",
        "/etc/binfmtd/binfmtd.d",
        "/etc/binfmtd/tables.d",
        "/run/binfmtd/binfmtd.d",
        "/usr/local/lib/binfmtd/tables.d",
        "/usr/lib/binfmtd",
    ] {
        assert!(all.contains(&PathBuf::from(place)), "{place} in {all:?}");
    }
    assert_eq!(all.len(), 12);
    let here = std::env::current_dir().unwrap();
    assert!(
        places(Path::new("tree"), None).iter().all(|place| place.starts_with(here.join("tree")))
    );

    let explicit = places(Path::new("/"), Some(Path::new("/srv/mine.toml")));
    let (first, rest) = explicit.split_first().unwrap();
    assert_eq!(first, Path::new("/srv"));
    assert_eq!(rest.len(), 4);
    assert!(rest.iter().all(|place| place.ends_with("tables.d") && all.contains(place)));
    assert_eq!(places(Path::new("/"), Some(Path::new("mine.toml")))[0], here);
    assert_eq!(places(Path::new("/"), Some(Path::new("/"))).len(), 4);
    assert_eq!(places(Path::new("/"), Some(Path::new(""))).len(), 4);
}

#[test]
fn leftovers_of_editors_and_package_managers_are_no_configuration() {
    for name in ["binfmtd.toml", "50-mine.toml"] {
        assert!(is_read(OsStr::new(name)), "{name}");
    }
    for name in [
        ".50-mine.toml.swp",
        ".50-mine.toml",
        ".toml",
        "toml",
        "50-mine.toml~",
        "50-mine.toml.dpkg-new",
        // The service's own files, in a folder that is also one of the configuration's.
        "rules.json",
        "metrics.prom",
        "lock",
    ] {
        assert!(!is_read(OsStr::new(name)), "{name}");
    }
}

#[test]
fn magic_has_two_spellings() {
    let rule = |magic: &str| {
        let text = format!(
            "[rule.x]\ninterpreter = '/x'\nmagic = {magic}\nmask = 'ff fe'\noffset = 0x4\n"
        );
        let rules = read(&text).unwrap().rules;
        let Matcher::Magic(magic) = rules[0].rule.matcher().clone() else { panic!("{magic}") };
        assert_eq!((magic.offset(), magic.mask_hex()), (4, "fffe".to_owned()));
        magic.magic().to_vec()
    };
    for spelling in ["'7f45'", r"'\x7fE'", r#""\\x7fE""#, "'7F 45'"] {
        assert_eq!(rule(spelling), b"\x7fE", "{spelling}");
    }
}

/// A text, and how its first fault begins.
const FAULTS: &[(&str, &str)] = &[
    ("verify = 'sometimes'", ":1: verify: \"sometimes\" is none of before, after, off"),
    ("\n\nverify = true", ":3: verify: true is none of before, after, off"),
    ("credentials = 'yes'", ":1: credentials: \"yes\" is neither true nor false"),
    ("preserve-argv0 = 1", ":1: preserve-argv0: 1 is none of auto, yes, no"),
    ("targets = 'arm64'", ":1: targets: \"arm64\" is not \"auto\"; write a list: [\"arm64\"]"),
    ("targets = 3", ":1: targets: 3 is neither \"auto\" nor a list of targets"),
    ("targets = [\n'arm64',\n7]", ":3: targets: 7 is not a string; put it in quotes"),
    ("targets = ['arm46']", ":1: targets: unknown target \"arm46\" (did you mean arm64?)"),
    (
        "targets = ['pdp11']",
        ":1: targets: unknown target \"pdp11\" (\"binfmtd targets\" lists them)",
    ),
    (
        "interpreter-directories = '/usr/bin'",
        ":1: interpreter-directories: \"/usr/bin\" is not a list of absolute paths",
    ),
    (
        "interpreter-directories = ['bin']",
        ":1: interpreter-directories: \"bin\" is not an absolute path without control characters",
    ),
    ("verfiy = 'off'", ":1: verfiy: unknown key (did you mean verify?)"),
    (
        "interpreter_directories = []",
        ":1: interpreter_directories: unknown key (did you mean interpreter-directories?)",
    ),
    (
        "daemon.backstop-minutes = 10081",
        ":1: daemon.backstop-minutes: 10081 is not a number from 0 to 10080",
    ),
    (
        "[daemon]\nbackstop-minutes = -1",
        ":2: daemon.backstop-minutes: -1 is not a number from 0 to 10080",
    ),
    (
        "[daemon]\nbackstop-minutes = '15'",
        ":2: daemon.backstop-minutes: \"15\" is not a number from 0 to 10080",
    ),
    (
        "[daemon]\nbackstop-minutes = 15.0",
        ":2: daemon.backstop-minutes: 15.0 is not a number from 0 to 10080",
    ),
    (
        "[daemon]\npause-after = 1000001",
        ":2: daemon.pause-after: 1000001 is not a number from 0 to 1000000",
    ),
    // One more than fits into 64 bits.
    (
        "[daemon]\npause-after = 0x10000000000000000",
        ":2: daemon.pause-after: 0x10000000000000000 is not a number from 0 to 1000000",
    ),
    (
        "[daemon]\nlongest-pause-seconds = 0",
        ":2: daemon.longest-pause-seconds: 0 is not a number from 1 to 86400",
    ),
    (
        "[daemon]\nlongest-pause-seconds = 86401",
        ":2: daemon.longest-pause-seconds: 86401 is not a number from 1 to 86400",
    ),
    (
        "[daemon]\nmetrics-file = true",
        ":2: daemon.metrics-file: true is not a string; put it in quotes",
    ),
    (
        "[daemon]\nmetrics-file = 'metrics.prom'",
        ":2: daemon.metrics-file: \"metrics.prom\" is not an absolute path without control characters",
    ),
    (
        "[daemon]\nmetrics-file = \"/a\\nb\"",
        ":2: daemon.metrics-file: \"/a\\nb\" is not an absolute path without control characters",
    ),
    (
        "[daemon]\nmetrics-file = '/run/binfmtd/rules.json'",
        ":2: daemon.metrics-file: \"/run/binfmtd/rules.json\" does not end in .prom",
    ),
    (
        "[daemon]\nmetrics-file = '/var/lib/'",
        ":2: daemon.metrics-file: \"/var/lib/\" is a folder; add the name of a file in it",
    ),
    (
        "[daemon]\nmetrics-file = '/var/lib/..'",
        ":2: daemon.metrics-file: \"/var/lib/..\" is a folder; add the name of a file in it",
    ),
    ("daemon.pause_after = 1", ":1: daemon.pause_after: unknown key (did you mean pause-after?)"),
    (
        "daemon.colour = 1",
        ":1: daemon.colour: unknown key (known: backstop-minutes, pause-after, longest-pause-seconds, metrics-file)",
    ),
    (
        "daemon = true",
        ":1: daemon: true is not a table; write [daemon] and backstop-minutes, pause-after, longest-pause-seconds, metrics-file below it",
    ),
    (
        "buildx.name = ''",
        ":1: buildx.name: \"\" cannot name a builder: a letter, then letters, digits, \".\", \"_\" and \"-\"",
    ),
    ("buildx.name = '1st'", ":1: buildx.name: \"1st\" cannot name a builder: a letter, "),
    ("buildx.name = '-b'", ":1: buildx.name: \"-b\" cannot name a builder: a letter, "),
    ("buildx.name = 'my builder'", ":1: buildx.name: \"my builder\" cannot name a builder: "),
    ("buildx.name = 'bücher'", ":1: buildx.name: \"bücher\" cannot name a builder: "),
    ("buildx.name = 'éa'", ":1: buildx.name: \"éa\" cannot name a builder: "),
    ("buildx.name = 'a/b'", ":1: buildx.name: \"a/b\" cannot name a builder: "),
    ("buildx.name = 2", ":1: buildx.name: 2 is not a string; put it in quotes"),
    (
        "buildx.name = 'default'",
        ":1: buildx.name: \"default\" is Docker's own builder; choose another name",
    ),
    (
        "[buildx]\nname = 'Default'",
        ":2: buildx.name: \"Default\" is Docker's own builder; choose another name",
    ),
    (
        "[buildx]\nplatforms = 'arm64'",
        ":2: buildx.platforms: \"arm64\" is not \"auto\"; write a list: [\"arm64\"]",
    ),
    (
        "buildx.platforms = true",
        ":1: buildx.platforms: true is neither \"auto\" nor a list of platforms",
    ),
    (
        "[buildx]\nplatforms = []",
        ":2: buildx.platforms: an empty list: no platform is asked for; \"auto\" means all that work",
    ),
    (
        "buildx.platforms = [\n'arm64',\n64]",
        ":3: buildx.platforms: 64 is not a string; put it in quotes",
    ),
    (
        "buildx.platforms = [\n'arm64',\n'linux/amr64',\n'pdp11']",
        ":3: buildx.platforms: unknown target \"linux/amr64\" (did you mean linux/arm64?)",
    ),
    (
        "buildx.platforms = [\n'pdp11']",
        ":2: buildx.platforms: unknown target \"pdp11\" (\"binfmtd targets\" lists them)",
    ),
    (
        "buildx.platforms = [\n'arm64',\n'alpha']",
        ":3: buildx.platforms: target alpha has no name in images: Docker cannot build for it",
    ),
    (
        "[buildx]\ndriver-options = 'network=host'",
        ":2: buildx.driver-options: \"network=host\" is not a table; write [buildx.driver-options] and OPTION = \"VALUE\" below it",
    ),
    (
        "[buildx.driver-options]\nmemory = 4",
        ":2: buildx.driver-options.memory: 4 is not a string; put it in quotes",
    ),
    (
        "[buildx.driver-options]\ndefault-load = true",
        ":2: buildx.driver-options.default-load: true is not a string; put it in quotes",
    ),
    (
        "[buildx.driver-options]\nnetwork = ['host']",
        ":2: buildx.driver-options.network: a list is not a string; put it in quotes",
    ),
    (
        "[buildx.driver-options]\nenv.HTTP_PROXY = 'http://proxy'",
        ":2: buildx.driver-options.env: a table is not a string; put a name with a dot in quotes: \"env.HTTP_PROXY\"",
    ),
    (
        "[buildx.driver-options]\nnetwork = \"a\\nb\"",
        ":2: buildx.driver-options.network: \"a\\nb\" has control characters",
    ),
    (
        "[buildx.driver-options]\n'' = 'x'",
        ":2: buildx.driver-options.\"\": \"\" cannot name an option: at least one character, and no \"=\", \",\" or control character",
    ),
    (
        "[buildx.driver-options]\n'a=b' = 'x'",
        ":2: buildx.driver-options.\"a=b\": \"a=b\" cannot name an option: ",
    ),
    (
        "[buildx.driver-options]\n'a,b' = 'x'",
        ":2: buildx.driver-options.\"a,b\": \"a,b\" cannot name an option: ",
    ),
    (
        "[buildx.driver-options]\n\"a\\u007f\" = 'x'",
        ":2: buildx.driver-options.\"a\\u{7f}\": \"a\\u{7f}\" cannot name an option: ",
    ),
    (
        "[buildx.driver-options]\nnetwork = 'host'\n'env.BINFMTD_BUILDER' = '1'",
        ":3: buildx.driver-options.\"env.BINFMTD_BUILDER\": binfmtd sets it itself, as the mark of its builders; remove this",
    ),
    (
        "buildx.buildkitd-flags = ' '",
        ":1: buildx.buildkitd-flags: \" \" has no flags; give some, or remove this",
    ),
    (
        "buildx.buildkitd-flags = \"--debug\\n\"",
        ":1: buildx.buildkitd-flags: \"--debug\\n\" has control characters",
    ),
    (
        "buildx.buildkitd-flags = ['--debug']",
        ":1: buildx.buildkitd-flags: a list is not a string; put it in quotes",
    ),
    (
        "buildx.buildkitd-config = 'buildkitd.toml'",
        ":1: buildx.buildkitd-config: \"buildkitd.toml\" is not an absolute path without control characters",
    ),
    (
        "buildx.buildkitd-config = \"/a\\tb\"",
        ":1: buildx.buildkitd-config: \"/a\\tb\" is not an absolute path without control characters",
    ),
    (
        "buildx.buildkitd-config = '/etc/buildkit/'",
        ":1: buildx.buildkitd-config: \"/etc/buildkit/\" is a folder; add the name of a file in it",
    ),
    (
        "buildx.buildkitd-config = false",
        ":1: buildx.buildkitd-config: false is not a string; put it in quotes",
    ),
    (
        "buildx.driver-opts = {}",
        ":1: buildx.driver-opts: unknown key (did you mean driver-options?)",
    ),
    (
        "buildx.colour = 1",
        ":1: buildx.colour: unknown key (known: name, platforms, driver-options, buildkitd-flags, buildkitd-config)",
    ),
    (
        "buildx = 'mine'",
        ":1: buildx: \"mine\" is not a table; write [buildx] and name, platforms, driver-options, buildkitd-flags, buildkitd-config below it",
    ),
    ("[build]", ":1: build: unknown key (did you mean buildx?)"),
    ("[[daemon]]", ":1: daemon: a list is not a table; write [daemon] and backstop-minutes, "),
    ("[demon]", ":1: demon: unknown key (did you mean daemon?)"),
    ("target.arm64.flag = ''", ":1: target.arm64.flag: unknown key (did you mean flags?)"),
    (
        "target.arm64.colour = ''",
        ":1: target.arm64.colour: unknown key (known: interpreter, flags)",
    ),
    (
        "target.arm64 = 1",
        ":1: target.arm64: 1 is not a table; write [target.arm64] and interpreter, flags below it",
    ),
    (
        "target = 1",
        ":1: target: 1 is not a table; write [target.NAME] and interpreter, flags below it",
    ),
    (
        "[target.pdp11]",
        ":1: target.pdp11: unknown target \"pdp11\" (\"binfmtd targets\" lists them)",
    ),
    ("target.arm64.flags = 'PX'", ":1: target.arm64.flags: unknown flag 'X' (known: P, O, C, F)"),
    (
        "[target.arm64]\nflags = 'F'\n[target.aarch64]\nflags = 'PF'",
        ":4: target.aarch64.flags: aarch64 has it already, in line 2; keep one of them",
    ),
    (
        "[target.arm64]\ninterpreter = 'qemu'",
        ":2: target.arm64.interpreter: \"qemu\" cannot be an interpreter: it must be an absolute path without control characters",
    ),
    ("[rule.x]\nextension = 'x'", ":1: rule.x: there is no interpreter; give its absolute path"),
    ("[rule.x]\ninterpreter = '/x'", ":1: rule.x: there is neither magic nor extension; give one"),
    (
        "[rule.x]\ninterpreter = '/x'\nmagic = '00'\nextension = 'x'",
        ":4: rule.x.extension: there is a magic too, at /etc/binfmtd/binfmtd.toml:3; keep one of them",
    ),
    (
        "[rule.x]\ninterpreter = '/x'\nmask = '00'\nextension = 'x'",
        ":3: rule.x.mask: an extension has no mask; give magic instead, or remove this",
    ),
    (
        "[rule.x]\ninterpreter = '/x'\nmagic = '7f45'\nmask = 'ff'",
        ":4: rule.x.mask: the magic has 2 bytes and the mask 1: they must have one length",
    ),
    (
        "[rule.x]\ninterpreter = '/x'\nmagic = '7f45'\nmask = '0000'",
        ":4: rule.x.mask: the mask is all zeros: the rule would match every file",
    ),
    ("[rule.x]\ninterpreter = '/x'\nmagic = ''", ":3: rule.x.magic: the magic is empty"),
    (
        "[rule.x]\ninterpreter = '/x'\nmagic = '7f45'\noffset = 255",
        ":4: rule.x.offset: offset 255 and 2 bytes reach past the 256 bytes that the kernel looks at",
    ),
    ("[rule.x]\noffset = 256", ":2: rule.x.offset: 256 is not a number from 0 to 255"),
    ("[rule.x]\noffset = -1", ":2: rule.x.offset: -1 is not a number from 0 to 255"),
    ("[rule.x]\nmagic = '7f4'", ":2: rule.x.magic: \"7f4\" has an odd number of hex digits"),
    (
        "[rule.x]\nmagic = '7g'",
        ":2: rule.x.magic: \"7g\" at byte 1 is neither a hex digit nor a \\xHH escape",
    ),
    (
        "[rule.x]\nmagic = \"\\x41\\x42\"",
        ":2: rule.x.magic: TOML itself reads backslashes in double quotes; put it in single quotes",
    ),
    (
        "[rule.qemu-aarch64]\ninterpreter = '/x'\nextension = 'x'",
        ":1: rule.qemu-aarch64: this is the rule of target aarch64; use [target.aarch64], or another name",
    ),
    (
        "[rule.'a b']\ninterpreter = '/x'\nextension = 'x'",
        ":1: rule.\"a b\": \"a b\" cannot name a rule: 1 to 255 printable characters",
    ),
    ("verify = 'off'\nverify = 'off'", ":2: not TOML: duplicate key"),
    ("[target", ":1: not TOML: unclosed table, expected \"]\""),
    ("verify = \"\\x7g\"", ":1: not TOML: "),
];

#[test]
fn every_fault_says_where_and_what_is_allowed() {
    for (text, wanted) in FAULTS {
        let found = errors(text);
        assert!(found[0].starts_with(wanted), "{text}\nwanted {wanted}\nfound  {}", found[0]);
    }
}

/// A target that is missing, or has no platform, may have one in the table that could not be read.
#[test]
fn platforms_are_not_judged_by_half_a_table() {
    let platforms = "buildx.platforms = ['mycpu', 'alpha', 'arm64']";
    let fragment = parse(platforms, Path::new(FILE)).unwrap();
    let half = Whole { table: false, ..WHOLE };
    let settings = validate(fragment.clone(), Table::embedded(), Vec::new(), half).unwrap();
    assert_eq!(settings.buildx.platforms, Some(vec!["linux/arm64".into()]));
    let errors = validate(fragment.clone(), Table::embedded(), Vec::new(), WHOLE).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");

    let mut table = Table::embedded();
    let added =
        "class = 32\nbyte-order = 'big'\nmachines = [0xfeed]\nplatforms = ['linux/MyCPU/v2']\n";
    table.extend(&format!("[mycpu]\n{added}")).unwrap();
    let fragment = parse("buildx.platforms = ['mycpu/V2']", Path::new(FILE)).unwrap();
    let settings = validate(fragment, table, Vec::new(), WHOLE).unwrap();
    assert_eq!(settings.buildx.platforms, Some(vec!["linux/MyCPU/v2".into()]));
}

#[test]
fn all_faults_of_a_file_are_told_in_its_order() {
    let found =
        errors("verify = 1\ncolour = 2\n[rule.x]\nmask = 'g'\n[target.arm64]\nflags = 'x'\n");
    let lines: Vec<_> = found.iter().map(|error| &error[..2]).collect();
    assert_eq!(lines, [":1", ":2", ":4", ":6"]);
    let found = errors("verify = \n[target.arm64]\nflags = ]\n");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn no_text_can_forge_a_line_of_output() {
    for text in ["\"a\\nb\" = 1\nverify = \"a\\nb\"\n", "[target.\"x\\ny\"]\n[rule.\"x\\u001b\"]\n"]
    {
        let found = errors(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|error| !error.contains('\x1b')), "{found:?}");
    }
    let error = parse("verify = 1", Path::new("/a\nb")).unwrap_err();
    assert_eq!(Failure::from(error).message, "/a\\nb:1: verify: 1 is none of before, after, off");
}

#[test]
fn a_later_file_overrides_key_by_key_by_any_name() {
    let texts = [
        "verify = 'off'\ntargets = ['arm', 'arm64']\n[daemon]\npause-after = 1\nbackstop-minutes = 2\n[target.arm64]\ninterpreter = '/a'\nflags = 'F'\n[buildx]\nname = 'one'\nplatforms = ['arm64']\ndriver-options = { network = 'host', memory = '1g' }\n",
        "targets = ['riscv64']\n[target.aarch64]\ninterpreter = '/b'\n[rule.x]\ninterpreter = '/x'\n",
        "[daemon]\nbackstop-minutes = 0\n[rule.x]\nextension = 'x'\n[buildx]\nplatforms = 'auto'\nbuildkitd-flags = '--debug'\ndriver-options.memory = '2g'\n",
    ];
    let mut merged = Fragment::default();
    for (number, text) in texts.iter().enumerate() {
        merged = merged.overridden_by(parse(text, &PathBuf::from(format!("/{number}"))).unwrap());
    }
    let settings = validate(merged, Table::embedded(), Vec::new(), WHOLE).unwrap();
    assert_eq!(settings.verify, Verify::Off);
    assert_eq!(settings.targets, Targets::List(vec!["riscv64".into()]));
    assert_eq!((settings.daemon.pause_after, settings.daemon.backstop), (1, None));
    assert_eq!(settings.sources.origins["daemon.pause-after"].to_string(), "/0:4");
    assert_eq!(settings.sources.origins["daemon.backstop-minutes"].to_string(), "/2:2");
    let buildx = Buildx {
        name: "one".into(),
        driver_options: [("memory", "2g"), ("network", "host")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        buildkitd_flags: Some("--debug".into()),
        ..Buildx::default()
    };
    assert_eq!(settings.buildx, buildx);
    for (key, origin) in [
        ("name", "/0:10"),
        ("platforms", "/2:6"),
        ("driver-options.network", "/0:12"),
        ("driver-options.memory", "/2:8"),
    ] {
        assert_eq!(settings.sources.origins[&format!("buildx.{key}")].to_string(), origin, "{key}");
    }
    let special = &settings.overrides["aarch64"];
    assert_eq!(special.interpreter.as_ref().unwrap().to_string(), "/b");
    assert_eq!(special.flags, Some(Flags { fix_binary: true, ..Flags::default() }));
    assert_eq!(settings.sources.origins["target.aarch64.interpreter"].to_string(), "/1:3");
    assert_eq!(settings.sources.origins["target.aarch64.flags"].to_string(), "/0:8");
    assert_eq!(settings.rules.len(), 1);
    assert_eq!(settings.rules[0].origin.to_string(), "/2:3");
}

#[test]
fn what_is_shown_is_json_too() {
    let settings =
        read("credentials = true\n[daemon]\npause-after = 3\n[target.arm64]\nflags = 'F'\n[buildx]\nplatforms = ['arm64']\ndriver-options.'env.X' = '1'\n")
            .unwrap();
    let json = serde_json::to_value(settings.show()).unwrap();
    assert_eq!(json["files"][0], FILE);
    assert_eq!(json["settings"]["targets"]["value"], "auto");
    assert_eq!(json["settings"]["targets"]["origin"], serde_json::Value::Null);
    assert_eq!(json["settings"]["credentials"]["origin"]["line"], 1);
    assert_eq!(json["daemon"]["pause-after"]["value"], 3);
    assert_eq!(json["daemon"]["pause-after"]["origin"]["line"], 3);
    assert_eq!(json["daemon"]["backstop-minutes"]["value"], 15);
    assert_eq!(json["daemon"]["backstop-minutes"]["origin"], serde_json::Value::Null);
    assert_eq!(json["daemon"].get("metrics-file"), None);
    assert_eq!(json["buildx"]["name"]["value"], "binfmtd");
    assert_eq!(json["buildx"]["name"]["origin"], serde_json::Value::Null);
    assert_eq!(json["buildx"]["platforms"]["value"], serde_json::json!(["linux/arm64"]));
    assert_eq!(json["buildx"]["platforms"]["origin"]["line"], 7);
    assert_eq!(json["buildx"]["driver-options"]["env.X"]["value"], "1");
    assert_eq!(json["buildx"]["driver-options"]["env.X"]["origin"]["line"], 8);
    assert_eq!(json["buildx"].get("buildkitd-flags"), None);
    assert_eq!(json["target"]["aarch64"]["flags"]["value"], "F");
}

/// The sample as it ships, and with every setting in it switched on.
#[test]
fn the_sample_validates() {
    let sample = include_str!("../../packaging/binfmtd.toml");
    let shipped = read(sample).unwrap();
    assert_eq!(shipped, Settings { sources: shipped.sources.clone(), ..Settings::default() });

    // Prose begins with "# ", a setting that is off with "#" alone.
    let on: String = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = read(&on).unwrap();
    // Its default is no path that a file could have.
    let metrics_file = settings.daemon.metrics_file.clone();
    assert!(metrics_file.is_some());
    let buildx = Buildx {
        name: Buildx::default().name,
        platforms: Buildx::default().platforms,
        ..settings.buildx.clone()
    };
    let general = Settings {
        daemon: Daemon { metrics_file, ..Daemon::default() },
        buildx,
        overrides: settings.overrides.clone(),
        rules: settings.rules.clone(),
        sources: settings.sources.clone(),
        ..Settings::default()
    };
    assert_eq!(settings, general, "what has a default shows it");
    assert_eq!(settings.sources.origins.keys().filter(|key| !key.contains('.')).count(), 5);
    for (section, keys) in [("daemon", parse::DAEMON_KEYS), ("buildx", parse::BUILDX_KEYS)] {
        for key in keys {
            let path = format!("{section}.{key}");
            let is_within = |origin: &String| origin.starts_with(&format!("{path}."));
            let mut origins = settings.sources.origins.keys();
            assert!(origins.any(|origin| *origin == path || is_within(origin)), "{path}");
        }
    }
    assert!(!settings.overrides.is_empty() && !settings.rules.is_empty());
}

/// The manual names every key, and its examples are true.
#[test]
fn the_reference_is_complete() {
    let reference = include_str!("../../docs/reference/configuration.md");
    let tables = [parse::DAEMON_KEYS, parse::BUILDX_KEYS, parse::TARGET_KEYS, parse::RULE_KEYS];
    for key in parse::KEYS.iter().chain(tables.into_iter().flatten()) {
        let spellings = [format!("`{key}`"), format!("`[{key}]`"), format!("`[{key}.")];
        assert!(spellings.iter().any(|spelling| reference.contains(spelling)), "{key}");
    }
    assert!(reference.contains(&format!("`{:?}`", Buildx::default().name)));
    for directory in Settings::default().interpreter_directories {
        assert!(reference.contains(&directory.display().to_string()), "{}", directory.display());
    }
    let blocks: Vec<_> = reference.split("```toml\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let text = block.split("```").next().unwrap();
        if text.contains("machines = ") {
            Table::embedded().extend(text).unwrap();
        } else {
            read(text).unwrap();
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    "(/[a-zA-Z0-9 ._'\"\\\\#é-]{1,12}){1,4}"
}

fn flags() -> impl Strategy<Value = String> {
    "P?O?C?F?"
}

fn target() -> impl Strategy<Value = String> {
    let table = Table::embedded();
    let names: Vec<_> = table.targets().iter().map(|target| target.name.clone()).collect();
    proptest::sample::select(names)
}

/// A name of a target that images have a name for.
fn platform() -> impl Strategy<Value = String> {
    let table = Table::embedded();
    let with_platform = |target: &&crate::target::Target| !target.platforms.is_empty();
    let names: Vec<_> = table
        .targets()
        .iter()
        .filter(with_platform)
        .flat_map(|target| target.platforms.iter().chain([&target.name]).cloned())
        .collect();
    proptest::sample::select(names)
}

/// A key, quoted as JSON does it, which TOML reads too.
fn key(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// `[buildx]`, valid.
fn buildx() -> impl Strategy<Value = String> {
    let quoted = |text: String| toml::Value::String(text).to_string();
    let options = proptest::collection::btree_map(
        "[a-zA-Z0-9._'\"\\\\ é-]{1,12}",
        "[a-zA-Z0-9.,='\"\\\\ :/é-]{0,12}",
        0..4,
    );
    let platforms =
        proptest::option::of(proptest::collection::vec(platform(), 1..6)).prop_map(|names| {
            names.map_or("platforms = 'auto'\n".to_owned(), |names| {
                format!("platforms = {names:?}\n")
            })
        });
    let flags = proptest::option::of("--[a-z='\"\\\\ -]{1,20}");
    let config = proptest::option::of("(/[a-zA-Z0-9 _'\"\\\\#é-]{1,12}){1,4}");
    ("[a-zA-Z][a-zA-Z0-9._-]{7,12}", platforms, options, flags, config).prop_map(
        move |(name, platforms, options, flags, config)| {
            let line = |(key, value): (&str, Option<String>)| {
                value.map(|value| format!("{key} = {}\n", quoted(value)))
            };
            let buildkitd: String = [("buildkitd-flags", flags), ("buildkitd-config", config)]
                .into_iter()
                .filter_map(line)
                .collect();
            let option =
                |(name, value): (String, String)| format!("{} = {}\n", key(&name), quoted(value));
            let options: String = options.into_iter().map(option).collect();
            format!(
                "[buildx]\nname = '{name}'\n{platforms}{buildkitd}\
                 [buildx.driver-options]\n{options}"
            )
        },
    )
}

/// A text that is valid, made of everything there is.
fn valid() -> impl Strategy<Value = String> {
    let quoted = |text: String| toml::Value::String(text).to_string();
    let list = move |all: Vec<String>| all.into_iter().map(quoted).collect::<Vec<_>>().join(", ");
    let targets =
        proptest::option::of(proptest::collection::vec(target(), 0..5)).prop_map(move |names| {
            names.map_or("targets = 'auto'".to_owned(), |names| {
                format!("targets = [{}]", list(names))
            })
        });
    let directories = proptest::collection::vec(path(), 0..4)
        .prop_map(move |paths| format!("interpreter-directories = [{}]", list(paths)));
    let verify = proptest::sample::select(vec!["before", "after", "off"]);
    let preserve = proptest::sample::select(vec!["'auto'", "'yes'", "'no'", "true", "false"]);
    let special =
        proptest::collection::btree_map(target(), (path(), flags()), 0..3).prop_map(move |all| {
            let table = |(name, (path, flags))| {
                format!("[target.{name}]\ninterpreter = {}\nflags = '{flags}'\n", quoted(path))
            };
            all.into_iter().map(table).collect::<String>()
        });
    let magic = (proptest::collection::vec((any::<u8>(), 1..=u8::MAX), 1..64), 0..192_usize)
        .prop_map(|(bytes, offset)| {
            let hex = |bytes: Vec<u8>| {
                bytes.iter().fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}"))
            };
            let (magic, mask) = bytes.into_iter().unzip();
            format!("magic = '{}'\nmask = '{}'\noffset = {offset}\n", hex(magic), hex(mask))
        });
    let matcher = prop_oneof![magic, "[a-z]{1,8}".prop_map(|end| format!("extension = '{end}'\n"))];
    let rules = proptest::collection::btree_map(
        "[a-zA-Z0-9._'\"\\\\-]{3,12}",
        (path(), flags(), matcher),
        0..3,
    )
    .prop_map(move |all| {
        let table = |(name, (path, flags, matcher)): (String, _)| {
            let (name, path) = (key(&name), quoted(path));
            format!("[rule.{name}]\ninterpreter = {path}\nflags = '{flags}'\n{matcher}")
        };
        all.into_iter().map(table).collect::<String>()
    });
    let daemon = (
        0..=10080,
        0..=1_000_000,
        1..=86400,
        proptest::option::of("(/[a-zA-Z0-9 _'\"\\\\#é-]{1,12}){1,4}"),
    )
        .prop_map(move |(backstop, pause_after, longest_pause, metrics_file)| {
            let metrics_file = metrics_file.map_or_else(String::new, |path| {
                format!("metrics-file = {}\n", quoted(format!("{path}.prom")))
            });
            format!(
                "[daemon]\nbackstop-minutes = {backstop}\npause-after = {pause_after}\n\
                     longest-pause-seconds = {longest_pause}\n{metrics_file}"
            )
        });
    let general = (targets, directories, verify, any::<bool>(), preserve);
    (general, daemon, buildx(), special, rules).prop_map(
        |(general, daemon, buildx, special, rules)| {
            let (targets, directories, verify, credentials, preserve) = general;
            format!(
                "{targets}\n{directories}\nverify = '{verify}'\ncredentials = {credentials}\n\
             preserve-argv0 = {preserve}\n{daemon}{buildx}{special}{rules}"
            )
        },
    )
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = read(&text);
    }

    #[test]
    fn nothing_that_looks_like_toml_panics(text in "([a-z.]{1,6}|[\\[\\]{}='\",.\\\\#\n0-9-]|targets|verify|daemon|pause-after|buildx|platforms|driver-options|rule|target|magic| = ){0,24}") {
        let _ = read(&text);
    }

    #[test]
    fn what_is_shown_reads_back_the_same(text in valid()) {
        let settings = read(&text).map_err(TestCaseError::fail)?;
        let shown = settings.show().to_string();
        let again = read(&shown).map_err(|error| TestCaseError::fail(format!("{error}\n{shown}")))?;
        // The lines are others, and so are the origins.
        let rules = |settings: &Settings| settings.rules.iter().map(|custom| custom.rule.clone()).collect::<Vec<_>>();
        prop_assert_eq!(rules(&again), rules(&settings));
        let rest = Settings { sources: settings.sources.clone(), rules: settings.rules.clone(), ..again };
        prop_assert_eq!(rest, settings);
    }

    #[test]
    fn laying_nothing_over_changes_nothing(text in valid()) {
        let fragment = parse(&text, Path::new(FILE)).unwrap();
        prop_assert_eq!(fragment.clone().overridden_by(Fragment::default()), fragment.clone());
        prop_assert_eq!(Fragment::default().overridden_by(fragment.clone()), fragment);
    }
}

#[test]
fn a_fault_of_a_table_keeps_its_line_and_its_target() {
    let of = |text: &str| {
        let error = Table::embedded().extend(text).unwrap_err();
        Failure::from(vec![ConfigError::of_table(Path::new("/t.toml"), error)]).message
    };
    assert_eq!(
        of("\n[x1]\nclass = 16\nbyte-order = \"big\"\nmachines = [1]\n"),
        "/t.toml:2: x1: class is 16; it must be 32 or 64"
    );
    assert!(of("\n\n[x1]\ncolour = 1\n").starts_with("/t.toml:4: unknown field \"colour\""));
}
