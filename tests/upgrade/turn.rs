//! How many scenarios run at once.

use crate::driver;
use std::sync::{Condvar, Mutex, PoisonError};

/// Scenarios that run.
static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// Two loads that mostly wait share two cores well, and more would tell of each other. systemd has one
/// unit.
fn most() -> usize {
    if driver::is_systemd() { 1 } else { 2 }
}

/// A scenario's right to run, for as long as it is kept.
pub struct Turn(());

impl Turn {
    pub fn wait() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let running = ENDED.wait_while(running, |running| *running >= most());
        *running.unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
