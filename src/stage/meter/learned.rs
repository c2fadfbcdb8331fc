//! What was learned of models, told so that a successor need not learn it again.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A longer name is learned anew.
pub const NAME_BYTES_MAX: usize = 256;

/// By provider and model. What a reader does not know is skipped, and what is missing is as unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    pub providers: BTreeMap<String, BTreeMap<String, OfModel>>,
}

/// Bytes and tokens seen of one model, both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfModel {
    pub seen: u64,
    pub input: Sums,
    pub output: Sums,
    /// Answers by their length, from the shortest on.
    pub answers: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    pub bytes: u64,
    pub tokens: u64,
}
