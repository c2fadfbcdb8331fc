//! The thread beside the requests that does now and then what is to be done.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// How often: what is to be written down is so then, and a killed process loses no more than that.
const TICK: Duration = Duration::from_millis(100);

/// Does `work` until nobody has the thing any more.
///
/// # Errors
/// No thread can be started.
pub fn start<T: Send + Sync + 'static>(
    thing: &Arc<T>,
    work: fn(&T, usize) -> io::Result<()>,
) -> io::Result<()> {
    let thing = Arc::downgrade(thing);
    let keeper = thread::Builder::new().name("counters".to_owned());
    keeper.spawn(move || keep(&thing, work)).map(drop)
}

fn keep<T>(thing: &Weak<T>, work: fn(&T, usize) -> io::Result<()>) {
    let (mut turn, mut failing) = (0_usize, false);
    loop {
        thread::park_timeout(TICK);
        let Some(thing) = thing.upgrade() else {
            return;
        };
        let done = work(&thing, turn);
        turn = turn.wrapping_add(1);
        match (&done, failing) {
            (Err(fault), false) => {
                tracing::error!(%fault, "the counters cannot be written down; they are kept in memory");
            }
            (Ok(()), true) => tracing::info!("the counters are written down again"),
            _ => {}
        }
        failing = done.is_err();
    }
}
