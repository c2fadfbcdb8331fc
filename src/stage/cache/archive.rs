//! What is kept, and what is on its way: the one place behind all requests.

use super::config::Room;
use super::fill::{Bounds, Fill};
use super::fills::Fills;
use super::key::Keys;
use super::notes;
use super::purge::{Purges, Scope};
use super::question::Question;
use crate::store::disk::Disk;
use crate::store::memory::Memory;
use crate::store::shelf::Shelf;
use arc_swap::ArcSwap;
use pingora_cache::lock::CacheLock;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a question may be somebody's to ask while others wait for it. They give up earlier, each
/// at its own time to the first byte.
const LEAD_MAX: Duration = Duration::from_secs(3600);
/// The least that answers on their way may take together.
const FILLING_BYTES_MIN: u64 = 64 << 20;

/// What is kept, and what is on its way. There is one as long as the process lives.
pub struct CacheStore {
    pub shelf: Shelf,
    pub fills: Fills,
    bounds: Arc<Bounds>,
    pub purges: ArcSwap<Purges>,
    /// One purge after the other.
    purging: Mutex<()>,
    pub keys: Keys,
    pub lock: CacheLock,
    /// Whether the answer to the request that runs here has begun: until then nothing is shared,
    /// and its deadlines end it.
    pub has_begun: fn() -> bool,
    count: AtomicU64,
}

/// How much is kept in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    pub entries: u64,
    pub bytes: u64,
}

impl CacheStore {
    /// Room for answers, beside the disk that there may be.
    pub fn new(room: &Room, disk: Option<Arc<Disk>>, has_begun: fn() -> bool) -> Self {
        let keys = Keys::new(notes::secret(disk.as_deref()));
        let purges = disk.as_deref().map(notes::read_purges).unwrap_or_default();
        let bounds = Bounds {
            entry_bytes_max: usize::try_from(room.entry.bytes()).unwrap_or(usize::MAX),
            filling_bytes_max: (room.memory.bytes() / 4).max(FILLING_BYTES_MIN),
            filling_bytes: AtomicU64::new(0),
        };
        Self {
            shelf: Shelf::new(Memory::new(room.memory.bytes()), disk),
            fills: Fills::default(),
            bounds: Arc::new(bounds),
            purges: ArcSwap::from_pointee(purges),
            purging: Mutex::default(),
            keys,
            lock: CacheLock::new(LEAD_MAX),
            has_begun,
            count: AtomicU64::new(0),
        }
    }

    /// Purges what exists now. It waits for the disk.
    ///
    /// # Errors
    /// It is purged in this process, but that could not be noted on disk: a later process may find it.
    pub fn purge(&self, scope: &Scope) -> io::Result<()> {
        let _turn = self.purging.lock().unwrap_or_else(PoisonError::into_inner);
        let mut purges = Purges::clone(&self.purges.load());
        let Some(disk) = self.shelf.disk() else {
            purges.add(scope);
            self.purges.store(Arc::new(purges));
            return Ok(());
        };
        let noted = disk.change_note(notes::PURGES, |note| {
            purges.join(notes::parse_purges(note));
            purges.add(scope);
            purges.write()
        });
        if noted.is_err() {
            purges.add(scope);
        }
        self.purges.store(Arc::new(purges));
        noted
    }

    /// What is in memory, and what is on disk where there is one.
    pub fn tiers(&self) -> (Tier, Option<Tier>) {
        let memory = Tier {
            entries: self.shelf.memory.entries() as u64,
            bytes: self.shelf.memory.bytes(),
        };
        let disk = self.shelf.disk().map(|disk| Tier {
            entries: disk.entries() as u64,
            bytes: disk.bytes(),
        });
        (memory, disk)
    }

    /// Failed reads and writes of the disk, and whether it fails now.
    pub fn disk_errors(&self) -> (u64, bool) {
        let health = self.shelf.disk().map(|disk| &disk.health);
        health.map_or((0, false), |health| (health.errors(), health.is_failing()))
    }

    /// An answer to a question begins.
    pub fn begin(&self, question: Arc<Question>, head: Vec<u8>) -> Arc<Fill> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Arc::new(Fill::new(number, question, head, self.bounds.clone()))
    }
}
