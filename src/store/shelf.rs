//! Memory before disk: one place to find entries and to put them.

use super::disk::Disk;
use super::entry::{Entry, Key};
use super::memory::Memory;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// What may wait to be written; what comes beyond stays in memory only.
const WAITING_BYTES_MAX: u64 = 64 << 20;
/// Files that are read at once.
const READS_MAX: usize = 32;

/// Both tiers.
pub struct Shelf {
    pub memory: Memory,
    disk: Option<Back>,
}

struct Back {
    disk: Arc<Disk>,
    waiting: Arc<AtomicU64>,
    reads: Semaphore,
}

impl Shelf {
    pub fn new(memory: Memory, disk: Option<Arc<Disk>>) -> Self {
        let back = |disk| Back {
            disk,
            waiting: Arc::default(),
            reads: Semaphore::new(READS_MAX),
        };
        Self {
            memory,
            disk: disk.map(back),
        }
    }

    /// The entry of a key. One that was on disk only is in memory from now on.
    pub async fn find(&self, key: &Key) -> Option<Entry> {
        if let Some(entry) = self.find_now(key) {
            return Some(entry);
        }
        let back = self.disk.as_ref()?;
        let _permit = back.reads.acquire().await.ok()?;
        let (disk, key) = (back.disk.clone(), *key);
        let entry = spawn_blocking(move || disk.read(&key)).await.ok()??;
        self.memory.put(entry.clone());
        Some(entry)
    }

    /// The same without waiting: `None` also where a disk would have to be waited for.
    pub fn find_now(&self, key: &Key) -> Option<Entry> {
        if let Some(entry) = self.memory.find(key) {
            return Some(entry);
        }
        let entry = self.disk.as_ref()?.disk.read_now(key)?;
        self.memory.put(entry.clone());
        Some(entry)
    }

    /// Keeps an entry. The disk gets it in its own time.
    pub fn put(&self, entry: Entry) {
        self.memory.put(entry.clone());
        let Some(back) = &self.disk else {
            return;
        };
        let bytes = entry.bytes() as u64;
        let waiting = back.waiting.fetch_add(bytes, Ordering::Relaxed);
        if waiting > WAITING_BYTES_MAX {
            back.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        let (disk, waiting) = (back.disk.clone(), back.waiting.clone());
        spawn_blocking(move || {
            disk.write(&entry);
            waiting.fetch_sub(bytes, Ordering::Relaxed);
        });
    }

    pub fn remove(&self, key: &Key) {
        self.memory.remove(key);
        if let Some(back) = &self.disk {
            let (disk, key) = (back.disk.clone(), *key);
            spawn_blocking(move || disk.remove(&key));
        }
    }

    pub fn disk(&self) -> Option<&Arc<Disk>> {
        self.disk.as_ref().map(|back| &back.disk)
    }
}
