//! What all counters of one rule share.

use super::window::{Technique, Terms};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// The longest window that is over before a restart is.
pub const FLEETING_MS_MAX: u64 = 60_000;
/// The shortest window whose counters are written down. Another process takes a tenth of a second to
/// know of what was used, and of a shorter window that would be a good part.
const KEPT_MS_MIN: u64 = 2_000;

/// What makes a rule the same rule before and after a reload, a restart or an upgrade: a hash of
/// everything but its amount and what happens when that is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub u128);

/// In which room a rule's counters stand, so that one kind cannot crowd out the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests and what runs, by the minute: a newcomer may be estimated when the room is full.
    Rate,
    /// Money, tokens, and whatever counts for longer than a minute: always exact.
    Budget,
}

/// One rule's account: its terms, and who waits for room.
#[derive(Debug)]
pub struct Account {
    pub identity: Identity,
    pub kind: Kind,
    terms: Terms,
    /// The limit alone may change while the rule stays the same.
    limit: AtomicU64,
    pub freed: Freed,
}

/// Tells those who wait that room was given back.
#[derive(Debug, Default)]
pub struct Freed {
    pub waiting: AtomicUsize,
    pub notify: Notify,
}

impl Freed {
    pub fn tell(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.notify.notify_waiters();
        }
    }
}

impl Account {
    pub fn new(identity: Identity, kind: Kind, terms: Terms) -> Self {
        Self {
            identity,
            kind,
            terms,
            limit: AtomicU64::new(terms.limit),
            freed: Freed::default(),
        }
    }

    pub fn terms(&self) -> Terms {
        Terms {
            limit: self.limit.load(Ordering::Relaxed),
            ..self.terms
        }
    }

    /// A reload gave the rule another amount.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
        self.freed.tell();
    }

    /// Whether its counters outlive the process, and are known to all others that share the folder:
    /// what runs, and what was used in all but the shortest windows.
    pub fn is_kept(&self) -> bool {
        self.terms.technique == Technique::Running || self.terms.span.millis() >= KEPT_MS_MIN
    }
}
