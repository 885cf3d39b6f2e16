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

use super::apply::ApplyError;
use super::builder::{Builder, Node, NodeStatus, read_containers, read_list, read_names};
use super::docker::{DockerCommand, DockerError, DockerOutput};
use super::driver::{self, DRIVERS, MANAGED};
use super::embedded::{Embedded, first_file};
use super::engine::{Engine, LocalMachine, Location, read_endpoint, version};
use super::facts::{Grade, PlatformFacts, Remedy, by_rule_where_there_is_one};
use super::inspection::Inspection;
use super::kernel::{Kernel, KernelFacts, PlatformSupport};
use super::observe::{DockerFacts, Orphan, OrphanKind, at_work};
use super::options::{OptionError, parse, quote};
use super::plan::{BuilderStep, plan, refresh, renew, undetected};
use super::platform::{Platform, PlatformError};
use super::problem::BuilderProblem;
use super::record::{self, BuilderRecord, OwnedNode};
use super::refusal::{BuilderRefusal, ChangeReason, Obstacle, UnreachableNode};
use super::removal::{BuilderRemoval, OrphanRemoval, RemovalRequest};
use super::selection::{keep_interesting, keep_running};
use super::spec::{self, BuilderSpec, ConfigFile, Recreate};
use super::test_build::{Build, BuildLog, Built, Runner};
use crate::config::{BUILDER_MARK, Settings, ValueError};
use crate::failure::{Failure, FailureKind};
use crate::fix::Reader;
use crate::system::process::batch::Ended;
use crate::target::Table;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("recorded/", $name))
    };
}

// Behind the macro: what is above it does not know it.
mod arguments;
mod assessments;
mod builds;
mod drivers;
mod engines;
mod images;
mod kernels;
mod lists;
mod plans;
mod platforms;
mod records;
mod refusals;
mod removals;
mod specs;
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

const ROOT: Reader = Reader { uid: 0 };

fn spec() -> BuilderSpec {
    BuilderSpec {
        name: "mine".to_owned(),
        options: BTreeMap::new(),
        flags: None,
        config: None,
        node: None,
        append: false,
        endpoint: None,
        make_current: false,
        recreate: Recreate::Auto,
    }
}

fn with_option(name: &str, value: &str) -> BuilderSpec {
    BuilderSpec { options: BTreeMap::from([(name.to_owned(), value.to_owned())]), ..spec() }
}

fn node(name: &str, status: NodeStatus, made_by: Option<&BuilderSpec>) -> Node {
    let runs = status == NodeStatus::Running;
    Node {
        name: name.to_owned(),
        endpoint: "unix:///var/run/docker.sock".to_owned(),
        status,
        version: runs.then(|| "v0.26.2".to_owned()),
        platforms: Vec::new(),
        options: made_by.map(|spec| spec.all_options().collect()).unwrap_or_default(),
        // buildx adds this one.
        flags: vec!["--allow-insecure-entitlement=network.host".to_owned()],
    }
}

fn builder(status: NodeStatus, made_by: Option<&BuilderSpec>) -> Builder {
    Builder {
        name: "mine".to_owned(),
        driver: MANAGED.name().to_owned(),
        current: Some(false),
        error: None,
        nodes: vec![node("mine0", status, made_by)],
    }
}

fn ours(status: NodeStatus) -> Builder {
    builder(status, Some(&spec()))
}

fn theirs(status: NodeStatus) -> Builder {
    builder(status, None)
}
