//! What a user writes under `gateways.NAME.limits`.

use super::by::By;
use crate::base::count::Count;
use crate::base::money::NanoUsd;
use crate::base::period::Period;
use crate::store::counters::span::Span;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One limit. Exactly one of `requests`, `tokens`, `cost` and `concurrent` says how much.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// As the log, the metrics and refused clients see it.
    pub name: String,
    pub requests: Option<Count>,
    pub tokens: Option<Count>,
    /// Which tokens.
    pub count: Option<Tokens>,
    pub cost: Option<NanoUsd>,
    /// Requests that run at the same time.
    pub concurrent: Option<Count>,
    pub per: Option<Per>,
    pub technique: Option<Technique>,
    /// Whoever differs in one of these has a counter of their own; all share one where it is empty.
    #[serde(default)]
    pub by: Vec<By>,
    #[serde(default)]
    pub when: When,
    #[serde(default)]
    pub over: Over,
    /// Whether answers say how much is left.
    #[serde(default)]
    pub expose: bool,
}

impl Limit {
    /// Whether what it counts outlives the process.
    pub fn is_kept(&self) -> bool {
        let span = self.per.map(|per| per.0.millis());
        span.is_some_and(|millis| millis > crate::store::counters::account::FLEETING_MS_MAX)
    }
}

/// Which tokens count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tokens {
    In,
    Out,
    #[default]
    Both,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Technique {
    /// From one minute, hour, day or month of the clock to the next.
    #[default]
    Fixed,
    /// The time that has just passed.
    Sliding,
    /// A bucket that holds the whole amount and fills again evenly.
    Burst,
}

/// The length of a window: a period, or `month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Per(pub Span);

/// What a request has to be for the limit to apply; empty lists ask nothing. `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    pub model: Words,
    pub key: Words,
    pub metadata: BTreeMap<String, Words>,
}

/// One text, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

/// What becomes of a request for which there is no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Over {
    #[default]
    Reject,
    Wait(Wait),
    /// It goes to another model of the same provider.
    Model(Arc<str>),
}

/// How many may wait for one counter, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wait {
    pub queue: usize,
    pub within: Period,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            queue: 100,
            within: Period::from_secs(10),
        }
    }
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PerVisitor)
    }
}

struct PerVisitor;

impl Visitor<'_> for PerVisitor {
    type Value = Per;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a period such as 1m, 1h or 1d, or month")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Per, E> {
        if text.trim() == "month" {
            return Ok(Per(Span::Month));
        }
        let period: Period = text.parse().map_err(E::custom)?;
        let millis = u64::try_from(period.duration().as_millis()).unwrap_or(u64::MAX);
        Ok(Per(Span::Millis(millis)))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Per, E> {
        Err(E::custom(crate::base::period::PeriodError::NoUnit))
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(Words(words))
    }
}

impl<'de> Deserialize<'de> for Over {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OverVisitor)
    }
}

struct OverVisitor;

impl<'de> Visitor<'de> for OverVisitor {
    type Value = Over;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reject, wait, {wait: {queue, within}} or {model: NAME}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Over, E> {
        match text {
            "reject" => Ok(Over::Reject),
            "wait" => Ok(Over::Wait(Wait::default())),
            _ => Err(E::custom(
                "nothing of this name can be done; write reject, wait, {wait: {queue: 100, within: 10s}} or {model: NAME}",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Over, A::Error> {
        match Map::deserialize(MapAccessDeserializer::new(map))? {
            Map {
                wait: Some(wait),
                model: None,
            } => Ok(Over::Wait(wait)),
            Map {
                wait: None,
                model: Some(model),
            } if !model.is_empty() => Ok(Over::Model(model.into())),
            _ => Err(A::Error::custom(
                "this says not one thing to do; write {wait: {queue: 100, within: 10s}} or {model: NAME}",
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    wait: Option<Wait>,
    model: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(text: &str) -> Option<Over> {
        serde_yaml::from_str(text).ok()
    }

    #[test]
    fn what_to_do_is_a_word_or_a_map() {
        assert_eq!(over("reject"), Some(Over::Reject));
        assert_eq!(over("wait"), Some(Over::Wait(Wait::default())));
        let wait = Wait {
            queue: 5,
            within: Period::from_secs(2),
        };
        assert_eq!(
            over("{wait: {queue: 5, within: 2s}}"),
            Some(Over::Wait(wait))
        );
        assert_eq!(over("{model: gpt}"), Some(Over::Model("gpt".into())));
        for text in [
            "drop",
            "{}",
            "{model: ''}",
            "{wait: {}, model: a}",
            "{wait: {lines: 1}}",
            "5",
        ] {
            assert_eq!(over(text), None, "{text}");
        }
    }

    #[test]
    fn a_window_is_a_period_or_a_month() {
        let per = |text: &str| serde_yaml::from_str::<Per>(text).ok().map(|per| per.0);
        assert_eq!(per("1m"), Some(Span::Millis(60_000)));
        assert_eq!(per("month"), Some(Span::Month));
        assert_eq!(per("60"), None);
        assert_eq!(per("minute"), None);
    }
}
