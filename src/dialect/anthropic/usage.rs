//! What an answer in Anthropic's dialect used: cached tokens are counted beside the input.

use serde::Deserialize;

use crate::dialect::count::{Count, Object};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::Usage;

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("type", Field::End(&["message_stop"])),
    Node::branch("delta", DELTA),
    Node::branch("content_block", &[Node::leaf("name", Field::Token)]),
    Node::branch(
        "message",
        &[
            Node::leaf("usage", Field::Part(overlay)),
            Node::leaf("model", Field::Model),
        ],
    ),
    Node::leaf("usage", Field::Part(overlay)),
    Node::leaf("model", Field::Model),
    Node::leaf("error", Field::Error),
    Node::branch("content", CONTENT),
    // Text completions, which report no usage.
    Node::leaf("completion", Field::Text),
    Node::leaf("stop_reason", Field::End(&[])),
]);

pub(in crate::dialect) const DELTA: &[Node] = &[
    Node::leaf("text", Field::Text),
    Node::leaf("thinking", Field::Text),
    Node::leaf("partial_json", Field::Text),
];

pub(in crate::dialect) const CONTENT: &[Node] = &[
    Node::leaf("text", Field::Text),
    Node::leaf("thinking", Field::Text),
    Node::leaf("input", Field::Text),
];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_creation: Object<CacheCreation>,
    output_tokens_details: Object<OutputDetails>,
    server_tool_use: Object<ServerToolUse>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
    reasoning_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServerToolUse {
    web_search_requests: Count,
}

/// Lays a usage object over what is known: `message_start` begins it, each `message_delta` corrects it,
/// the input too where tools ran on the provider's side.
pub(in crate::dialect) fn overlay(usage: &mut Usage, raw: &[u8]) {
    let Ok(wire) = serde_json::from_slice::<Wire>(raw) else {
        return;
    };
    let known_parts = sum(usage.cached_input, usage.cache_write);
    let uncached = wire
        .input_tokens
        .0
        .or(usage.input.map(|input| input.saturating_sub(known_parts)));
    let details = wire.output_tokens_details.0;
    let told = Usage {
        output: wire.output_tokens.0,
        cached_input: wire.cache_read_input_tokens.0,
        cache_write: wire.cache_creation_input_tokens.0,
        cache_write_1h: wire.cache_creation.0.ephemeral_1h_input_tokens.0,
        reasoning: details.thinking_tokens.or(details.reasoning_tokens).0,
        ..Usage::default()
    };
    *usage = told.over(*usage);
    let parts = sum(usage.cached_input, usage.cache_write);
    usage.input = uncached.map(|uncached| uncached.saturating_add(parts));
    usage.units.searches = wire
        .server_tool_use
        .0
        .web_search_requests
        .0
        .or(usage.units.searches);
}

fn sum(first: Option<u64>, second: Option<u64>) -> u64 {
    first
        .unwrap_or_default()
        .saturating_add(second.unwrap_or_default())
}
