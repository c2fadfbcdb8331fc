//! What has to hold for bytes of any kind: nothing panics, and the cuts between chunks change nothing.

pub mod frame;
#[path = "../support/packing.rs"]
pub mod packing;

use std::collections::BTreeMap;
use std::time::SystemTime;

use frame::frame;
use packing::Packing;
use serde_json::Value;
use tollgate::dialect::usage::{Head, Reader, Reading};
use tollgate::dialect::{Dialect, call};
use tollgate::llm::call::Call;
use tollgate::llm::operation::Operation;
use tollgate::llm::usage::{Units, Usage};
use tollgate::provider::prices::book::Book;
use tollgate::provider::prices::config::OwnPrice;
use tollgate::provider::prices::custom::CustomCost;
use tollgate::provider::prices::price::Facts;

/// The framings in which a body is tried as it stands; AWS' own is made of it besides.
const CONTENT_TYPES: [&str; 5] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    AWS_STREAM,
    "",
];
pub const AWS_STREAM: &str = "application/vnd.amazon.eventstream";
const PACKINGS: [Packing; 5] = [
    Packing::Plain,
    Packing::Gzip,
    Packing::Deflate,
    Packing::Brotli,
    Packing::Zstd,
];
/// Chunks are no longer than one of these, as the body itself decides.
const CHUNK_BYTES_MAX: [usize; 4] = [2, 9, 70, 800];

/// A reader of usage tells the same however its body was cut.
pub fn reads_alike(dialect: Option<Dialect>, body: &[u8]) {
    let answer = |content_type, body| Answer {
        dialect,
        content_type,
        packing: Packing::Plain,
        body,
    };
    for content_type in CONTENT_TYPES {
        answer(content_type, body).read_in_every_way();
    }
    answer(AWS_STREAM, &frame(body)).read_in_every_way();
}

/// A packed body is read as the same body is unpacked, and noise in its place is survived.
pub fn unpacks_alike(body: &[u8]) {
    fn answer(packing: Packing, body: &[u8]) -> Answer<'_> {
        Answer {
            dialect: None,
            content_type: "",
            packing,
            body,
        }
    }
    let plain = answer(Packing::Plain, body).read([body]);
    for packing in PACKINGS {
        let unpacked = answer(packing, &packing.pack(body)).read_in_every_way();
        assert_eq!(unpacked, plain, "packed as {packing:?}");
        // How far a decoder comes in noise, and whether it minds what follows an end, depends on the chunks.
        let noise = answer(packing, body);
        noise.read([body]);
        noise.read(cut(body));
    }
}

/// A request's body asks for what its members say, and for nothing where it is no object.
pub fn asks_for_what_it_says(body: &[u8]) {
    let call = call::read(body);
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => {
            let says = |key: &str, model: &str| {
                let said = members.get(key).and_then(Value::as_str);
                said == Some(model)
            };
            if let Some(model) = &call.model {
                assert!(says("model", model) || says("model_id", model), "{model}");
            }
            let streams = members.get("stream") == Some(&Value::Bool(true));
            assert!(streams || !call.stream);
        }
        Ok(_) => assert_eq!(call, Call::default()),
        // What is skipped is looked at less closely than what is read.
        Err(_) => {}
    }
}

/// A price of the request's own can be reckoned with, and more usage never costs less.
pub fn custom_cost_can_be_reckoned_with(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let Ok(cost) = text.parse::<CustomCost>() else {
        return;
    };
    let costs = [usage(0), usage(1), usage(100), usage(u64::MAX)];
    let costs = costs.map(|usage| cost.cost(&usage));
    assert!(costs.is_sorted(), "{text}: {costs:?}");
}

/// A user's own prices can be reckoned with: a file of `MODEL: {input: $1, …}`.
pub fn own_prices_can_be_reckoned_with(text: &[u8]) {
    let Ok(prices) = serde_yaml::from_slice::<BTreeMap<String, OwnPrice>>(text) else {
        return;
    };
    let book = Book::build([("custom-own", &prices)].into_iter());
    for model in prices.keys() {
        let Some(price) = book.find("custom-own", model, None, SystemTime::now()) else {
            continue;
        };
        let costs = [usage(1), usage(100), usage(u64::MAX)];
        let costs = costs.map(|usage| price.cost(&usage, Facts::default()));
        assert!(costs.is_sorted(), "{model}: {costs:?}");
    }
}

/// Usage of `count` of everything.
fn usage(count: u64) -> Usage {
    let count = Some(count);
    Usage {
        input: count,
        output: count,
        cached_input: count,
        cache_write: count,
        cache_write_1h: count,
        reasoning: count,
        audio_input: count,
        audio_output: count,
        image_input: count,
        image_output: count,
        units: Units {
            images: count,
            audio_ms: count,
            characters: count,
            searches: count,
            compute_ms: count,
            billed_input: count,
            billed_output: count,
        },
        stated_cost_nano_usd: None,
    }
}

/// One answer, and how it is announced.
pub struct Answer<'a> {
    pub dialect: Option<Dialect>,
    pub content_type: &'a str,
    pub packing: Packing,
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Reads it whole, cut at random and byte by byte, which has to come to the same: what it says.
    fn read_in_every_way(&self) -> Reading {
        let whole = self.read([self.body]);
        let kind = (self.content_type, self.packing);
        assert_eq!(self.read(cut(self.body)), whole, "cut at random: {kind:?}");
        assert_eq!(self.read(self.body.chunks(1)), whole, "in bytes: {kind:?}");
        whole
    }

    /// Reads it in these chunks.
    pub fn read(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Reading {
        // Some providers report in fields of the head: these hold the body's first line.
        let line = self.body.split(|byte| *byte == b'\n').next();
        let line = line.and_then(|line| std::str::from_utf8(line).ok());
        let header = |name: &str| match name {
            "content-type" => Some(self.content_type),
            "content-encoding" => Some(self.packing.name()),
            _ => line,
        };
        let head = Head {
            status: 200,
            header: &header,
        };
        let mut reader = Reader::new(self.dialect, Operation::Chat, head);
        for chunk in chunks {
            reader.read(chunk);
        }
        reader.finish()
    }
}

/// The body in chunks of random lengths, of which some are nothing; the same body always alike.
fn cut(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let sum = crc32fast::hash(body);
    let max = CHUNK_BYTES_MAX[sum as usize % CHUNK_BYTES_MAX.len()];
    let (mut state, mut rest) = (u64::from(sum) << 1 | 1, body);
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let len = (state >> 20) as usize % (max + 1);
        let (chunk, after) = rest.split_at(len.min(rest.len()));
        (!rest.is_empty()).then(|| {
            rest = after;
            chunk
        })
    })
}
