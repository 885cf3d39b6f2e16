//! Row by row, byte by byte. Whatever differs is in [`WANTED`], with its reason, or a failure; what is
//! in there and does not differ (any more) is a failure too.

use std::collections::BTreeSet;

use binfmtd::testing::rule::Magic;
use binfmtd::testing::target::Table;

const QEMU: &str = include_str!("qemu.tsv");
const DEBIAN: &str = include_str!("debian.tsv");

/// Targets that no fact tells of: QEMU dropped them, and distributions still ship them.
const DROPPED_BY_QEMU: [&str; 2] = ["cris", "nios2"];

/// What is compared of one byte: `magic & mask`, and `mask`.
type Byte = (u8, u8);

/// A difference that is meant: the byte, what the fact says, what is derived.
struct Wanted {
    name: &'static str,
    reason: &'static str,
    rows: Rows,
    at: std::ops::RangeInclusive<usize>,
    fact: Byte,
    ours: Byte,
}

/// The rows of each table that a wanted difference is to be found in: all of them, or it is one no more.
struct Rows {
    qemu: Set,
    debian: Set,
}

enum Set {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Set {
    fn has(&self, target: &str) -> bool {
        match self {
            Self::Only(these) => these.contains(&target),
            Self::AllBut(these) => !these.contains(&target),
        }
    }
}

use Set::{AllBut, Only};

const ANY: Byte = (0, 0);
const ZERO: Byte = (0, 0xff);

/// Both tables leave byte 8 free here.
const ABI_VERSION_IS_FREE: &[&str] =
    &["loongarch64", "mips", "mips64", "mips64el", "mipsel", "mipsn32", "mipsn32el"];
/// Debian has 0 to 3 here, as we have.
const DEBIAN_NARROWS_OSABI: &[&str] = &[
    "i386",
    "loongarch64",
    "ppc",
    "ppc64",
    "ppc64le",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc32plus",
    "sparc64",
    "x86_64",
];
const BIG_MIPS: &[&str] = &["mips", "mipsn32"];
const LITTLE_MIPS: &[&str] = &["mipsel", "mipsn32el"];

const WANTED: &[Wanted] = &[
    Wanted {
        name: "EI_OSABI is 0 to 3",
        reason: "FreeBSD's programs (9) are not Linux's; Debian does so for some targets already",
        rows: Rows { qemu: AllBut(&["loongarch64"]), debian: AllBut(DEBIAN_NARROWS_OSABI) },
        at: 7..=7,
        fact: ANY,
        ours: (0, 0xfc),
    },
    Wanted {
        name: "EI_ABIVERSION is free",
        reason: "no kernel looks at it, and AppImages keep an A there",
        rows: Rows { qemu: AllBut(ABI_VERSION_IS_FREE), debian: AllBut(ABI_VERSION_IS_FREE) },
        at: 8..=8,
        fact: ZERO,
        ours: ANY,
    },
    Wanted {
        name: "EI_PAD is free",
        reason: "no kernel looks at it, and AppImages keep I and 2 there",
        rows: Rows { qemu: AllBut(&[]), debian: AllBut(&[]) },
        at: 9..=15,
        fact: ZERO,
        ours: ANY,
    },
    Wanted {
        name: "EI_DATA is exact",
        reason: "a mask of fe lets in a byte order of 0, which is no program's",
        rows: Rows {
            qemu: Only(&["i386", "i486", "x86_64", "alpha"]),
            debian: Only(&["i386", "x86_64"]),
        },
        at: 5..=5,
        fact: (0, 0xfe),
        ours: (1, 0xff),
    },
    Wanted {
        name: "EI_VERSION is exact",
        reason: "1 is the only version that ever was; a mask of fe lets in 0",
        rows: Rows {
            qemu: Only(&["i386", "i486", "x86_64", "alpha", "m68k"]),
            debian: Only(&["i386", "x86_64"]),
        },
        at: 6..=6,
        fact: (0, 0xfe),
        ours: (1, 0xff),
    },
    Wanted {
        name: "e_type is big-endian",
        reason: "QEMU's microblaze has it little-endian, magic and mask, and matches no program",
        rows: Rows { qemu: Only(&["microblaze"]), debian: Only(&[]) },
        at: 16..=16,
        fact: (2, 0xfe),
        ours: (0, 0xff),
    },
    Wanted {
        name: "e_type is big-endian, second byte",
        reason: "see the first",
        rows: Rows { qemu: Only(&["microblaze"]), debian: Only(&[]) },
        at: 17..=17,
        fact: (0, 0xff),
        ours: (2, 0xfe),
    },
    Wanted {
        name: "e_machine is exact",
        reason: "both tables free its high byte for ppc64le alone; no machine is 0x??15",
        rows: Rows { qemu: Only(&["ppc64le"]), debian: Only(&["ppc64le"]) },
        at: 19..=19,
        fact: ANY,
        ours: ZERO,
    },
    Wanted {
        name: "e_version is free in the long rows, big-endian",
        reason: "the others end before it, and no kernel looks at it",
        rows: Rows { qemu: Only(BIG_MIPS), debian: Only(BIG_MIPS) },
        at: 20..=22,
        fact: ZERO,
        ours: ANY,
    },
    Wanted {
        name: "e_version is free in the long rows, big-endian, last byte",
        reason: "see the first",
        rows: Rows { qemu: Only(BIG_MIPS), debian: Only(BIG_MIPS) },
        at: 23..=23,
        fact: (1, 0xff),
        ours: ANY,
    },
    Wanted {
        name: "e_version is free in the long rows, little-endian",
        reason: "the others end before it, and no kernel looks at it",
        rows: Rows { qemu: Only(LITTLE_MIPS), debian: Only(LITTLE_MIPS) },
        at: 20..=20,
        fact: (1, 0xff),
        ours: ANY,
    },
    Wanted {
        name: "e_version is free in the long rows, little-endian, further bytes",
        reason: "see the first",
        rows: Rows { qemu: Only(LITTLE_MIPS), debian: Only(LITTLE_MIPS) },
        at: 21..=23,
        fact: ZERO,
        ours: ANY,
    },
];

struct Fact {
    target: &'static str,
    platforms: Option<Vec<&'static str>>,
    magic: Vec<u8>,
    mask: Vec<u8>,
}

impl Fact {
    fn byte(&self, at: usize) -> Byte {
        self.magic.get(at).zip(self.mask.get(at)).map_or(ANY, |(magic, mask)| (magic & mask, *mask))
    }
}

fn facts(text: &'static str) -> Vec<Fact> {
    let hex = |digits| binfmtd::testing::rule::parse_hex(digits).expect("hex digits");
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let columns: Vec<_> = lines.next().expect("a line of column names").split('\t').collect();
    let at = |name| columns.iter().position(|column| *column == name);
    lines
        .map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            let cell = |name| cells[at(name).expect("a column")];
            Fact {
                target: cell("target"),
                platforms: at("platform")
                    .map(|at| cells[at].split(',').filter(|platform| *platform != "-").collect()),
                magic: hex(cell("magic")),
                mask: hex(cell("mask")),
            }
        })
        .collect()
}

fn derived(magic: &Magic, at: usize) -> Byte {
    assert_eq!(magic.offset(), 0);
    magic
        .magic()
        .get(at)
        .zip(magic.mask().get(at))
        .map_or(ANY, |(magic, mask)| (magic & mask, *mask))
}

/// Every byte that differs, with both sides.
fn differences(fact: &Fact, magic: &Magic) -> Vec<(usize, Byte, Byte)> {
    (0..fact.magic.len().max(magic.magic().len()))
        .map(|at| (at, fact.byte(at), derived(magic, at)))
        .filter(|(_, fact, ours)| fact != ours)
        .collect()
}

/// The rows that a difference is listed for; a name that is no row is one too many.
fn targets(facts: &[Fact], set: &Set) -> Vec<&'static str> {
    match set {
        Only(these) => these.to_vec(),
        AllBut(_) => {
            facts.iter().map(|fact| fact.target).filter(|target| set.has(target)).collect()
        }
    }
}

/// Compares a table; gives what is wrong, in words.
fn compare(table: &Table, facts: &[Fact], rows: fn(&Rows) -> &Set) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for fact in facts {
        let Ok(target) = table.find(fact.target) else {
            problems.push(format!("{}: not in the table", fact.target));
            continue;
        };
        // A fact is about one e_machine; microblaze has another one besides.
        let machine = |magic: &Magic| fact.magic[18..20] == magic.magic()[18..20];
        let Some(magic) = target.identity.magics().into_iter().find(machine) else {
            problems.push(format!("{}: no rule for its e_machine", fact.target));
            continue;
        };
        for (at, theirs, ours) in differences(fact, &magic) {
            let wanted = WANTED.iter().find(|wanted| {
                rows(&wanted.rows).has(fact.target)
                    && wanted.at.contains(&at)
                    && (wanted.fact, wanted.ours) == (theirs, ours)
            });
            match wanted {
                Some(wanted) => drop(seen.insert((wanted.name, fact.target, at))),
                None => problems.push(format!(
                    "{}: byte {at}: the fact says {:02x}/{:02x}, derived is {:02x}/{:02x}",
                    fact.target, theirs.0, theirs.1, ours.0, ours.1
                )),
            }
        }
    }
    for wanted in WANTED {
        for target in targets(facts, rows(&wanted.rows)) {
            for at in wanted.at.clone().filter(|at| !seen.contains(&(wanted.name, target, *at))) {
                problems.push(format!(
                    "{target}: byte {at}: no such difference any more: {} ({})",
                    wanted.name, wanted.reason
                ));
            }
        }
    }
    problems
}

#[test]
fn qemus_rules_differ_where_it_is_meant() {
    let facts = facts(QEMU);
    let problems = compare(&Table::embedded(), &facts, |rows| &rows.qemu);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn debians_rules_differ_where_it_is_meant() {
    let facts = facts(DEBIAN);
    let problems = compare(&Table::embedded(), &facts, |rows| &rows.debian);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The comparison itself: it sees a byte that is not listed, and a listed one that is no more.
#[test]
fn the_comparison_fails_both_ways() {
    let table = Table::embedded();
    let mut changed = facts(DEBIAN);
    let arm = changed.iter_mut().find(|fact| fact.target == "arm").unwrap();
    arm.mask[4] = 0xfe;
    arm.mask[10] = 0;
    let problems = compare(&table, &changed, |rows| &rows.debian);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("arm: byte 4: the fact says 00/fe"), "{problems:?}");
    assert!(
        problems[1].starts_with("arm: byte 10: no such difference any more: EI_PAD"),
        "{problems:?}"
    );
}

#[test]
fn every_target_is_there_and_no_other() {
    let table = Table::embedded();
    let ours: BTreeSet<_> = table.targets().iter().map(|target| target.name.as_str()).collect();
    let facts: BTreeSet<_> = facts(QEMU)
        .iter()
        .chain(&facts(DEBIAN))
        .map(|fact| fact.target)
        .chain(DROPPED_BY_QEMU)
        .collect();
    assert_eq!(ours, facts);
}

#[test]
fn the_platforms_are_those_of_the_facts() {
    let table = Table::embedded();
    for fact in facts(QEMU) {
        let target = table.find(fact.target).unwrap();
        assert_eq!(
            Some(&target.platforms.iter().map(String::as_str).collect()),
            fact.platforms.as_ref()
        );
    }
    for target in DROPPED_BY_QEMU {
        assert!(table.find(target).unwrap().platforms.is_empty());
    }
}

/// The second one, which neither QEMU nor Debian knows: binutils and the kernel write 189.
#[test]
fn microblaze_has_two_machines() {
    let table = Table::embedded();
    for (target, second) in
        [("microblaze", "qemu-microblaze-0xbaab"), ("microblazeel", "qemu-microblazeel-0xbaab")]
    {
        let rules = table.find(target).unwrap().rules();
        let names: Vec<_> = rules.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [&format!("qemu-{target}"), second]);
    }
    let more = table.targets().iter().filter(|target| target.identity.machines.len() > 1);
    assert_eq!(more.count(), 2, "all others have one");
}

/// The doctor calls a rule narrow that leaves some of a target's programs out: the rules that QEMU and Debian ship
/// are not, but for the one that matches none and for `EI_ABIVERSION`, which a few targets' programs fill.
#[test]
fn rules_that_are_shipped_take_all_programs_of_their_targets() {
    let table = Table::embedded();
    for (text, matches_none) in [(QEMU, &["microblaze"][..]), (DEBIAN, &[])] {
        for fact in facts(text) {
            let identity = &table.find(fact.target).unwrap().identity;
            let magic = Magic::new(0, fact.magic.clone(), Some(fact.mask.clone())).unwrap();
            let machine = |machine: &&u16| identity.order.u16(**machine) == fact.magic[18..20];
            let machine = *identity.machines.iter().find(machine).unwrap();
            let programs = identity.programs(machine);
            assert!(programs.len() >= 2, "{}: of both OSABIs", fact.target);
            let bytes = programs.iter().filter_map(|program| magic.narrower_at(program));
            let bytes: BTreeSet<_> = bytes.map(|at| identity.field(at)).collect();
            if matches_none.contains(&fact.target) {
                assert_eq!(bytes, BTreeSet::from(["e_type"]), "{}", fact.target);
            } else if identity.abi_version == 0 {
                assert_eq!(bytes, BTreeSet::new(), "{}", fact.target);
            } else {
                assert!(bytes.iter().all(|field| *field == "EI_ABIVERSION"), "{}", fact.target);
            }
        }
    }
}

#[test]
fn a_targets_own_rule_takes_all_its_programs() {
    for target in Table::embedded().targets() {
        for ((name, magic), machine) in target.rules().iter().zip(&target.identity.machines) {
            for program in target.identity.programs(*machine) {
                assert_eq!(magic.narrower_at(&program), None, "{name}: {program:?}");
            }
        }
    }
}
