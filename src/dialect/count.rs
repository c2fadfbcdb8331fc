//! Lenient wire types: providers spell counts, costs and absent objects in several ways.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::llm::usage::Usage;

/// A count: a number, a whole float or digits in a string. Anything else counts as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count(pub Option<u64>);

/// An amount such as seconds or dollars, not negative. Anything else counts as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Amount(pub Option<f64>);

/// An object; whatever is not one counts as an empty one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Object<T>(pub T);

/// Floats up to here hold every whole number.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// More than this in one answer is not believed.
const DOLLARS_MAX: f64 = 1e6;

impl Count {
    /// This count, or the other if it is absent.
    pub fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }
}

impl Amount {
    /// As thousandths, rounded.
    pub fn in_thousandths(self) -> Option<u64> {
        self.scaled(1e3)
    }

    /// As billionths, rounded.
    pub fn in_billionths(self) -> Option<u64> {
        self.scaled(1e9)
    }

    fn scaled(self, scale: f64) -> Option<u64> {
        let amount = self.0.filter(|amount| *amount <= DOLLARS_MAX)?;
        Some((amount * scale).round() as u64)
    }
}

/// Reads a count that stands by itself.
pub(super) fn read_count(raw: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Count>(raw).ok()?.0
}

/// Takes the length of the audio from a number of seconds that stands by itself.
pub(super) fn set_audio_length(usage: &mut Usage, raw: &[u8]) {
    let seconds: Amount = serde_json::from_slice(raw).unwrap_or_default();
    usage.units.audio_ms = seconds.in_thousandths();
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Number { whole, float } = deserializer.deserialize_any(NumberVisitor)?;
        let exact = |float: &f64| float.fract() == 0.0 && *float <= EXACT_MAX;
        Ok(Self(
            whole.or_else(|| float.filter(exact).map(|float| float as u64)),
        ))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Number { whole, float } = deserializer.deserialize_any(NumberVisitor)?;
        Ok(Self(float.or(whole.map(|whole| whole as f64))))
    }
}

#[derive(Default)]
struct Number {
    whole: Option<u64>,
    float: Option<f64>,
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_u64<E>(self, whole: u64) -> Result<Number, E> {
        Ok(Number {
            whole: Some(whole),
            float: None,
        })
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Number, E> {
        Ok(Number {
            whole: u64::try_from(whole).ok(),
            float: None,
        })
    }

    fn visit_f64<E>(self, float: f64) -> Result<Number, E> {
        Ok(Number {
            whole: None,
            float: Some(float).filter(|float| *float >= 0.0),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Number, E> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        Ok(Number {
            whole: text.parse().ok().filter(|_| digits),
            float: None,
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
        Ok(Number::default())
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Number, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number::default())
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ObjectVisitor(std::marker::PhantomData))
            .map(Self)
    }
}

struct ObjectVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
}
