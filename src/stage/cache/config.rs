//! What a user writes under `cache` and under `gateways.NAME.cache`.

use crate::base::period::Period;
use crate::base::size::Size;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;

/// Where answers are kept, for all gateways.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Room {
    /// Bytes in memory, the entries' rows included.
    pub memory: Size,
    /// Where entries are kept as files; without one, they end with the process.
    pub directory: Option<PathBuf>,
    /// Bytes in that directory, in whole blocks.
    pub disk: Size,
    /// The longest answer that is kept.
    pub entry: Size,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            memory: Size::new(64 << 20),
            directory: None,
            disk: Size::new(1 << 30),
            entry: Size::new(25 << 20),
        }
    }
}

/// One gateway's rule.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long an answer is fresh; zero switches the cache off, as it is by default.
    pub ttl: Period,
    pub partition: Partition,
    /// Whether bodies that differ only in the order of members and in white space are one question.
    pub canonical: bool,
    /// Members of a canonical body that do not matter, such as `user`.
    pub ignore: Vec<String>,
    /// For how long after its time an answer may stand in where no provider answers.
    pub stale_if_error: Period,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ttl: Period::from_secs(0),
            partition: Partition::Key,
            canonical: false,
            ignore: Vec::new(),
            stale_if_error: Period::from_secs(0),
        }
    }
}

/// Who shares answers with whom: `key`, `gateway` or `{metadata: NAME}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Partition {
    /// Only callers that show the same credentials.
    #[default]
    Key,
    /// All callers of the gateway.
    Gateway,
    /// Callers whose metadata has the same value under this name; those without it share by key.
    Metadata(String),
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartitionVisitor)
    }
}

struct PartitionVisitor;

impl<'de> Visitor<'de> for PartitionVisitor {
    type Value = Partition;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key, gateway or {metadata: NAME}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Partition, E> {
        match text {
            "key" => Ok(Partition::Key),
            "gateway" => Ok(Partition::Gateway),
            _ => Err(E::custom(
                "there is no such partition; write key, gateway or {metadata: NAME}",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Partition, A::Error> {
        let Map { metadata } = Map::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Partition::Metadata(metadata))
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    metadata: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_a_word_or_a_map() {
        let read = |text| serde_yaml::from_str::<Partition>(text);
        assert_eq!(read("key").unwrap(), Partition::Key);
        assert_eq!(read("gateway").unwrap(), Partition::Gateway);
        let team = Partition::Metadata("team".to_owned());
        assert_eq!(read("{metadata: team}").unwrap(), team);
        for text in ["user", "{}", "{metadata: a, key: b}", "[key]", "1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
