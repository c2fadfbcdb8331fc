//! What a user writes under `gateways.NAME.metadata`.

use serde::Deserialize;

/// The most entries that a gateway may keep.
pub const ENTRIES_MAX: usize = 100;

/// How much of a client's metadata is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Entries of one request, 1 to [`ENTRIES_MAX`]; those beyond are dropped.
    pub max_entries: usize,
}

impl Default for Config {
    /// Cloudflare's number.
    fn default() -> Self {
        Self { max_entries: 5 }
    }
}
