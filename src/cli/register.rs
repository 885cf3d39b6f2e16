//! `binfmtd register`

use super::context::{self, Context};
use super::{Exit, Failure};
use crate::apply::{self, Options, Outcome};
use crate::config::{Settings, Targets, Verify};
use crate::daemon::State;
use crate::observation::Observation;
use crate::observe;
use crate::plan::{self, Decision, Plan, Request};
use crate::report::{RegisterDocument, text};
use crate::system::binfmt_misc::instance::Instance;
use crate::system::binfmt_misc::mount::{self, Lifetime, Mounted};
use crate::system::binfmt_misc::record::Store;
use crate::system::host::namespace;
use crate::system::process::batch::Limits;
use clap::ValueHint;

/// Make the kernel match the configuration
///
/// Mounts `binfmt_misc` where it is not, registers a rule for each target that is asked for, and proves
/// each by running a program of that CPU. Doing it again changes nothing. What works and is not ours is
/// left alone; stale or broken `qemu-*` rules are replaced without a gap.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  binfmtd register                       every target that has an interpreter\n  \
    binfmtd register arm64 linux/riscv64   these, by any name\n  \
    binfmtd register --dry-run             only print the plan"
)]
pub(super) struct Arguments {
    /// Targets or platforms, in place of the configuration's: arm64, linux/arm/v7, s390x
    #[arg(value_hint = ValueHint::Other)]
    targets: Vec<String>,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Run no programs of other CPUs: neither a trial before nor a proof after
    #[arg(long)]
    no_verify: bool,
    /// Replace working rules of other owners, too
    #[arg(long)]
    takeover: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let mut settings = context.settings()?;
    if arguments.no_verify {
        settings.verify = Verify::Off;
    }
    let request = context::request(&settings, &arguments.targets, arguments.takeover)?;
    let limits = Limits::default();
    let run_others = settings.verify != Verify::Off;
    let outcomes = if arguments.dry_run {
        let instance = context::instance()?;
        let seen =
            observe::observe(&instance, &settings, &request, context.manner(run_others, limits))?;
        plan_only(&settings, &request, &seen)?
    } else {
        if request.only.is_some() && State::load(&context.runtime).is_some() {
            tracing::warn!(
                "the service runs: of these, it keeps what the configuration asks for (targets, in \
                 /etc/binfmtd/binfmtd.d/50-mine.toml, say)"
            );
        }
        let mounted = mounted(Holding::No)?;
        let options = Options { verify: settings.verify, private: false, limits };
        carry_out(context, &mounted.instance, &settings, &request, options)?
    };
    let document = RegisterDocument::new(&outcomes, arguments.dry_run);
    context.print(&document, |out| text::register(out, &document, context.verbose))?;
    Ok(Exit::of(document.ok))
}

fn plan_only(
    settings: &Settings,
    request: &Request,
    seen: &Observation,
) -> Result<Vec<Outcome>, Failure> {
    let plan = plan::plan(settings, request, seen)?;
    something_to_do(settings, request, seen)?;
    let items = plan.items.into_iter();
    Ok(items.map(Outcome::of).collect())
}

/// Whether somebody will hold the instance open after us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holding {
    /// Nobody: rules must live by themselves.
    No,
    /// We do, as long as the rules are needed.
    Yes,
}

/// Opens the host's instance for writing, mounting it where it is not.
pub(super) fn mounted(holding: Holding) -> Result<Mounted, Failure> {
    let mounted = mount::ensure()?;
    if mounted.lifetime == Lifetime::Ours && holding == Holding::No {
        // Before anything is written; the mount is taken back: nothing is left half done.
        let whose = if namespace::in_first_user_namespace() {
            "the host has not mounted binfmt_misc"
        } else {
            "this user namespace has its own binfmt_misc, which nobody outside of it sees"
        };
        return Err(Failure::unavailable(format!(
            "{whose}, so rules registered in this container would vanish when it ends; mount it on the host first \
             (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc), or hold the rules from here: \
             binfmtd run -- COMMAND"
        )));
    }
    context::writable(
        &mounted.instance,
        "registering rules needs root; without root, try it in a private instance: binfmtd run --private -- COMMAND",
    )?;
    Ok(mounted)
}

/// Observe, plan, apply, as long as somebody undoes it meanwhile: under the lock, so that two of us do not mix.
pub(super) fn carry_out(
    context: &Context,
    instance: &Instance,
    settings: &Settings,
    request: &Request,
    options: Options,
) -> Result<Vec<Outcome>, Failure> {
    apply::settle(|| {
        carry_out_as(context, instance, settings, request, options, |seen| {
            let plan = plan::plan(settings, request, seen)?;
            something_to_do(settings, request, seen)?;
            Ok(plan)
        })
    })
}

/// The same once, with a plan of the caller's own, who has it before the kernel hears of it.
pub(super) fn carry_out_as(
    context: &Context,
    instance: &Instance,
    settings: &Settings,
    request: &Request,
    options: Options,
    plan: impl FnOnce(&Observation) -> Result<Plan, Failure>,
) -> Result<Vec<Outcome>, Failure> {
    let store = Store::open(&context.runtime)?;
    let run_others = options.verify != Verify::Off;
    let seen =
        observe::observe(instance, settings, request, context.manner(run_others, options.limits))?;
    let plan = plan(&seen)?;
    let mut progress = context.progress();
    apply::apply(plan, instance, &store, settings, &seen, options, &mut progress)
}

/// With `auto`, no interpreter at all is no success.
fn something_to_do(
    settings: &Settings,
    request: &Request,
    seen: &Observation,
) -> Result<(), Failure> {
    let auto =
        request.only.is_none() && settings.targets == Targets::Auto && settings.rules.is_empty();
    if !auto
        || seen.interpreters.values().any(|found| found.usable.is_some())
        || !seen.record.rules.is_empty()
    {
        return Ok(());
    }
    let folders: Vec<_> = settings
        .interpreter_directories
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let faulty = seen.interpreters.values().flat_map(|found| &found.faulty).next();
    let why = faulty
        .map(|(path, fault)| format!("; {}", plan::Refusal::of_interpreter(path, fault)))
        .unwrap_or_default();
    Err(Failure::unavailable(format!(
        "no usable QEMU interpreter in {}{why}; install qemu-user-static, or set interpreter-directories",
        folders.join(", ")
    )))
}

/// The targets that failed, for a caller that goes on all the same.
pub(super) fn failures(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .filter(|outcome| !outcome.is_well())
        .map(|outcome| {
            let item = &outcome.item;
            let name = item.target.as_deref().or(item.rule.as_deref()).unwrap_or("binfmt_misc");
            let why = match (&outcome.error, &item.decision) {
                (Some(error), _) => error.clone(),
                (None, Decision::Refused(refusal)) => refusal.to_string(),
                (None, other) => other.to_string(),
            };
            format!("{name}: {why}")
        })
        .collect()
}
