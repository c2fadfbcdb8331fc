//! What the pipeline, the client's session and the door share about one request.

use super::deadline::Deadlines;
use super::gate::Gate;
use bytes::Bytes;
use pingora::protocols::http::ServerSession;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Set by the pipeline, read by the session, emptied by the door.
#[derive(Default)]
pub struct Seat {
    body: OnceLock<Bytes>,
    pub deadlines: Deadlines,
    pub gate: Gate,
    drains: AtomicBool,
    fills: AtomicBool,
    left: AtomicBool,
    close_after: AtomicBool,
    finished: AtomicBool,
    returned: Mutex<Option<ServerSession>>,
}

impl Seat {
    /// Gives the session its body, which it sends from now on to every attempt. Only the first
    /// call counts.
    pub fn hold(&self, body: Bytes) {
        let _ = self.body.set(body);
    }

    pub fn body(&self) -> Option<&Bytes> {
        self.body.get()
    }

    /// The answer is to be read to its end though its client may leave.
    pub fn drain(&self) {
        self.drains.store(true, Ordering::Release);
    }

    pub fn drains(&self) -> bool {
        self.drains.load(Ordering::Acquire) || self.is_filling()
    }

    /// The answer goes to the client by way of the cache, and is read to its end for others as well. The
    /// reader there keeps the deadlines from now on: Pingora would not hear of them from the session.
    pub fn fill(&self) {
        self.fills.store(true, Ordering::Release);
    }

    /// The answer was given up; the session keeps the deadlines of the next one.
    pub fn unfill(&self) {
        self.fills.store(false, Ordering::Release);
    }

    pub fn is_filling(&self) -> bool {
        self.fills.load(Ordering::Acquire)
    }

    /// The client is gone.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether the client left an answer that was read on without it.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Lets the answer say that the connection ends with it. To be called before its head is written.
    pub fn close_after(&self) {
        self.close_after.store(true, Ordering::Release);
    }

    pub fn closes_after(&self) -> bool {
        self.close_after.load(Ordering::Acquire)
    }

    /// The answer went out whole, also where Pingora would give the session up after an error.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// Lays the real session down for the door to take.
    pub fn give_back(&self, session: Option<ServerSession>) {
        *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }

    /// The real session after the request, and whether its answer went out whole.
    pub fn take(&self) -> Option<(ServerSession, bool)> {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        Some((returned.take()?, self.finished.load(Ordering::Acquire)))
    }
}

tokio::task_local! {
    /// The seat of the request that the task serves, for what Pingora asks without its context.
    pub static SEAT: Arc<Seat>;
}
