//! What this machine and this process are, and what they may do.

pub mod limits;
pub mod machine;
pub mod manager;
pub mod namespace;
pub mod privilege;
pub mod surroundings;
