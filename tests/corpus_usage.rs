//! Every recorded answer of the corpus is read as its provider's own counts say, at any split, packed or not.
#![cfg(test)]

mod support;

use std::collections::BTreeMap;

use support::corpus::{self, Exchange, Norm};
use support::packing::Packing;
use tollgate::dialect::Dialect;
use tollgate::dialect::usage::{Head, Reader, Reading};
use tollgate::llm::operation::Operation;
use tollgate::llm::usage::Usage;

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

/// Reads the body in chunks of the lengths that `next_len` gives.
fn read(
    exchange: &Exchange,
    dialect: Option<Dialect>,
    body: &[u8],
    packing: Packing,
    mut next_len: impl FnMut() -> usize,
) -> Reading {
    let header = |name: &str| match name {
        "content-encoding" => Some(packing.name()),
        _ => exchange.answer_field(name),
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

#[test]
fn every_answer_is_read_as_its_provider_counts() {
    let Some(corpus) = corpus::open() else { return };
    let (mut with_usage, mut without) = (0, 0);
    let mut corrections = BTreeMap::<_, u32>::new();
    let mut faults = Vec::new();
    for (index, exchange) in corpus.enumerate() {
        let body = exchange.response_body.as_slice();
        let (expected, correction) = exchange.counts();
        if let Some(reason) = correction {
            *corrections.entry(reason).or_default() += 1;
        }
        let dialect = Some(route(&exchange).0);
        let whole = read(&exchange, dialect, body, Packing::Plain, || usize::MAX);
        let found = norm(whole.usage.unwrap_or_default());
        if expected.filled() != found.filled() {
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
            body,
            Packing::Plain,
            random_lens(&exchange.id),
        );
        assert_eq!(cut, whole, "{} at random splits", exchange.id);
        if body.len() < 4096 {
            let single = read(&exchange, dialect, body, Packing::Plain, || 1);
            assert_eq!(single, whole, "{} byte by byte", exchange.id);
        }
        let packing = [Packing::Gzip, Packing::Brotli, Packing::Zstd][index % 3];
        if index % 4 == 0 {
            let packed = read(
                &exchange,
                dialect,
                &packing.pack(body),
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
    let Some(corpus) = corpus::open() else { return };
    let mut faults = Vec::new();
    for exchange in corpus {
        // What Bedrock's makers write can be told only by knowing that it is Bedrock.
        if route(&exchange).0 == Dialect::Bedrock {
            continue;
        }
        let body = exchange.response_body.as_slice();
        let (expected, _) = exchange.counts();
        let reading = read(
            &exchange,
            None,
            body,
            Packing::Plain,
            random_lens(&exchange.id),
        );
        let found = norm(reading.usage.unwrap_or_default());
        if expected.filled() != found.filled() {
            faults.push(format!(
                "{} {}\n  {expected:?}\n  {found:?}",
                exchange.id, exchange.url
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
