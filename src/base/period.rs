//! Periods of time as users write them: `250ms`, `5s`, `10m`, `1h`, `1d`.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time, exact to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    pub const fn duration(self) -> Duration {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

/// Why a text is no period. Before the `;` what is wrong, after it how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    #[error("a period needs a unit; write ms, s, m, h or d after the number, as in 250ms or 5s")]
    NoUnit,
    #[error("this is not a period; write a whole number and one of ms, s, m, h, d, as in 10m")]
    Malformed,
    #[error("this period is too long; write a smaller number, or 0s where no limit is meant")]
    TooLong,
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        if number.is_empty() {
            return Err(PeriodError::Malformed);
        }
        let unit_ms: u64 = match unit {
            "" => return Err(PeriodError::NoUnit),
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(PeriodError::Malformed),
        };
        let number: u64 = number.parse().map_err(|_| PeriodError::TooLong)?;
        let period_ms = number.checked_mul(unit_ms).ok_or(PeriodError::TooLong)?;
        Ok(Self(Duration::from_millis(period_ms)))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a period such as 250ms, 5s or 10m")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Period, E> {
        Err(E::custom(PeriodError::NoUnit))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Period, E> {
        Err(E::custom(PeriodError::Malformed))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Period, E> {
        Err(E::custom(PeriodError::Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<u64, PeriodError>) {
        let read = text.parse::<Period>().map(|period| period.duration());
        assert_eq!(read, expect.map(Duration::from_millis), "{text:?}");
    }

    #[test]
    fn every_unit_is_read() {
        check("250ms", Ok(250));
        check("5s", Ok(5_000));
        check("10m", Ok(600_000));
        check("2h", Ok(7_200_000));
        check("1d", Ok(86_400_000));
        check("0s", Ok(0));
    }

    #[test]
    fn what_is_no_period_says_why() {
        check("5", Err(PeriodError::NoUnit));
        check("0", Err(PeriodError::NoUnit));
        for text in ["", "s", "-5s", "1.5s", "5 s", "5sec", "1h30m", "5S", "five"] {
            check(text, Err(PeriodError::Malformed));
        }
        check("99999999999999999999s", Err(PeriodError::TooLong));
        check("18446744073709551615d", Err(PeriodError::TooLong));
    }
}
