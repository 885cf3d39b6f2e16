//! The host: its kernel, the rules, their interpreters, what runs, and the service.

pub(in crate::doctor) mod checks;
pub(in crate::doctor) mod facts;
mod fixes;
pub(in crate::doctor) mod gather;
mod rules;

use self::checks::{
    binfmt_d, emulator, exec, interpreter, kernel, limits, matcher, rule, service, shadowed,
};
use super::check::Check;

pub(super) const CHECKS: &[&Check] = &[
    &kernel::SUPPORTED,
    &kernel::MOUNTED,
    &kernel::ENABLED,
    &kernel::WRITABLE,
    &kernel::INSTANCE,
    &kernel::LIFETIME,
    &limits::LIMIT,
    &limits::PAGE_SIZE,
    &limits::ADDRESS_SPACE,
    &limits::WRITTEN_CODE,
    &rule::PRESENT,
    &rule::ENABLED,
    &rule::FIX_BINARY,
    &matcher::MATCHER,
    &shadowed::SHADOWED,
    &rule::CREDENTIALS,
    &rule::NATIVE,
    &interpreter::EXISTS,
    &interpreter::USABLE,
    &interpreter::TRUSTED,
    &interpreter::LABEL,
    &exec::HOST,
    &exec::EMPTY_ROOT,
    &exec::PIE,
    &exec::ARGV0,
    &exec::STATUS,
    &exec::SIGNAL,
    &exec::IDENTITY,
    &exec::CREDENTIALS,
    &exec::REPEAT,
    &emulator::VERSION,
    &emulator::COST,
    &emulator::CPU_LEVEL,
    &service::RUNNING,
    &service::DEGRADED,
    &service::CONFLICTS,
    &service::RECORD,
    &service::BOOT,
    &binfmt_d::BINFMT_D,
];
