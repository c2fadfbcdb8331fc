//! Waiting for something to become true, for a bounded time.

use std::thread;
use std::time::{Duration, Instant};

/// What a slow machine may need; reached only when a test fails.
pub const LONG: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(5);

/// Asks `probe` again and again until it gives something.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    match within(LONG, probe) {
        Some(found) => found,
        None => panic!("waited {LONG:?} in vain for {what}"),
    }
}

/// The same with a time of its own, and `None` when it is over.
pub fn within<T>(time: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        thread::park_timeout(STEP);
    }
}
