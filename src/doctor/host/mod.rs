//! The host: its kernel, the rules, their interpreters, what runs, and the service.

pub(in crate::doctor) mod checks;
pub(in crate::doctor) mod facts;
mod fixes;
pub(in crate::doctor) mod gather;
mod rules;

use self::checks::{exec, interpreter, kernel, rule, service};
use super::check::Check;

pub(super) const CHECKS: &[&Check] = &[
    &kernel::SUPPORTED,
    &kernel::MOUNTED,
    &kernel::ENABLED,
    &kernel::WRITABLE,
    &kernel::INSTANCE,
    &kernel::LIFETIME,
    &kernel::LIMIT,
    &kernel::PAGE_SIZE,
    &kernel::ADDRESS_SPACE,
    &kernel::WRITTEN_CODE,
    &rule::PRESENT,
    &rule::ENABLED,
    &rule::FIX_BINARY,
    &rule::MATCHER,
    &rule::SHADOWED,
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
    &exec::VERSION,
    &exec::COST,
    &exec::CPU_LEVEL,
    &service::RUNNING,
    &service::DEGRADED,
    &service::CONFLICTS,
    &service::RECORD,
    &service::BOOT,
    &service::BINFMT_D,
];
