//! The plan: settings × observation → actions. Pure; what `--dry-run` prints is what apply carries out.

mod action;
mod decide;
pub mod guard;
pub mod others;
mod refusal;
mod request;
mod restore;

use crate::config::Settings;
use crate::observation::Observation;
use crate::target::UnknownTarget;

pub use action::{Action, Decision, Item, Plan, Reason};
pub use guard::Native;
pub use others::{is_qemu, is_replaceable};
pub use refusal::Refusal;
pub use request::{Request, flags, may_drop_p, wanted};
pub use restore::{missing, restore};

pub fn plan(
    settings: &Settings,
    request: &Request,
    seen: &Observation,
) -> Result<Plan, UnknownTarget> {
    let targets = wanted(settings, request, seen)?;
    let native = Native::new(&settings.table, &seen.natives);
    let decider = decide::Decider::new(settings, request, seen, &native);
    let mut items = Vec::new();
    if !seen.instance.enabled {
        items.push(Item::without_target(None, Decision::Change(Action::EnableInstance)));
    }
    items.extend(decider.superfluous(&targets));
    for target in targets {
        for ((name, magic), machine) in target.rules().into_iter().zip(&target.identity.machines) {
            let rule = Some(name.to_string());
            let decision = decider.target_rule(target, *machine, name, magic);
            items.push(Item {
                target: Some(target.name.clone()),
                machine: Some(*machine),
                rule,
                decision,
            });
        }
    }
    if request.only.is_none() {
        for custom in &settings.rules {
            let rule = Some(custom.rule.name().to_string());
            items.push(Item::without_target(rule, decider.custom_rule(&custom.rule)));
        }
    }
    Ok(Plan { items })
}

#[cfg(test)]
mod tests;
