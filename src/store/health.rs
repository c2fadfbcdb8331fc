//! Whether the disk can be used: one note when it fails, and another try now and then.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A disk that failed is left alone for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// The state of one directory.
#[derive(Debug)]
pub struct Health {
    begun: Instant,
    failing: AtomicBool,
    /// Milliseconds since `begun`.
    retry_at: AtomicU64,
    errors: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            failing: AtomicBool::new(false),
            retry_at: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }
}

impl Health {
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Whether a write is worth a try. One try a pause is let through while the disk fails.
    pub fn may_try(&self) -> bool {
        if !self.is_failing() {
            return true;
        }
        let (now, next) = (self.now(), self.now() + millis(PAUSE));
        let at = self.retry_at.load(Ordering::Relaxed);
        let claim = |at| {
            self.retry_at
                .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        now >= at && claim(at).is_ok()
    }

    pub fn failed(&self, path: &Path, fault: &io::Error) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let next = self.now() + millis(PAUSE);
        self.retry_at.store(next, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::Relaxed) {
            let path = path.display();
            tracing::error!(%path, %fault, "the cache's directory cannot be used; entries are kept in memory only");
        }
    }

    pub fn worked(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the cache's directory can be used again");
        }
    }

    /// Failed reads and writes.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        millis(self.begun.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_disk_is_tried_again_only_after_a_pause() {
        let health = Health::default();
        assert!(health.may_try());
        health.failed(Path::new("x"), &io::Error::other("full"));
        assert!(health.is_failing() && !health.may_try());
        health.worked();
        assert!(!health.is_failing() && health.may_try());
        assert_eq!(health.errors(), 1);
    }
}
