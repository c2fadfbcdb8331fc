//! What an answer of Deepgram used: seconds heard, or characters spoken, in the head.

use crate::dialect::count::set_audio_length;
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::{Units, Usage};

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::branch(
        "metadata",
        &[Node::leaf("duration", Field::Part(set_audio_length))],
    ),
    Node::leaf("error", Field::Error),
]);

pub(in crate::dialect) fn read_head<'a>(header: &dyn Fn(&str) -> Option<&'a str>) -> Usage {
    let characters = header("dg-char-count").and_then(|text| text.trim().parse().ok());
    Usage {
        units: Units {
            characters,
            ..Units::default()
        },
        ..Usage::default()
    }
}
