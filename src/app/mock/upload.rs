//! What was received of a request's body.

use bytes::Bytes;

/// A request body.
#[derive(Debug, Default)]
pub struct Body {
    /// Empty when the body was only counted.
    pub bytes: Bytes,
    pub count: u64,
    /// CRC-32 of all of it.
    pub crc: u32,
}
