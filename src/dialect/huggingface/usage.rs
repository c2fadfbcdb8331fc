//! What an answer of Hugging Face used: OpenAI's counts from the router, details from text generation inference.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dialect::count::Count;
use crate::dialect::openai::usage::{CHOICE, read};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::Usage;

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("usage", Field::Whole(read)),
    Node::branch("choices", CHOICE),
    Node::leaf("model", Field::Model),
    Node::leaf("error", Field::Error),
    Node::branch("token", &[Node::leaf("text", Field::Text)]),
    Node::leaf("details", Field::Part(add_details)),
    Node::leaf("generated_text", Field::End(&[])),
]);

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    generated_tokens: Count,
    input_length: Count,
    prefill: Vec<IgnoredAny>,
}

/// The prompt's tokens are counted in streams, and listed in plain answers if the client asks.
pub(in crate::dialect) fn add_details(usage: &mut Usage, raw: &[u8]) {
    let Ok(details) = serde_json::from_slice::<Details>(raw) else {
        return;
    };
    let listed = Some(details.prefill.len() as u64).filter(|len| *len > 0);
    usage.input = details.input_length.0.or(listed).or(usage.input);
    usage.output = details.generated_tokens.0.or(usage.output);
}
