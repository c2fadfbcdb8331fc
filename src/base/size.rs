//! Sizes as users write them: `64KiB`, `25MiB`, `1GB`, `512`.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Why a text is no size. Before the `;` what is wrong, after it how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    #[error("this is not a size; write a whole number and a unit, as in 64KiB, 25MiB, 1GiB or 5MB")]
    Malformed,
    #[error("this size is too large; write a smaller number")]
    TooLarge,
}

impl FromStr for Size {
    type Err = SizeError;

    /// A bare number means bytes; `KiB` counts by 1024 and `kB` by 1000.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        if number.is_empty() {
            return Err(SizeError::Malformed);
        }
        let unit_bytes: u64 = match unit {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(SizeError::Malformed),
        };
        let number: u64 = number.parse().map_err(|_| SizeError::TooLarge)?;
        number
            .checked_mul(unit_bytes)
            .map(Self)
            .ok_or(SizeError::TooLarge)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as 64KiB or 25MiB")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Size, E> {
        Err(E::custom(SizeError::Malformed))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Size, E> {
        Err(E::custom(SizeError::Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<u64, SizeError>) {
        assert_eq!(text.parse::<Size>().map(Size::bytes), expect, "{text:?}");
    }

    #[test]
    fn binary_decimal_and_bare_sizes_are_read() {
        check("512", Ok(512));
        check("512B", Ok(512));
        check("64KiB", Ok(65_536));
        check("25MiB", Ok(26_214_400));
        check("1GiB", Ok(1_073_741_824));
        check("64kB", Ok(64_000));
        check("5MB", Ok(5_000_000));
        check("1GB", Ok(1_000_000_000));
    }

    #[test]
    fn what_is_no_size_says_why() {
        for text in ["", "MiB", "-1", "1.5MiB", "64 KiB", "64K", "64kib", "many"] {
            check(text, Err(SizeError::Malformed));
        }
        check("99999999999999999999", Err(SizeError::TooLarge));
        check("18446744073709551615GiB", Err(SizeError::TooLarge));
    }
}
