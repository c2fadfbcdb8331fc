//! `tollgate reap`: ends what a stopped service left in its control group.
//!
//! After an upgrade the old process ends its last answers beside the new one, and the unit spares it
//! (`KillMode=process`) so that a crash of the new one does not cut them. When the service is stopped,
//! somebody has to end it all the same.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How long processes have after SIGTERM; then they are killed. Less than the unit's TimeoutStopSec.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long a killed process may take to be gone.
const DYING: Duration = Duration::from_secs(2);

/// Ends all other processes of the control group that this one is in, where `$SERVICE_RESULT`, which
/// systemd sets, says that the service was stopped and did not fail.
///
/// # Errors
/// This process cannot tell where it is.
pub fn reap() -> Result<()> {
    let result = std::env::var("SERVICE_RESULT").unwrap_or_default();
    let left = left()?;
    if left.is_empty() {
        return Ok(());
    }
    // After `timeout` the main process was killed because it did not stop.
    if !matches!(result.as_str(), "success" | "timeout") {
        let left = left.len();
        tracing::info!(left, %result, "the service failed: older processes finish their answers");
        return Ok(());
    }
    tracing::info!(left = left.len(), within = ?PATIENCE, "ending older processes");
    if !end(Signal::TERM, PATIENCE)? {
        tracing::warn!("older processes are killed, and what they answered is cut");
        end(Signal::KILL, DYING)?;
    }
    Ok(())
}

/// Sends the signal to all that are left, and waits. Whether all have gone.
fn end(signal: Signal, within: Duration) -> Result<bool> {
    for process in left()? {
        // One that has just gone needs no signal.
        let _ = kill_process(process, signal);
    }
    let until = Instant::now() + within;
    while !left()?.is_empty() {
        if Instant::now() >= until {
            return Ok(false);
        }
        thread::park_timeout(LOOK);
    }
    Ok(true)
}

/// The other processes of the control group, without those that have ended and only wait to be
/// looked at. Asked of /proc, because where the groups themselves are mounted differs from host to host.
fn left() -> Result<Vec<Pid>> {
    let own = fs::read("/proc/self/cgroup").context("/proc/self/cgroup cannot be read")?;
    let entries = fs::read_dir("/proc").context("/proc cannot be read")?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let processes = ids.filter_map(Pid::from_raw);
    let others = processes.filter(|id| *id != getpid());
    let here = others.filter(|id| {
        let cgroup = fs::read(format!("/proc/{}/cgroup", id.as_raw_nonzero()));
        cgroup.is_ok_and(|cgroup| cgroup == own) && !is_zombie(*id)
    });
    Ok(here.collect())
}

fn is_zombie(id: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero()));
    // After the name, which may hold anything but ends with the last bracket.
    stat.is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, state)| state.starts_with('Z'))
    })
}
