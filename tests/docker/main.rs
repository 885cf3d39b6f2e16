//! A real Docker engine with buildx and BuildKit, in a world of its own.
//!
//! Tests run in sequence, and those beside each other that want the same buildx have one engine together: each finds it
//! with BuildKit's image, without rules, containers and builders.
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/engine.rs"]
mod engine;
#[path = "../support/python.rs"]
mod python;
#[path = "../support/mod.rs"]
mod support;

mod action;
mod bootstrap;
mod builder;
mod dind;
mod doctor;
mod guide;
mod image;
mod inspect;
mod kubernetes;
mod remove;
mod runner;
mod trouble;
mod verify;
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
    ("the_image_drops_in_for_tonistiigis", (Buildx::Trixie, image::drops_in)),
    ("the_image_replaces_stale_rules_and_leaves_the_hosts", (Buildx::Trixie, image::others)),
    ("a_sidecar_holds_the_rules", (Buildx::Trixie, image::holds)),
    ("the_commands_of_migrating_run", (Buildx::Trixie, image::guide)),
    ("bootstrap_makes_a_builder_once", (Buildx::Trixie, bootstrap::makes)),
    ("bootstrap_makes_the_current_builder_once", (Buildx::Trixie, bootstrap::current)),
    ("bootstrap_adds_nodes", (Buildx::Trixie, bootstrap::nodes)),
    ("what_was_stopped_or_removed_comes_back", (Buildx::Trixie, bootstrap::comes_back)),
    ("advertised_and_built_disagree_after_a_flush", (Buildx::Trixie, inspect::disagrees)),
    ("an_embedded_emulator_is_told_from_a_rule", (Buildx::Trixie, inspect::embedded)),
    ("every_platform_is_built", (Buildx::Trixie, verify::all)),
    ("remove_takes_ours_away", (Buildx::Trixie, remove::ours)),
    ("what_is_left_of_builders_is_listed_first", (Buildx::Trixie, remove::what_is_left)),
    ("two_bootstraps_at_once_make_one_builder", (Buildx::Trixie, bootstrap::at_once)),
    (
        "other_options_make_a_builder_anew_with_its_state",
        (Buildx::Trixie, bootstrap::other_options),
    ),
    (
        "somebody_elses_builder_is_used_and_never_changed",
        (Buildx::Trixie, bootstrap::somebody_elses),
    ),
    ("a_builder_of_another_driver_is_refused", (Buildx::Trixie, bootstrap::wrong_driver)),
    ("a_builder_is_started_again_for_new_rules", (Buildx::Trixie, bootstrap::sees_new_rules)),
    ("a_busy_builder_is_left_alone", (Buildx::Trixie, bootstrap::busy)),
    ("github_gets_its_outputs", (Buildx::Trixie, bootstrap::outputs)),
    ("the_configuration_says_which_builder", (Buildx::Trixie, bootstrap::configured)),
    ("wrong_words_touch_nothing", (Buildx::Trixie, bootstrap::wrong_words)),
    ("builds_are_proved_without_root", (Buildx::Trixie, bootstrap::not_root)),
    ("inspect_starts_nothing", (Buildx::Trixie, inspect::at_rest)),
    ("a_node_that_does_not_answer_is_told", (Buildx::Trixie, inspect::unreachable)),
    ("a_build_that_fails_tells_why", (Buildx::Trixie, verify::tells_why)),
    ("a_build_that_hangs_is_ended", (Buildx::Trixie, verify::hangs)),
    ("dockers_own_builder_is_proved", (Buildx::Trixie, verify::of_docker)),
    ("a_builder_is_removed_by_its_name", (Buildx::Trixie, remove::by_its_name)),
    ("no_docker_and_no_plugin", (Buildx::Trixie, trouble::no_docker)),
    ("an_engine_that_is_down_is_waited_for", (Buildx::Trixie, trouble::down)),
    ("an_engine_that_stops_in_between", (Buildx::Trixie, trouble::stops_in_between)),
    ("a_socket_that_may_not_be_used", (Buildx::Trixie, trouble::denied)),
    ("contexts_that_lead_nowhere", (Buildx::Trixie, trouble::contexts)),
    ("an_image_that_cannot_be_pulled", (Buildx::Trixie, trouble::no_image)),
    ("an_engine_on_another_machine", (Buildx::Trixie, trouble::elsewhere)),
    ("what_is_no_docker", (Buildx::Trixie, trouble::others)),
    ("an_engine_in_a_container_builds_for_jobs_of_compose", (Buildx::Trixie, dind::composes)),
    (
        "an_engine_in_a_container_builds_for_jobs_of_gitlab",
        (Buildx::Trixie, dind::serves_jobs_of_gitlab),
    ),
    (
        "run_is_fit_to_be_the_first_process_of_a_container",
        (Buildx::Trixie, dind::is_fit_to_be_the_first_process),
    ),
    ("run_says_what_the_host_must_grant", (Buildx::Trixie, dind::says_what_the_host_must_grant)),
    ("sidecars_share_their_rules", (Buildx::Trixie, dind::share_their_rules)),
    ("a_pod_of_the_daemonset_keeps_the_rules", (Buildx::Trixie, kubernetes::keeps)),
    ("a_rollout_leaves_no_moment_without_a_rule", (Buildx::Trixie, kubernetes::rolls_out)),
    ("a_daemonset_takes_its_rules_away", (Buildx::Trixie, kubernetes::removes)),
    ("a_pod_says_what_its_node_lacks", (Buildx::Trixie, kubernetes::says_what_a_node_lacks)),
    ("a_pod_mounts_on_its_node", (Buildx::Trixie, kubernetes::mounts)),
    ("a_pod_waits_for_foreign_programs", (Buildx::Trixie, kubernetes::holds_builds_back)),
    ("layers_prove_the_rules_of_their_node", (Buildx::Trixie, runner::layers)),
    ("the_action_is_sound", (Buildx::Trixie, action::is_sound)),
    ("the_action_does_what_the_guide_says", (Buildx::Trixie, action::does_what_the_guide_says)),
    ("the_action_makes_a_builder", (Buildx::Trixie, action::makes_a_builder)),
    (
        "the_action_fails_where_a_platform_does",
        (Buildx::Trixie, action::fails_where_a_platform_does),
    ),
    ("the_action_installs_what_is_missing", (Buildx::Trixie, action::installs_what_is_missing)),
    ("a_newer_buildx_boots_buildkit", (Buildx::Sid, world::boots_buildkit)),
    ("a_newer_buildx_runs_native_and_foreign_programs", (Buildx::Sid, world::builds)),
    ("bootstrap_makes_a_builder_once_with_a_newer_buildx", (Buildx::Sid, bootstrap::makes)),
    (
        "bootstrap_makes_the_current_builder_once_with_a_newer_buildx",
        (Buildx::Sid, bootstrap::current),
    ),
    (
        "advertised_and_built_disagree_after_a_flush_with_a_newer_buildx",
        (Buildx::Sid, inspect::disagrees),
    ),
    ("every_platform_is_built_with_a_newer_buildx", (Buildx::Sid, verify::all)),
    ("remove_takes_ours_away_with_a_newer_buildx", (Buildx::Sid, remove::ours)),
    (
        "what_is_left_of_builders_is_listed_first_with_a_newer_buildx",
        (Buildx::Sid, remove::what_is_left),
    ),
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
