//! Notifies the service manager, and finds the journal.

use std::env;
use std::io;
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::sys::stat::fstat;
use sd_notify::NotifyState;

/// A message to the service manager, see `sd_notify(3)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// With a line for `systemctl status`.
    Ready {
        status: String,
    },
    Status(String),
    /// To be followed by READY.
    Reloading,
    Stopping,
    Watchdog,
}

/// Never blocks, because a manager that does not read must not stop the service, and returns false when the message
/// was not sent. Without a manager, all is well.
pub fn notify(notification: &Notification) -> bool {
    match notification {
        Notification::Ready { status } => tell(&[NotifyState::Ready, NotifyState::Status(status)]),
        Notification::Status(status) => tell(&[NotifyState::Status(status)]),
        // `Type=notify-reload` requires the time.
        Notification::Reloading => {
            NotifyState::monotonic_usec_now().is_ok_and(|now| tell(&[NotifyState::Reloading, now]))
        }
        Notification::Stopping => tell(&[NotifyState::Stopping]),
        Notification::Watchdog => tell(&[NotifyState::Watchdog]),
    }
}

/// The interval for [`Notification::Watchdog`]: half of `WatchdogSec=`, as `sd_watchdog_enabled(3)` advises.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The crate's own function blocks on a full socket.
fn tell(states: &[NotifyState<'_>]) -> bool {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return true };
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    let message = lines.join("\n");
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(message.as_bytes(), &address)
    });
    if let Err(error) = &sent {
        tracing::debug!("tell the service manager: {error}");
    }
    sent.is_ok()
}

/// Whether systemd runs this machine or container (`sd_booted(3)`).
pub fn is_systemd() -> bool {
    sd_notify::booted().unwrap_or(false)
}

/// Whether standard error is connected to the journal (`JOURNAL_STREAM` of `systemd.exec(5)`), which then takes
/// structured messages, too.
pub fn has_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let id = fstat(io::stderr().as_fd()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    id.is_ok_and(|id| id == stream)
}
