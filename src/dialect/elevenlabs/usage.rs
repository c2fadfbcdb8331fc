//! What an answer of ElevenLabs used: characters spoken, in the head, or seconds heard.

use crate::dialect::count::set_audio_length;
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::{Units, Usage};

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("text", Field::Text),
    Node::leaf("audio_duration_secs", Field::Part(set_audio_length)),
    Node::leaf("error", Field::Error),
]);

pub(in crate::dialect) fn read_head<'a>(header: &dyn Fn(&str) -> Option<&'a str>) -> Usage {
    let characters = header("character-cost").and_then(|text| text.trim().parse().ok());
    Usage {
        units: Units {
            characters,
            ..Units::default()
        },
        ..Usage::default()
    }
}
