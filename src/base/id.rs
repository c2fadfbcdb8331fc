//! Request ids: lowercase UUIDv7 (RFC 9562), so that a log sorted by id is sorted by time.

use std::fmt;
use uuid::Uuid;

/// Names one request in the log and in `cf-aig-log-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(Uuid);

impl RequestId {
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as it is written: 36 ASCII characters.
    pub fn text(&self) -> [u8; 36] {
        let mut text = [0; 36];
        self.0.as_hyphenated().encode_lower(&mut text);
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}
