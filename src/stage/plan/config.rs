//! What a user writes under `gateways.NAME` about the asking of providers.

use crate::base::period::Period;
use serde::Deserialize;

/// What becomes of a provider's answer when its client leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnClientGone {
    /// The provider is stopped; what was used is estimated.
    #[default]
    Stop,
    /// The answer is read to its end, within the timeouts, for an exact bill.
    Drain,
}

/// Whether streams are asked for their usage where they tell it only then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct IncludeUsage(pub bool);

impl Default for IncludeUsage {
    fn default() -> Self {
        Self(true)
    }
}

/// A target that stands in where those before it failed, for the same endpoint of the same format.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// A provider's slug.
    pub provider: String,
    /// In place of the model that was asked for.
    #[serde(default)]
    pub model: Option<String>,
    /// The path at the provider, in place of the client's.
    #[serde(default)]
    pub endpoint: Option<String>,
}

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
