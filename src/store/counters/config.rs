//! What a user writes under `counters`.

use crate::base::size::Size;
use serde::Deserialize;
use std::path::PathBuf;

/// Where limits and budgets keep their counters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What all counters may take together: half of it is for budgets, half for rates.
    pub memory: Size,
    /// Where those that count for longer than a minute are kept on disk.
    pub folder: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory: Size::new(128 << 20),
            folder: None,
        }
    }
}
