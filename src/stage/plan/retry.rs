//! How often a target is tried again, and after what pause.

use super::fault::Fault;
use crate::base::period::Period;
use serde::Deserialize;
use std::time::Duration;

/// The most tries of one target (Cloudflare's bound).
pub const ATTEMPTS_MAX: u32 = 5;
/// The longest pause before a try.
pub const DELAY_MAX: Duration = Duration::from_secs(60);

/// How the pause grows from try to try. Each is drawn anew between nothing and this (full jitter),
/// so that clients which failed together do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    Constant,
    Linear,
    #[default]
    Exponential,
}

/// What a user writes under `gateways.NAME.retry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries of one target, the first included, 1 to [`ATTEMPTS_MAX`].
    pub attempts: u32,
    /// Before the second try, at most [`DELAY_MAX`].
    pub delay: Period,
    pub backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            delay: Period::from_millis(500),
            backoff: Backoff::default(),
        }
    }
}

/// What a request or a step asks for beside the gateway's own rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub attempts: Option<u32>,
    pub delay: Option<Period>,
    pub backoff: Option<Backoff>,
}

impl Wish {
    /// This wish, with what it leaves open taken from `base`.
    pub fn over(self, base: Self) -> Self {
        Self {
            attempts: self.attempts.or(base.attempts),
            delay: self.delay.or(base.delay),
            backoff: self.backoff.or(base.backoff),
        }
    }

    pub fn applied_to(self, rule: Retry) -> Retry {
        Retry {
            attempts: self.attempts.unwrap_or(rule.attempts),
            delay: self.delay.unwrap_or(rule.delay),
            backoff: self.backoff.unwrap_or(rule.backoff),
        }
    }
}

impl Retry {
    /// The pause after `tries` failed ones (1 at least), where `part` (0 to 1) is the jitter's throw.
    pub fn pause(&self, tries: u32, part: f64) -> Duration {
        let delay = self.delay.duration();
        let factor = match self.backoff {
            Backoff::Constant => 1,
            Backoff::Linear => tries,
            Backoff::Exponential => 2_u32.saturating_pow(tries.saturating_sub(1)),
        };
        delay
            .saturating_mul(factor)
            .min(DELAY_MAX)
            .mul_f64(part.clamp(0.0, 1.0))
    }
}

/// Whether the same target may do better the next time. A wrong request, key or model will not.
pub const fn may_heal(fault: Fault) -> bool {
    match fault {
        Fault::Status(status) => matches!(status, 408 | 409 | 425 | 429 | 500..=599),
        Fault::Resolve | Fault::Connect | Fault::Tls | Fault::Closed | Fault::Malformed => true,
        Fault::Timeout | Fault::Idle | Fault::Failed | Fault::Cut => true,
        Fault::Quota | Fault::Total | Fault::ClientGone => false,
    }
}

/// Whether another target may do better; `own` where it gets a request of its own.
pub const fn may_differ(fault: Fault, own: bool) -> bool {
    match fault {
        Fault::Status(400 | 413 | 422) => own,
        Fault::Status(status) => status >= 400,
        Fault::ClientGone | Fault::Total => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RETRIED: [u16; 9] = [408, 409, 425, 429, 500, 502, 503, 504, 529];
    const FINAL: [u16; 7] = [400, 401, 402, 403, 404, 413, 422];

    #[test]
    fn what_heals_is_tried_again_and_what_does_not_goes_elsewhere() {
        for status in RETRIED {
            assert!(may_heal(Fault::Status(status)), "{status}");
            assert!(may_differ(Fault::Status(status), false), "{status}");
        }
        for status in FINAL {
            assert!(!may_heal(Fault::Status(status)), "{status}");
            assert!(may_differ(Fault::Status(status), true), "{status}");
        }
        for status in [400, 413, 422] {
            assert!(!may_differ(Fault::Status(status), false), "{status}");
        }
        for status in [200, 204, 301, 304] {
            assert!(!may_heal(Fault::Status(status)), "{status}");
            assert!(!may_differ(Fault::Status(status), true), "{status}");
        }
        assert!(!may_heal(Fault::ClientGone) && !may_differ(Fault::ClientGone, true));
    }

    #[test]
    fn pauses_grow_as_their_backoff_says() {
        let pauses = |backoff| {
            let retry = Retry {
                delay: Period::from_secs(1),
                backoff,
                ..Retry::default()
            };
            [1, 2, 3, 4].map(|tries| retry.pause(tries, 1.0).as_secs())
        };
        assert_eq!(pauses(Backoff::Constant), [1, 1, 1, 1]);
        assert_eq!(pauses(Backoff::Linear), [1, 2, 3, 4]);
        assert_eq!(pauses(Backoff::Exponential), [1, 2, 4, 8]);
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_the_bound(delay in 0_u64..100, tries in 0_u32..1000, part in -1.0..2.0) {
            let retry = Retry { delay: Period::from_secs(delay), ..Retry::default() };
            let pause = retry.pause(tries, part);
            prop_assert!(pause <= DELAY_MAX);
        }
    }
}
