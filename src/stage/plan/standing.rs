//! What is known of the health of endpoints, keys and models, told so that a successor can go on with it.
//!
//! All times are told as how long ago or how long still, because no clock is shared. Names that a
//! reader does not know are skipped, and what is missing is as at a start, so that an older and a
//! newer version understand each other. No secret stands in it: a key is known by its name and a
//! keyed digest.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All pools' standing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// What the digests are keyed with: another one each time.
    pub salt: [u8; 32],
    pub providers: BTreeMap<String, OfPool>,
}

/// Only those of which something is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfPool {
    pub endpoints: Vec<OfMember>,
    pub keys: Vec<OfMember>,
    /// Endpoints that paths chose.
    pub hosts: Vec<OfMember>,
    pub models: Vec<OfMember>,
}

/// One endpoint, key or model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfMember {
    /// An endpoint's URL, a key's or a model's name.
    pub name: String,
    /// Of a key its digest, of a model the endpoint's URL.
    pub of: String,
    pub breaker: OfBreaker,
    /// Answers of 403 since the last good one.
    pub forbidden: u64,
    /// A key that its provider refuses.
    pub parked: bool,
    pub speed: Option<Speed>,
}

/// How long the first token takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Speed {
    pub average_us: u64,
    pub ago_ms: u64,
}

/// One breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfBreaker {
    /// What is left of its rest, zero where that is over; `None` while it is closed.
    pub rest_ms: Option<u64>,
    /// The window that `ends` are tenths of.
    pub window_ms: u64,
    pub ends: Vec<Ends>,
}

/// Good and bad ends in one tenth of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ends {
    /// How many tenths ago: 0 is the one that has not ended.
    pub ago: u64,
    pub good: u64,
    pub bad: u64,
}

impl OfMember {
    /// Whether it is as if nothing had ever been heard of it.
    pub fn is_blank(&self) -> bool {
        let blank = Self {
            name: self.name.clone(),
            of: self.of.clone(),
            breaker: OfBreaker {
                window_ms: self.breaker.window_ms,
                ..OfBreaker::default()
            },
            ..Self::default()
        };
        *self == blank
    }
}

impl OfPool {
    pub fn is_blank(&self) -> bool {
        let all = [&self.endpoints, &self.keys, &self.hosts, &self.models];
        all.iter().all(|members| members.is_empty())
    }
}
