//! The corpus of recorded exchanges: requests to providers, their answers, and what these report.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// Fields that belong to a connection or to a body's framing, which a replay has its own of.
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

pub type Fields = Vec<(String, String)>;

/// One recorded exchange.
#[derive(Clone, Deserialize)]
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

/// What the provider reported.
#[derive(Clone, Deserialize)]
pub struct Expected {
    pub family: String,
    pub norm: Option<Norm>,
    pub model: Option<String>,
    pub requested_model: Option<String>,
    #[serde(default)]
    pub raw_usage: Value,
}

/// Its counts, brought to one meaning.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Norm {
    pub input_total: Option<u64>,
    pub output_total: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_write: Option<u64>,
    pub reasoning: Option<u64>,
    pub cache_write_1h: Option<u64>,
}

/// Every exchange, or nothing where the corpus is not at hand.
pub fn open() -> Option<impl Iterator<Item = Exchange>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/dev.jsonl");
    let path = std::env::var_os("TOLLGATE_CORPUS");
    let path = path.map_or_else(|| PathBuf::from(default), PathBuf::from);
    let Ok(file) = File::open(&path) else {
        println!("skipped: {} absent", path.display());
        return None;
    };
    let lines = BufReader::new(file).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

impl Exchange {
    /// The counts of its answer, all absent if it reports none or is free; and where the corpus' own
    /// reckoning is wrong and was corrected, why.
    pub fn counts(&self) -> (Norm, Option<&'static str>) {
        if self.id == "42259c9c5f0715e71e55" {
            let why = "the usage object has an output count, but no input count by which it is recognised";
            let norm = Norm {
                output_total: Some(50),
                ..Norm::default()
            };
            return (norm, Some(why));
        }
        let Some(expected) = &self.expected else {
            return (Norm::default(), None);
        };
        let norm = expected.norm.filter(|_| expected.family != "count");
        let norm = norm.unwrap_or_default();
        let reasoning = expected.raw_usage.pointer("/tokens/reasoning_tokens");
        if let ("cohere", Some(Value::Number(count))) = (self.provider.as_str(), reasoning) {
            let why = "Cohere reports reasoning_tokens, which the reckoning leaves out";
            let reasoning = count.as_u64();
            return (Norm { reasoning, ..norm }, Some(why));
        }
        (norm, None)
    }

    /// A field of the answer.
    pub fn answer_field(&self, name: &str) -> Option<&str> {
        let mut fields = self.response_headers.iter();
        let field = fields.find(|(own, _)| own == name);
        field.map(|(_, value)| value.as_str())
    }
}

impl Norm {
    /// Absent and zero are the same to a bill.
    pub fn filled(self) -> [u64; 6] {
        let counts = [
            self.input_total,
            self.output_total,
            self.cache_read,
            self.cache_write,
            self.reasoning,
            self.cache_write_1h,
        ];
        counts.map(Option::unwrap_or_default)
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
