//! What an answer of Cartesia used: seconds heard; what it speaks is billed by the request's characters.

use crate::dialect::count::set_audio_length;
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("text", Field::Text),
    Node::leaf("duration", Field::Part(set_audio_length)),
    Node::leaf("type", Field::End(&["done"])),
    Node::leaf("error", Field::Error),
]);
