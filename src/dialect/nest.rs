//! An object or array of which nothing is looked into: only its end is.

use memchr::{memchr2, memchr3};

use super::block::{BLOCK_LEN, Marks};

/// How far one was passed. Brackets of the other kind are balanced within.
#[derive(Clone, Copy)]
pub(super) struct Nest {
    open: u8,
    depth: usize,
    quoted: bool,
    /// The next byte is escaped by a backslash.
    escaped: bool,
}

impl Nest {
    /// One that is about to begin with this bracket.
    pub const fn new(open: u8) -> Self {
        Self {
            open,
            depth: 0,
            quoted: false,
            escaped: false,
        }
    }

    /// Passes as many of the bytes as belong to it: how many, and whether it ends with them.
    pub fn pass(&mut self, bytes: &[u8]) -> (usize, bool) {
        let open = self.open;
        // `{` and `}`, `[` and `]` are two apart in ASCII.
        let close = open + 2;
        let is = |byte| (byte == b'"') | (byte == b'\\') | (byte == open) | (byte == close);
        let mut used = usize::from(std::mem::take(&mut self.escaped));
        while let Some(block) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let mut marks = Marks::new(block, is);
            let mut next = BLOCK_LEN.min(block.len());
            if marks.first().is_none() {
                next = self.find_far(block).unwrap_or(block.len());
            }
            while let Some(place) = marks.first() {
                let mut after = place + 1;
                match block.get(place) {
                    Some(b'"') => self.quoted = !self.quoted,
                    Some(b'\\') if self.quoted => after += 1,
                    Some(byte) if self.quoted || *byte == b'\\' => {}
                    Some(byte) if *byte == open => self.depth += 1,
                    _ => self.depth = self.depth.saturating_sub(1),
                }
                if self.depth == 0 {
                    return (used + after, true);
                }
                if after >= next {
                    next = after;
                    break;
                }
                marks = marks.since(after);
            }
            used += next;
        }
        // A backslash was last.
        self.escaped = used > bytes.len();
        (used.min(bytes.len()), false)
    }

    /// Where a long stretch of nothing but text or numbers ends.
    fn find_far(&self, bytes: &[u8]) -> Option<usize> {
        if self.quoted {
            memchr2(b'"', b'\\', bytes)
        } else {
            memchr3(b'"', self.open, self.open + 2, bytes)
        }
    }
}
