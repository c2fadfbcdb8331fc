//! The answers on their way, by the key of their question.

use super::fill::Fill;
use crate::store::entry::Key;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// The answers on their way, by key. A key may have several, where one was asked for anew.
#[derive(Default)]
pub struct Fills([Mutex<HashMap<Key, Vec<Arc<Fill>>>>; SHARDS]);

impl Fills {
    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, HashMap<Key, Vec<Arc<Fill>>>>> {
        let shard = self.0.get(usize::from(key.0[0]) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn add(&self, fill: Arc<Fill>) {
        if let Some(mut shard) = self.shard(&fill.question.key) {
            shard.entry(fill.question.key).or_default().push(fill);
        }
    }

    pub fn remove(&self, fill: &Fill) {
        let key = &fill.question.key;
        let Some(mut shard) = self.shard(key) else {
            return;
        };
        if let Some(fills) = shard.get_mut(key) {
            fills.retain(|other| other.tag != fill.tag);
            if fills.is_empty() {
                shard.remove(key);
            }
        }
    }

    /// The one that began last, of those that fit.
    pub fn find(&self, key: &Key, fits: impl Fn(&Fill) -> bool) -> Option<Arc<Fill>> {
        let shard = self.shard(key)?;
        let fills = shard.get(key)?;
        fills.iter().rev().find(|fill| fits(fill)).cloned()
    }
}
