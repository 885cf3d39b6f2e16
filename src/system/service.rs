//! The service manager: what it is told, and where the journal is.

use std::env;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::sys::stat::fstat;
use sd_notify::NotifyState;

/// Tells the manager how it goes; does nothing where there is none. An error is nobody's business but
/// the log's: the work goes on.
#[derive(Debug, Clone, Copy)]
pub struct Manager;

impl Manager {
    /// READY=1, with a line for `systemctl status`.
    pub fn ready(self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// STATUS=
    pub fn status(self, status: &str) {
        tell(&[NotifyState::Status(status)]);
    }

    /// RELOADING=1, to be followed by [`Manager::ready`]. `Type=notify-reload` wants the time with it.
    pub fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!("read the clock: {error}"),
        }
    }

    /// STOPPING=1
    pub fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }

    /// WATCHDOG=1
    pub fn alive(self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// How often it wants to hear that we are alive: half of `WatchdogSec=`, as `sd_watchdog_enabled(3)`
    /// advises.
    pub fn watchdog(self) -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|limit| limit / 2)
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("tell the service manager: {error}");
    }
}

/// Whether systemd runs this machine or container (`sd_booted(3)`).
pub fn is_systemd() -> bool {
    sd_notify::booted().unwrap_or(false)
}

/// Whether standard error is the journal's (`JOURNAL_STREAM` of `systemd.exec(5)`): then it can be
/// told more than lines.
pub fn has_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let id = fstat(io::stderr().as_fd()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    id.is_ok_and(|id| id == stream)
}
