//! What an answer in Cohere's dialect used: tokens the model handled, and tokens that are billed.

use serde::Deserialize;

use crate::dialect::count::{Count, Object};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::{Units, Usage};

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("type", Field::End(&["message-end"])),
    Node::branch("delta", DELTA),
    Node::leaf("usage", Field::Whole(read)),
    Node::branch("message", MESSAGE),
    Node::leaf("model", Field::Model),
    Node::leaf("error", Field::Error),
    // Version 1, embeddings and reranking.
    Node::leaf("meta", Field::Whole(read)),
    Node::branch("response", &[Node::leaf("meta", Field::Whole(read))]),
    Node::leaf("event_type", Field::End(&["stream-end"])),
    Node::leaf("is_finished", Field::End(&["true"])),
    Node::leaf("text", Field::Text),
    Node::branch("generations", &[Node::leaf("text", Field::Text)]),
]);

pub(in crate::dialect) const DELTA: &[Node] = &[
    Node::branch("message", MESSAGE),
    Node::leaf("usage", Field::Whole(read)),
    Node::leaf("error", Field::Error),
];

const MESSAGE: &[Node] = &[
    Node::either(
        "content",
        Field::Text,
        &[
            Node::leaf("text", Field::Text),
            Node::leaf("thinking", Field::Text),
        ],
    ),
    Node::leaf("tool_plan", Field::Text),
    Node::branch("tool_calls", &[Node::branch("function", FUNCTION)]),
];

const FUNCTION: &[Node] = &[
    Node::leaf("name", Field::Token),
    Node::leaf("arguments", Field::Text),
];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    tokens: Object<Tokens>,
    billed_units: Object<Tokens>,
    cached_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
    reasoning_tokens: Count,
    search_units: Count,
    images: Count,
}

/// Reads `usage` of version 2 or `meta` of version 1.
pub(in crate::dialect) fn read(raw: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice(raw).ok()?;
    let (tokens, billed) = (wire.tokens.0, wire.billed_units.0);
    let handled = tokens.input_tokens.0.is_some() || tokens.output_tokens.0.is_some();
    let counts = if handled { &tokens } else { &billed };
    Some(Usage {
        input: counts.input_tokens.0,
        output: counts.output_tokens.0,
        cached_input: wire.cached_tokens.0,
        reasoning: tokens.reasoning_tokens.0,
        units: Units {
            searches: billed.search_units.0,
            images: billed.images.0,
            billed_input: billed.input_tokens.0,
            billed_output: billed.output_tokens.0,
            ..Units::default()
        },
        ..Usage::default()
    })
}
