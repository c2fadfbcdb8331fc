//! Holds on several counters, taken together or not at all, and given back unless they are settled.

use super::clock::Now;
use super::counter::Counter;
use super::sheet::{Reading, Sheet, signed};
use std::cell::Cell;
use std::sync::{Arc, MutexGuard};

/// How an amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// As used, from the start.
    AtOnce,
    /// As held, until it is known how much was used.
    AtEnd,
}

/// What a request wants of one counter.
pub struct Claim {
    pub counter: Arc<Counter>,
    pub amount: u64,
    pub charge: Charge,
    /// Its position among all that the request wants.
    pub place: usize,
    /// Where in the window it was charged.
    charged: Cell<u64>,
}

impl Claim {
    pub fn new(counter: Arc<Counter>, amount: u64, charge: Charge, place: usize) -> Self {
        Self {
            counter,
            amount,
            charge,
            place,
            charged: Cell::new(0),
        }
    }
}

/// A claim that was granted. It gives itself back when it is dropped without having been settled.
pub struct Hold {
    counter: Arc<Counter>,
    amount: u64,
    charge: Charge,
    /// Where in the window it was charged, and when.
    charged: u64,
    since_ms: u64,
    settled: bool,
}

/// A claim for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Which of the claims.
    pub claim: usize,
    pub reading: Reading,
    /// Until there is room if nothing else happens; `None` where time alone does not make any.
    pub room_in_ms: Option<u64>,
    /// More is wanted than the limit allows in all.
    pub hopeless: bool,
}

impl Lack {
    /// What there is to say of a counter that others wait for.
    pub fn of(reading: Option<Reading>, limit: u64) -> Self {
        let unknown = Reading {
            used: limit,
            held: 0,
            limit,
            resets_in_ms: 0,
        };
        Self {
            claim: 0,
            reading: reading.unwrap_or(unknown),
            room_in_ms: None,
            hopeless: false,
        }
    }
}

/// Grants all claims or none. All counters are looked at together, each under its own lock, so a
/// claim never fails for the sake of another that fails as well.
///
/// # Errors
/// Every claim for which there is no room.
pub fn take(mut claims: Vec<Claim>, now: Now) -> Result<Vec<Hold>, Vec<Lack>> {
    // Locks are taken in one order by all, so nobody waits in a circle.
    claims.sort_unstable_by_key(|claim| Arc::as_ptr(&claim.counter));
    let mut sheets: Vec<(&Claim, MutexGuard<'_, Sheet>)> = Vec::with_capacity(claims.len());
    sheets.extend(claims.iter().map(|claim| (claim, claim.counter.lock())));
    let mut lacks = Vec::new();
    for (claim, sheet) in &mut sheets {
        let terms = claim.counter.account.terms();
        let taken = sheet.held_by_all().saturating_add(claim.amount);
        if sheet.state.used(&terms, now).saturating_add(taken) > terms.limit {
            lacks.push(Lack {
                claim: claim.place,
                room_in_ms: sheet.state.room_in(&terms, now, taken),
                reading: sheet.read(&terms, now),
                hopeless: claim.amount > terms.limit,
            });
        }
    }
    if !lacks.is_empty() {
        lacks.sort_unstable_by_key(|lack| lack.claim);
        return Err(lacks);
    }
    for (claim, sheet) in &mut sheets {
        let counter = &claim.counter;
        match claim.charge {
            Charge::AtOnce => claim.charged.set(counter.charge(sheet, now, claim.amount)),
            Charge::AtEnd => {
                sheet.held = sheet.held.saturating_add(claim.amount);
                counter.note(sheet, now.wall_ms, 0, signed(claim.amount));
            }
        }
    }
    drop(sheets);
    claims.sort_unstable_by_key(|claim| claim.place);
    let hold = |claim: Claim| Hold {
        counter: claim.counter,
        amount: claim.amount,
        charge: claim.charge,
        charged: claim.charged.get(),
        since_ms: now.wall_ms,
        settled: false,
    };
    Ok(claims.into_iter().map(hold).collect())
}

impl Hold {
    /// Turns what was held into what was `used`, which may be more. What is charged at once stays.
    pub fn settle(mut self, now: Now, used: u64) {
        self.settled = true;
        if self.charge == Charge::AtOnce {
            return;
        }
        let counter = &self.counter;
        let mut sheet = counter.lock();
        sheet.held = sheet.held.saturating_sub(self.amount);
        counter.note(&mut sheet, now.wall_ms, 0, -signed(self.amount));
        if used > 0 {
            counter.charge(&mut sheet, now, used);
        }
        drop(sheet);
        if used < self.amount {
            counter.account.freed.tell();
        }
    }

    pub fn counter(&self) -> &Arc<Counter> {
        &self.counter
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let counter = &self.counter;
        let mut sheet = counter.lock();
        let now = counter.yard.clock.now();
        match self.charge {
            Charge::AtEnd => {
                sheet.held = sheet.held.saturating_sub(self.amount);
                counter.note(&mut sheet, now.wall_ms, 0, -signed(self.amount));
            }
            Charge::AtOnce => {
                let terms = counter.account.terms();
                let charged = sheet.state.used(&terms, now);
                sheet.state.refund(&terms, now, self.charged, self.amount);
                // Of a window that is over there is nothing to take back.
                let back = charged.saturating_sub(sheet.state.used(&terms, now));
                counter.note(&mut sheet, self.since_ms, -signed(back), 0);
            }
        }
        drop(sheet);
        counter.account.freed.tell();
    }
}
