//! The trees by which each dialect tells where in its answers to find what.

use super::tally::Field;

/// A member that a dialect wants read, or the way to one. Arrays on the way are looked through.
pub(super) struct Node {
    key: &'static str,
    pub field: Option<Field>,
    pub below: &'static [Node],
    /// The marks of the keys below: one that has another mark is none of them.
    marks: u64,
}

impl Node {
    /// A member whose value is wanted.
    pub const fn leaf(key: &'static str, field: Field) -> Self {
        Self {
            key,
            field: Some(field),
            below: &[],
            marks: 0,
        }
    }

    /// A member in which others are wanted.
    pub const fn branch(key: &'static str, below: &'static [Node]) -> Self {
        Self {
            key,
            field: None,
            below,
            marks: marks(below),
        }
    }

    /// A member wanted when it is plain, and looked into when it is an object or array.
    pub const fn either(key: &'static str, field: Field, below: &'static [Node]) -> Self {
        Self {
            key,
            field: Some(field),
            below,
            marks: marks(below),
        }
    }

    /// The whole of a dialect's text.
    pub const fn root(below: &'static [Node]) -> Self {
        Self::branch("", below)
    }

    /// The wanted member of this key.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<&'static Node> {
        if self.marks & mark(key) == 0 {
            return None;
        }
        self.below.iter().find(|node| node.key.as_bytes() == key)
    }
}

/// One bit of many for a key's length and first letter, in which most keys differ.
const fn mark(key: &[u8]) -> u64 {
    let Some(first) = key.first() else {
        return 0;
    };
    1 << ((key.len() * 11 + *first as usize) % u64::BITS as usize)
}

const fn marks(mut nodes: &[Node]) -> u64 {
    let mut marks = 0;
    while let Some((node, rest)) = nodes.split_first() {
        marks |= mark(node.key.as_bytes());
        nodes = rest;
    }
    marks
}
