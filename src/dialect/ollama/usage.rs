//! What an answer in Ollama's own dialect used: the last line of a stream has the counts.

use crate::dialect::count::read_count;
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::Usage;

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("model", Field::Model),
    Node::branch("message", MESSAGE),
    Node::leaf("response", Field::Text),
    Node::leaf("thinking", Field::Text),
    Node::leaf("done", Field::End(&["true"])),
    Node::leaf("prompt_eval_count", Field::Part(set_input)),
    Node::leaf("eval_count", Field::Part(set_output)),
    Node::leaf("error", Field::Error),
]);

const MESSAGE: &[Node] = &[
    Node::leaf("content", Field::Text),
    Node::leaf("thinking", Field::Text),
    Node::leaf("tool_calls", Field::Text),
];

pub(in crate::dialect) fn set_input(usage: &mut Usage, raw: &[u8]) {
    usage.input = read_count(raw);
}

/// A prompt that was read before has no count of its own.
pub(in crate::dialect) fn set_output(usage: &mut Usage, raw: &[u8]) {
    usage.output = read_count(raw);
    usage.input = usage.input.or(Some(0));
}
