//! The fault matrix: each fault is really made to happen, in namespaces of its own; the doctor has to name
//! it, alone; the fix that it proposes is run as a user would; and then all has to be well. Beside it what
//! must raise no alarm, interpreters that do harm, and the recipes for CI.
//!
//! Ends with a table: fault, the check that named it, the fix that cured it, time.
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/world.rs"]
mod world;

mod actor;
mod exec;
mod fault;
mod healthy;
mod host;
mod interpreter;
mod kernel;
mod recipes;
mod rule;
mod service;
mod unharmed;
mod virtual_machine;

#[path = "../vm/archive.rs"]
#[allow(dead_code, reason = "shared with the tests of other kernels")]
mod archive;
#[path = "../vm/guest.rs"]
#[allow(dead_code, reason = "shared with the tests of other kernels")]
mod guest;
#[path = "../vm/machine.rs"]
#[allow(dead_code, reason = "shared with the tests of other kernels")]
mod machine;

use std::process::ExitCode;

use fault::Fault;
use support::harness;

/// Returns a figure or two, or nothing when something it needs is not here.
type Plain = fn() -> Option<String>;

/// One of the tests, each in a process of its own.
enum Test {
    Fault(Fault),
    Plain(Plain),
}

fn main() -> ExitCode {
    let faults = [kernel::FAULTS, rule::FAULTS, interpreter::FAULTS, exec::FAULTS, service::FAULTS]
        .into_iter()
        .flatten();
    let mut tests: Vec<(&str, Test)> = faults.map(|one| (one.name, Test::Fault(*one))).collect();
    for list in [healthy::TESTS, unharmed::TESTS, recipes::TESTS, virtual_machine::TESTS] {
        tests.extend(list.iter().map(|(name, test)| (*name, Test::Plain(*test))));
    }
    let code = harness::run_at_once(&tests, |test| match test {
        Test::Fault(one) => one.run(),
        Test::Plain(test) => test(),
    });
    fault::print_table();
    code
}
