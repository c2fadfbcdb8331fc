//! What is said to systemd, where it started this process; elsewhere nobody hears it.

use super::sockets::Sockets;
use crate::proxy::lifecycle::{Lifecycle, Phase};
use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::Pid;
use sd_notify::NotifyState;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long systemd may take to act on what it was told.
const BARRIER_MAX: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// Whether systemd started this process, and will start another where it ends unasked.
pub fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The sockets that systemd kept while no process had them: after a crash, or over a restart.
pub fn kept() -> Vec<TcpListener> {
    let mut kept = ListenFd::from_env();
    let sockets = (0..kept.len()).filter_map(|index| kept.take_tcp_listener(index).ok().flatten());
    sockets.collect()
}

/// Says that this process serves, and gives its sockets to systemd to keep. Those of `gone`
/// addresses are no longer to be kept.
pub fn serving(sockets: &Sockets, gone: &[SocketAddr]) {
    say(&[NotifyState::Ready, NotifyState::Status("serving")]);
    for address in gone {
        let name = name(*address);
        say(&[NotifyState::FdStoreRemove, NotifyState::FdName(&name)]);
    }
    for (address, socket) in sockets.files() {
        let name = name(address);
        // systemd drops what it has already.
        let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
        warn(sd_notify::notify_with_fds(&state, &[socket]));
    }
}

/// Says that this process is about to end.
pub fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Says that `pid` is the main process from now on, and waits until systemd has taken that in:
/// what `pid` says before is not heard.
pub fn name_main(pid: Pid) {
    if !is_there() {
        return;
    }
    say(&[NotifyState::MainPid(
        pid.as_raw_nonzero().get().unsigned_abs(),
    )]);
    warn(barrier());
}

/// Waits until systemd has worked off all that was said before (sd_notify_barrier(3)).
fn barrier() -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[writer.as_fd()])?;
    drop(writer);
    let mut closed = [PollFd::new(&reader, PollFlags::HUP)];
    retry_on_intr(|| poll(&mut closed, Some(&BARRIER_MAX)))?;
    Ok(())
}

/// Tells systemd again and again that this process works, for as long as its workers do and it is
/// the main one.
pub fn keep_watchdog(lifecycle: Arc<Lifecycle>) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    thread::spawn(move || {
        while lifecycle.phase() <= Phase::Serving {
            if lifecycle.since_beat() < within / 2 {
                say(&[NotifyState::Watchdog]);
            } else {
                tracing::error!("the workers do not answer: systemd will restart this process");
            }
            thread::park_timeout((within / 4).max(Duration::from_millis(100)));
        }
    });
}

fn say(state: &[NotifyState<'_>]) {
    warn(sd_notify::notify(state));
}

fn warn(said: io::Result<()>) {
    if let Err(error) = said {
        tracing::warn!(%error, "systemd could not be told how the daemon is");
    }
}

/// A name under which systemd keeps a socket: it must have no `:`.
fn name(address: SocketAddr) -> String {
    address.to_string().replace(':', "_")
}
