//! The service with the real kernel and real QEMU, in private instances: what it puts right and what it
//! leaves alone, what it says, what it may do, and what is left when it ends.
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/world.rs"]
mod world;

mod beside;
mod configuration;
mod heals;
mod interpreters;
mod life;
mod mounts;
mod others;
mod pace;
mod rights;
mod start;
mod state;
mod troubles;

use std::path::Path;
use std::process::ExitCode;

use support::harness;
use support::need;
use support::stage::{Entries, Qemu, Stage};

/// Returns a figure or two, or nothing when something it needs is not here. Panics when it fails.
type Test = fn(&Stage) -> Option<String>;

/// Those that take longest first.
const TESTS: &[(&str, Test)] = &[
    ("whoever_undoes_every_heal_is_met_with_growing_pauses", pace::conflict),
    ("after_a_heal_it_is_quiet", pace::quiet),
    ("a_busy_neighbour_is_looked_at_in_time", others::busy),
    ("an_upgrade_by_rename_fails_no_exec", interpreters::upgrade),
    ("a_broken_upgrade_leaves_the_old_one_running", interpreters::broken),
    ("a_removed_interpreter_goes_on_and_may_come_back", interpreters::removed),
    ("interpreters_behind_links_are_followed", interpreters::links),
    ("an_ended_job_leaves_nothing_half_done", life::ended),
    ("what_is_removed_or_disabled_is_put_back", heals::restored),
    ("rules_that_come_before_ours", others::shadowed),
    ("rules_of_others_are_never_touched", others::bystanders),
    ("a_rule_that_the_kernel_cannot_start_is_told", others::dead),
    ("an_unmounted_instance_lives_on", mounts::unmounted),
    ("a_changed_configuration_is_taken_up", configuration::changed),
    ("an_invalid_configuration_changes_nothing", configuration::invalid),
    ("a_folder_of_configuration_may_come_later", configuration::folders),
    ("a_reload_is_told_in_order", configuration::reload),
    ("commands_run_beside_it", beside::commands),
    ("a_killed_loop_takes_all_with_it_but_the_rules", life::killed),
    ("without_its_helper_it_ends", life::helper),
    ("there_is_only_one", life::second),
    ("without_any_interpreter_it_waits", start::nothing),
    ("of_what_is_named_something_has_to_work", start::named),
    ("with_auto_a_broken_target_is_no_obstacle", start::auto),
    ("nobody_has_more_rights_than_his_work_takes", rights::sets_of_all),
    ("probes_see_an_empty_root", rights::root),
    ("its_state_is_whole_at_any_time", state::whole),
    ("its_metrics_are_openmetrics_and_prometheus", state::metrics),
    ("the_watchdog_hears_of_it", state::watchdog),
    ("a_manager_that_does_not_read_keeps_nobody_waiting", troubles::deaf_manager),
    ("a_removed_runtime_folder_comes_again", troubles::runtime_folder),
    ("a_swapped_configmap_is_taken_up", troubles::config_map),
    ("what_is_mounted_over_interpreters_is_taken_up", troubles::covered),
    ("a_rule_that_takes_the_hosts_programs_is_named", troubles::captured),
    ("rules_that_do_not_matter_start_no_check", troubles::irrelevant),
    ("limits_of_inotify_are_named", troubles::limits),
    ("a_flush_amid_a_check_does_no_harm", troubles::amid_work),
];

fn main() -> ExitCode {
    harness::run_at_once(TESTS, |test| {
        let stage = need("a private instance of binfmt_misc", Stage::enter());
        stage.and_then(|stage| test(&stage))
    })
}

/// A release of QEMU; most tests take any.
fn qemu(version: &str) -> Option<Qemu> {
    need(&format!("QEMU {version}"), Qemu::release(version))
}

/// The path of an emulator in the stage's folder.
fn emulator(target: &str) -> String {
    format!("qemu-{target}-static")
}

/// Copies the emulator of a release into the stage's folder, by rename.
fn install(stage: &Stage, qemu: &Qemu, target: &str) {
    let plain = qemu.folder.join(format!("qemu-{target}"));
    let suffixed = qemu.folder.join(emulator(target));
    let from = if suffixed.exists() { suffixed } else { plain };
    stage.install(&from, &emulator(target));
}

/// Emulators of 7.2 for these targets, and a configuration that names them.
fn set_up(stage: &Stage, targets: &[&str], more: &str) -> Option<()> {
    let qemu = qemu("7.2")?;
    for target in targets {
        install(stage, &qemu, target);
    }
    configure(stage, &format!("targets = {targets:?}\n{more}"));
    Some(())
}

/// A configuration: the stage's folder of interpreters, and `more`.
fn text(stage: &Stage, more: &str) -> String {
    format!("interpreter-directories = [\"{}\"]\n{more}\n", stage.path("bin").display())
}

/// Writes it.
fn configure(stage: &Stage, more: &str) {
    stage.configure(&text(stage, more));
}

/// Asserts that the kernel has these rules and no others, byte for byte.
#[track_caller]
fn unchanged(before: &Entries) {
    let now = Stage::entries();
    let text = |entries: &Entries| {
        let lines = entries.iter().map(|it| format!("{}: {}", it.0, String::from_utf8_lossy(it.1)));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(now == *before, "before:\n{}\nnow:\n{}", text(before), text(&now));
}

/// A rule of somebody else for aarch64, as QEMU's own script writes it.
fn aarch64_rule(name: &str, interpreter: &Path, flags: &str) -> String {
    const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    format!(":{name}:M::{MAGIC}:{}:{flags}", interpreter.display())
}

/// Rules that are nobody's business: another magic, a foreign emulator's, an extension, a disabled one.
fn plant_bystanders(stage: &Stage) -> Vec<&'static str> {
    for rule in [
        r":wine:M::MZ::/bin/true:",
        r":jar:E::jar::/bin/true:P",
        r":FEX-x86:M:4:\xde\xad\xbe\xef:\xff\xff\xff\xfe:/usr/bin/FEXInterpreter:POC",
        r":WSLInterop:M::MZ\x90::/bin/false:",
    ] {
        stage.plant(rule);
    }
    support::Private::tell("WSLInterop", "0").expect("a rule to disable");
    vec!["wine", "jar", "FEX-x86", "WSLInterop"]
}

/// A static program of this machine that exits with 1, whatever it is given.
fn broken_program() -> Option<Vec<u8>> {
    need("a program of this machine", world::failing_program().ok_or("no code for it".to_owned()))
}
