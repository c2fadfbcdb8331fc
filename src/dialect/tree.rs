//! The trees by which each dialect tells where in its answers to find what.

use super::tally::Field;

/// A member that a dialect wants read, or the way to one. Arrays on the way are looked through.
pub(super) struct Node {
    key: &'static str,
    pub field: Option<Field>,
    pub below: &'static [Node],
}

impl Node {
    /// A member whose value is wanted.
    pub const fn leaf(key: &'static str, field: Field) -> Self {
        Self {
            key,
            field: Some(field),
            below: &[],
        }
    }

    /// A member in which others are wanted.
    pub const fn branch(key: &'static str, below: &'static [Node]) -> Self {
        Self {
            key,
            field: None,
            below,
        }
    }

    /// A member wanted when it is plain, and looked into when it is an object or array.
    pub const fn either(key: &'static str, field: Field, below: &'static [Node]) -> Self {
        Self {
            key,
            field: Some(field),
            below,
        }
    }

    /// The whole of a dialect's text.
    pub const fn root(below: &'static [Node]) -> Self {
        Self::branch("", below)
    }

    /// The wanted member of this key.
    pub fn find(&self, key: &[u8]) -> Option<&'static Node> {
        // Most keys that are not wanted differ in length or first letter: no need to compare them.
        let like = |node: &&Node| {
            node.key.len() == key.len() && node.key.as_bytes().first() == key.first()
        };
        let mut nodes = self.below.iter().filter(like);
        nodes.find(|node| node.key.as_bytes() == key)
    }
}
