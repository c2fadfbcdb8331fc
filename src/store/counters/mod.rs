//! Counters of what was used: exact, bounded in memory, kept on disk where they count for long.
//!
//! A counter stands in one of two rooms. Neither ever loses a live counter: when a room is full,
//! newcomers to it are estimated (rates) or share one counter a rule (budgets).

pub mod account;
pub mod clock;
pub mod config;
pub mod counter;
pub mod hold;
mod key;
pub mod sheet;
mod desk;
mod dirty;
mod frame;
mod journal;
mod keeper;
mod room;
mod sketch;
pub mod span;
pub mod window;
#[cfg(test)]
mod tests;

use crate::base::chance;
use account::{Account, Identity, Kind};
use clock::{Clock, Now};
use counter::{Counter, Yard};
use desk::{Accounts, Desk};
use dirty::Dirty;
use hold::{Charge, Claim, Hold, Lack};
use journal::Journal;
use key::Key;
use room::{Room, Rooms};
use sheet::Reading;
use sketch::{Newcomer, Sketch};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use window::{Technique, Terms};

/// Shards swept each time: each has its turn every 13 s, or every second where it is crowded.
const SHARDS: usize = 2;
const CROWDED_SHARDS: usize = 32;
/// The label of the counter that newcomers to a full room share.
const CROWD: &str = "(all that came when the room was full)";

/// All counters of this process.
pub struct Counters {
    clock: Arc<Clock>,
    key: Key,
    rooms: Rooms,
    accounts: RwLock<Accounts>,
    desk: Option<Mutex<Desk>>,
}

/// A rule's account, and where its newcomers go when the room is full.
pub struct Rule {
    pub account: Arc<Account>,
    crowd: Arc<OnceLock<Crowd>>,
}

impl Rule {
    /// What was estimated under the same rule before a reload counts on.
    pub fn go_on_from(&mut self, earlier: &Self) {
        self.crowd = earlier.crowd.clone();
    }
}

enum Crowd {
    Estimated(Box<Sketch>),
    Shared(Arc<Counter>),
}

/// What a request wants of one rule.
pub struct Want<'a> {
    pub rule: &'a Rule,
    pub id: u128,
    /// Makes the label of a new counter.
    pub label: &'a (dyn Fn() -> String + 'a),
    pub amount: u64,
    pub charge: Charge,
}

/// What a request was granted; it gives itself back when it is dropped unsettled.
pub enum Grant {
    Exact(Hold),
    /// Estimates are of requests alone, and those count from the start.
    Estimated {
        _running: Newcomer,
    },
}

impl Grant {
    /// Turns what was held into what was used.
    pub fn settle(self, now: Now, used: u64) {
        if let Self::Exact(hold) = self {
            hold.settle(now, used);
        }
    }

    pub fn read(&self, now: Now) -> Option<Reading> {
        match self {
            Self::Exact(hold) => Some(hold.counter().read(now)),
            Self::Estimated { .. } => None,
        }
    }
}

impl Counters {
    /// `bytes_max` bounds what all counters take, half of it for rates and half for budgets. With a
    /// `folder`, what runs and what counts for more than a moment is kept there.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(bytes_max: usize, folder: Option<&Path>) -> io::Result<Arc<Self>> {
        let journal = folder.map(Journal::open).transpose()?;
        let counters = Arc::new(Self::with(bytes_max, journal, Clock::system())?);
        counters.write_down(false)?;
        keeper::start(&counters, Self::keep)?;
        Ok(counters)
    }

    fn with(bytes_max: usize, mut journal: Option<Journal>, clock: Clock) -> io::Result<Self> {
        let key = match &mut journal {
            Some(journal) => journal.key()?,
            None => chance::random()?,
        };
        let clock = Arc::new(clock);
        let yard = |dirty| Yard {
            clock: clock.clone(),
            bytes: AtomicUsize::new(0),
            dirty,
        };
        let room = || {
            let dirty = journal.is_some().then(Dirty::default);
            Room::new(yard(dirty), bytes_max / 2)
        };
        Ok(Self {
            rooms: Rooms {
                rates: room(),
                budgets: room(),
            },
            clock,
            key: Key::new(key),
            accounts: RwLock::default(),
            desk: journal.map(Desk::new).map(Mutex::new),
        })
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// A hash of `bytes` that nobody outside can foresee; the same after a restart.
    pub fn hash(&self, bytes: &[u8]) -> u128 {
        self.key.hash(bytes)
    }

    /// The account of a rule, with the counters that it had before a reload or a restart.
    pub fn rule(&self, identity: Identity, kind: Kind, terms: Terms) -> Rule {
        let mut accounts = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Account::new(identity, kind, terms));
        let account = accounts.entry(identity).or_insert_with(make).clone();
        drop(accounts);
        account.set_limit(terms.limit);
        if let Some(desk) = &self.desk {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            desk.adopt(&account, &self.rooms);
        }
        Rule {
            account,
            crowd: Arc::default(),
        }
    }

    /// Grants everything that is wanted, or nothing.
    ///
    /// # Errors
    /// Every want for which there is no room.
    pub fn take(&self, wants: &[Want<'_>]) -> Result<Vec<Grant>, Vec<Lack>> {
        let mut claims = Vec::with_capacity(wants.len());
        let mut estimated = Vec::new();
        for (place, want) in wants.iter().enumerate() {
            match self.counter(want) {
                Ok(counter) => claims.push(Claim::new(counter, want.amount, want.charge, place)),
                Err(sketch) => estimated.push((place, want, sketch)),
            }
        }
        let holds = hold::take(claims, self.now())?;
        let mut grants: Vec<Grant> = holds.into_iter().map(Grant::Exact).collect();
        for (place, want, sketch) in estimated {
            let terms = want.rule.account.terms();
            match sketch.admit(want.id, terms.limit, self.now().steady_ms) {
                Some(_running) => {
                    let place = place.min(grants.len());
                    grants.insert(place, Grant::Estimated { _running });
                }
                None => return Err(vec![lack_of(place, terms)]),
            }
        }
        Ok(grants)
    }

    /// The want's own counter, or the sketch of its rule where the room is full.
    fn counter<'a>(&self, want: &Want<'a>) -> Result<Arc<Counter>, &'a Sketch> {
        let account = &want.rule.account;
        let room = self.rooms.of(account);
        let label = || (want.label)().into_boxed_str();
        if let Some(counter) = room.obtain(want.id, account, label) {
            return Ok(counter);
        }
        let crowd = want.rule.crowd.get_or_init(|| {
            let terms = account.terms();
            let windowed = terms.technique != Technique::Running;
            match account.kind {
                Kind::Rate => {
                    let span_ms = windowed.then(|| terms.span.millis());
                    Crowd::Estimated(Box::new(Sketch::new(span_ms)))
                }
                Kind::Budget => {
                    let id = self.hash(&account.identity.0.to_le_bytes());
                    Crowd::Shared(room.insert(id, account, CROWD.into()))
                }
            }
        });
        match crowd {
            Crowd::Shared(counter) => Ok(counter.clone()),
            Crowd::Estimated(sketch) => Err(sketch),
        }
    }

    /// All counters of all rules.
    pub fn each(&self, visit: impl FnMut(&Arc<Counter>)) {
        self.rooms.each(visit);
    }

    /// The budgets' counters alone.
    pub fn each_budget(&self, visit: impl FnMut(&Arc<Counter>)) {
        self.rooms.budgets.each(visit);
    }

    /// What a counter says; `None` where there is none of this id.
    pub fn read(&self, id: u128) -> Option<Reading> {
        self.rooms.find(id).map(|counter| counter.read(self.now()))
    }

    /// Forgets what a counter counted; `false` where there is none of this id.
    pub fn reset(&self, id: u128) -> bool {
        let found = self.rooms.find(id);
        found.map(|counter| counter.reset(self.now())).is_some()
    }

    /// Writes down what is new, and forces it to the disk.
    pub fn flush(&self) {
        if let Err(fault) = self.write_down(true) {
            tracing::error!(%fault, "the counters cannot be written down");
        }
    }

    /// Reads what other processes have written down until now: before this one takes the place of
    /// another, which has just flushed.
    pub fn catch_up(&self) {
        if let Err(fault) = self.write_down(false) {
            tracing::error!(%fault, "the counters of other processes cannot be read");
        }
    }

    /// What is to be done now and then; `turn` counts the times.
    fn keep(&self, turn: usize) -> io::Result<()> {
        let now = self.now();
        for room in [&self.rooms.rates, &self.rooms.budgets] {
            let shards = if room.is_crowded() {
                CROWDED_SHARDS
            } else {
                SHARDS
            };
            let first = turn.wrapping_mul(shards);
            (0..shards).for_each(|shard| room.sweep(first.wrapping_add(shard), now));
        }
        self.write_down(false)
    }

    fn write_down(&self, force: bool) -> io::Result<()> {
        let Some(desk) = &self.desk else {
            return Ok(());
        };
        let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = self
            .accounts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        desk.visit(&self.rooms, &accounts)?;
        desk.sync(force)
    }
}

/// What is said of an estimate that is over its limit.
fn lack_of(claim: usize, terms: Terms) -> Lack {
    let windowed = terms.technique != Technique::Running;
    let span_ms = terms.span.millis();
    Lack {
        claim,
        reading: Reading {
            used: terms.limit,
            held: 0,
            limit: terms.limit,
            resets_in_ms: span_ms,
        },
        room_in_ms: windowed.then_some(span_ms),
        hopeless: terms.limit == 0,
    }
}
