//! The last of the four facts: real builds of a probe, one for each platform, in parallel.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::ser::{SerializeStruct as _, Serializer};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::docker::{Docker, DockerCommand, DockerError, DockerOutput};
use super::platform::Platform;
use crate::probe::{self, Report};
use crate::system::files::programs;
use crate::system::process::batch::{BatchError, Ended};
use crate::target::Target;
use crate::verify::nonce;

/// Who ran the programs of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// The kernel's own loader.
    Native,
    /// An interpreter, through a rule of the kernel's.
    Rule,
    /// The emulator that `BuildKit`'s image carries.
    Embedded,
}

impl Runner {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Rule => "rule",
            Self::Embedded => "embedded",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Built {
    /// `RUN` started the probe, which answered.
    Yes {
        by: Runner,
        /// The version that the emulator prints.
        version: Option<String>,
        /// From start to end, including the wait for other builds.
        time: Duration,
    },
    No {
        /// One sentence.
        why: String,
        /// The whole output of the build.
        log: String,
    },
    /// Why nothing was built.
    NotTried(String),
}

impl Built {
    /// Whether it was built; `None` if that was not tried.
    pub fn works(&self) -> Option<bool> {
        match self {
            Self::Yes { .. } => Some(true),
            Self::No { .. } => Some(false),
            Self::NotTried(_) => None,
        }
    }
}

impl Serialize for Built {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (state, by, version, time, why, log) = match self {
            Self::Yes { by, version, time } => {
                ("yes", Some(by.as_str()), version.as_ref(), Some(time), None, None)
            }
            Self::No { why, log } => ("no", None, None, None, Some(why), Some(log)),
            Self::NotTried(why) => ("not-tried", None, None, None, Some(why), None),
        };
        let mut built = serializer.serialize_struct("Built", 6)?;
        built.serialize_field("state", state)?;
        built.serialize_field("by", &by)?;
        built.serialize_field("version", &version)?;
        built.serialize_field("seconds", &time.map(Duration::as_secs_f64))?;
        built.serialize_field("why", &why)?;
        built.serialize_field("log", &log)?;
        built.end()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct TestBuild<'a> {
    pub platform: &'a Platform<'a>,
    /// Whether the image carries an emulator for it: then a second build tells which emulator ran.
    pub embedded: bool,
}

/// Builds for each platform with `builder`, and returns the results in the same order.
///
/// `FROM scratch`, without network, cache, attestations or output: nothing is pulled, and no image is left.
pub fn build(
    docker: &Docker,
    builder: &str,
    cases: &[TestBuild<'_>],
    host: &Target,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Built>, DockerError> {
    let folder =
        tempfile::Builder::new().prefix("binfmtd-build-").tempdir().map_err(BatchError::from)?;
    let mut commands = Vec::new();
    let mut builds = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let one = Build::prepare(&folder, number, case, host).map_err(BatchError::from)?;
        builds.push(one.map(|one| {
            let first = commands.len();
            commands.push(one.command(builder, case, "Dockerfile"));
            if case.embedded {
                commands.push(one.command(builder, case, WITNESS));
            }
            (one, first)
        }));
    }
    let total = commands.len();
    let answers = docker.run_all(&commands, &mut |done| progress(done, total))?;
    let outcomes = cases.iter().zip(builds).map(|(case, one)| {
        let Some((one, first)) = one else {
            return Built::NotTried(format!("there is no probe for {}", case.platform.target.name));
        };
        let witness = case.embedded.then(|| answers.get(first + 1)).flatten();
        one.judge(&answers[first], witness)
    });
    Ok(outcomes.collect())
}

/// The Dockerfile of the build that tells whether `BuildKit` runs every program by the image's emulator: a program of the
/// host's own, which no rule takes, runs only if it does not.
const WITNESS: &str = "Dockerfile.witness";

/// A build's context.
pub(super) struct Build {
    pub(super) folder: PathBuf,
    pub(super) nonce: String,
}

impl Build {
    fn prepare(
        parent: &TempDir,
        number: usize,
        case: &TestBuild<'_>,
        host: &Target,
    ) -> std::io::Result<Option<Self>> {
        let Some(program) = probe::build(case.platform.target, case.platform.machine()) else {
            return Ok(None);
        };
        let folder = parent.path().join(number.to_string());
        std::fs::create_dir(&folder)?;
        programs::write_program(&folder.join("probe"), &program)?;
        let nonce = nonce();
        // With this variable, QEMU prints its version instead of running the program.
        let dockerfile = format!(
            "FROM scratch\nCOPY probe /probe\nRUN [\"/probe\", \"{nonce}\"]\n\
             ENV QEMU_VERSION=1\nRUN [\"/probe\", \"{nonce}\", \"version\"]\n"
        );
        std::fs::write(folder.join("Dockerfile"), dockerfile)?;
        if case.embedded {
            let own = host.identity.machines.first().copied().unwrap_or_default();
            let native = probe::build(host, own).unwrap_or_default();
            programs::write_program(&folder.join("native"), &native)?;
            let dockerfile =
                format!("FROM scratch\nCOPY native /native\nRUN [\"/native\", \"{nonce}\"]\n");
            std::fs::write(folder.join(WITNESS), dockerfile)?;
        }
        Ok(Some(Self { folder, nonce }))
    }

    fn command(&self, builder: &str, case: &TestBuild<'_>, dockerfile: &str) -> DockerCommand {
        let words = [
            "buildx",
            "build",
            "--builder",
            builder,
            "--platform",
            &case.platform.name,
            "--progress",
            "rawjson",
            "--no-cache",
            "--network",
            "none",
            "--provenance=false",
            "--sbom=false",
            // Otherwise docker's own builder keeps an image, and so does one with default-load.
            "--output",
            "type=cacheonly",
            "--file",
        ];
        let paths = [self.folder.join(dockerfile), self.folder.clone()];
        DockerCommand::new(
            words.map(std::ffi::OsString::from).into_iter().chain(paths.map(Into::into)),
        )
    }

    pub(super) fn judge(&self, answer: &DockerOutput, witness: Option<&DockerOutput>) -> Built {
        let log = BuildLog::read(&answer.errors);
        let answered = log.outputs.iter().any(|output| self.is_report(output));
        match answer.ended {
            Ended::Exited(0) if answered => {}
            Ended::Exited(0) => {
                let why = "the build succeeded, but the probe did not print its nonce";
                return Built::No { why: why.to_owned(), log: log.text };
            }
            Ended::TimedOut => {
                let why = format!("the build did not end in {} s", answer.time.as_secs());
                return Built::No { why, log: log.text };
            }
            _ => return Built::No { why: log.why(), log: log.text },
        }
        // Without an emulator, nothing reads the variable, and the probe answers once more.
        let lines = log.outputs.iter().filter(|output| !self.is_report(output));
        let version = lines
            .flat_map(|output| output.lines())
            .find(|line| line.contains(" version "))
            .map(|line| line.trim().to_owned());
        let by = match (&version, witness) {
            (None, None) => Runner::Native,
            (Some(_), None) => Runner::Rule,
            (_, Some(witness)) => {
                let log = BuildLog::read(&witness.errors);
                match log.outputs.iter().any(|output| self.is_report(output)) {
                    true if version.is_none() => Runner::Native,
                    true => Runner::Rule,
                    false => Runner::Embedded,
                }
            }
        };
        Built::Yes { by, version, time: answer.time }
    }

    fn is_report(&self, output: &str) -> bool {
        Report::parse(output.as_bytes()).is_some_and(|report| {
            report.arguments.iter().any(|argument| argument == self.nonce.as_bytes())
        })
    }
}

#[derive(Debug)]
pub struct BuildLog {
    /// The output of each step.
    pub outputs: Vec<String>,
    /// Why steps failed.
    pub errors: Vec<String>,
    /// Lines that are not progress.
    pub rest: String,
    /// Everything, for a person.
    pub text: String,
}

#[derive(Deserialize)]
struct LogDocument {
    #[serde(default)]
    vertexes: Vec<Vertex>,
    #[serde(default)]
    logs: Vec<Chunk>,
}

#[derive(Deserialize)]
struct Vertex {
    digest: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Chunk {
    vertex: String,
    #[serde(default)]
    data: String,
}

impl BuildLog {
    /// Reads `--progress rawjson`: JSON documents, with lines for people between and after them.
    pub fn read(errors: &str) -> Self {
        let mut names: Vec<(String, String)> = Vec::new();
        let mut outputs: Vec<(String, Vec<u8>)> = Vec::new();
        let mut failures = Vec::new();
        let (documents, rest) = split(errors);
        for progress in documents {
            for vertex in progress.vertexes {
                if !names.iter().any(|(digest, _)| *digest == vertex.digest) {
                    names.push((vertex.digest.clone(), vertex.name));
                }
                if !vertex.error.is_empty() {
                    failures.push(vertex.error);
                }
            }
            for chunk in progress.logs {
                let data = BASE64.decode(&chunk.data).unwrap_or_default();
                match outputs.iter_mut().find(|(vertex, _)| *vertex == chunk.vertex) {
                    Some((_, output)) => output.extend(data),
                    None => outputs.push((chunk.vertex, data)),
                }
            }
        }
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut text = String::new();
        for (digest, name) in &names {
            text.push_str(name);
            text.push('\n');
            let of_it = outputs.iter().filter(|(vertex, _)| vertex == digest);
            of_it.for_each(|(_, output)| text.push_str(&said(output)));
        }
        text.push_str(&rest);
        Self {
            outputs: outputs.iter().map(|(_, output)| said(output)).collect(),
            errors: failures,
            rest,
            text,
        }
    }

    /// One sentence: what a program printed, which says more than its exit status.
    pub fn why(&self) -> String {
        let said = self.outputs.iter().rev().flat_map(|output| output.lines().rev());
        let complaint = said
            .map(str::trim)
            .find(|line| line.contains("exec format error") || line.contains("qemu"))
            .map(str::to_owned);
        let last = || {
            let mut lines = self.rest.lines().rev().map(str::trim);
            lines.find(|line| line.starts_with("ERROR:")).map(|line| {
                line.trim_start_matches("ERROR: ")
                    .trim_start_matches("failed to build: ")
                    .trim_start_matches("failed to solve: ")
                    .to_owned()
            })
        };
        let words = || self.rest.lines().last().map(|line| line.trim().to_owned());
        complaint
            .or_else(|| self.errors.last().cloned())
            .or_else(last)
            .or_else(words)
            .filter(|why| !why.is_empty())
            .unwrap_or_else(|| "the build failed and did not say why".to_owned())
    }
}

/// Documents, each of which begins a line, and every other line.
fn split(text: &str) -> (Vec<LogDocument>, String) {
    let mut documents = Vec::new();
    let mut rest = Vec::new();
    let mut left = text;
    while !left.is_empty() {
        if left.starts_with('{') {
            let mut read = serde_json::Deserializer::from_str(left).into_iter::<LogDocument>();
            if let Some(Ok(document)) = read.next() {
                documents.push(document);
                left = left.get(read.byte_offset()..).unwrap_or_default().trim_start();
                continue;
            }
        }
        let (line, behind) = left.split_once('\n').unwrap_or((left, ""));
        rest.push(line);
        left = behind;
    }
    (documents, rest.join("\n").trim().to_owned())
}
