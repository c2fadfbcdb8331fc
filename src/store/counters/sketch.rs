//! Estimates for newcomers to a full room: memory that no number of keys can make grow.
//!
//! Several keys may share a cell, so an estimate may be too high and not too low: under an attack
//! with more keys than the room holds some strangers are refused early, and nobody passes late.

use pingora_limits::estimator::Estimator;
use pingora_limits::inflight::{Guard, Inflight};
use std::sync::atomic::{AtomicU64, Ordering};

/// With 4,000 newcomers in a window, two in a thousand share all their cells with others.
const ROWS: usize = 4;
const CELLS: usize = 16_384;

/// The keys of one rule that have no counter of their own.
pub struct Sketch {
    rate: Option<Rate>,
    running: Inflight,
}

/// A newcomer's request that runs; it gives itself back when it is dropped.
pub struct Newcomer {
    _running: Guard,
}

/// Requests of this window and of the one before it. Pingora's own `Rate` is not used because it
/// subtracts times that two threads may have read in the other order.
struct Rate {
    span_ms: u64,
    window: AtomicU64,
    counts: [Estimator; 2],
}

impl Sketch {
    /// `span_ms` is the window's length; `None` where only what runs is counted.
    pub fn new(span_ms: Option<u64>) -> Self {
        Self {
            rate: span_ms.map(Rate::new),
            running: Inflight::new(),
        }
    }

    /// Counts one request of `id`, unless that is more than `limit`.
    pub fn admit(&self, id: u128, limit: u64, steady_ms: u64) -> Option<Newcomer> {
        let limit = isize::try_from(limit).unwrap_or(isize::MAX);
        let (guard, running) = self.running.incr(id, 1);
        let fits = match &self.rate {
            Some(rate) => rate.admit(id, limit, steady_ms),
            None => running <= limit,
        };
        fits.then_some(Newcomer { _running: guard })
    }
}

impl Rate {
    fn new(span_ms: u64) -> Self {
        Self {
            span_ms: span_ms.max(1),
            window: AtomicU64::new(0),
            counts: [(); 2].map(|()| Estimator::new(ROWS, CELLS)),
        }
    }

    /// The window before counts as far as it reaches into the time that has just passed.
    fn admit(&self, id: u128, limit: isize, steady_ms: u64) -> bool {
        let window = steady_ms / self.span_ms;
        let [even, odd] = &self.counts;
        let (now, before) = match window % 2 {
            0 => (even, odd),
            _ => (odd, even),
        };
        let last = self.window.fetch_max(window, Ordering::AcqRel);
        if last < window {
            now.reset();
        }
        if last + 1 < window {
            before.reset();
        }
        let passed = steady_ms % self.span_ms;
        let left = (self.span_ms - passed) as f64 / self.span_ms as f64;
        let earlier = (before.get(id) as f64 * left) as isize;
        let fits = now.incr(id, 1).saturating_add(earlier) <= limit;
        if !fits {
            now.decr(id, 1);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn passed(sketch: &Sketch, id: u128, steady_ms: u64) -> usize {
        let tries = 0..10;
        tries
            .filter(|_| sketch.admit(id, 3, steady_ms).is_some())
            .count()
    }

    #[test]
    fn newcomers_are_counted_and_never_too_low() {
        let sketch = Sketch::new(Some(HOUR_MS));
        let passed: Vec<_> = (0..2_000).map(|id| passed(&sketch, id, HOUR_MS)).collect();
        assert!(passed.iter().all(|passed| *passed <= 3));
        let early = passed.iter().filter(|passed| **passed < 3).count();
        assert!(early < 20, "{early} of 2000 were refused early");
    }

    #[test]
    fn the_window_before_counts_less_and_less() {
        let sketch = Sketch::new(Some(1_000));
        assert_eq!(passed(&sketch, 7, 5_999), 3);
        assert_eq!(passed(&sketch, 7, 6_000), 0);
        assert_eq!(passed(&sketch, 7, 6_500), 2);
        assert_eq!(passed(&sketch, 7, 9_000), 3);
    }

    #[test]
    fn what_runs_gives_itself_back() {
        let sketch = Sketch::new(None);
        let running: Vec<_> = (0..3).filter_map(|_| sketch.admit(7, 3, 0)).collect();
        assert_eq!(running.len(), 3);
        assert!(sketch.admit(7, 3, 0).is_none());
        drop(running);
        assert!(sketch.admit(7, 3, 0).is_some());
    }
}
