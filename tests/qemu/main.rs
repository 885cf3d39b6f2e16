//! `binfmtd` with real QEMU and the real kernel, in private instances: what it registers and proves,
//! what it does about other people's rules, what it refuses, and what it leaves behind.
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;

mod at_once;
mod causes;
mod credentials;
mod guard;
mod halfway;
mod misbehaving;
mod natives;
mod others;
mod ours;
mod releases;
mod swap;

use std::process::ExitCode;

use binfmtd::testing::system::process::fork;
use support::harness::{self, Outcome};
use support::need;
use support::stage::Stage;

/// Returns a figure or two, or nothing when something it needs is not here. Panics when it fails.
type Test = fn(&Stage) -> Option<String>;

const TESTS: &[(&str, Test)] = &[
    ("every_target_of_qemu_7_2_works", releases::seven),
    ("every_target_of_qemu_10_0_works_but_one", releases::ten),
    ("every_target_of_qemu_11_1_works", releases::eleven),
    ("no_exec_fails_while_a_rule_is_replaced", swap::replace),
    ("a_working_rule_of_others_is_left_alone", others::working),
    ("a_rule_of_others_that_fails_is_replaced_and_the_reason_told", others::failing),
    ("rules_of_other_tools_are_never_touched", others::bystanders),
    ("another_emulator_is_refused_or_taken_over", others::emulators_refused),
    ("one_rule_of_others_for_two_targets_is_replaced_by_two", others::shared),
    ("unregister_removes_ours_only", ours::unregister),
    ("without_its_record_nothing_is_ours", ours::lost_record),
    ("a_changed_configuration_replaces_rules", ours::configuration),
    ("a_removed_emulator_goes_on", ours::removed),
    ("a_dropped_target_goes_with_a_full_register_only", ours::dropped),
    ("no_disguise_captures_native_programs", guard::native),
    ("no_bad_interpreter_is_registered", guard::interpreters),
    ("natives_are_told_behind_a_rule_that_takes_them", natives::behind_a_rule),
    ("natives_are_told_where_they_may_not_run", natives::sandboxed),
    ("a_name_that_is_taken_stops_one_rule_only", halfway::taken),
    ("an_interrupted_replacement_is_cleaned_up", halfway::leftovers),
    ("a_killed_register_leaves_no_gap", halfway::killed),
    ("a_misbehaving_interpreter_is_named_and_refused", misbehaving::named),
    ("an_interrupted_doctor_leaves_nothing_behind", misbehaving::interrupted),
    ("two_at_once_do_not_mix", at_once::two),
    ("what_is_undone_meanwhile_is_done_again", at_once::undone),
    ("an_interpreter_that_fails_now_and_then_is_flaky", misbehaving::flaky),
    ("what_execve_refuses_has_its_cause_named", causes::refused),
    ("what_limits_refuse_has_its_cause_named", causes::limited),
    ("a_version_that_is_known_to_fail_is_named", causes::known),
];

/// Those that take files of other users than root.
const EVERY_USER: &[(&str, Test)] =
    &[("a_set_user_id_program_keeps_its_rights_where_it_should", credentials::kept)];

fn main() -> ExitCode {
    let all = TESTS.iter().map(|(name, test)| (*name, (false, *test)));
    let every_user = EVERY_USER.iter().map(|(name, test)| (*name, (true, *test)));
    let all: Vec<(&str, (bool, Test))> = all.chain(every_user).collect();
    harness::run(&all, |(every_user, test)| {
        // Each in a process, and with it in namespaces, of its own.
        let answer = fork::run(|| {
            let stage = if *every_user {
                need("a user namespace with every user", Stage::enter_with_every_user())
            } else {
                need("a private instance of binfmt_misc", Stage::enter())
            };
            stage.and_then(|stage| test(&stage)).unwrap_or_default().into_bytes()
        });
        match answer {
            Ok(figures) if figures.is_empty() => Outcome::Ignored,
            Ok(figures) => Outcome::Passed(String::from_utf8_lossy(&figures).into_owned()),
            // What it was, its panic has said on standard error.
            Err(error) => Outcome::Failed(error.to_string()),
        }
    })
}
