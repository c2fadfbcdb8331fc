//! Counts as users write them: `100`, `200k`, `1M`.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::str::FromStr;

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(u64);

impl Count {
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Why a text is no count. Before the `;` what is wrong, after it how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    #[error(
        "this is not a count; write a whole number, with k, M or G behind it if need be, as in 200k"
    )]
    Malformed,
    #[error("this count is too large; write a smaller number")]
    TooLarge,
}

impl FromStr for Count {
    type Err = CountError;

    /// `k` is a thousand, `M` a million, `G` a thousand millions.
    fn from_str(text: &str) -> Result<Self, CountError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        if number.is_empty() {
            return Err(CountError::Malformed);
        }
        let unit: u64 = match unit {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            _ => return Err(CountError::Malformed),
        };
        let number: u64 = number.parse().map_err(|_| CountError::TooLarge)?;
        let count = number.checked_mul(unit).map(Self);
        count.ok_or(CountError::TooLarge)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count such as 100, 200k or 1M")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Count, E> {
        Ok(Count(count))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Count, E> {
        Err(E::custom(CountError::Malformed))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Count, E> {
        Err(E::custom(CountError::Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<u64, CountError>) {
        assert_eq!(text.parse::<Count>().map(Count::get), expect, "{text:?}");
    }

    #[test]
    fn counts_are_read() {
        check("100", Ok(100));
        check("200k", Ok(200_000));
        check("1M", Ok(1_000_000));
        check("2G", Ok(2_000_000_000));
    }

    #[test]
    fn what_is_no_count_says_why() {
        for text in ["", "k", "-1", "1.5k", "1K", "1m", "1 k", "many"] {
            check(text, Err(CountError::Malformed));
        }
        check("99999999999999999999", Err(CountError::TooLarge));
        check("18446744073709551615k", Err(CountError::TooLarge));
    }
}
