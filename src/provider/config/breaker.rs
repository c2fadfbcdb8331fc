//! What a user writes under `providers.SLUG.breaker`.

use crate::base::period::Period;
use serde::Deserialize;

/// When an endpoint, a key or a model of the provider is given a rest, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Off: nothing is ever given a rest.
    pub enabled: bool,
    /// The share of failures, in percent, from which on an endpoint rests.
    pub failure_percent: u64,
    /// The time over which failures are counted.
    pub window: Period,
    /// With fewer requests than these in the window nothing is concluded.
    pub min_requests: u64,
    /// The rest, unless the provider asks for a longer one; then one request probes.
    pub open: Period,
    /// How long a key rests after a 429 that does not say for how long.
    pub cool_down: Period,
    /// How long a key rests that the provider refuses: 401, 402, 403.
    pub park: Period,
    pub all_open: AllOpen,
}

/// What happens to a request for which everything rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AllOpen {
    /// It goes to what will have rested soonest.
    #[default]
    Try,
    /// It is refused at once.
    Refuse,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            failure_percent: 50,
            window: Period::from_secs(30),
            min_requests: 5,
            open: Period::from_secs(15),
            cool_down: Period::from_secs(10),
            park: Period::from_secs(60 * 60),
            all_open: AllOpen::Try,
        }
    }
}
