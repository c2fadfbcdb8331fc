//! What a client says about its own request: names with plain values, for logs, limits and the cache.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

/// A value; nothing that holds other values.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
}

impl Scalar {
    /// The value as text, without quotes: what limits and caches compare.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => number.serialize(serializer),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
        }
    }
}

/// The entries in the order in which the client sent them, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(Vec<(String, Scalar)>);

impl Metadata {
    /// Adds an entry, unless its name is there.
    pub fn add(&mut self, name: String, value: Scalar) {
        if self.get(&name).is_none() {
            self.0.push((name, value));
        }
    }

    pub fn get(&self, name: &str) -> Option<&Scalar> {
        let entry = self.0.iter().find(|(known, _)| known == name);
        entry.map(|(_, value)| value)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
