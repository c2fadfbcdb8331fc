//! What stands on a counter: what was used, what is held, and what is to be written down of it.

use super::clock::Now;
use super::window::{State, Terms};

/// What stands on a counter.
pub struct Sheet {
    pub state: State,
    /// Reserved by requests that run.
    pub held: u64,
    /// Bytes of the state's own that the yard has counted.
    pub heap_bytes: usize,
    pub kept: Option<Box<Kept>>,
}

/// Beside it for those that are written down.
#[derive(Debug, Default)]
pub struct Kept {
    /// Reserved by requests that run in other processes.
    pub held_abroad: u64,
    pub unwritten: Change,
    pub dirty: bool,
    /// Whether nothing stood on it before what is to be written down.
    pub anew: bool,
}

/// What is to be written down: what was used since the last time, and what was held and given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub wall_ms: u64,
    pub used: i64,
    pub held: i64,
}

/// A counter as it stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub used: u64,
    pub held: u64,
    pub limit: u64,
    /// Until nothing used counts any more.
    pub resets_in_ms: u64,
}

impl Sheet {
    pub fn held_by_all(&self) -> u64 {
        let abroad = self.kept.as_ref().map_or(0, |kept| kept.held_abroad);
        self.held.saturating_add(abroad)
    }

    pub fn read(&mut self, terms: &Terms, now: Now) -> Reading {
        Reading {
            used: self.state.used(terms, now),
            held: self.held_by_all(),
            limit: terms.limit,
            resets_in_ms: self.state.resets_in(terms, now),
        }
    }

    pub fn recall(&mut self, terms: &Terms, now: Now, change: Change) {
        let amount = change.used.unsigned_abs();
        if change.used >= 0 {
            self.state.recall(terms, now, change.wall_ms, amount);
        } else if let Some(charged) = self.state.charged_at(terms, now, change.wall_ms) {
            self.state.refund(terms, now, charged, amount);
        }
        if let Some(kept) = &mut self.kept {
            kept.held_abroad = kept.held_abroad.saturating_add_signed(change.held);
        }
    }
}

/// Amounts beyond what fits are no amounts that anybody uses.
pub fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
