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
    assert_eq!(comma_separated("network=host"), "network=host");
    // Recorded: 0.13 and 0.29 both keep this as the value `a,b`.
    assert_eq!(comma_separated("env.LIST=a,b"), "\"env.LIST=a,b\"");
    assert_eq!(comma_separated("env.X=say \"hi\""), "\"env.X=say \"\"hi\"\"\"");
}

proptest! {
    #[test]
    fn an_option_is_read_back_as_it_was(option in "[a-z.]{1,8}=(?s).*") {
        prop_assert_eq!(fields(&comma_separated(&option)), Some(vec![option]));
    }
}
