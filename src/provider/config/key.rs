//! What a user writes under `providers.SLUG.keys`.

use crate::base::secret::Secret;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One of a provider's keys: a bare string, or `{name, key, weight}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As log and metrics show it: 1 to 64 of `A-Z a-z 0-9 . _ -`; `key-N` where none was given.
    pub name: String,
    /// At least one byte; visible ASCII.
    pub key: Secret,
    /// Its share of the requests, against those of the other keys.
    pub weight: u64,
}

/// Reads the list; keys without a name are named by their position.
pub fn read_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Key>, D::Error> {
    deserializer.deserialize_seq(KeysVisitor)
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Vec<Key>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Key>, A::Error> {
        let mut keys = Vec::new();
        while let Some(Entry(Map { name, key, weight })) = list.next_element()? {
            let name = match name {
                Some(KeyName(name)) => name,
                None => format!("key-{}", keys.len() + 1),
            };
            let KeyText(key) = key;
            keys.push(Key { name, key, weight });
        }
        Ok(keys)
    }
}

/// A key as it is written, before it has a name.
struct Entry(Map);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key in quotes, or {name: NAME, key: KEY}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        let key = KeyText::parse(text)?;
        Ok(Entry(Map {
            name: None,
            key,
            weight: one(),
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Map::deserialize(MapAccessDeserializer::new(map)).map(Entry)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    #[serde(default)]
    name: Option<KeyName>,
    key: KeyText,
    #[serde(default = "one")]
    weight: u64,
}

const fn one() -> u64 {
    1
}

#[derive(serde::Deserialize)]
#[serde(try_from = "String")]
struct KeyName(String);

impl TryFrom<String> for KeyName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        match (1..=64).contains(&name.len()) && name.bytes().all(fit) {
            true => Ok(Self(name)),
            false => Err("this is not a key's name; use 1 to 64 letters, digits, `.`, `_` or `-`"),
        }
    }
}

struct KeyText(Secret);

impl KeyText {
    fn parse<E: Error>(text: &str) -> Result<Self, E> {
        if text.is_empty() {
            return Err(E::custom(
                "the key is empty; write one, as in ${env:OPENAI_API_KEY}",
            ));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(E::custom(
                "the key holds a character that no header can carry; use visible ASCII without spaces",
            ));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Key>, serde_yaml::Error> {
        read_keys(serde_yaml::Deserializer::from_str(text))
    }

    #[test]
    fn keys_without_a_name_are_named_by_position() {
        let keys = read("[zq1, {name: spare, key: zq2, weight: 3}, {key: zq3}]").unwrap();
        let told: Vec<_> = keys.iter().map(|key| (&*key.name, key.weight)).collect();
        assert_eq!(told, [("key-1", 1), ("spare", 3), ("key-3", 1)]);
        assert!(keys[1].key.is(b"zq2") && !format!("{keys:?}").contains("zq"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for key in [
            "''",
            "'zq zq'",
            "zqé",
            "{name: zq}",
            "{name: 'zq b', key: zq}",
        ] {
            let error = read(&format!("[{key}]")).unwrap_err();
            assert!(!error.to_string().contains("zq"), "{key}: {error}");
        }
    }
}
