//! The time as counters see it: one clock that never jumps, and the one on the wall.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment on both clocks, in milliseconds since 1970. Where the wall clock was never set, both
/// read the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Runs evenly from the process's start on: what passes is measured by it.
    pub steady_ms: u64,
    /// May jump, forwards and backwards: windows that are aligned to it begin by it.
    pub wall_ms: u64,
}

impl Now {
    /// A moment of the wall clock, written down some time ago, on the even clock.
    pub fn steady_of(self, wall_ms: u64) -> u64 {
        let ago = self.wall_ms.saturating_sub(wall_ms);
        self.steady_ms.saturating_sub(ago)
    }

    /// The other way round, to be written down.
    pub fn wall_of(self, steady_ms: u64) -> u64 {
        let ago = self.steady_ms.saturating_sub(steady_ms);
        self.wall_ms.saturating_sub(ago)
    }
}

/// Tells the time.
pub enum Clock {
    System {
        started: Instant,
        started_ms: u64,
    },
    /// As a test sets it.
    #[cfg(test)]
    Set(std::sync::Mutex<Now>),
}

impl Clock {
    pub fn system() -> Self {
        Self::System {
            started: Instant::now(),
            started_ms: wall_ms(),
        }
    }

    pub fn now(&self) -> Now {
        match self {
            Self::System {
                started,
                started_ms,
            } => {
                let passed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                Now {
                    steady_ms: started_ms.saturating_add(passed),
                    wall_ms: wall_ms(),
                }
            }
            #[cfg(test)]
            Self::Set(now) => *now.lock().unwrap(),
        }
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
