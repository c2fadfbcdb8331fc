//! What the cache keeps on disk beside its entries: the secret of its keys, and what was purged.

use super::purge::Purges;
use crate::store::disk::Disk;
use std::time::SystemTime;
use uuid::Uuid;

/// The file with the purges.
pub const PURGES: &str = "purges";
/// The file with the secret that keys are made with, so that a new process finds old entries.
const SECRET: &str = "secret";
/// The directory's secret, which the first process makes; without a directory, one for this process.
pub fn secret(disk: Option<&Disk>) -> [u8; 32] {
    let fresh = make_secret();
    let Some(disk) = disk else {
        return fresh;
    };
    // A disk that can only be read has one as well.
    let known = disk
        .read_note(SECRET)
        .ok()
        .and_then(|known| known.try_into().ok());
    if let Some(known) = known {
        return known;
    }
    let mut secret = fresh;
    let read = disk.change_note(SECRET, |old| {
        secret = old.try_into().unwrap_or(fresh);
        secret.to_vec()
    });
    if let Err(fault) = read {
        tracing::warn!(%fault, "the cache's secret cannot be kept: entries on disk will not be found again");
    }
    secret
}

/// Of random bits that are each process's own.
fn make_secret() -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for _ in 0..8 {
        hasher.update(Uuid::now_v7().as_bytes());
    }
    *hasher.finalize().as_bytes()
}

pub fn read_purges(disk: &Disk) -> Purges {
    // What cannot be read tells nothing, like a damaged file.
    let note = disk.read_note(PURGES).unwrap_or_else(|_| vec![0]);
    parse_purges(&note)
}

pub fn parse_purges(note: &[u8]) -> Purges {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = now.unwrap_or_default().as_millis();
    Purges::read(note, u64::try_from(now_ms).unwrap_or(u64::MAX))
}
