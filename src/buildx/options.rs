//! Options of a driver as buildx reads them: comma-separated values (RFC 4180). A field with a comma in it stands in quotes,
//! and a quote within those is written twice.

use thiserror::Error;

use crate::config::{self, ValueError};
use crate::failure::Failure;

/// Why an option cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionError {
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("something follows the closing quote")]
    AfterQuote,
    #[error("a quote in the middle: put the whole option in quotes, and write \"\" for a quote")]
    MiddleQuote,
    #[error("write KEY=VALUE")]
    NoValue,
    /// The configuration would refuse it, too.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// Reads the value of a `--driver-opt`: one option or several. Unlike buildx, it takes quotes around the value alone as
/// well (`env.A="b,c"`), which is what people write.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let options = fields(text).and_then(|fields| fields.iter().map(|field| split(field)).collect());
    options.map_err(|error| Failure::usage(format!("--driver-opt {text}: {error}")))
}

fn split(field: &str) -> Result<(String, String), OptionError> {
    let (name, value) = field.split_once('=').ok_or(OptionError::NoValue)?;
    config::check_driver_option(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

fn fields(text: &str) -> Result<Vec<String>, OptionError> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ',' => fields.push(std::mem::take(&mut field)),
            '"' if field.is_empty() || field.ends_with('=') => {
                loop {
                    match rest.next() {
                        Some('"') if rest.next_if_eq(&'"').is_none() => break,
                        Some(c) => field.push(c),
                        None => return Err(OptionError::OpenQuote),
                    }
                }
                if rest.peek().is_some_and(|next| *next != ',') {
                    return Err(OptionError::AfterQuote);
                }
            }
            '"' => return Err(OptionError::MiddleQuote),
            c => field.push(c),
        }
    }
    fields.push(field);
    Ok(fields)
}

/// One field for buildx to read.
pub(super) fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
