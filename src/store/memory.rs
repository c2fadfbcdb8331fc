//! Entries in memory, bounded by the bytes that they take.

use super::entry::{Entry, Key};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// What an entry takes beside its bytes: its row, its handle, the allocator's rounding. Measured.
const ROW_BYTES: u64 = 400;
/// The part of the bound that is left to what the allocator cannot give back while entries come and go.
const SLACK: u64 = 8;
/// No share of the bound is smaller than this, so that large entries find a place.
const SHARE_BYTES_MIN: u64 = 64 << 20;
const SHARES_MAX: u64 = 16;
/// For the first sizing of the tables only.
const ENTRY_BYTES_TYPICAL: u64 = 4 << 10;
const ENTRIES_MAX_AT_FIRST: u64 = 1 << 14;

/// Entries by key. What is asked for again stays; what is not gives way.
pub struct Memory(Option<Cache<Key, Entry, Weight>>);

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        entry.bytes() as u64 + ROW_BYTES
    }
}

impl Memory {
    /// Room for `bytes_max`; with 0, nothing is kept.
    pub fn new(bytes_max: u64) -> Self {
        let bytes_max = bytes_max - bytes_max / SLACK;
        let entries = (bytes_max / ENTRY_BYTES_TYPICAL).clamp(16, ENTRIES_MAX_AT_FIRST);
        let shares = (bytes_max / SHARE_BYTES_MIN).clamp(1, SHARES_MAX);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(entries).unwrap_or(usize::MAX))
            .weight_capacity(bytes_max)
            .shards(usize::try_from(shares).unwrap_or(1))
            .build();
        let cache = options.ok().filter(|_| bytes_max > 0).map(|options| {
            let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
            Cache::with_options(options, Weight, hasher, lifecycle)
        });
        Self(cache)
    }

    pub fn find(&self, key: &Key) -> Option<Entry> {
        self.0.as_ref()?.get(key)
    }

    pub fn put(&self, entry: Entry) {
        if let Some(cache) = &self.0 {
            cache.insert(entry.key, entry);
        }
    }

    pub fn remove(&self, key: &Key) {
        if let Some(cache) = &self.0 {
            cache.remove(key);
        }
    }

    pub fn entries(&self) -> usize {
        self.0.as_ref().map_or(0, Cache::len)
    }

    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, Cache::weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Moment;
    use crate::store::entry::Draft;
    use bytes::Bytes;
    use std::time::Duration;

    fn entry(number: u64, length: usize) -> Entry {
        let mut key = Key([0; Key::BYTES]);
        key.0[..8].copy_from_slice(&number.to_be_bytes());
        let now = Moment::now();
        let draft = Draft {
            key,
            generation: 0,
            created: now.wall,
            fresh: Duration::from_secs(60),
            useful: Duration::from_secs(60),
            label: b"",
            head: b"",
            body: &[Bytes::from(vec![1; length])],
        };
        Entry::make(&draft, now)
    }

    #[test]
    fn ten_times_too_much_keeps_the_bound() {
        let memory = Memory::new(1 << 20);
        for number in 0..10_000 {
            memory.put(entry(number, 1000));
            assert!(memory.bytes() <= 1 << 20);
        }
        assert!(memory.entries() > 500, "{}", memory.entries());
    }

    #[test]
    fn what_was_put_is_found_until_it_is_removed() {
        let memory = Memory::new(1 << 20);
        let one = entry(1, 10);
        memory.put(one.clone());
        assert_eq!(
            memory.find(&one.key).map(|found| found.body),
            Some(one.body)
        );
        memory.remove(&one.key);
        assert!(memory.find(&one.key).is_none());
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let memory = Memory::new(0);
        memory.put(entry(1, 10));
        assert_eq!((memory.entries(), memory.bytes()), (0, 0));
    }
}
