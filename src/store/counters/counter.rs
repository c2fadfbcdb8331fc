//! One counter: its key, its rule, and its sheet under a lock.

use super::account::Account;
use super::clock::{Clock, Now};
use super::dirty::Dirty;
use super::sheet::{Change, Kept, Reading, Sheet, signed};
use super::window::{State, Technique};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One key's counter under one rule. What every request touches comes first, and so lies in the same
/// two lines of the processor's cache as the `Arc`'s own count.
#[repr(C)]
pub struct Counter {
    sheet: Mutex<Sheet>,
    pub account: Arc<Account>,
    pub yard: Arc<Yard>,
    /// The values that the key was made of, as the operator sees them.
    pub label: Box<str>,
    pub id: u128,
}

/// What counters need of the house they stand in.
pub struct Yard {
    pub clock: Arc<Clock>,
    /// Bytes of all counters in their room.
    pub bytes: AtomicUsize,
    /// Counters with something to write down; `None` where nothing is.
    pub dirty: Option<Dirty<Counter>>,
}

impl Counter {
    pub fn new(id: u128, account: Arc<Account>, label: Box<str>, yard: Arc<Yard>) -> Self {
        let kept = yard.dirty.is_some() && account.is_kept();
        let sheet = Sheet {
            state: State::new(account.terms().technique),
            held: 0,
            heap_bytes: 0,
            kept: kept.then(Box::default),
        };
        let counter = Self {
            id,
            account,
            label,
            yard,
            sheet: Mutex::new(sheet),
        };
        counter
            .yard
            .bytes
            .fetch_add(counter.bytes(), Ordering::Relaxed);
        counter
    }

    /// About what it takes: itself, its label, and its place in the room.
    fn bytes(&self) -> usize {
        /// The `Arc`'s counts, the room's slot at half load, and the allocator's own.
        const OVERHEAD: usize = 16 + 48 + 32;
        let is_kept = self.yard.dirty.is_some() && self.account.is_kept();
        let kept = if is_kept { size_of::<Kept>() + 16 } else { 0 };
        size_of::<Self>() + self.label.len() + kept + OVERHEAD
    }

    pub fn read(&self, now: Now) -> Reading {
        self.lock().read(&self.account.terms(), now)
    }

    /// Whether it holds nothing that would be missed.
    pub fn is_idle(&self, now: Now) -> bool {
        let terms = self.account.terms();
        let mut sheet = self.lock();
        let used = sheet.state.used(&terms, now);
        self.weigh(&mut sheet);
        let clean = sheet.kept.as_ref().is_none_or(|kept| !kept.dirty);
        clean && sheet.held_by_all() == 0 && used == 0
    }

    /// Forgets what was used; what is held stays held.
    pub fn reset(self: &Arc<Self>, now: Now) {
        let terms = self.account.terms();
        let mut sheet = self.lock();
        let used = sheet.state.used(&terms, now);
        sheet.state = State::new(terms.technique);
        self.note(&mut sheet, now.wall_ms, -signed(used), 0);
        drop(sheet);
        self.account.freed.tell();
    }

    /// What is to be written down since the last time, and whether nothing stood here before.
    pub fn take_change(&self) -> Option<(Change, bool)> {
        let mut sheet = self.lock();
        let kept = sheet.kept.as_mut()?;
        kept.dirty = false;
        let change = std::mem::take(&mut kept.unwritten);
        if change.used == 0 && change.held == 0 {
            return None;
        }
        Some((change, std::mem::take(&mut kept.anew)))
    }

    /// Counts what another process wrote down.
    pub fn recall(&self, now: Now, change: Change) {
        let terms = self.account.terms();
        let mut sheet = self.lock();
        sheet.recall(&terms, now, change);
        drop(sheet);
        self.account.freed.tell();
    }

    /// Counts anew from what all processes, this one included, wrote down: `changes` without what
    /// this one holds.
    pub fn restate(&self, now: Now, changes: &[Change]) {
        let terms = self.account.terms();
        let mut sheet = self.lock();
        sheet.state = State::new(terms.technique);
        let unwritten = sheet.kept.as_mut().map(|kept| {
            kept.held_abroad = 0;
            kept.unwritten
        });
        for change in changes {
            sheet.recall(&terms, now, *change);
        }
        if let Some(Change { wall_ms, used, .. }) = unwritten {
            let change = Change {
                wall_ms,
                used,
                held: 0,
            };
            sheet.recall(&terms, now, change);
        }
    }

    /// All that has to be written down for this counter to be known to somebody who knows nothing of
    /// it; `None` where there is nothing. What waited to be written down is a part of it.
    pub fn take_whole(&self, now: Now) -> Option<Vec<Change>> {
        let terms = self.account.terms();
        let mut sheet = self.lock();
        let entries = sheet.state.entries(&terms, now).into_iter();
        let mut changes: Vec<Change> = entries
            .map(|(wall_ms, amount)| Change {
                wall_ms,
                used: signed(amount),
                held: 0,
            })
            .collect();
        if sheet.held > 0 {
            changes.push(Change {
                wall_ms: now.wall_ms,
                used: 0,
                held: signed(sheet.held),
            });
        }
        if let Some(kept) = &mut sheet.kept {
            kept.unwritten = Change::default();
        }
        (!changes.is_empty() || sheet.held_by_all() > 0).then_some(changes)
    }

    pub(super) fn charge(self: &Arc<Self>, sheet: &mut Sheet, now: Now, amount: u64) -> u64 {
        let terms = self.account.terms();
        let charged = sheet.state.charge(&terms, now, amount);
        self.weigh(sheet);
        self.note(sheet, now.wall_ms, signed(amount), 0);
        charged
    }

    /// Tells the yard how much the state has grown or shrunk.
    fn weigh(&self, sheet: &mut Sheet) {
        let (before, after) = (sheet.heap_bytes, sheet.state.heap_bytes());
        let bytes = &self.yard.bytes;
        if after > before {
            bytes.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
        sheet.heap_bytes = after;
    }

    /// Has it written down soon.
    pub(super) fn note(self: &Arc<Self>, sheet: &mut Sheet, wall_ms: u64, used: i64, held: i64) {
        let held_by_all = sheet.held_by_all();
        let stood = sheet.state.standing();
        let (Some(kept), Some(dirty)) = (&mut sheet.kept, &self.yard.dirty) else {
            return;
        };
        // Other processes drop a counter on which nothing stands.
        let first =
            |change: i64, now: u64| i64::try_from(now).is_ok_and(|now| now == change.max(0));
        kept.anew |= (used > 0 || held > 0) && first(used, stood) && first(held, held_by_all);
        let unwritten = &mut kept.unwritten;
        if used != 0 {
            // What was used in a window that is over need not be known by anyone.
            let terms = self.account.terms();
            if terms.technique == Technique::Fixed
                && unwritten.used != 0
                && unwritten.wall_ms < terms.span.window(wall_ms).0
            {
                unwritten.used = 0;
            }
            unwritten.wall_ms = unwritten.wall_ms.max(wall_ms);
        }
        unwritten.used = unwritten.used.saturating_add(used);
        unwritten.held = unwritten.held.saturating_add(held);
        if !kept.dirty {
            kept.dirty = true;
            dirty.push(self.id, self.clone());
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Sheet> {
        self.sheet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let bytes = self.bytes() + self.lock().heap_bytes;
        self.yard.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
