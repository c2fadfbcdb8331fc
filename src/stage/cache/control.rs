//! Whether a request uses the cache, and how: what it wishes itself, over the gateway's rule.

use http::{HeaderMap, HeaderName};
use std::time::Duration;
use thiserror::Error;

/// The field, and Cloudflare's older name for it.
static TTL: [HeaderName; 2] = [
    HeaderName::from_static("cf-aig-cache-ttl"),
    HeaderName::from_static("cf-cache-ttl"),
];
static SKIP: [HeaderName; 2] = [
    HeaderName::from_static("cf-aig-skip-cache"),
    HeaderName::from_static("cf-skip-cache"),
];
static KEY: [HeaderName; 1] = [HeaderName::from_static("cf-aig-cache-key")];

/// Cloudflare's bounds; a month has at most 31 days.
const TTL_SECONDS_MIN: u64 = 60;
const TTL_SECONDS_MAX: u64 = 31 * 86_400;
const KEY_BYTES_MAX: usize = 1024;
/// How long an answer is fresh where a key is all that was said.
const TTL_BY_KEY: Duration = Duration::from_secs(300);

/// What a request, or a step of a route, says about the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Zero switches the cache off.
    pub ttl: Option<Duration>,
    pub skip: Option<bool>,
    /// Stands for the whole question.
    pub key: Option<Vec<u8>>,
}

/// A field that cannot be understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{field}: {value}` {expected}")]
pub struct WishFault {
    pub field: &'static str,
    /// Cut to 64 characters.
    pub value: String,
    pub expected: &'static str,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nobody asked for the cache.
    Off,
    /// It would be used, had the request not said no.
    Bypass,
    /// Answers are fresh for so long.
    Use { ttl: Duration },
}

impl Wishes {
    /// What the request's fields say.
    ///
    /// # Errors
    /// A field has no meaning.
    pub fn read(headers: &HeaderMap) -> Result<Self, WishFault> {
        Ok(Self {
            ttl: read_field(headers, &TTL, TTL_EXPECTED, parse_ttl)?,
            skip: read_field(headers, &SKIP, SKIP_EXPECTED, parse_bool)?,
            key: read_field(headers, &KEY, KEY_EXPECTED, parse_key)?,
        })
    }

    /// These wishes, with what they leave open taken from those further out.
    #[must_use]
    pub fn over(self, outer: Self) -> Self {
        Self {
            ttl: self.ttl.or(outer.ttl),
            skip: self.skip.or(outer.skip),
            key: self.key.or(outer.key),
        }
    }

    /// What comes of them where the gateway's own time is `gateway`, zero for none.
    pub fn decide(&self, gateway: Duration) -> Policy {
        let by_gateway = Some(gateway).filter(|ttl| !ttl.is_zero());
        let by_key = self.key.is_some().then_some(TTL_BY_KEY);
        let unless_told = by_gateway.or(by_key);
        let ttl = self.ttl.or(unless_told).filter(|ttl| !ttl.is_zero());
        match (ttl, unless_told) {
            (Some(_), _) if self.skip == Some(true) => Policy::Bypass,
            (Some(ttl), _) => Policy::Use { ttl },
            (None, Some(_)) => Policy::Bypass,
            (None, None) => Policy::Off,
        }
    }
}

const TTL_EXPECTED: &str =
    "has to be a number of seconds from 60 to 2678400 (31 days), or 0 for no cache";
const SKIP_EXPECTED: &str = "has to be true or false";
const KEY_EXPECTED: &str = "has to be 1 to 1024 bytes";

fn read_field<T>(
    headers: &HeaderMap,
    names: &'static [HeaderName],
    expected: &'static str,
    parse: fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, WishFault> {
    let found = names
        .iter()
        .find_map(|name| Some((name, headers.get(name)?)));
    let Some((name, value)) = found else {
        return Ok(None);
    };
    let value = value.as_bytes().trim_ascii();
    match parse(value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(WishFault {
            field: name.as_str(),
            value: String::from_utf8_lossy(value).chars().take(64).collect(),
            expected,
        }),
    }
}

fn parse_ttl(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    let fits = seconds == 0 || (TTL_SECONDS_MIN..=TTL_SECONDS_MAX).contains(&seconds);
    fits.then(|| Duration::from_secs(seconds))
}

fn parse_bool(value: &[u8]) -> Option<bool> {
    match value {
        value if value.eq_ignore_ascii_case(b"true") => Some(true),
        value if value.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

fn parse_key(value: &[u8]) -> Option<Vec<u8>> {
    (1..=KEY_BYTES_MAX)
        .contains(&value.len())
        .then(|| value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let fields = fields.iter();
        fields
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn check(fields: &[(&'static str, &str)], gateway: Duration, expect: Policy) {
        let wishes = Wishes::read(&headers(fields)).unwrap();
        assert_eq!(wishes.decide(gateway), expect, "{fields:?}");
    }

    #[test]
    fn a_request_overrules_its_gateway_and_a_key_alone_opts_in() {
        let (off, seconds) = (Duration::ZERO, Duration::from_secs);
        check(&[], off, Policy::Off);
        check(&[], HOUR, Policy::Use { ttl: HOUR });
        check(
            &[("cf-aig-cache-ttl", "60")],
            off,
            Policy::Use { ttl: seconds(60) },
        );
        check(
            &[("cf-aig-cache-ttl", "2678400")],
            HOUR,
            Policy::Use {
                ttl: seconds(2_678_400),
            },
        );
        check(&[("cf-aig-cache-ttl", "0")], HOUR, Policy::Bypass);
        check(&[("cf-aig-cache-ttl", "0")], off, Policy::Off);
        check(
            &[("cf-aig-cache-key", "k")],
            off,
            Policy::Use { ttl: seconds(300) },
        );
        check(
            &[("cf-aig-cache-key", "k")],
            HOUR,
            Policy::Use { ttl: HOUR },
        );
        let both = [("cf-aig-cache-key", "k"), ("cf-aig-cache-ttl", "90")];
        check(&both, HOUR, Policy::Use { ttl: seconds(90) });
        check(&[("cf-aig-skip-cache", "true")], HOUR, Policy::Bypass);
        check(
            &[("cf-aig-skip-cache", "false")],
            HOUR,
            Policy::Use { ttl: HOUR },
        );
        check(&[("cf-aig-skip-cache", "true")], off, Policy::Off);
    }

    #[test]
    fn the_older_names_count_where_the_newer_are_absent() {
        check(
            &[("cf-cache-ttl", "60")],
            Duration::ZERO,
            Policy::Use {
                ttl: Duration::from_secs(60),
            },
        );
        check(&[("cf-skip-cache", "TRUE")], HOUR, Policy::Bypass);
        let both = [("cf-cache-ttl", "60"), ("cf-aig-cache-ttl", "70")];
        check(
            &both,
            HOUR,
            Policy::Use {
                ttl: Duration::from_secs(70),
            },
        );
    }

    #[test]
    fn a_step_overrules_the_request() {
        let ttl = |seconds| Wishes {
            ttl: Some(Duration::from_secs(seconds)),
            ..Wishes::default()
        };
        let request = Wishes {
            skip: Some(true),
            ..ttl(60)
        };
        let step = Wishes {
            skip: Some(false),
            ..ttl(90)
        };
        assert_eq!(step.clone().over(request.clone()), step);
        assert_eq!(Wishes::default().over(request.clone()), request);
    }

    #[test]
    fn what_has_no_meaning_says_what_has() {
        for (field, value) in [
            ("cf-aig-cache-ttl", "59"),
            ("cf-aig-cache-ttl", "2678401"),
            ("cf-aig-cache-ttl", "-1"),
            ("cf-aig-cache-ttl", "+60"),
            ("cf-aig-cache-ttl", "5m"),
            ("cf-aig-cache-ttl", ""),
            ("cf-aig-cache-ttl", "99999999999999999999999"),
            ("cf-cache-ttl", "1.5"),
            ("cf-aig-skip-cache", "yes"),
            ("cf-skip-cache", ""),
            ("cf-aig-cache-key", ""),
        ] {
            let fault = Wishes::read(&headers(&[(field, value)])).unwrap_err();
            assert_eq!(fault.field, field, "{value}");
            assert!(fault.to_string().contains("has to be"), "{fault}");
        }
        let long = "k".repeat(1025);
        assert!(Wishes::read(&headers(&[("cf-aig-cache-key", &long)])).is_err());
    }
}
