//! What an answer of Workers AI used: OpenAI's counts, bare or in Cloudflare's envelope.

use crate::dialect::openai::usage::{CHOICE, read};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;

// The events of a stream count what each adds; the last one counts it all.
pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("response", Field::Text),
    Node::leaf("usage", Field::Whole(read)),
    Node::branch("choices", CHOICE),
    Node::leaf("model", Field::Model),
    Node::branch("result", RESULT),
    Node::leaf("errors", Field::Error),
    Node::leaf("error", Field::Error),
]);

pub(in crate::dialect) const RESULT: &[Node] = &[
    Node::leaf("response", Field::Text),
    Node::leaf("usage", Field::Whole(read)),
    Node::branch("choices", CHOICE),
    Node::leaf("model", Field::Model),
];
