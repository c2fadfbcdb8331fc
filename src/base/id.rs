//! Request ids: lowercase UUIDv7 (RFC 9562), so that a log sorted by id is sorted by time.

use std::fmt;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::{ContextV7, Timestamp, Uuid};

/// Names one request in the log and in `cf-aig-log-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(Uuid);

/// Counts within a millisecond, so that ids rise whoever mints them.
static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

impl RequestId {
    /// A new id, of a request that arrived at this time.
    pub fn mint(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
        Self(Uuid::new_v7(Timestamp::from_unix(&CONTEXT, seconds, nanos)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ids_tell_their_time_and_rise_within_it() {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_420_800_123);
        let minted: Vec<_> = (0..1_000).map(|_| RequestId::mint(at).text()).collect();
        assert!(minted.is_sorted_by(|one, other| one < other));
        for text in minted {
            let id = Uuid::try_parse_ascii(&text).unwrap();
            assert_eq!(id.get_version_num(), 7);
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            assert_eq!((seconds, nanos / 1_000_000), (1_795_420_800, 123));
        }
    }
}
