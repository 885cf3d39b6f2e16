//! `binfmt_misc`: one mounted instance, how it gets mounted, private ones, and who owns which rule.

pub mod instance;
pub mod mount;
pub mod native;
pub mod private;
pub mod record;
