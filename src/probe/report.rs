//! What a probe wrote.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `uname`'s machine, as the program sees it.
    pub machine: String,
    /// Its arguments, argv\[0\] first.
    pub arguments: Vec<Vec<u8>>,
}

impl Report {
    /// Whether the end mark, an empty line, has arrived: from then on the probe waits for its byte.
    pub fn is_complete(output: &[u8]) -> bool {
        output.ends_with(b"\n\n")
    }

    /// Reads a complete report; `None` for anything else.
    pub fn parse(output: &[u8]) -> Option<Self> {
        let body = output.strip_suffix(b"\n\n")?;
        let mut lines = body.split(|byte| *byte == b'\n');
        let machine = lines.next().filter(|line| !line.is_empty())?;
        Some(Self {
            machine: String::from_utf8_lossy(machine).into_owned(),
            arguments: lines.map(<[u8]>::to_vec).collect(),
        })
    }
}
