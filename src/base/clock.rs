//! The time: one moment on the wall clock and on the clock that never jumps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub wall: SystemTime,
    pub steady: Instant,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.steady.elapsed()
    }
}

/// What a clock shows at its beginning, so that what an earlier process saw can be told on it.
const BEFORE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Counts milliseconds, for what is compared and never shown; a test winds its own.
#[derive(Clone, Debug)]
pub enum Ticks {
    Steady(Instant),
    Wound(Arc<AtomicU64>),
}

impl Ticks {
    pub fn steady() -> Self {
        Self::Steady(Instant::now())
    }

    /// Milliseconds from some moment before the process began: never 0, which can so mean never.
    pub fn now_ms(&self) -> u64 {
        let past_ms = match self {
            Self::Steady(began) => {
                let passed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                passed_ms.saturating_add(BEFORE_MS)
            }
            Self::Wound(past_ms) => past_ms.load(Ordering::Acquire),
        };
        past_ms.saturating_add(1)
    }
}

/// `2026-11-21T06:48:06.123Z` (RFC 3339, UTC, milliseconds).
pub fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |stamp| format!("{stamp:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        assert_eq!(rfc3339(time), "2023-11-14T22:13:20.042Z");
    }
}
