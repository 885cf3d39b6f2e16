//! A real Docker engine with buildx and BuildKit, in a world of its own.
//!
//! Tests run in sequence, and those beside each other that want the same buildx have one engine together: each finds it
//! with BuildKit's image, without rules, containers and builders.
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/mod.rs"]
mod support;

mod doctor;
mod guide;
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use engine::{Buildx, Engine};
use support::harness::{self, Outcome};
use support::need;

/// Returns a figure or two. Panics when it fails.
type Test = fn(&mut Engine) -> String;

const TESTS: &[(&str, (Buildx, Test))] = &[
    ("an_engine_boots_and_says_its_version", (Buildx::Trixie, world::boots)),
    ("nothing_of_an_engine_outlives_its_test", (Buildx::Trixie, world::ends)),
    ("buildx_boots_buildkit", (Buildx::Trixie, world::boots_buildkit)),
    ("a_build_runs_native_and_foreign_programs", (Buildx::Trixie, world::builds)),
    ("buildkit_runs_foreign_programs_by_an_emulator_of_its_own", (Buildx::Trixie, world::embeds)),
    ("a_builder_comes_back_with_its_engine", (Buildx::Trixie, world::restarts)),
    ("the_doctor_names_every_fault_of_docker", (Buildx::Trixie, doctor::names_every_fault)),
    ("the_doctor_mends_a_builder", (Buildx::Trixie, doctor::mends_a_builder)),
    ("the_doctor_raises_no_false_alarm", (Buildx::Trixie, doctor::raises_no_false_alarm)),
    ("the_commands_of_the_guide_run", (Buildx::Trixie, guide::runs)),
    ("a_newer_buildx_boots_buildkit", (Buildx::Sid, world::boots_buildkit)),
    ("a_newer_buildx_runs_native_and_foreign_programs", (Buildx::Sid, world::builds)),
];

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(world::HOLD) {
        return world::hold();
    }
    let running: RefCell<Option<(Buildx, Engine)>> = RefCell::new(None);
    harness::run(TESTS, |(buildx, test)| {
        let mut running = running.borrow_mut();
        if running.as_ref().is_none_or(|(release, _)| release != buildx) {
            // The old one first: two at once have no use.
            drop(running.take());
            *running = need("a Docker engine", Engine::start(*buildx)).map(|new| (*buildx, new));
        }
        let Some((_, engine)) = running.as_mut() else { return Outcome::Ignored };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let figures = test(engine);
            engine.reset();
            figures
        }));
        outcome.map_or_else(
            |_| {
                // What it was, its panic has said on standard error. Nobody knows what it left of the engine.
                drop(running.take());
                Outcome::Failed("it panicked".to_owned())
            },
            Outcome::Passed,
        )
    })
}
