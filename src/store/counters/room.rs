//! A bounded room of counters in many shards; what is live is never pushed out of it.

use super::account::{Account, Kind};
use super::clock::Now;
use super::counter::{Counter, Yard};
use super::dirty::Dirty;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

/// Two requests meet in a shard's lock only where one of them brings a new key, and then one time in
/// so many.
const SHARDS: usize = 256;

/// By the half of their ids that did not choose the shard: the chance that two of a million counters
/// meet is less than one in a thousand millions.
type Shard = HashMap<u64, Arc<Counter>, BuildHasherDefault<Taken>>;

/// The ids are keyed hashes already.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }
}

/// The rooms of all counters.
pub struct Rooms {
    pub rates: Room,
    pub budgets: Room,
}

impl Rooms {
    pub fn find(&self, id: u128) -> Option<Arc<Counter>> {
        self.budgets.find(id).or_else(|| self.rates.find(id))
    }

    /// The room in which the counters of an account stand.
    pub fn of(&self, account: &Account) -> &Room {
        match account.kind {
            Kind::Rate => &self.rates,
            Kind::Budget => &self.budgets,
        }
    }

    /// All counters, one shard after the other.
    pub fn each(&self, mut visit: impl FnMut(&Arc<Counter>)) {
        self.rates.each(&mut visit);
        self.budgets.each(visit);
    }

    /// All that have something to be written down.
    pub fn take_dirty(&self) -> Vec<Arc<Counter>> {
        let yards = [&self.rates.yard, &self.budgets.yard];
        let dirty = yards.into_iter().filter_map(|yard| yard.dirty.as_ref());
        dirty.flat_map(Dirty::take).collect()
    }

    pub fn now(&self) -> Now {
        self.budgets.yard.clock.now()
    }
}

/// The counters of one kind.
pub struct Room {
    pub yard: Arc<Yard>,
    bytes_max: usize,
    shards: Box<[RwLock<Shard>]>,
}

impl Room {
    pub fn new(yard: Yard, bytes_max: usize) -> Self {
        Self {
            yard: Arc::new(yard),
            bytes_max,
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    pub fn find(&self, id: u128) -> Option<Arc<Counter>> {
        let shard = self.shard(id)?.read();
        let shard = shard.unwrap_or_else(PoisonError::into_inner);
        shard.get(&half(id)).cloned()
    }

    /// The counter of this id, made if there is none; `None` where the room is full of others.
    pub fn obtain(
        &self,
        id: u128,
        account: &Arc<Account>,
        label: impl FnOnce() -> Box<str>,
    ) -> Option<Arc<Counter>> {
        if let Some(counter) = self.find(id) {
            return Some(counter);
        }
        if self.is_full() {
            return None;
        }
        Some(self.insert(id, account, label()))
    }

    /// The same, however full it is: for what was live before.
    pub fn insert(&self, id: u128, account: &Arc<Account>, label: Box<str>) -> Arc<Counter> {
        let make = || Arc::new(Counter::new(id, account.clone(), label, self.yard.clone()));
        let Some(shard) = self.shard(id) else {
            return make();
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        match shard.entry(half(id)) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => entry.insert(make()).clone(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.yard.bytes.load(Ordering::Relaxed) >= self.bytes_max
    }

    /// Whether it is time to sweep more than usual.
    pub fn is_crowded(&self) -> bool {
        self.yard.bytes.load(Ordering::Relaxed) >= self.bytes_max / 4 * 3
    }

    /// Drops what is idle in one shard of many; `turn` chooses which.
    pub fn sweep(&self, turn: usize, now: Now) {
        let Some(shard) = self.shards.get(turn % SHARDS) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever looks a counter up does so under the lock: one that is ours alone stays so.
        shard.retain(|_, counter| Arc::strong_count(counter) > 1 || !counter.is_idle(now));
        if shard.capacity() > 4 * shard.len() + 64 {
            shard.shrink_to_fit();
        }
    }

    /// All counters, one shard after the other.
    pub fn each(&self, mut visit: impl FnMut(&Arc<Counter>)) {
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.values().for_each(&mut visit);
        }
    }

    fn shard(&self, id: u128) -> Option<&RwLock<Shard>> {
        let index = (id >> 64) as usize % SHARDS;
        self.shards.get(index)
    }
}

fn half(id: u128) -> u64 {
    id as u64
}
