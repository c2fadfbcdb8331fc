//! Money in whole numbers: amounts in nano-dollars, rates in femto-dollars, and decimal text for both.

use super::digits;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

/// Decimal places of an amount: a nano-dollar.
const NANO_PLACES: usize = 9;
/// Decimal places of a rate for one: a femto-dollar.
const FEMTO_PLACES: usize = 15;
/// Decimal places of a rate for a million, which then is whole femto-dollars for one.
const MILLION_PLACES: usize = 9;
const FEMTO_PER_NANO: u128 = 1_000_000;
/// Below this, an `u128` has room for another digit.
const DIGITS_LIMIT: u128 = 10_u128.pow(37);
/// Beyond this, an exponent makes any number either nothing or too large.
const EXPONENT_MAX: i64 = 1_000;

/// An amount in billionths of a US dollar, never negative, up to 18 billion dollars. In the
/// configuration it is `$0.25`; in the log a JSON number without exponent, exact to the last digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoUsd(u64);

/// A price of one unit (a token, an image, a second) in 1e-15 US dollars, up to 18,446 dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

/// A sum of rates times counts, rounded once at its end. It stops at its largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum(u128);

/// Why a text is no money. Before the `;` what is wrong, after it how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("money begins with a dollar sign; write for instance $0.25 or $20")]
    NoSign,
    #[error("this is not a decimal number; write for instance 0.25 or 20")]
    Malformed,
    #[error("this is below zero; write 0 or more")]
    Negative,
    #[error("this has more decimal places than are kept; write fewer")]
    TooFine,
    #[error("this is too large; write a smaller number")]
    TooLarge,
}

impl NanoUsd {
    pub const ZERO: Self = Self(0);

    pub const fn new(nano_usd: u64) -> Self {
        Self(nano_usd)
    }

    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// For metrics, which count in floats.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }

    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Decimal dollars.
    pub fn show(self) -> String {
        shown::<NANO_PLACES>(self.0)
    }

    /// Writes decimal dollars, without exponent and without zeros that say nothing.
    pub fn write_to(self, line: &mut Vec<u8>) {
        digits::write_decimal::<NANO_PLACES>(line, self.0, 0);
    }

    /// Reads decimal dollars without a sign, such as `0.25` or `2.5e-6`, rounded to a nano-dollar.
    ///
    /// # Errors
    /// It is no number, below zero, or too large.
    pub fn from_decimal(text: &str) -> Result<Self, MoneyError> {
        Ok(Self(Decimal::read(text)?.scale(NANO_PLACES)?.0))
    }
}

impl Rate {
    pub const ZERO: Self = Self(0);

    pub const fn from_femto(femto_usd: u64) -> Self {
        Self(femto_usd)
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Reads decimal dollars for one, such as `0.04` or `2.5e-6`, rounded to a femto-dollar.
    ///
    /// # Errors
    /// It is no number, below zero, or too large.
    pub fn per_one(text: &str) -> Result<Self, MoneyError> {
        Ok(Self(Decimal::read(text)?.scale(FEMTO_PLACES)?.0))
    }

    /// Reads decimal dollars for a million, such as `2.5`, rounded to a femto-dollar for one.
    ///
    /// # Errors
    /// It is no number, below zero, or too large.
    pub fn per_million(text: &str) -> Result<Self, MoneyError> {
        Ok(Self(Decimal::read(text)?.scale(MILLION_PLACES)?.0))
    }

    /// Reads `$0.04` for one, exactly.
    ///
    /// # Errors
    /// The dollar sign is missing, or what follows is no number, too large or too fine.
    pub fn per_one_dollars(text: &str) -> Result<Self, MoneyError> {
        exact_dollars(text, FEMTO_PLACES).map(Self)
    }

    /// Reads `$2.50` for a million, exactly.
    ///
    /// # Errors
    /// The dollar sign is missing, or what follows is no number, too large or too fine.
    pub fn per_million_dollars(text: &str) -> Result<Self, MoneyError> {
        exact_dollars(text, MILLION_PLACES).map(Self)
    }

    /// This rate times `thousandths` / 1000, rounded.
    pub fn scale(self, thousandths: u64) -> Self {
        let scaled = (u128::from(self.0) * u128::from(thousandths)).saturating_add(500) / 1_000;
        Self(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// Decimal dollars for one.
    pub fn show_per_one(self) -> String {
        shown::<FEMTO_PLACES>(self.0)
    }

    /// Decimal dollars for a million.
    pub fn show_per_million(self) -> String {
        shown::<MILLION_PLACES>(self.0)
    }
}

impl Sum {
    pub fn add(&mut self, rate: Rate, count: u64) {
        let product = u128::from(rate.0) * u128::from(count);
        self.0 = self.0.saturating_add(product);
    }

    /// Adds a rate for one whole, of which `count` are thousandths.
    pub fn add_thousandths(&mut self, rate: Rate, count: u64) {
        let product = (u128::from(rate.0) * u128::from(count)).saturating_add(500) / 1_000;
        self.0 = self.0.saturating_add(product);
    }

    /// The nearest nano-dollar; half of one is rounded up.
    pub fn round(self) -> NanoUsd {
        let nanos = self.0.saturating_add(FEMTO_PER_NANO / 2) / FEMTO_PER_NANO;
        NanoUsd(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl FromStr for NanoUsd {
    type Err = MoneyError;

    /// `$0.25`, exact.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        exact_dollars(text, NANO_PLACES).map(Self)
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.show())
    }
}

/// Through JSON's own text rather than a float, which is exact only up to 15 digits and would be
/// shown as `4.2e-7`. Only serde_json understands it, and the log is JSON.
impl Serialize for NanoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.to_string()).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NanoUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_dollars(deserializer, str::parse)
    }
}

/// Deserialises money as users write it, by `read`; a number without a dollar sign is told so.
///
/// # Errors
/// It is no text, or `read` refuses it.
pub fn deserialize_dollars<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: fn(&str) -> Result<T, MoneyError>,
) -> Result<T, D::Error> {
    struct Dollars<T>(fn(&str) -> Result<T, MoneyError>);

    impl<T> serde::de::Visitor<'_> for Dollars<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("money such as $0.25")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(E::custom)
        }

        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<T, E> {
            Err(E::custom(MoneyError::NoSign))
        }

        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<T, E> {
            Err(E::custom(MoneyError::NoSign))
        }

        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<T, E> {
            Err(E::custom(MoneyError::NoSign))
        }
    }

    deserializer.deserialize_any(Dollars(read))
}

/// Reads `$` and plain decimal digits, of which none may be lost.
fn exact_dollars(text: &str, places: usize) -> Result<u64, MoneyError> {
    let text = text.trim();
    if text.starts_with("-$") {
        return Err(MoneyError::Negative);
    }
    let number = text.strip_prefix('$').ok_or(MoneyError::NoSign)?;
    if number.contains(['e', 'E']) {
        return Err(MoneyError::Malformed);
    }
    match Decimal::read(number)?.scale(places)? {
        (value, true) => Ok(value),
        (_, false) => Err(MoneyError::TooFine),
    }
}

/// A decimal number as it was written: `digits` times ten to the `exponent`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u128,
    exponent: i64,
    /// Digits beyond those kept, not all of them zero, were left out.
    cut: bool,
}

impl Decimal {
    /// `12`, `12.5`, `.5`, `1.25e-6`.
    fn read(text: &str) -> Result<Self, MoneyError> {
        if let Some(rest) = text.strip_prefix('-') {
            let sound = !rest.starts_with('-') && Self::read(rest).is_ok();
            return Err(match sound {
                true => MoneyError::Negative,
                false => MoneyError::Malformed,
            });
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = whole.bytes().chain(fraction.bytes());
        if mantissa.len() <= usize::from(mantissa.contains('.'))
            || !digits.all(|digit| digit.is_ascii_digit())
        {
            return Err(MoneyError::Malformed);
        }
        let mut number = Self {
            digits: 0,
            exponent,
            cut: false,
        };
        let places = whole.bytes().map(|digit| (digit, 0));
        for (digit, place) in places.chain(fraction.bytes().map(|digit| (digit, 1))) {
            number.push(u128::from(digit - b'0'), place);
        }
        Ok(number)
    }

    /// Takes one more digit, which stands `place` behind the decimal point.
    fn push(&mut self, digit: u128, place: i64) {
        if self.digits < DIGITS_LIMIT {
            self.digits = self.digits * 10 + digit;
            self.exponent = self.exponent.saturating_sub(place);
        } else {
            self.cut |= digit != 0;
            self.exponent = self.exponent.saturating_add(1 - place);
        }
    }

    /// This number with `places` behind the decimal point, as a whole one, and whether it is exact.
    fn scale(self, places: usize) -> Result<(u64, bool), MoneyError> {
        if self.digits == 0 {
            return Ok((0, !self.cut));
        }
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        let shift = self.exponent.saturating_add(places);
        let power = u32::try_from(shift.unsigned_abs()).ok();
        let power = power.and_then(|shift| 10_u128.checked_pow(shift));
        let (value, exact) = match (shift >= 0, power) {
            (true, Some(power)) => (self.digits.checked_mul(power), !self.cut),
            (true, None) => (None, false),
            (false, Some(power)) => {
                let (kept, rest) = (self.digits / power, self.digits % power);
                let up = u128::from(rest >= power - rest);
                (Some(kept + up), rest == 0 && !self.cut)
            }
            (false, None) => (Some(0), false),
        };
        let value = value.and_then(|value| u64::try_from(value).ok());
        Ok((value.ok_or(MoneyError::TooLarge)?, exact))
    }
}

/// Decimal text without exponent and without zeros that say nothing.
fn shown<const PLACES: usize>(value: u64) -> String {
    let mut text = Vec::with_capacity(24);
    digits::write_decimal::<PLACES>(&mut text, value, 0);
    String::from_utf8(text).unwrap_or_default()
}

fn read_exponent(text: &str) -> Result<i64, MoneyError> {
    let (below, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(MoneyError::Malformed);
    }
    let size = digits.parse().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX);
    Ok(if below { -size } else { size })
}

#[cfg(test)]
mod tests;
