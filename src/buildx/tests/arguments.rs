use super::*;

/// One record of RFC 4180, as buildx reads an option (`csvvalue.Fields`); a quote in a bare field is an error.
fn fields(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut left = quoted;
            loop {
                let (before, behind) = left.split_once('"')?;
                field.push_str(before);
                let Some(more) = behind.strip_prefix('"') else {
                    left = behind;
                    break;
                };
                field.push('"');
                left = more;
            }
            fields.push(field);
            match left.strip_prefix(',') {
                Some(more) => rest = more,
                None if left.is_empty() => return Some(fields),
                None => return None,
            }
        } else {
            let (field, more) = rest.split_once(',').map_or((rest, None), |(f, m)| (f, Some(m)));
            if field.contains(['"', '\n', '\r']) {
                return None;
            }
            fields.push(field.to_owned());
            match more {
                Some(more) => rest = more,
                None => return Some(fields),
            }
        }
    }
}

#[test]
fn the_reader_is_a_reader() {
    let read = |text: &str| fields(text).map(|fields| fields.join("|"));
    assert_eq!(read("a=b,c=d").as_deref(), Some("a=b|c=d"));
    assert_eq!(read("\"a=b,c=d\"").as_deref(), Some("a=b,c=d"));
    assert_eq!(read("\"a=\"\"b\"\"\",x").as_deref(), Some("a=\"b\"|x"));
    assert_eq!(read("a=\"b\""), None);
    assert_eq!(read("\"a"), None);
    assert_eq!(read("\"a\"b"), None);
}

#[test]
fn an_option_is_quoted_where_it_has_to_be() {
    assert_eq!(quote("network=host"), "network=host");
    // Recorded: 0.13 and 0.29 both keep this as the value `a,b`.
    assert_eq!(quote("env.LIST=a,b"), "\"env.LIST=a,b\"");
    assert_eq!(quote("env.X=say \"hi\""), "\"env.X=say \"\"hi\"\"\"");
}

proptest! {
    #[test]
    fn an_option_is_read_back_as_it_was(option in "[a-z.]{1,8}=(?s).*") {
        prop_assert_eq!(fields(&quote(&option)), Some(vec![option]));
    }
}

#[test]
fn options_are_read_as_buildx_reads_them() {
    let read = |text: &str| {
        let options = parse(text).map_err(|failure| failure.message)?;
        Ok(options.into_iter().map(|(name, value)| format!("{name}|{value}")).collect())
    };
    let is = |text: &str, wanted: &[&str]| {
        let read: Result<Vec<String>, String> = read(text);
        assert_eq!(read.unwrap(), wanted, "{text}");
    };
    is("network=host", &["network|host"]);
    is("network=host,env.A=b=c", &["network|host", "env.A|b=c"]);
    is("\"env.A=b,c\",network=host", &["env.A|b,c", "network|host"]);
    is("env.A=\"b,c\"", &["env.A|b,c"]);
    is("\"env.A={\"\"a\"\":1}\"", &["env.A|{\"a\":1}"]);
    is("env.A=", &["env.A|"]);
    for (text, error) in [
        ("env.A=a\"b\"c", OptionError::MiddleQuote),
        ("\"env.A=b\"c", OptionError::AfterQuote),
        ("\"env.A=b", OptionError::OpenQuote),
        ("env.A=b,", OptionError::NoValue),
        ("", OptionError::NoValue),
        ("=b", OptionError::Value(ValueError::OptionName(String::new()))),
    ] {
        let said: Result<Vec<String>, String> = read(text);
        assert_eq!(said.unwrap_err(), format!("--driver-opt {text}: {error}"));
    }
}
