//! Every recorded answer of the corpus is read as its provider's own counts say, at any split, packed or not.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use tollgate::dialect::Dialect;
use tollgate::dialect::usage::{Head, Reader, Reading};
use tollgate::llm::operation::Operation;
use tollgate::llm::usage::Usage;

#[derive(Deserialize)]
struct Exchange {
    id: String,
    provider: String,
    url: String,
    status: u16,
    response_headers: Vec<(String, String)>,
    response_body_b64: String,
    expected: Option<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    family: String,
    norm: Option<Norm>,
    model: Option<String>,
    raw_usage: serde_json::Value,
}

#[derive(Deserialize, Debug, Default, PartialEq, Eq)]
struct Norm {
    input_total: Option<u64>,
    output_total: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    cache_write_1h: Option<u64>,
}

/// The exchanges, or nothing where the corpus is not at hand.
fn open_corpus() -> Option<impl Iterator<Item = Exchange>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/dev.jsonl");
    let path =
        std::env::var_os("TOLLGATE_CORPUS").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let Ok(file) = File::open(&path) else {
        println!("skipped: {} absent", path.display());
        return None;
    };
    Some(
        BufReader::new(file)
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap()),
    )
}

/// What a gateway's catalogue would make of the provider and the path.
fn route(exchange: &Exchange) -> (Dialect, Operation) {
    let path = exchange.url.split('?').next().unwrap();
    let has = |part: &str| path.contains(part);
    let dialect = match exchange.provider.as_str() {
        "anthropic" if !has("/chat/completions") => Dialect::Anthropic,
        "vertex" if has("/publishers/anthropic/") => Dialect::Anthropic,
        "local-openai-compatible" if has("/messages") => Dialect::Anthropic,
        "gemini" | "vertex" if !has("/openai/") => Dialect::Gemini,
        "bedrock" if !has("bedrock-mantle") => Dialect::Bedrock,
        "cohere" => Dialect::Cohere,
        "ollama" if has("/api/") => Dialect::Ollama,
        "huggingface" => Dialect::Huggingface,
        "workers-ai" => Dialect::WorkersAi,
        "replicate" => Dialect::Replicate,
        "deepgram" => Dialect::Deepgram,
        _ => Dialect::Openai,
    };
    let counts = [
        "/count_tokens",
        ":countTokens",
        "/count-tokens",
        "/responses/input_tokens",
    ];
    let operation = if counts.iter().any(|end| path.ends_with(end)) {
        Operation::CountTokens
    } else if has("/responses") {
        Operation::Responses
    } else if has("embed") {
        Operation::Embeddings
    } else if has("/images/") {
        Operation::Image
    } else if has("/audio/") {
        Operation::Transcription
    } else {
        Operation::Chat
    };
    (dialect, operation)
}

/// How the body is packed on the wire.
#[derive(Clone, Copy, Debug)]
enum Packing {
    Plain,
    Gzip,
    Brotli,
    Zstd,
}

impl Packing {
    fn pack(self, body: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        match self {
            Self::Plain => packed.extend_from_slice(body),
            Self::Gzip => {
                let mut encoder = flate2::read::GzEncoder::new(body, flate2::Compression::fast());
                encoder.read_to_end(&mut packed).unwrap();
            }
            Self::Brotli => {
                brotli::CompressorReader::new(body, 4096, 1, 18)
                    .read_to_end(&mut packed)
                    .unwrap();
            }
            Self::Zstd => packed = zstd::encode_all(body, 1).unwrap(),
        }
        packed
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Reads the body in chunks of the lengths that `next_len` gives.
fn read(
    exchange: &Exchange,
    dialect: Option<Dialect>,
    body: &[u8],
    packing: Packing,
    mut next_len: impl FnMut() -> usize,
) -> Reading {
    let header = |name: &str| match name {
        "content-encoding" => packing.name(),
        _ => exchange
            .response_headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str()),
    };
    let (_, operation) = route(exchange);
    let mut reader = Reader::new(
        dialect,
        operation,
        Head {
            status: exchange.status,
            header: &header,
        },
    );
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(next_len().clamp(1, rest.len()));
        reader.read(chunk);
        rest = after;
    }
    reader.finish()
}

/// A small generator, so that each run cuts the bodies alike.
fn random_lens(seed: &str) -> impl FnMut() -> usize {
    let mut state = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let spread = [3, 40, 400, 4000][(state >> 40) as usize % 4];
        1 + (state >> 8) as usize % spread
    }
}

fn norm(usage: Usage) -> Norm {
    Norm {
        input_total: usage.input,
        output_total: usage.output,
        cache_read: usage.cached_input,
        cache_write: usage.cache_write,
        reasoning: usage.reasoning,
        cache_write_1h: usage.cache_write_1h,
    }
}

/// Absent and zero are the same to a bill.
fn filled(norm: &Norm) -> [u64; 6] {
    let counts = [
        norm.input_total,
        norm.output_total,
        norm.cache_read,
        norm.cache_write,
        norm.reasoning,
        norm.cache_write_1h,
    ];
    counts.map(Option::unwrap_or_default)
}

/// Where the corpus' own reckoning is wrong: corrects it, and says why.
fn correct(exchange: &Exchange, norm: &mut Norm) -> Option<&'static str> {
    let raw = exchange
        .expected
        .as_ref()
        .and_then(|expected| expected.raw_usage.pointer("/tokens/reasoning_tokens"));
    if let ("cohere", Some(reasoning)) = (
        exchange.provider.as_str(),
        raw.and_then(serde_json::Value::as_u64),
    ) {
        norm.reasoning = Some(reasoning);
        return Some("Cohere reports reasoning_tokens, which the reckoning leaves out");
    }
    if exchange.id == "42259c9c5f0715e71e55" {
        norm.output_total = Some(50);
        return Some(
            "the usage object has an output count, but no input count by which it is recognised",
        );
    }
    None
}

/// What the answer should be read as, nothing if it reports no tokens or costs none.
fn expect(exchange: &mut Exchange) -> Norm {
    let counted = exchange
        .expected
        .as_mut()
        .filter(|expected| expected.family != "count");
    counted
        .and_then(|expected| expected.norm.take())
        .unwrap_or_default()
}

#[test]
fn every_answer_is_read_as_its_provider_counts() {
    let Some(corpus) = open_corpus() else { return };
    let (mut with_usage, mut without) = (0, 0);
    let mut corrections = BTreeMap::<_, u32>::new();
    let mut faults = Vec::new();
    for (index, mut exchange) in corpus.enumerate() {
        let body = BASE64_STANDARD.decode(&exchange.response_body_b64).unwrap();
        let mut expected = expect(&mut exchange);
        if let Some(reason) = correct(&exchange, &mut expected) {
            *corrections.entry(reason).or_default() += 1;
        }
        let dialect = Some(route(&exchange).0);
        let whole = read(&exchange, dialect, &body, Packing::Plain, || usize::MAX);
        let found = norm(whole.usage.unwrap_or_default());
        if filled(&expected) != filled(&found) {
            faults.push(format!(
                "{} {} {}\n  expected {expected:?}\n  found    {found:?}",
                exchange.id, exchange.provider, exchange.url
            ));
        }
        if let (Some(model), Some(expected)) = (&whole.model, &exchange.expected)
            && expected.model.as_ref() != Some(model)
        {
            faults.push(format!(
                "{} {} model {model}, not {:?}",
                exchange.id, exchange.provider, expected.model
            ));
        }
        let silent = expected == Norm::default();
        with_usage += usize::from(!silent);
        without += usize::from(silent);
        let cut = read(
            &exchange,
            dialect,
            &body,
            Packing::Plain,
            random_lens(&exchange.id),
        );
        assert_eq!(cut, whole, "{} at random splits", exchange.id);
        if body.len() < 4096 {
            let single = read(&exchange, dialect, &body, Packing::Plain, || 1);
            assert_eq!(single, whole, "{} byte by byte", exchange.id);
        }
        let packing = [Packing::Gzip, Packing::Brotli, Packing::Zstd][index % 3];
        if index % 4 == 0 {
            let packed = read(
                &exchange,
                dialect,
                &packing.pack(&body),
                packing,
                random_lens(&exchange.id),
            );
            assert_eq!(packed, whole, "{} packed as {packing:?}", exchange.id);
        }
    }
    println!(
        "{with_usage} with usage, {without} without, {} faults; corrected: {corrections:?}",
        faults.len()
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn answers_in_a_dialect_that_nobody_named_are_read_alike() {
    let Some(corpus) = open_corpus() else { return };
    let mut faults = Vec::new();
    for mut exchange in corpus {
        // What Bedrock's makers write can be told only by knowing that it is Bedrock.
        if route(&exchange).0 == Dialect::Bedrock {
            continue;
        }
        let body = BASE64_STANDARD.decode(&exchange.response_body_b64).unwrap();
        let mut expected = expect(&mut exchange);
        correct(&exchange, &mut expected);
        let reading = read(
            &exchange,
            None,
            &body,
            Packing::Plain,
            random_lens(&exchange.id),
        );
        let found = norm(reading.usage.unwrap_or_default());
        if filled(&expected) != filled(&found) {
            faults.push(format!(
                "{} {}\n  {expected:?}\n  {found:?}",
                exchange.id, exchange.url
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
