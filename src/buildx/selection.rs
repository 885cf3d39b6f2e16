//! Which platforms a command is about if nobody names any.

use super::builder::Builder;
use super::kernel::{Kernel, PlatformSupport};
use super::platform::Platform;
use crate::config::Settings;

/// The host's own first, the others by name.
pub fn sort(platforms: &mut [PlatformSupport<'_>]) {
    platforms.sort_by(|(one, kernel), (other, others)| {
        let rank = |kernel: &Kernel| *kernel != Kernel::Native;
        (rank(kernel), &one.name).cmp(&(rank(others), &other.name))
    });
}

/// Keeps what matters if nobody names platforms: what the kernel runs or has a rule for, and what the builder advertises.
pub fn keep_interesting(
    settings: &Settings,
    builder: &Builder,
    platforms: &mut Vec<PlatformSupport<'_>>,
) {
    let advertised = Platform::advertised(&settings.table, builder);
    platforms.retain(|(platform, kernel)| {
        kernel.works() == Some(true)
            || kernel.rule().is_some()
            || advertised.iter().any(|known| known.target.name == platform.target.name)
    });
    sort(platforms);
}

/// Keeps what a bootstrap is about if nobody names platforms: what the kernel runs; of a kernel elsewhere, what the builder
/// advertises.
pub fn keep_running(
    settings: &Settings,
    builder: &Builder,
    platforms: &mut Vec<PlatformSupport<'_>>,
) {
    let advertised = Platform::advertised(&settings.table, builder);
    platforms.retain(|(platform, kernel)| match kernel {
        Kernel::Unknown(_) => advertised.contains(platform),
        Kernel::HasRule(_) => true,
        Kernel::Native | Kernel::Runs { .. } | Kernel::NoRule | Kernel::Fails { .. } => {
            kernel.works() == Some(true)
        }
    });
    sort(platforms);
}
