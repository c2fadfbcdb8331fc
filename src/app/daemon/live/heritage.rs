//! What a process in memory leaves to its successor: the health of providers, and what was learned.

use crate::stage::Stages;
use crate::stage::meter::learned::Learned;
use crate::stage::plan::standing::Standing;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// With more than this, what can be learned again is left out.
const BYTES_MAX: usize = 8 << 20;

/// Members that a reader does not know are skipped, and missing ones are empty, so that versions
/// understand each other.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Heritage {
    pools: Standing,
    learned: Learned,
}

/// `None` where there is too much of it, or no random number to hide keys with.
pub fn of(stages: &Stages) -> Option<Value> {
    let pools = stages.pools.standing();
    let pools = pools.inspect_err(|fault| {
        tracing::warn!(%fault, "the successor is not told of the providers' health");
    });
    let mut heritage = Heritage {
        pools: pools.ok()?,
        learned: stages.meter.learned(),
    };
    for _ in 0..2 {
        let told = serde_json::to_value(&heritage).ok()?;
        if told.to_string().len() <= BYTES_MAX {
            return Some(told);
        }
        heritage.learned = Learned::default();
    }
    tracing::warn!("there is too much to tell the successor of the providers' health");
    None
}

pub fn resume(stages: &Stages, told: Value) {
    match serde_json::from_value::<Heritage>(told) {
        Ok(Heritage { pools, learned }) => {
            stages.pools.resume(&pools);
            stages.meter.resume(&learned);
        }
        Err(fault) => {
            tracing::warn!(%fault, "what the predecessor tells of the providers is not understood");
        }
    }
}
