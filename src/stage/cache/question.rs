//! A question whose answer may be kept, and how long its asker waits.

use crate::store::entry::Key;
use pingora::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is asked, and what is to be kept with the answer.
#[derive(Clone, Debug)]
pub struct Question {
    pub key: Key,
    /// How long the answer is fresh.
    pub ttl: Duration,
    /// For how long after that it may stand in for a failure.
    pub stale: Duration,
    pub gateway: Arc<str>,
    pub provider: Arc<str>,
    pub model: Option<String>,
    /// The client's own name for it.
    pub name: Option<Vec<u8>>,
    /// Purges counted when it was asked.
    pub generation: u64,
}

/// Which bound of an asker's patience was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapsed {
    /// The answer paused for too long.
    Idle,
    /// The request took too long in all.
    Total,
}

/// How long one asker waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the first byte.
    pub begin_by: Instant,
    /// Between two pieces.
    pub idle: Duration,
    /// For the end.
    pub end_by: Instant,
    /// The error of a bound that was reached.
    pub lapse: fn(Lapsed) -> Box<Error>,
}

impl Limits {
    /// The next bound, seen from the last piece.
    pub fn next(&self, last: Instant) -> (Instant, Lapsed) {
        let idle = last + self.idle;
        if idle < self.end_by {
            (idle, Lapsed::Idle)
        } else {
            (self.end_by, Lapsed::Total)
        }
    }
}

/// One asker of a question; it travels with Pingora's key.
#[derive(Debug)]
pub struct Asker {
    pub question: Arc<Question>,
    pub limits: Limits,
    joined: AtomicBool,
}

impl Asker {
    pub const fn new(question: Arc<Question>, limits: Limits) -> Self {
        Self {
            question,
            limits,
            joined: AtomicBool::new(false),
        }
    }

    /// Notes that it met an answer which another asker had asked for and was waiting for.
    pub fn join(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn sample() -> Question {
        Question {
            key: Key([1; Key::BYTES]),
            ttl: Duration::from_secs(60),
            stale: Duration::ZERO,
            gateway: "g".into(),
            provider: "p".into(),
            model: None,
            name: None,
            generation: 0,
        }
    }

    #[test]
    fn the_nearer_bound_comes_first() {
        let now = Instant::now();
        let limits = |idle, total| Limits {
            begin_by: now,
            idle: Duration::from_secs(idle),
            end_by: now + Duration::from_secs(total),
            lapse: |_| Error::new(pingora::ErrorType::InternalError),
        };
        assert_eq!(limits(1, 5).next(now).1, Lapsed::Idle);
        assert_eq!(limits(9, 5).next(now).1, Lapsed::Total);
    }
}
