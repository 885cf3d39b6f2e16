//! What a person's terminal is like, and how much is to be said on it.

/// How much is said, and how wide a line may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// Everything that was found; without it, only what is wrong, and what several targets have in common
    /// once.
    pub verbose: bool,
    /// The columns of a terminal; `None` leaves lines as long as they are. Commands are never broken, because
    /// they are there to be copied.
    pub width: Option<usize>,
}
