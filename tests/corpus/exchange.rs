//! One recorded exchange, as it stands in the corpus and as it is replayed.

use crate::support;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// Fields that belong to a connection or to a body's framing, which the replay has its own of.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A body below this size is sometimes sent byte by byte.
const SMALL: usize = 1 << 10;

pub type Fields = Vec<(String, String)>;

#[derive(Deserialize)]
pub struct Exchange {
    pub id: String,
    pub provider: String,
    pub method: String,
    pub url: String,
    pub status: u16,
    pub streaming: bool,
    #[serde(deserialize_with = "fields")]
    pub request_headers: Fields,
    #[serde(rename = "request_body_b64", deserialize_with = "bytes")]
    pub request_body: Vec<u8>,
    #[serde(deserialize_with = "fields")]
    pub response_headers: Fields,
    #[serde(rename = "response_body_b64", deserialize_with = "bytes")]
    pub response_body: Vec<u8>,
    pub expected: Option<Expected>,
}

/// What the provider reported, brought to one meaning.
#[derive(Deserialize)]
pub struct Expected {
    pub family: String,
    pub norm: Option<BTreeMap<String, Option<u64>>>,
    #[serde(default)]
    pub raw_usage: Value,
}

/// Every exchange by its id, or nothing where the corpus is not at hand.
pub fn load() -> Option<BTreeMap<String, Exchange>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/dev.jsonl");
    let path = std::env::var_os("TOLLGATE_CORPUS");
    let path = path.map_or_else(|| PathBuf::from(default), PathBuf::from);
    let Ok(file) = File::open(&path) else {
        println!("skipped: {} absent", path.display());
        return None;
    };
    let lines = BufReader::new(file).lines();
    let exchanges = lines.map(|line| serde_json::from_str::<Exchange>(&line.unwrap()).unwrap());
    let mut all = BTreeMap::new();
    for exchange in exchanges {
        let twin = all.insert(exchange.id.clone(), exchange);
        assert!(twin.is_none(), "an id stands for two exchanges");
    }
    Some(all)
}

impl Exchange {
    /// The URL's host, and what follows it: path and query. A slash that a base URL had too many is
    /// left out, as the gateway does.
    pub fn address(&self) -> (&str, &str) {
        let (_, rest) = self.url.split_once("://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let doubled = path.starts_with("//");
        (host, path.get(usize::from(doubled)..).unwrap())
    }

    /// A number that is this exchange's own, and the same in each run.
    pub fn seed(&self) -> u64 {
        u64::from_str_radix(self.id.get(..16).unwrap(), 16).unwrap()
    }

    /// Random sizes that add up to `total`: small pieces for some exchanges, large ones for others.
    pub fn sizes(&self, total: usize) -> Vec<usize> {
        let seed = self.seed();
        let max = match seed % 4 {
            0 if total <= SMALL => 1,
            0 | 1 => 60,
            2 => 700,
            _ => 9000,
        };
        let max = max.max(total / 400);
        support::random_sizes(total, max, seed)
    }
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    Ok(BASE64_STANDARD.decode(text).unwrap())
}

/// What is to be sent of the fields. Some recorders let the next line run into a value.
fn fields<'de, D: Deserializer<'de>>(from: D) -> Result<Fields, D::Error> {
    let mut fields = Fields::deserialize(from)?;
    fields.retain(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str()));
    for (_, value) in &mut fields {
        let end = value.find('\n').unwrap_or(value.len());
        value.truncate(end);
    }
    Ok(fields)
}
