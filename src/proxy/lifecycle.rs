//! How far the process is: what its listeners, its connections and whoever ends it go by.

use pingora::server::ShutdownWatch;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The phases of a process, in their order; none is entered twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Sockets are open, and what connects waits in their queues.
    Preparing,
    /// Connections are accepted.
    Serving,
    /// None is accepted any more. Those that are open are served on, and told with each answer
    /// that it is their last.
    Draining,
    /// Connections between two requests are closed.
    Closing,
}

/// The phase of this process, and how many connections it has.
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    /// The same for Pingora, which knows no more than whether the end has begun.
    ending: watch::Sender<bool>,
    connections: Arc<AtomicUsize>,
    start: Instant,
    /// When the workers last showed that they run, in milliseconds since the start.
    beat: AtomicU64,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Preparing),
            ending: watch::Sender::new(false),
            connections: Arc::default(),
            start: Instant::now(),
            beat: AtomicU64::new(0),
        }
    }
}

impl Lifecycle {
    /// Enters `phase`, where it is not past that.
    pub fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
        if phase >= Phase::Draining {
            self.ending.send_replace(true);
        }
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub fn shutdown(&self) -> ShutdownWatch {
        self.ending.subscribe()
    }

    /// Counts a connection for as long as what is returned is kept.
    pub fn connected(&self) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self.connections.clone())
    }

    /// Says that the workers run.
    pub fn beat(&self) {
        let gone = self.start.elapsed().as_millis();
        let gone = u64::try_from(gone).unwrap_or(u64::MAX);
        self.beat.store(gone, Ordering::Relaxed);
    }

    /// How long ago they last said so.
    pub fn since_beat(&self) -> Duration {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(beat)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A connection that is open.
pub struct Connected(Arc<AtomicUsize>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_phase_is_entered_twice() {
        let lifecycle = Lifecycle::default();
        lifecycle.advance(Phase::Draining);
        lifecycle.advance(Phase::Serving);
        assert_eq!(lifecycle.phase(), Phase::Draining);
        assert!(*lifecycle.shutdown().borrow());
    }

    #[test]
    fn a_connection_counts_until_it_ends() {
        let lifecycle = Lifecycle::default();
        let connections = [lifecycle.connected(), lifecycle.connected()];
        assert_eq!(lifecycle.connections(), 2);
        drop(connections);
        assert_eq!(lifecycle.connections(), 0);
    }
}
