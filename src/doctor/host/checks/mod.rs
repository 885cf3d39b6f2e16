//! The checks of the host: functions of [facts](super::facts) alone.

pub(in crate::doctor) mod binfmt_d;
mod cause;
pub(in crate::doctor) mod emulator;
pub(in crate::doctor) mod exec;
pub(in crate::doctor) mod interpreter;
pub(in crate::doctor) mod kernel;
mod known;
pub(in crate::doctor) mod limits;
pub(in crate::doctor) mod matcher;
pub(in crate::doctor) mod rule;
mod scope;
pub(in crate::doctor) mod service;
pub(in crate::doctor) mod shadowed;
