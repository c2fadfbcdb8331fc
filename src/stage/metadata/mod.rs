//! From the field `cf-aig-metadata` to what the client says about its request.
//!
//! Metadata never refuses a request: what is sound is kept, and the client is told of the rest.

pub mod config;
pub mod faults;

use crate::llm::metadata::{Metadata, Scalar};
use crate::stage::route::Gateway;
use config::Config;
use faults::{Faults, NAME_BYTES_MAX, Reason, TEXT_BYTES_MAX};
use http::{HeaderMap, HeaderName};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::fmt;

const FIELD: HeaderName = HeaderName::from_static("cf-aig-metadata");
/// Names that begin so are the gateway's to give.
const RESERVED_PREFIX: &str = "cf.";

/// How much of their clients' metadata the gateways keep.
pub struct MetadataRules {
    gateways: Vec<Config>,
}

impl MetadataRules {
    /// One rule a gateway, in the order of the gateways.
    pub fn build<'a>(gateways: impl Iterator<Item = &'a Config>) -> Self {
        Self {
            gateways: gateways.copied().collect(),
        }
    }

    /// Reads the field by the gateway's rule, or by the default one where there is no gateway.
    pub fn read(&self, gateway: Option<&Gateway>, headers: &HeaderMap) -> (Metadata, Faults) {
        let mut values = headers.get_all(FIELD).iter();
        let Some(value) = values.next() else {
            return <(Metadata, Faults)>::default();
        };
        let rule = gateway.and_then(|gateway| gateway.of(&self.gateways));
        let (metadata, mut faults) = read(value.as_bytes(), rule.copied().unwrap_or_default());
        if values.next().is_some() {
            faults.note(Reason::Repeated);
        }
        (metadata, faults)
    }
}

fn read(bytes: &[u8], rule: Config) -> (Metadata, Faults) {
    let reason = match std::str::from_utf8(bytes) {
        Ok(text) => match serde_json::from_str(text) {
            Ok(Entries(entries)) => return sift(entries, rule),
            Err(fault) if fault.classify() == Category::Data => Reason::NotObject,
            Err(_) => Reason::NotJson,
        },
        Err(_) => Reason::NotUtf8,
    };
    let mut faults = Faults::default();
    faults.note(reason);
    (Metadata::default(), faults)
}

/// Keeps the first sound entries. Those that are dropped take no other's room.
fn sift(entries: Vec<(String, &RawValue)>, rule: Config) -> (Metadata, Faults) {
    let (mut metadata, mut faults) = <(Metadata, Faults)>::default();
    for (name, value) in entries {
        let fault = if name.starts_with(RESERVED_PREFIX) {
            Reason::Reserved
        } else if metadata.get(&name).is_some() {
            Reason::Duplicate
        } else {
            match scalar(value.get()) {
                None => Reason::Value,
                Some(Scalar::Text(text)) if text.len() > TEXT_BYTES_MAX => Reason::TooLong,
                Some(_) if name.len() > NAME_BYTES_MAX => Reason::TooLong,
                Some(_) if metadata.len() >= rule.max_entries => Reason::TooMany,
                Some(scalar) => {
                    metadata.add(name, scalar);
                    continue;
                }
            }
        };
        faults.drop_entry(fault, &name);
    }
    (metadata, faults)
}

/// A plain value; nothing where it holds others, is null, or cannot be represented.
fn scalar(json: &str) -> Option<Scalar> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).map(Scalar::Text).ok(),
        b't' | b'f' => serde_json::from_str(json).map(Scalar::Bool).ok(),
        b'-' | b'0'..=b'9' => serde_json::from_str(json).map(Scalar::Number).ok(),
        _ => None,
    }
}

/// An object's members in order, duplicates included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests;
