//! Where the reading of a JSON text stands.

use super::nest::Nest;
use super::tally::Field;
use super::tree::Node;

/// A place deeper than this is not remembered.
const LEVELS_MAX: usize = 6;

/// All that decides how the reading goes on.
#[derive(Clone, Copy)]
pub(super) struct Place {
    levels: [Level; LEVELS_MAX],
    depth: usize,
    pub at: At,
    pub field: Option<Field>,
}

#[derive(Clone, Copy)]
pub(super) struct Level {
    pub node: &'static Node,
    pub object: bool,
}

#[derive(Clone, Copy)]
pub(super) enum At {
    /// Before a value; it is wanted, or on the way to wanted ones, if there is a node.
    Value(Option<&'static Node>),
    /// Before a key.
    Member,
    Key,
    /// Within a value of which nothing further is looked into.
    Inside(Span),
}

impl At {
    /// Whether the way from here to `next` was decided by a byte that was only looked at.
    pub const fn peeks_to(self, next: Self) -> bool {
        matches!(self, Self::Inside(Span::Scalar))
            || matches!(next, Self::Inside(Span::Scalar | Span::Nest(..)))
    }
}

/// How to find a value's end.
#[derive(Clone, Copy)]
pub(super) enum Span {
    Text,
    Scalar,
    Nest(Nest),
}

impl Place {
    /// `None` where it is too deep; `root` is the whole of the text.
    pub fn new(open: &[Level], root: &'static Node, at: At, field: Option<Field>) -> Option<Self> {
        let outside = Level {
            node: root,
            object: false,
        };
        let mut levels = [outside; LEVELS_MAX];
        levels.get_mut(..open.len())?.copy_from_slice(open);
        Some(Self {
            levels,
            depth: open.len(),
            at,
            field,
        })
    }

    /// The open objects and arrays, outermost first.
    pub fn levels(&self) -> &[Level] {
        self.levels.get(..self.depth).unwrap_or_default()
    }
}
