//! What a user writes under `log`.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;

/// Where the request log goes: `log: stdout`, `log: off` or `log: {file: PATH}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Config {
    #[default]
    Stdout,
    Off,
    File(PathBuf),
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout, off or {file: PATH}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Config, E> {
        match text {
            "stdout" => Ok(Config::Stdout),
            "off" => Ok(Config::Off),
            _ => Err(E::custom(
                "no such place for the log; write stdout, off or {file: PATH}",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Config, A::Error> {
        let Map { file } = Map::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Config::File(file))
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    file: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_or_a_file_is_read() {
        let read = |text| serde_yaml::from_str::<Config>(text).unwrap();
        assert_eq!(read("stdout"), Config::Stdout);
        assert_eq!(read("off"), Config::Off);
        assert_eq!(read("{file: a.ndjson}"), Config::File("a.ndjson".into()));
    }

    #[test]
    fn other_words_and_keys_are_refused() {
        for text in [
            "stderr",
            "true",
            "[stdout]",
            "{}",
            "{path: a}",
            "{file: a, mode: 1}",
        ] {
            assert!(serde_yaml::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
