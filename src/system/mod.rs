//! The only edge to the system: whoever reviews privilege reads this folder alone.

pub mod trust;
