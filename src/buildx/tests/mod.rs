//! Against what real versions said; `recorded` beside this file has it, cut down to what is read and its
//! neighbours: Docker's command line 20.10.24, 26.1.5 and 28.5.2, its engine 26.1.5, buildx 0.13.1 and 0.29.1,
//! `BuildKit` 0.26.2, podman 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use proptest::prelude::*;

use super::builder::{Builder, Node, NodeStatus, read_containers, read_list, read_names};
use super::docker::{DockerCommand, DockerError, DockerOutput};
use super::driver::MANAGED;
use super::embedded::{Embedded, first_file};
use super::engine::{Engine, LocalMachine, Location, read_endpoint, version};
use super::facts::{Grade, PlatformFacts};
use super::kernel::Kernel;
use super::observe::at_work;
use super::options::{OptionError, parse, quote};
use super::plan::{BuilderStep, plan, refresh, renew};
use super::platform::Platform;
use super::record::{self, BuilderRecord, OwnedNode};
use super::refusal::{BuilderRefusal, Reason};
use super::spec::{BuilderSpec, ConfigFile, Recreate};
use super::test_build::{Build, BuildLog, Built, Runner};
use crate::config::{BUILDER_MARK, ValueError};
use crate::system::process::batch::Ended;
use crate::target::Table;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("recorded/", $name))
    };
}

// Behind the macro: what is above it does not know it.
mod arguments;
mod builds;
mod engines;
mod images;
mod judgements;
mod lists;
mod plans;
mod platforms;
mod records;
mod words;

fn answer(output: &str, errors: &str, code: i32) -> DockerOutput {
    DockerOutput {
        command: "docker command".to_owned(),
        ended: Ended::Exited(code),
        output: output.into(),
        errors: errors.to_owned(),
        time: Duration::from_secs(1),
    }
}

fn well(output: &str) -> DockerOutput {
    answer(output, "", 0)
}
