//! What an answer of Bedrock used: converse counts cached tokens beside the input, invoke speaks as each maker does.

use serde::Deserialize;

use crate::dialect::converse::total;
use crate::dialect::count::{Count, read_count};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::dialect::{anthropic, cohere, marks, openai};
use crate::llm::usage::Usage;

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("usage", Field::Part(marks::work_in)),
    Node::branch("delta", DELTA),
    Node::branch("output", &[Node::branch("message", MESSAGE)]),
    Node::leaf("error", Field::Error),
    Node::leaf("model", Field::Model),
    // Claude.
    Node::branch(
        "message",
        &[
            Node::leaf("usage", Field::Part(anthropic::usage::overlay)),
            Node::leaf("model", Field::Model),
        ],
    ),
    Node::branch("content_block", &[Node::leaf("name", Field::Token)]),
    Node::branch("content", anthropic::usage::CONTENT),
    Node::leaf("type", Field::End(&["message_stop"])),
    Node::leaf("completion", Field::Text),
    // Nova.
    Node::branch("contentBlockDelta", &[Node::branch("delta", DELTA)]),
    Node::branch(
        "metadata",
        &[Node::leaf("usage", Field::Part(marks::work_in))],
    ),
    // Titan, whose streams count a prompt too that a guardrail kept from the model.
    Node::leaf("inputTextTokenCount", Field::PlainPart(set_input)),
    Node::branch(
        "results",
        &[
            Node::leaf("tokenCount", Field::PlainPart(add_output)),
            Node::leaf("outputText", Field::Text),
        ],
    ),
    Node::leaf("outputText", Field::Text),
    Node::leaf("images", Field::Count(Usage::add_image)),
    // Llama.
    Node::leaf("prompt_token_count", Field::Part(set_input)),
    Node::leaf("generation_token_count", Field::Part(set_output)),
    Node::leaf("generation", Field::Text),
    // Cohere, Mistral, AI21.
    Node::leaf("meta", Field::Whole(cohere::usage::read)),
    Node::leaf("text", Field::Text),
    Node::branch("generations", &[Node::leaf("text", Field::Text)]),
    Node::branch("outputs", &[Node::leaf("text", Field::Text)]),
    Node::branch("choices", openai::usage::CHOICE),
    // Ends every stream of invoke.
    Node::leaf("amazon-bedrock-invocationMetrics", Field::Final(fill)),
]);

const DELTA: &[Node] = &[
    Node::leaf("text", Field::Text),
    Node::leaf("thinking", Field::Text),
    Node::leaf("partial_json", Field::Text),
    Node::branch("reasoningContent", &[Node::leaf("text", Field::Text)]),
    Node::branch("toolUse", &[Node::leaf("input", Field::Text)]),
];

const MESSAGE: &[Node] = &[Node::branch(
    "content",
    &[
        Node::leaf("text", Field::Text),
        Node::leaf("toolUse", Field::Text),
    ],
)];

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metrics {
    input_token_count: Count,
    output_token_count: Count,
    cache_read_input_token_count: Count,
    cache_write_input_token_count: Count,
}

/// Reads the counts in the head of an invoke, which answer for makers whose bodies report nothing.
pub(in crate::dialect) fn read_head<'a>(header: &dyn Fn(&str) -> Option<&'a str>) -> Usage {
    let count = |name| header(name).and_then(|text| text.parse().ok());
    total(
        count("x-amzn-bedrock-input-token-count"),
        count("x-amzn-bedrock-output-token-count"),
        count("x-amzn-bedrock-cache-read-input-token-count"),
        count("x-amzn-bedrock-cache-write-input-token-count"),
    )
}

/// Bedrock's own metrics, for makers whose events report nothing: for others they can differ from the bill.
fn fill(usage: &mut Usage, raw: &[u8]) {
    let Ok(metrics) = serde_json::from_slice::<Metrics>(raw) else {
        return;
    };
    let told = total(
        metrics.input_token_count.0,
        metrics.output_token_count.0,
        metrics.cache_read_input_token_count.0,
        metrics.cache_write_input_token_count.0,
    );
    if usage.input.is_none() || usage.output.is_none() {
        *usage = usage.over(told);
    }
}

fn add_output(usage: &mut Usage, raw: &[u8]) {
    if let Some(count) = read_count(raw) {
        usage.output = Some(usage.output.unwrap_or_default().saturating_add(count));
    }
}

fn set_input(usage: &mut Usage, raw: &[u8]) {
    usage.input = read_count(raw).or(usage.input);
}

fn set_output(usage: &mut Usage, raw: &[u8]) {
    usage.output = read_count(raw).or(usage.output);
}
