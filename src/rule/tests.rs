use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use proptest::prelude::*;

use super::escape::unescape;
use super::register::{MAX_REGISTER_STRING, parse};
use super::*;

const AARCH64: &[u8] = br":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\xfc\x00\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OPF";

fn rule(string: &str) -> Rule {
    parse(string.as_bytes()).unwrap_or_else(|error| panic!("{string}: {error}"))
}

fn refused(string: impl AsRef<[u8]>) -> RegisterError {
    parse(string.as_ref()).expect_err("this must be refused")
}

fn magic(offset: usize, bytes: &[u8], mask: Option<&[u8]>) -> Magic {
    Magic::new(offset, bytes.to_vec(), mask.map(<[u8]>::to_vec)).unwrap()
}

fn entry(content: &str) -> Entry {
    Entry::parse(OsStr::new("e"), content.as_bytes())
        .unwrap_or_else(|error| panic!("{content}: {error}"))
}

fn entry_refused(content: &str) -> EntryError {
    Entry::parse(OsStr::new("e"), content.as_bytes()).expect_err("this must be refused")
}

/// What the kernel writes about a rule (`bm_entry_read`, `entry_status`).
fn entry_content(rule: &Rule) -> Vec<u8> {
    let mut content = b"enabled\ninterpreter ".to_vec();
    content.extend_from_slice(rule.interpreter().as_path().as_os_str().as_bytes());
    content.extend_from_slice(format!("\nflags: {}\n", rule.flags()).as_bytes());
    let rest = match rule.matcher() {
        Matcher::Extension(extension) => format!("extension .{}\n", extension.as_str()),
        Matcher::Magic(magic) => {
            let mask = if magic.is_exact() {
                String::new()
            } else {
                format!("mask {}\n", magic.mask_hex())
            };
            format!("offset {}\nmagic {}\n{mask}", magic.offset(), magic.magic_hex())
        }
    };
    content.extend_from_slice(rest.as_bytes());
    content
}

mod register_string {
    use super::*;

    #[test]
    fn all_fields_are_read() {
        let rule = parse(AARCH64).unwrap();
        assert_eq!(rule.name().as_str(), "qemu-aarch64");
        assert_eq!(rule.interpreter().as_path(), Path::new("/usr/bin/qemu-aarch64-static"));
        assert_eq!(rule.flags().to_string(), "POF");
        let magic = rule.matcher().magic().unwrap();
        assert_eq!(magic.offset(), 0);
        assert_eq!(magic.magic_hex(), "7f454c460201010000000000000000000200b700");
        assert_eq!(magic.mask_hex(), "fffffffffffffffc00fffffffffffffffeffffff");
    }

    #[test]
    fn an_extension_is_read_and_the_fields_it_has_no_use_for_are_not() {
        let plain = rule(":wine:E::exe::/usr/bin/wine:");
        assert_eq!(plain, rule(":wine:E:junk:exe:junk:/usr/bin/wine:"));
        assert_eq!(plain.matcher(), &Matcher::Extension("exe".parse().unwrap()));
        assert_eq!(plain.register_string(), b":wine:E::exe::/usr/bin/wine:");
    }

    #[test]
    fn a_newline_at_the_end_is_the_shells() {
        assert_eq!(rule(":a1:M::BC::/usr/bin/lli:\n"), rule(":a1:M::BC::/usr/bin/lli:"));
        assert!(matches!(refused(":a1:M::BC::/usr/bin/lli:\n\n"), RegisterError::Flags(_)));
    }

    #[test]
    fn any_punctuation_may_be_the_delimiter() {
        let wanted = rule(":n1:M:3:\\xa7\\x0d:\\xff\\xf0:/usr/bin/q:PF");
        for delimiter in (33..127u8).filter(u8::is_ascii_punctuation) {
            let string =
                [&b""[..], b"n1", b"M", b"3", br"\xa7\x0d", br"\xff\xf0", b"/usr/bin/q", b"PF"]
                    .join(&[delimiter][..]);
            if matches!(delimiter, b'/' | b'\\') {
                assert!(parse(&string).is_err());
            } else {
                assert_eq!(parse(&string).as_ref(), Ok(&wanted), "{}", char::from(delimiter));
            }
        }
    }

    /// With these, the kernel's parser sees other fields than a split at the delimiter would give.
    #[test]
    fn no_other_byte_may_be_the_delimiter() {
        for delimiter in [b'x', b'f', b'F', b'0', b'\\', b' ', b'\n', 0x80, 0xff] {
            let string =
                [&b""[..], b"n1", b"M", b"", b"BC", b"", b"/q/Q/q", b""].join(&[delimiter][..]);
            assert_eq!(refused(&string), RegisterError::BadDelimiter(delimiter));
        }
    }

    #[test]
    fn a_delimiter_is_chosen_that_no_plain_field_has() {
        let base = rule(":n1:M::\\x3a,::/usr/bin/q:");
        let named = |name: &str| base.renamed(name.parse().unwrap());
        assert_eq!(base.register_string(), br":n1:M::\x3a,::/usr/bin/q:");
        assert_eq!(named("a:b").unwrap().register_string(), br",a:b,M,,:\x2c,,/usr/bin/q,");
        assert_eq!(named(":,|!%+=@~").unwrap().register_string()[0], b'^');
        assert_eq!(named(":,|!%+=@~^"), Err(RegisterError::Delimiter));
        let extension = rule(",n1,E,,a:b,,/usr/bin/q,");
        assert_eq!(extension.register_string(), b",n1,E,,a:b,,/usr/bin/q,");
    }

    #[test]
    fn printable_bytes_stay_readable_and_all_others_are_escaped() {
        let rule = rule(":n1:M::\\x7fELF\\x5cA\\x23\\x3b\\x20\\xe4::/usr/bin/q:");
        assert_eq!(rule.register_string(), br":n1:M::\x7fELF\x5cA\x23\x3b\x20\xe4::/usr/bin/q:");
    }

    #[test]
    fn an_exact_mask_is_left_out() {
        let rule = rule(":n1:M:4:AB:\\xff\\xff:/usr/bin/q:");
        assert_eq!(rule.register_string(), b":n1:M:4:AB::/usr/bin/q:");
    }

    #[test]
    fn credentials_imply_open_binary_as_in_the_kernel() {
        let rule = rule(":n1:M::AB::/usr/bin/q:C");
        assert_eq!(rule.flags().to_string(), "OC");
        let flags = Flags { credentials: true, ..Flags::default() };
        let (name, matcher) = (rule.name().clone(), rule.matcher().clone());
        let same = Rule::new(name, matcher, rule.interpreter().clone(), flags);
        assert_eq!(same.unwrap(), rule);
        assert!(rule.is(&Entry {
            name: "n1".into(),
            ..entry("enabled\ninterpreter /usr/bin/q\nflags: OC\noffset 0\nmagic 4142\n")
        }));
    }

    #[test]
    fn a_long_rule_is_written_with_fewer_escapes_until_it_no_longer_fits() {
        let fits = |zeros: usize| {
            let bytes = [vec![0; zeros], vec![b'\x01'; 256 - zeros]].concat();
            let matcher = Matcher::Magic(magic(0, &bytes, Some(&[0x7f; 256])));
            let rule = Rule::new(
                "n1".parse().unwrap(),
                matcher,
                InterpreterPath::new("/usr/bin/q").unwrap(),
                Flags::default(),
            );
            rule.map(|rule| {
                assert_eq!(parse(rule.register_string()), Ok(rule.clone()));
                rule.register_string().len()
            })
        };
        // 20 bytes of frame, 512 of magic and mask, three more for each escape.
        assert_eq!(fits(256), Ok(20 + 512 + 256 * 3));
        let all_zero =
            Magic::new(0, vec![0; 256], Some([vec![0; 224], vec![1; 32]].concat())).unwrap();
        let too_long = Rule::new(
            "n1".parse().unwrap(),
            Matcher::Magic(all_zero),
            InterpreterPath::new("/usr/bin/q").unwrap(),
            Flags::default(),
        );
        assert_eq!(too_long, Err(RegisterError::Length(20 + 512 + (256 + 224) * 3)));
    }

    #[test]
    fn the_length_counts_the_newline() {
        let string = |length: usize| {
            let mut string = b":n1:M::BC::/".to_vec();
            string.resize(length - 1, b'q');
            string.push(b':');
            string
        };
        assert!(parse(&string(MAX_REGISTER_STRING)).is_ok());
        assert_eq!(refused(string(1921)), RegisterError::Length(1921));
        assert_eq!(refused([&string(1920)[..], b"\n"].concat()), RegisterError::Length(1921));
        assert_eq!(refused(":a:M::b::/"), RegisterError::Length(10));
        assert_eq!(refused(""), RegisterError::Length(0));
    }

    #[test]
    fn what_the_kernel_would_refuse_or_the_host_not_survive_is_refused() {
        let name = |name: &str| refused(format!(":{name}:M::BC::/usr/bin/q:"));
        for bad in ["", ".", "..", "register", "status", "a/b", "a b", "a\tb", &"n".repeat(256)] {
            assert!(matches!(name(bad), RegisterError::Part(PartError::Name(_))), "{bad}");
        }
        assert!(parse(format!(":{}:M::BC::/usr/bin/q:", "n".repeat(255)).as_bytes()).is_ok());
        assert_eq!(refused(b":n\xff:M::BC::/usr/bin/q:"), RegisterError::Text("name"));

        let matching = |fields: &str| refused(format!(":n1:{fields}:/usr/bin/q:"));
        assert_eq!(matching("M:::"), RegisterError::Magic(MagicError::Empty));
        assert_eq!(matching("M::AB:\\x00\\x00"), RegisterError::Magic(MagicError::ZeroMask));
        let lengths = MagicError::Lengths { magic: 2, mask: 3 };
        assert_eq!(matching("M::AB:abc"), RegisterError::Magic(lengths));
        let reach = MagicError::Reach { offset: 255, length: 2 };
        assert_eq!(matching("M:255:AB:"), RegisterError::Magic(reach));
        assert_eq!(rule(":n1:M:254:AB::/usr/bin/q:").matcher().magic().unwrap().offset(), 254);
        for offset in ["-1", "1x", "0x1", " 1", "99999999999999999999"] {
            assert_eq!(
                matching(&format!("M:{offset}:AB:")),
                RegisterError::Offset(offset.to_owned())
            );
        }
        for bad in ["\\x", "\\x4", "\\x4g", "A\\xg4", "\\\\x4"] {
            assert!(matches!(matching(&format!("M::{bad}:")), RegisterError::Hex(_)), "{bad}");
            assert!(matches!(matching(&format!("M::AB:{bad}")), RegisterError::Hex(_)), "{bad}");
        }
        assert_eq!(refused(b":n1:M::A\0B::/usr/bin/q:"), RegisterError::Nul(8));
        assert_eq!(refused(b":n1:E:\0:exe::/usr/bin/q:"), RegisterError::Nul(6));
        assert_eq!(matching("X::AB:"), RegisterError::Type("X".to_owned()));
        assert_eq!(matching("MM::AB:"), RegisterError::Type("MM".to_owned()));
        for extension in ["", "a.b", "a/b", "a b", "\u{7f}"] {
            let error = matching(&format!("E::{extension}:"));
            assert!(matches!(error, RegisterError::Part(PartError::Extension(_))), "{extension}");
        }

        for interpreter in ["", "usr/bin/q", "./q", "/usr/bin/q\n", "/usr/\u{1}"] {
            let error = refused(format!(":n1:M::ABCD::{interpreter}:"));
            assert!(
                matches!(error, RegisterError::Part(PartError::Interpreter(_))),
                "{interpreter}"
            );
        }
        assert_eq!(refused(":n1:M::AB::/usr/bin/q:PX"), RegisterError::Flags(FlagsError('X')));
        assert_eq!(refused(":n1:M::AB::/usr/bin/q"), RegisterError::Fields(6));
        assert_eq!(refused(":n1:M::AB::/usr/bin/q::"), RegisterError::Fields(8));
    }

    /// `string_unescape` copies the byte behind a lone backslash without looking at it.
    #[test]
    fn a_backslash_takes_the_next_byte_along_as_it_is() {
        let bytes = |text: &str| {
            let rule = rule(&format!(":n1:M::{text}::/usr/bin/q:"));
            rule.matcher().magic().unwrap().magic().to_vec()
        };
        assert_eq!(bytes(r"\x41B\n"), br"AB\n");
        assert_eq!(bytes(r"\\x41"), br"\\x41");
        assert_eq!(bytes(r"\\\x41"), br"\\A");
        assert_eq!(bytes(r"\\"), br"\\");
        assert_eq!(bytes(r"A\"), br"A\");
        assert_eq!(bytes(r"\xaB\XAB"), b"\xab\\XAB");
    }
}

mod hex {
    use super::*;

    #[test]
    fn digits_and_escapes_mean_the_same() {
        assert_eq!(parse_hex("7f45 4c46").unwrap(), b"\x7fELF");
        assert_eq!(parse_hex(r"\x7fELF").unwrap(), b"\x7fELF");
        assert_eq!(parse_hex("").unwrap(), b"");
        assert_eq!(parse_hex("7f4"), Err(HexError::Odd("7f4".to_owned())));
        assert_eq!(parse_hex("7g"), Err(HexError::Bad("7g".to_owned(), 1)));
        for bad in [r"\x7", r"\x7g", r"\7f", r"\", r"\x7f ", "\\x7f\u{e4}"] {
            assert!(matches!(parse_hex(bad), Err(HexError::Bad(..))), "{bad}");
        }
    }
}

mod flags {
    use super::*;

    #[test]
    fn any_order_is_read_and_the_kernels_is_written() {
        let read = |text: &str| text.parse::<Flags>().map(|flags| flags.to_string());
        assert_eq!(read("").as_deref(), Ok(""));
        assert_eq!(read("FCOP").as_deref(), Ok("POCF"));
        assert_eq!(read("FF").as_deref(), Ok("F"));
        assert_eq!(read("CF").as_deref(), Ok("OCF"));
        assert_eq!(read("p"), Err(FlagsError('p')));
    }

    #[test]
    fn letters_of_newer_kernels_are_kept_apart() {
        let observed = ObservedFlags::parse("POCFTLD");
        assert_eq!(observed.known.to_string(), "POCF");
        assert_eq!(observed.unknown, "TLD");
        assert_eq!(observed.to_string(), "POCFTLD");
    }
}

mod entries {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let entry = entry(
            "enabled\ninterpreter /usr/bin/qemu-arm\nflags: POCF\noffset 2\nmagic 7f45\nmask ffF0\n",
        );
        assert!(entry.enabled);
        assert_eq!(entry.interpreter, Path::new("/usr/bin/qemu-arm"));
        assert_eq!(entry.flags.known.to_string(), "POCF");
        assert_eq!(entry.matcher, Matcher::Magic(magic(2, b"\x7fE", Some(b"\xff\xf0"))));
        assert!(entry.unknown.is_empty());
    }

    #[test]
    fn a_missing_mask_compares_every_bit() {
        let entry = entry("disabled\ninterpreter /q\nflags: \noffset 0\nmagic 4243\n");
        assert!(!entry.enabled);
        assert_eq!(entry.matcher, Matcher::Magic(magic(0, b"BC", Some(b"\xff\xff"))));
        assert_eq!(entry.flags, ObservedFlags::default());
    }

    #[test]
    fn an_extension_loses_the_kernels_dot_and_no_other() {
        let extension =
            |line: &str| entry(&format!("enabled\ninterpreter /q\nflags: \n{line}\n")).matcher;
        assert_eq!(extension("extension .exe"), Matcher::Extension("exe".parse().unwrap()));
        assert_eq!(extension("extension ..exe"), Matcher::Extension(Extension::observed(".exe")));
    }

    #[test]
    fn the_interpreter_may_hold_spaces_and_bytes_that_are_no_text() {
        let content = b"enabled\ninterpreter  /a b/\xff \nflags: F\noffset 0\nmagic 41\n";
        let entry = Entry::parse(OsStr::new("e"), content).unwrap();
        assert_eq!(entry.interpreter.as_os_str().as_bytes(), b" /a b/\xff ");
    }

    #[test]
    fn a_newer_kernels_words_are_kept() {
        let entry = entry(
            "enabled\ninterpreter /q\nflags: POCFTLD\npriority 7\noffset 0\nmagic 41\nmask 0f\nuses 3\n",
        );
        assert_eq!(entry.flags.unknown, "TLD");
        assert_eq!(entry.unknown, ["priority 7", "uses 3"]);
    }

    #[test]
    fn rules_that_we_would_not_register_are_read_all_the_same() {
        let all = entry("enabled\ninterpreter q\nflags: \noffset 0\nmagic 4142\nmask 0000\n");
        assert!(all.takes(&Header::new(b""), Path::new("x")));
    }

    /// The cases that podman tests its own reader with: which of them name a platform, and which not.
    #[test]
    fn six_entries_of_emulators() {
        let ours = rule(
            ":e:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:/usr/bin/qemu-aarch64-static:F",
        );
        let content = |state, flags, magic, mask| {
            format!(
                "{state}\ninterpreter /usr/bin/qemu-aarch64-static\nflags: {flags}\noffset 0\nmagic {magic}\nmask {mask}\n"
            )
        };
        let bytes = "7f454c460201010000000000000000000200b700";
        let mask = "ffffffffffffff00fffffffffffffffffeffffff";
        assert!(ours.is(&entry(&content("enabled", "F", bytes, mask))));
        assert!(ours.is(&entry(&content("disabled", "F", bytes, mask))), "its state apart");
        assert!(!ours.is(&entry(&content("enabled", "OCF", bytes, mask))));
        let other_byte = bytes.replace("b700", "f300");
        assert!(!ours.is(&entry(&content("enabled", "F", &other_byte, mask))));
        let other_mask = mask.replace("feffffff", "ffffffff");
        assert!(!ours.is(&entry(&content("enabled", "F", bytes, &other_mask))));
        assert_eq!(entry_refused(""), EntryError::State(String::new()));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let state = |text: &str| EntryError::State(text.to_owned());
        assert_eq!(entry_refused("Enabled\n"), state("Enabled"));
        assert_eq!(entry_refused("enabled \n"), state("enabled "));
        assert_eq!(entry_refused("enabled\n"), EntryError::Missing("magic"));
        assert_eq!(entry_refused("enabled\nmagic 41\n"), EntryError::Missing("interpreter"));
        let with =
            |line: &str| entry_refused(&format!("enabled\ninterpreter /q\nflags: \n{line}\n"));
        for line in
            ["offset x\nmagic 41", "offset -1\nmagic 41", "magic 4", "magic zz", "magic \u{e4}"]
        {
            assert_eq!(with(line), EntryError::Value(line.lines().next().unwrap().to_owned()));
        }
        assert_eq!(with("magic "), EntryError::Magic(MagicError::Empty));
        assert!(matches!(
            with("magic 41\nmask 4142"),
            EntryError::Magic(MagicError::Lengths { .. })
        ));
        assert!(matches!(
            with("offset 256\nmagic 41"),
            EntryError::Magic(MagicError::Reach { .. })
        ));
    }

    /// The kernel takes a newline in an interpreter's path and in an extension, and prints it.
    #[test]
    fn a_path_with_a_newline_cannot_pass_for_other_lines() {
        let forged = "enabled\ninterpreter /q\nmagic 42\nflags: \nextension .exe\n";
        assert!(matches!(entry(forged).matcher, Matcher::Magic(_)), "nothing tells");
        let forged = "enabled\ninterpreter /q\nmagic 42\nflags: \noffset 0\nmagic 41\n";
        assert_eq!(entry_refused(forged), EntryError::Twice("magic".to_owned()));
        let forged = "enabled\ninterpreter /q\ninterpreter /good\nflags: \noffset 0\nmagic 41\n";
        assert_eq!(entry_refused(forged), EntryError::Twice("interpreter".to_owned()));
        let forged = "enabled\ninterpreter /q\nflags: F\nflags: \noffset 0\nmagic 41\n";
        assert_eq!(entry_refused(forged), EntryError::Twice("flags:".to_owned()));
    }

    #[test]
    fn the_same_rule_is_told_by_what_counts() {
        let rule = rule(":e:M::\\x7f\\x0f:\\xff\\xf0:/q/q:F");
        let with = |from, to| {
            let content = "enabled\ninterpreter /q/q\nflags: F\noffset 0\nmagic 7f0f\nmask fff0\n";
            let changed = content.replace(from, to);
            rule.is(&entry(&changed))
        };
        assert!(with("", ""));
        assert!(with("7f0f", "7f05"), "the mask ignores these bits");
        assert!(
            with("magic 7f0f\nmask fff0", "magic 7f0f00\nmask fff000"),
            "nor does this byte count"
        );
        assert!(!with("/q/q", "/q/r"));
        assert!(!with("flags: F", "flags: "));
        assert!(!with("flags: F", "flags: FT"));
        assert!(!with("offset 0", "offset 1"));
        assert!(!with("fff0", "ff70"));
    }
}

mod binfmt_d {
    use super::*;

    /// As Debian 12 installs them: python3.11.conf, llvm-14-runtime.binfmt.conf, qemu-ppc64le.conf.
    const SHIPPED: &[u8] = br":python3.11:M::\xa7\x0d\x0d\x0a::/usr/bin/python3.11:
:llvm-14-runtime.binfmt:M::BC::/usr/bin/lli-14:
:qemu-ppc64le:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00:\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00:/usr/libexec/qemu-binfmt/ppc64le-binfmt-P:OPF
";

    #[test]
    fn what_distributions_ship_is_read() {
        let file = parse_binfmt_d(SHIPPED);
        let names: Vec<_> = file.rules().map(|rule| rule.name().as_str()).collect();
        assert_eq!(names, ["python3.11", "llvm-14-runtime.binfmt", "qemu-ppc64le"]);
        let [python, _, ppc] = &file.rules().collect::<Vec<_>>()[..] else { unreachable!() };
        assert!(python.matcher().magic().unwrap().is_exact());
        assert_eq!(ppc.matcher().magic().unwrap().mask()[19], 0);
        assert_eq!(ppc.flags().to_string(), "POF");
    }

    #[test]
    fn comments_and_blank_lines_are_none_and_a_bad_line_stops_nothing() {
        let file = parse_binfmt_d(
            b"# a comment\n\n  ; another\r\n:a1:M::BC::/usr/bin/a:\n:broken\n   :b1:M::BD::/usr/bin/b:F  \r\n\t\n:c1:M::BE:\xff:/usr/bin/c:",
        );
        let numbers: Vec<_> = file.0.iter().map(|(number, rule)| (*number, rule.is_ok())).collect();
        assert_eq!(numbers, [(4, true), (5, false), (6, true), (8, false)]);
        assert_eq!(file.0[1].1, Err(RegisterError::Length(7)));
        assert_eq!(file.rules().count(), 2);
    }

    #[test]
    fn an_empty_file_has_no_rules() {
        assert_eq!(parse_binfmt_d(b"").0, []);
        assert_eq!(parse_binfmt_d(b"\n\n# nothing").0, []);
    }
}

mod debian {
    use super::*;

    /// As Debian 12's qemu-user-static installs it, with the mask of our own rule and without its comment on MIPS.
    const ARM: &str = r"package qemu-user-static
interpreter /usr/libexec/qemu-binfmt/arm-binfmt-P
magic \x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00(\x00
offset 0
mask \xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff
credentials no
preserve yes
fix_binary yes
";

    #[test]
    fn every_part_has_its_key() {
        let arm = r":qemu-arm:M::\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00(\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/libexec/qemu-binfmt/arm-binfmt-P:POF";
        assert_eq!(write_debian(&rule(arm), "qemu-user-static").unwrap(), ARM);
        assert_eq!(
            write_debian(&rule(":cli:E::exe::/usr/bin/a b:C"), "mono").unwrap(),
            "package mono\ninterpreter /usr/bin/a b\nextension exe\ncredentials yes\npreserve no\nfix_binary no\n"
        );
        let placed = write_debian(&rule(r":a:M:7:A B:\x0f\xff\xff:/q:"), "p").unwrap();
        assert!(placed.contains("magic A\\x20B\noffset 7\nmask \\x0f\\xff\\xff\n"), "{placed}");
    }

    #[test]
    fn what_a_line_of_text_cannot_hold_is_not_written() {
        let with = |path: &[u8]| {
            let path = InterpreterPath::new(OsStr::from_bytes(path)).unwrap();
            let matcher = Matcher::Extension("exe".parse().unwrap());
            write_debian(
                &Rule::new("n1".parse().unwrap(), matcher, path, Flags::default()).unwrap(),
                "binfmtd",
            )
        };
        assert!(with(b"/a b").is_ok());
        assert_eq!(with(b"/a "), Err(DebianError("interpreter")));
        assert_eq!(with(b"/\xff"), Err(DebianError("interpreter")));
        let rule = rule(":n1:M::BC::/usr/bin/q:");
        for package in ["", "a\nb", " a"] {
            assert_eq!(write_debian(&rule, package), Err(DebianError("package")));
        }
    }
}

mod matching {
    use super::*;

    #[test]
    fn only_the_bits_of_the_mask_count() {
        let magic = magic(2, b"\x41\x0f", Some(b"\xff\xf0"));
        let matches = |bytes: &[u8]| magic.matches(&Header::new(bytes));
        assert!(matches(b"..\x41\x0f"));
        assert!(matches(b"..\x41\x00"));
        assert!(matches(b"..\x41"), "a short file is filled up with zeros");
        assert!(!matches(b"..\x40\x0f"));
        assert!(!matches(b"..\x41\x1f"));
    }

    #[test]
    fn the_last_byte_that_the_kernel_sees_is_the_256th() {
        let magic = magic(255, b"Z", None);
        let mut file = vec![0; 300];
        file[256] = b'Z';
        assert!(!magic.matches(&Header::new(&file)));
        file[255] = b'Z';
        assert!(magic.matches(&Header::new(&file)));
    }

    #[test]
    fn an_extension_is_what_follows_the_last_dot_of_the_whole_path() {
        let exe = Matcher::Extension("exe".parse().unwrap());
        let matches = |path: &str| exe.matches(&Header::new(b""), Path::new(path));
        assert!(matches("/a/b.exe") && matches("b.exe") && matches(".exe") && matches("b.tar.exe"));
        for path in ["/a/b.EXE", "b.exe.txt", "exe", "b.exe/c", "b.", "", "b.exe "] {
            assert!(!matches(path), "{path}");
        }
    }

    #[test]
    fn overlapping_and_being_the_same_are_told_apart() {
        let one = magic(0, b"\x7fELF", None);
        assert!(one.overlaps(&one) && one.is_same(&one));
        let longer = magic(0, b"\x7fELF\x02", None);
        assert!(one.overlaps(&longer) && !one.is_same(&longer));
        let elsewhere = magic(100, b"A", None);
        assert!(one.overlaps(&elsewhere), "nothing forbids a file that is both");
        assert!(!longer.overlaps(&magic(4, b"\x01", None)));
        assert!(longer.overlaps(&magic(4, b"\x01", Some(b"\xfc"))));
        let padded = magic(0, b"\x7fELF\x02\x09", Some(b"\xff\xff\xff\xff\xff\x00"));
        assert!(longer.is_same(&padded) && padded.is_same(&longer));
        assert!(!Matcher::Magic(one).is_same(&Matcher::Extension("exe".parse().unwrap())));
    }

    #[test]
    fn what_a_rule_leaves_of_another_is_told_and_where() {
        let any_kind = magic(16, b"\x02\x00", Some(b"\xfe\xff"));
        let one_kind = magic(0, b"\x7fELF", None);
        assert_eq!(one_kind.narrower_at(&any_kind), Some(0));
        assert_eq!(any_kind.narrower_at(&magic(16, b"\x03\x00", None)), None);
        assert_eq!(magic(16, b"\x02\x00", None).narrower_at(&any_kind), Some(16));
        assert_eq!(magic(16, b"\x02\x01", Some(b"\xfe\xff")).narrower_at(&any_kind), Some(17));
        assert_eq!(any_kind.without(&any_kind), []);
        let left = any_kind.without(&magic(16, b"\x02\x00", None));
        assert_eq!(left.len(), 1);
        assert!(left[0].is_same(&magic(16, b"\x03\x00", None)));
        // Two that take a half each leave nothing.
        let left: Vec<_> =
            left.iter().flat_map(|part| part.without(&magic(16, b"\x03", None))).collect();
        assert_eq!(left, []);
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_one_matches_and_the_other_does_not(
            one in (0usize..3, prop::collection::vec((any::<u8>(), prop::sample::select(vec![0, 1, 0x81, 0xff])), 1..4)),
            other in (0usize..3, prop::collection::vec((any::<u8>(), prop::sample::select(vec![0, 1, 3, 0xff])), 1..4)),
            files in prop::collection::vec(prop::collection::vec(any::<u8>(), 8), 32),
        ) {
            let magic = |(offset, bytes): &(usize, Vec<(u8, u8)>)| {
                let (bytes, mask) = bytes.iter().copied().unzip();
                Magic::observed(*offset, bytes, Some(mask)).unwrap()
            };
            let (one, other) = (magic(&one), magic(&other));
            let left = one.without(&other);
            prop_assert_eq!(left.is_empty(), other.narrower_at(&one).is_none());
            for file in files {
                // One that is like both, else hardly any is.
                for (at, byte) in [(one.offset(), one.magic()), (other.offset(), other.magic())] {
                    let mut file = file.clone();
                    file[at..at + byte.len()].copy_from_slice(byte);
                    let header = Header::new(&file);
                    let is_left = one.matches(&header) && !other.matches(&header);
                    let parts = left.iter().filter(|part| part.matches(&header)).count();
                    prop_assert_eq!(parts, usize::from(is_left));
                }
            }
        }
    }

    #[test]
    fn the_first_enabled_entry_that_matches_wins() {
        let with =
            |state: &str, rest: &str| entry(&format!("{state}\ninterpreter /q\nflags: \n{rest}\n"));
        let entries = [
            with("enabled", "offset 1\nmagic 5a42\nmask f0ff"),
            with("enabled", "extension .txt"),
            with("disabled", "offset 0\nmagic 41"),
            with("enabled", "extension .exe"),
            with("enabled", "offset 0\nmagic 41"),
            with("disabled", "offset 9\nmagic 41"),
        ];
        let header = Header::new(b"ABC");
        let path = Path::new("/tmp/a.exe");
        assert_eq!(
            judge(&entries, &header, path),
            [
                MatchResult::Differs { at: 1, file: b'B', magic: 0x5a, mask: 0xf0 },
                MatchResult::OtherExtension,
                MatchResult::Disabled,
                MatchResult::Wins,
                MatchResult::Shadowed,
                MatchResult::Differs { at: 9, file: 0, magic: b'A', mask: 0xff },
            ]
        );
        assert_eq!(winner(&entries, &header, path), Some(&entries[3]));
        assert_eq!(winner(&entries, &header, Path::new("a")), Some(&entries[4]));
        assert_eq!(winner(&entries, &Header::new(b""), Path::new("a")), None);
    }
}

mod properties {
    use super::*;

    fn flags() -> impl Strategy<Value = Flags> {
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(preserve_argv0, open_binary, credentials, fix_binary)| Flags {
                preserve_argv0,
                open_binary,
                credentials,
                fix_binary,
            },
        )
    }

    fn name() -> impl Strategy<Value = Name> {
        "\\PC{1,40}".prop_filter_map("no name", |text| text.parse().ok())
    }

    fn interpreter() -> impl Strategy<Value = InterpreterPath> {
        "/[^\\x00-\\x1f\\x7f]{0,60}"
            .prop_filter_map("no path", |text| InterpreterPath::new(text).ok())
    }

    /// Bytes of which many are alike, so that magics meet.
    fn byte() -> impl Strategy<Value = u8> {
        const LIKELY: &[u8] = b"\x00\xff\x7f\\:x";
        (0..12usize, any::<u8>())
            .prop_map(|(pick, other)| LIKELY.get(pick).copied().unwrap_or(other))
    }

    fn magics(longest: usize) -> impl Strategy<Value = Magic> {
        let length = prop_oneof![9 => 1..=longest.min(24), 1 => 1..=longest];
        (0..HEADER_SIZE, length)
            .prop_flat_map(|(offset, length)| {
                let length = length.min(HEADER_SIZE - offset);
                let bytes = prop::collection::vec(byte(), length);
                let mask = prop::option::of(prop::collection::vec(byte(), length));
                (Just(offset), bytes, mask)
            })
            .prop_filter_map("all zeros", |(offset, bytes, mask)| {
                Magic::new(offset, bytes, mask).ok()
            })
    }

    fn matcher() -> impl Strategy<Value = Matcher> {
        prop_oneof![
            4 => magics(HEADER_SIZE).prop_map(Matcher::Magic),
            1 => "[^./\\x00-\\x1f\\x7f]{1,10}"
                .prop_filter_map("no extension", |text| text.parse().ok())
                .prop_map(Matcher::Extension),
        ]
    }

    fn rules() -> impl Strategy<Value = Rule> {
        (name(), matcher(), interpreter(), flags()).prop_filter_map("does not fit", |parts| {
            Rule::new(parts.0, parts.1, parts.2, parts.3).ok()
        })
    }

    /// A header that matches both, if any does: outside the masks it does not matter.
    fn witness(one: &Magic, two: &Magic) -> Header {
        let mut bytes = [0; HEADER_SIZE];
        for magic in [one, two] {
            let masked = magic.magic().iter().zip(magic.mask()).map(|(byte, mask)| byte & mask);
            bytes[magic.offset()..]
                .iter_mut()
                .zip(masked)
                .for_each(|(byte, masked)| *byte |= masked);
        }
        Header::new(&bytes)
    }

    /// Rules by magic, switched on or off.
    fn switched(magics: Vec<(Magic, bool)>) -> Vec<Entry> {
        let entry = |(magic, enabled)| Entry {
            enabled,
            matcher: Matcher::Magic(magic),
            ..entry("enabled\ninterpreter /q\nflags: \noffset 0\nmagic 41\n")
        };
        magics.into_iter().map(entry).collect()
    }

    proptest! {
        #[test]
        fn a_written_rule_is_read_again(rule in rules()) {
            let string = rule.register_string();
            prop_assert!((MIN_REGISTER_STRING..=MAX_REGISTER_STRING).contains(&string.len()));
            prop_assert_eq!(parse(string), Ok(rule.clone()));
            prop_assert_eq!(parse(&[string, b"\n"].concat()).ok(), Some(rule.clone()).filter(|_| string.len() < MAX_REGISTER_STRING));
            prop_assert!(!string.contains(&0) && !string.contains(&b'\n'));
        }

        #[test]
        fn only_length_and_delimiter_keep_a_rule_from_being_written(
            name in name(), magic in magics(HEADER_SIZE), interpreter in interpreter(), flags in flags(),
        ) {
            let least = magic.magic().len() + name.as_str().len() + interpreter.as_path().as_os_str().len();
            match Rule::new(name, Matcher::Magic(magic), interpreter, flags) {
                Ok(rule) => prop_assert!(rule.register_string().len() >= least + 8),
                Err(RegisterError::Length(length)) => prop_assert!(length > MAX_REGISTER_STRING),
                Err(error) => prop_assert_eq!(error, RegisterError::Delimiter),
            }
        }

        #[test]
        fn a_rule_recognizes_its_entry(rule in rules()) {
            let entry = Entry::parse(OsStr::new(rule.name().as_str()), &entry_content(&rule)).unwrap();
            prop_assert!(rule.is(&entry));
            prop_assert!(rule.serves_like(&entry));
        }

        #[test]
        fn the_formats_of_files_hold_a_rule(rule in rules()) {
            let line = parse_binfmt_d(&[b"# x\n", rule.register_string(), b"\n"].concat());
            // Only the tight form may hold bytes that a file of lines cannot: none, newlines are escaped.
            prop_assert_eq!(line.0, vec![(2, Ok(rule.clone()))]);
            if let Ok(text) = write_debian(&rule, "binfmtd") {
                let lines = text.lines().filter_map(|line| line.split_once(' '));
                let value = |key: &str| lines.clone().find(|(known, _)| *known == key).map(|(_, value)| value);
                let bytes = |key| value(key).map(|text| unescape(text.as_bytes()).unwrap());
                prop_assert_eq!(value("interpreter"), rule.interpreter().as_path().to_str());
                let magic = rule.matcher().magic();
                prop_assert_eq!(bytes("magic"), magic.map(|magic| magic.magic().to_vec()));
                prop_assert_eq!(bytes("mask"), magic.map(|magic| magic.mask().to_vec()));
            }
        }

        #[test]
        fn overlapping_means_that_a_file_can_match_both(one in magics(6), two in magics(6), shift in any::<bool>()) {
            // Half of the pairs stand at one place, so that they meet.
            let two = if shift {
                let offset = one.offset().min(HEADER_SIZE - two.magic().len());
                Magic::new(offset, two.magic().to_vec(), Some(two.mask().to_vec())).unwrap()
            } else {
                two
            };
            let header = witness(&one, &two);
            prop_assert_eq!(one.overlaps(&two), one.matches(&header) && two.matches(&header));
            prop_assert_eq!(one.overlaps(&two), two.overlaps(&one));
            prop_assert!(one.overlaps(&one) && one.is_same(&one));
            prop_assert_eq!(one.is_same(&two), two.is_same(&one));
            prop_assert!(!one.is_same(&two) || one.overlaps(&two));
        }

        #[test]
        fn the_verdicts_agree_with_the_winner(
            magics in prop::collection::vec((magics(3), any::<bool>()), 0..8), bytes in prop::collection::vec(byte(), 0..HEADER_SIZE),
        ) {
            let entries = switched(magics);
            let header = Header::new(&bytes);
            let verdicts = judge(&entries, &header, Path::new("a"));
            prop_assert_eq!(verdicts.len(), entries.len());
            let wins = verdicts.iter().position(|verdict| *verdict == MatchResult::Wins);
            let winner = winner(&entries, &header, Path::new("a"));
            prop_assert_eq!(wins.map(|at| &entries[at]), winner);
            for (entry, verdict) in entries.iter().zip(&verdicts) {
                let matches = entry.matcher.matches(&header, Path::new("a"));
                prop_assert_eq!(matches, !matches!(verdict, MatchResult::Differs { .. } | MatchResult::OtherExtension));
                prop_assert_eq!(*verdict == MatchResult::Disabled, matches && !entry.enabled);
            }
        }

        #[test]
        fn who_takes_a_typical_file_is_found_without_asking_all(
            magics in prop::collection::vec((magics(2), any::<bool>()), 0..8),
        ) {
            let entries = switched(magics);
            let takers = Takers::new(&entries);
            for entry in &entries {
                let magic = entry.matcher.magic().unwrap();
                let file = [vec![0; magic.offset()], magic.magic().to_vec()].concat();
                let header = Header::new(&file);
                let first = entries.iter().position(|one| one.takes(&header, Path::new("/")));
                prop_assert_eq!(takers.first(&entry.matcher), first);
            }
        }

        #[test]
        fn no_reader_panics(bytes in prop::collection::vec(byte(), 0..300), text in "\\PC{0,200}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
            let _ = parse_binfmt_d(&bytes);
            let _ = Entry::parse(OsStr::new("e"), &bytes);
            let _ = Entry::parse(OsStr::new("e"), &[b"enabled\n", &bytes[..]].concat());
            let _ = parse_hex(&text);
            let _ = ObservedFlags::parse(&text);
            let _ = text.parse::<Flags>();
        }

        #[test]
        fn no_reader_panics_on_what_is_nearly_right(
            rule in rules(), at in any::<prop::sample::Index>(), byte in byte(), cut in any::<bool>(),
        ) {
            let broken = |good: &[u8]| {
                let mut bad = good.to_vec();
                let at = at.index(bad.len());
                if cut { bad.truncate(at) } else { bad[at] = byte }
                bad
            };
            if let Ok(read) = parse(&broken(rule.register_string())) {
                prop_assert_eq!(parse(read.register_string()), Ok(read));
            }
            let _ = Entry::parse(OsStr::new("e"), &broken(&entry_content(&rule)));
        }
    }
}
