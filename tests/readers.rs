//! The properties of the fuzz targets, over small answers of every dialect, whole and damaged.
#![cfg(test)]

#[path = "fuzz/property.rs"]
mod property;

use property::frame::frame;
use property::packing::Packing;
use property::{
    AWS_STREAM, Answer, asks_for_what_it_says, custom_cost_can_be_reckoned_with,
    own_prices_can_be_reckoned_with, reads_alike, unpacks_alike,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use std::fs;
use std::sync::LazyLock;
use tollgate::dialect::Dialect;

const DIALECTS: [Option<Dialect>; 13] = [
    None,
    Some(Dialect::Openai),
    Some(Dialect::Anthropic),
    Some(Dialect::Gemini),
    Some(Dialect::Bedrock),
    Some(Dialect::Cohere),
    Some(Dialect::WorkersAi),
    Some(Dialect::Huggingface),
    Some(Dialect::Replicate),
    Some(Dialect::Elevenlabs),
    Some(Dialect::Deepgram),
    Some(Dialect::Cartesia),
    Some(Dialect::Ollama),
];

/// A file of tests/fuzz/seeds: the target it is made for, its own name, and what is in it.
#[derive(Debug)]
struct Seed {
    target: String,
    name: String,
    body: Vec<u8>,
}

static SEEDS: LazyLock<Vec<Seed>> = LazyLock::new(|| {
    let list = |folder: &str| {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/seeds");
    let mut seeds = Vec::new();
    for target in list(folder) {
        let folder = format!("{folder}/{target}");
        seeds.extend(list(&folder).into_iter().map(|name| Seed {
            target: target.clone(),
            body: fs::read(format!("{folder}/{name}")).unwrap(),
            name,
        }));
    }
    seeds
});

impl Seed {
    /// The dialect it is written in, as far as its target is one.
    fn dialect(&self) -> Option<Dialect> {
        let name = Value::from(self.target.replace('_', "-"));
        serde_json::from_value(name).ok()
    }
}

/// The seeds of these targets, or of all.
fn seeds(targets: &[&str]) -> Vec<&'static Seed> {
    let mut seeds: Vec<_> = SEEDS.iter().collect();
    seeds.retain(|seed| targets.is_empty() || targets.contains(&seed.target.as_str()));
    seeds
}

/// One way to damage a body.
#[derive(Clone, Debug)]
enum Damage {
    CutOff(Index),
    Flip(Index, u8),
    Remove(Index, usize),
    /// What stands at the first place is put at the second as well.
    Repeat(Index, Index, usize),
    /// A part of another seed.
    Splice(Index, Index, Index, usize),
    Insert(Index, &'static str),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<Index>;
        let words = vec![
            "\n\n", "\r", "\"", "\\", "{", "}", "[", "]", "null", "data: ", "1e9", "-1", " ",
        ];
        prop_oneof![
            1 => at().prop_map(Self::CutOff),
            4 => (at(), 0..8_u8).prop_map(|(place, bit)| Self::Flip(place, bit)),
            2 => (at(), 1..30_usize).prop_map(|(place, len)| Self::Remove(place, len)),
            2 => (at(), at(), 1..200_usize).prop_map(|(from, to, len)| Self::Repeat(from, to, len)),
            3 => (at(), at(), at(), 1..200_usize)
                .prop_map(|(seed, from, to, len)| Self::Splice(seed, from, to, len)),
            3 => (at(), select(words)).prop_map(|(place, word)| Self::Insert(place, word)),
        ]
    }

    fn apply(&self, body: &mut Vec<u8>) {
        match self {
            Self::CutOff(at) => body.truncate(at.index(body.len() + 1)),
            Self::Flip(at, bit) if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] ^= 1 << bit;
            }
            Self::Flip(..) => {}
            Self::Remove(at, len) => {
                let at = at.index(body.len() + 1);
                body.drain(at..body.len().min(at + len));
            }
            Self::Repeat(from, to, len) => {
                let bytes = part(body, from, *len).to_vec();
                insert(body, to, &bytes);
            }
            Self::Splice(seed, from, to, len) => {
                insert(body, to, part(&seed.get(&SEEDS).body, from, *len));
            }
            Self::Insert(at, word) => insert(body, at, word.as_bytes()),
        }
    }
}

fn part<'a>(bytes: &'a [u8], from: &Index, len: usize) -> &'a [u8] {
    let from = from.index(bytes.len() + 1);
    &bytes[from..bytes.len().min(from + len)]
}

fn insert(body: &mut Vec<u8>, at: &Index, bytes: &[u8]) {
    let at = at.index(body.len() + 1);
    body.splice(at..at, bytes.iter().copied());
}

/// A seed of these targets, damaged a few times, and the dialect that it is written in.
fn damaged(targets: &'static [&'static str]) -> impl Strategy<Value = (Option<Dialect>, Vec<u8>)> {
    let damages = prop::collection::vec(Damage::any(), 0..6);
    (select(seeds(targets)), damages).prop_map(|(seed, damages)| {
        let mut body = seed.body.clone();
        for damage in &damages {
            damage.apply(&mut body);
        }
        (seed.dialect(), body)
    })
}

/// Snippets of which answers are made, in no sensible order.
fn made_up() -> impl Strategy<Value = Vec<u8>> {
    let known = select(vec![
        "data: ",
        "\n\n",
        "\r\n",
        "event: output\n",
        "[DONE]",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ",",
        ":",
        "null",
        "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"cost\":0.1}}",
        "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}",
        "{\"usageMetadata\":{\"promptTokenCount\":5},\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\\\"b\"}]}}]}",
        "{\"choices\":[{\"delta\":{\"content\":\"\\u4e2d\\\\\"}}],\"model\":\"m\"}",
        "\"usage\":",
        "\"choices\":[",
        "\"delta\":",
        "\"text\":",
        "\"error\":{\"message\":\"x\"}",
        "\"model\":\"m\"",
        "12",
        "1e9",
        "-1",
    ]);
    let known = known.prop_map(|text| text.as_bytes().to_vec());
    let snippet = prop_oneof![4 => known, 1 => prop::collection::vec(any::<u8>(), 0..8)];
    prop::collection::vec(snippet, 0..24).prop_map(|snippets| snippets.concat())
}

proptest! {
    #[test]
    fn damaged_answers_are_read_alike_at_any_split((own, body) in damaged(&[]), other in select(DIALECTS.to_vec())) {
        reads_alike(own, &body);
        reads_alike(other, &body);
    }

    #[test]
    fn made_up_answers_are_read_alike_at_any_split(body in made_up(), dialect in select(DIALECTS.to_vec())) {
        reads_alike(dialect, &body);
    }

    #[test]
    fn packed_answers_are_read_as_they_are_unpacked((_, body) in damaged(&["packed", "openai"])) {
        unpacks_alike(&body);
    }

    #[test]
    fn damaged_requests_ask_for_what_they_say((_, body) in damaged(&["call"])) {
        asks_for_what_it_says(&body);
    }

    #[test]
    fn damaged_prices_can_be_reckoned_with(
        (_, cost) in damaged(&["custom_cost"]),
        (_, prices) in damaged(&["own_prices"]),
    ) {
        custom_cost_can_be_reckoned_with(&cost);
        own_prices_can_be_reckoned_with(&prices);
    }
}

#[test]
fn every_seed_holds_in_every_dialect() {
    for seed in seeds(&[]) {
        DIALECTS
            .iter()
            .for_each(|dialect| reads_alike(*dialect, &seed.body));
        unpacks_alike(&seed.body);
        asks_for_what_it_says(&seed.body);
        custom_cost_can_be_reckoned_with(&seed.body);
        own_prices_can_be_reckoned_with(&seed.body);
    }
}

/// A seed that its reader does not see leads a fuzzer nowhere.
#[test]
fn every_seed_reaches_its_reader() {
    for seed in seeds(&[]) {
        let framed = frame(&seed.body);
        let (content_type, body) = match seed.name.split_once('.') {
            Some((_, "json")) => ("application/json", &seed.body),
            Some((_, "sse")) => ("text/event-stream", &seed.body),
            Some((_, "ndjson")) => ("application/x-ndjson", &seed.body),
            Some((_, "events")) => (AWS_STREAM, &framed),
            _ => ("", &seed.body),
        };
        if seed.dialect().is_none() && seed.target != "sniffing" {
            continue;
        }
        let answer = Answer {
            dialect: seed.dialect(),
            content_type,
            packing: Packing::Plain,
            body,
        };
        let reading = answer.read([body.as_slice()]);
        let told = reading.usage.is_some() || reading.error;
        assert!(told && !reading.unread, "{}/{}", seed.target, seed.name);
    }
    let covered = |dialect: &Option<Dialect>| SEEDS.iter().any(|seed| seed.dialect() == *dialect);
    assert!(DIALECTS.iter().all(covered));
}

/// What is kept of a value, and how deep it is looked into, has an end, which no split may move.
#[test]
fn the_bounds_of_a_reader_are_the_same_at_any_split() {
    for len in (65_490..65_540).step_by(7) {
        let long = "x".repeat(len);
        let usage = format!("{{\"usage\":{{\"note\":\"{long}\",\"prompt_tokens\":3}}}}");
        reads_alike(Some(Dialect::Openai), usage.as_bytes());
    }
    for levels in 28..40 {
        let (open, close) = ("{\"choices\":[".repeat(levels), "]}".repeat(levels));
        let deep = format!("{open}{{\"delta\":{{\"content\":\"x\"}}}}{close}");
        reads_alike(Some(Dialect::Openai), deep.as_bytes());
    }
    for len in [60, 64, 65, 250, 256, 257] {
        let long = "m".repeat(len);
        let model = format!("{{\"{long}\":1,\"model\":\"{long}\"}}");
        reads_alike(Some(Dialect::Openai), model.as_bytes());
        let event = format!("event: {long}\n{long}: x\ndata: {{\"model\":\"{long}\"}}\n\n");
        reads_alike(Some(Dialect::Openai), event.as_bytes());
    }
}
