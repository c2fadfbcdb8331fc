//! What a user writes under `gateways.NAME.timeout`.

use crate::base::period::Period;
use serde::Deserialize;

/// How long a provider may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeout {
    /// To resolve the name, connect and finish the TLS handshake.
    pub connect: Period,
    /// From the start of an attempt to the first byte of the answer.
    pub first_byte: Period,
    /// Between two chunks of an answer.
    pub idle: Period,
    /// From the request's arrival to its end, all attempts together.
    pub total: Period,
}

impl Default for Timeout {
    fn default() -> Self {
        Self {
            connect: Period::from_secs(3),
            first_byte: Period::from_secs(60),
            idle: Period::from_secs(5 * 60),
            total: Period::from_secs(30 * 60),
        }
    }
}
