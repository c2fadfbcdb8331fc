//! Answers in a dialect that nobody named: each member is read as the dialect does that has it.

use super::marks::work_in;
use super::tally::Field;
use super::tree::Node;
use super::{anthropic, cohere, gemini, huggingface, ollama, openai, replicate, workers_ai};

pub(super) static ROOT: Node = Node::root(&[
    Node::leaf("usage", Field::Part(work_in)),
    Node::leaf("model", Field::Model),
    Node::leaf("error", Field::Error),
    Node::branch("choices", openai::usage::CHOICE),
    Node::leaf("type", Field::End(LAST_EVENTS)),
    Node::leaf("event_type", Field::End(LAST_EVENTS)),
    Node::either("delta", Field::Text, DELTA),
    Node::either("response", Field::Text, RESPONSE),
    Node::branch("x_groq", &[Node::leaf("usage", Field::Part(work_in))]),
    Node::branch("message", MESSAGE),
    Node::branch("content", anthropic::usage::DELTA),
    Node::branch("candidates", gemini::usage::CANDIDATE),
    Node::leaf("usageMetadata", Field::Whole(gemini::usage::read)),
    Node::leaf("modelVersion", Field::Model),
    Node::branch("interaction", gemini::usage::INTERACTION),
    Node::branch("predictions", gemini::usage::PREDICTION),
    Node::leaf("meta", Field::Whole(cohere::usage::read)),
    Node::leaf("done", Field::End(&["true"])),
    Node::leaf("prompt_eval_count", Field::Part(ollama::usage::set_input)),
    Node::leaf("eval_count", Field::Part(ollama::usage::set_output)),
    Node::branch("result", workers_ai::usage::RESULT),
    Node::branch("token", &[Node::leaf("text", Field::Text)]),
    Node::leaf("details", Field::Part(huggingface::usage::add_details)),
    Node::leaf("metrics", Field::Part(replicate::usage::add_metrics)),
]);

const LAST_EVENTS: &[&str] = &[
    "response.completed",
    "response.incomplete",
    "response.failed",
    "message_stop",
    "message-end",
    "stream-end",
    "interaction.completed",
];

const RESPONSE: &[Node] = &[
    Node::leaf("usage", Field::Whole(openai::usage::read)),
    Node::leaf("model", Field::Model),
    Node::leaf("error", Field::Error),
    Node::leaf("meta", Field::Whole(cohere::usage::read)),
];

const DELTA: &[Node] = &[
    Node::leaf("text", Field::Text),
    Node::leaf("thinking", Field::Text),
    Node::leaf("partial_json", Field::Text),
    Node::branch(
        "message",
        &[Node::branch("content", &[Node::leaf("text", Field::Text)])],
    ),
    Node::leaf("usage", Field::Part(work_in)),
];

const MESSAGE: &[Node] = &[
    Node::leaf("usage", Field::Part(anthropic::usage::overlay)),
    Node::leaf("model", Field::Model),
    Node::leaf("content", Field::Text),
];
