//! Opens the cache, and the thread that looks after its directory.

use super::archive::CacheStore;
use super::config::Room;
use super::notes;
use super::purge::Purges;
use crate::store::disk::Disk;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How soon one process learns what another one purged.
const PURGES_EVERY: Duration = Duration::from_secs(1);
/// How often the directory is gone through.
const WALK_EVERY: u32 = 600;

/// Room for answers, as the configuration says. Files of an earlier process are found again.
/// `has_begun` tells whether the answer to the request that runs has begun to be kept.
pub fn open(room: &Room, has_begun: fn() -> bool) -> &'static CacheStore {
    let disk = room.directory.clone();
    let disk = disk.and_then(|root| Disk::new(root, room.disk.bytes(), room.entry.bytes()));
    let store = CacheStore::new(room, disk.map(Arc::new), has_begun);
    // Pingora's cache lives as long as the process.
    let store: &'static CacheStore = Box::leak(Box::new(store));
    watch(store);
    store
}

/// Looks after the directory for as long as the process lives.
fn watch(store: &'static CacheStore) {
    let Some(disk) = store.shelf.disk() else {
        return;
    };
    let started = thread::Builder::new()
        .name("cache".to_owned())
        .spawn(move || {
            for turn in 0_u32.. {
                if turn % WALK_EVERY == 0 {
                    disk.walk();
                }
                thread::park_timeout(PURGES_EVERY);
                learn_purges(store, disk);
            }
        });
    if let Err(fault) = started {
        tracing::error!(%fault, "the cache's directory is not looked after");
    }
}

fn learn_purges(store: &CacheStore, disk: &Disk) {
    let Ok(note) = disk.read_note(notes::PURGES) else {
        return;
    };
    let learnt = notes::parse_purges(&note);
    if learnt.count > store.purges.load().count {
        store.purges.rcu(|known| {
            let mut purges = Purges::clone(known);
            purges.join(learnt.clone());
            Arc::new(purges)
        });
    }
}
