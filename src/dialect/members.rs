//! Finds the wanted members of a JSON text as it passes, cut anywhere, without holding it.

use memchr::{memchr, memchr3};

use super::place::{At, Level, Place, Span};
use super::quote::{ends_scalar, is_blank, is_escaped, pass_plain, split_at_quote};
use super::tally::{Field, Tally};
use super::trail::Trails;
use super::tree::Node;

/// The most that is kept of one wanted value; a longer one goes unread.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// The longest key that can be wanted.
const KEY_BYTES_MAX: usize = 64;
/// How many open objects and arrays are looked into; what lies deeper is passed over.
const LEVELS_MAX: usize = 32;

/// A push reader of JSON texts, one after the other. It forgives what is not JSON: it then finds less.
pub(super) struct Scanner {
    root: &'static Node,
    /// The open objects and arrays on the way to a wanted member, outermost first.
    levels: Vec<Level>,
    at: At,
    /// What is to become of the value being passed.
    field: Option<Field>,
    /// The value being passed, or the key that a chunk's end has cut.
    kept: Vec<u8>,
    /// Bytes of the value being passed, where only its length is wanted.
    measured: u64,
    /// The key or value is too long, or its spelling too odd, to be one that is wanted.
    lost: bool,
    /// The next byte is escaped by a backslash.
    escaped: bool,
    trails: Trails<Place>,
}

impl Scanner {
    pub fn new(root: &'static Node) -> Self {
        Self {
            root,
            levels: Vec::new(),
            at: At::Value(Some(root)),
            field: None,
            kept: Vec::new(),
            measured: 0,
            lost: false,
            escaped: false,
            trails: Trails::default(),
        }
    }

    /// Forgets an unfinished text; the next byte begins another.
    pub fn reset(&mut self) {
        self.levels.clear();
        self.at = At::Value(Some(self.root));
        self.field = None;
        self.forget();
        self.trails.begin();
    }

    /// Reads on, and tells the tally what it finds.
    pub fn read(&mut self, mut bytes: &[u8], tally: &mut Tally) {
        while !bytes.is_empty() {
            let used = if let Some((used, place)) = self.trails.follow(bytes, tally) {
                self.levels.clear();
                self.levels.extend_from_slice(place.levels());
                (self.at, self.field) = (place.at, place.field);
                used
            } else {
                let before = self.at;
                let used = self.step(bytes, tally);
                if self.trails.are_laid() {
                    let place = self.place().filter(|place| !before.peeks_to(place.at));
                    let passed = bytes.get(..used).unwrap_or(bytes);
                    self.trails.extend(passed, place);
                }
                used
            };
            self.trails.turn(self.is_measuring());
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    fn is_measuring(&self) -> bool {
        let within_text = matches!(self.at, At::Inside(Span::Text));
        within_text && self.field.is_some_and(|field| !field.is_kept())
    }

    fn step(&mut self, bytes: &[u8], tally: &mut Tally) -> usize {
        match self.at {
            At::Value(node) => self.begin(node, bytes, tally),
            At::Member => self.find_key(bytes, tally),
            At::Key => self.read_key(bytes),
            At::Inside(Span::Text) => self.pass_text(bytes, tally),
            At::Inside(Span::Scalar) => self.pass_scalar(bytes, tally),
            At::Inside(Span::Nest(open, depth, quoted)) => {
                self.pass_nest(bytes, (open, depth, quoted), tally)
            }
        }
    }

    fn place(&self) -> Option<Place> {
        let begun = !self.kept.is_empty() || self.measured > 0 || self.lost || self.escaped;
        if begun {
            return None;
        }
        Place::new(&self.levels, self.root, self.at, self.field)
    }

    /// Finds the value's first byte and decides how to pass it. Answers the bytes used, as all below do.
    fn begin(&mut self, node: Option<&'static Node>, bytes: &[u8], tally: &mut Tally) -> usize {
        let start = bytes
            .iter()
            .position(|byte| !is_blank(*byte))
            .unwrap_or(bytes.len());
        let Some(&first) = bytes.get(start) else {
            return start;
        };
        match first {
            b'}' | b']' => {
                self.close(tally);
                return start + 1;
            }
            b'{' | b'[' => {
                if let Some(node) = node
                    && !node.below.is_empty()
                    && self.levels.len() < LEVELS_MAX
                {
                    let object = first == b'{';
                    self.levels.push(Level { node, object });
                    self.at = if object {
                        At::Member
                    } else {
                        At::Value(Some(node))
                    };
                    return start + 1;
                }
                self.at = At::Inside(Span::Nest(first, 0, false));
            }
            b'"' => self.at = At::Inside(Span::Text),
            _ => self.at = At::Inside(Span::Scalar),
        }
        self.field = node.and_then(|node| node.field);
        if first != b'"' {
            return start;
        }
        if self.field.is_some_and(Field::is_kept) {
            self.keep(b"\"");
        }
        start + 1
    }

    /// Finds the next key that is wanted, past plain members that are not, or the object's end.
    fn find_key(&mut self, bytes: &[u8], tally: &mut Tally) -> usize {
        let mut rest = bytes;
        loop {
            let found = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'}' | b']'));
            let Some((until, after)) = found.and_then(|start| rest.split_at_checked(start + 1))
            else {
                return bytes.len();
            };
            rest = after;
            if until.last() != Some(&b'"') {
                self.close(tally);
                break;
            }
            let (Some((key, after)), Some(level)) = (split_at_quote(rest), self.levels.last())
            else {
                self.at = At::Key;
                break;
            };
            let node = level.node.find(key);
            rest = after;
            match pass_plain(rest) {
                Some(after) if node.is_none() => rest = after,
                _ => {
                    self.at = At::Value(node);
                    break;
                }
            }
        }
        bytes.len() - rest.len()
    }

    /// A key spelt with escapes is taken for one that nobody wants.
    fn read_key(&mut self, bytes: &[u8]) -> usize {
        let end = self.find_quote(bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if end.is_none() || !self.kept.is_empty() {
            if self.kept.len() + part.len() > KEY_BYTES_MAX {
                self.lost = true;
            } else {
                self.kept.extend_from_slice(part);
            }
        }
        let Some(end) = end else {
            return bytes.len();
        };
        let key = if self.kept.is_empty() {
            part
        } else {
            &self.kept
        };
        let level = self.levels.last().filter(|_| !self.lost);
        self.at = At::Value(level.and_then(|level| level.node.find(key)));
        self.forget();
        end + 1
    }

    /// The end of the string that `bytes` is, or goes on with.
    #[inline]
    fn find_quote(&mut self, bytes: &[u8]) -> Option<usize> {
        let Some(end) = memchr(b'"', bytes) else {
            self.escaped = is_escaped(bytes, self.escaped);
            return None;
        };
        let plain = bytes.get(..end)?.last() != Some(&b'\\');
        if plain && (end > 0 || !self.escaped) {
            self.escaped = false;
            return Some(end);
        }
        self.find_unescaped_quote(bytes)
    }

    fn find_unescaped_quote(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut from = 0;
        while let Some(next) = memchr(b'"', bytes.get(from..)?) {
            let end = from + next;
            if !is_escaped(bytes.get(..end)?, self.escaped) {
                self.escaped = false;
                return Some(end);
            }
            from = end + 1;
        }
        self.escaped = is_escaped(bytes, self.escaped);
        None
    }

    fn pass_text(&mut self, bytes: &[u8], tally: &mut Tally) -> usize {
        let end = self.find_quote(bytes);
        self.keep(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
        let Some(end) = end else {
            return bytes.len();
        };
        if self.field.is_some_and(Field::is_kept) {
            self.keep(b"\"");
        }
        self.finish(tally);
        end + 1
    }

    /// Only kept values can be numbers, words or null: such a value has no length worth measuring.
    fn pass_scalar(&mut self, bytes: &[u8], tally: &mut Tally) -> usize {
        let end = bytes.iter().position(|byte| ends_scalar(*byte));
        if self.field.is_some_and(Field::is_kept) {
            self.keep(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
        }
        if end.is_some() {
            self.finish(tally);
        }
        end.unwrap_or(bytes.len())
    }

    fn pass_nest(&mut self, bytes: &[u8], nest: (u8, usize, bool), tally: &mut Tally) -> usize {
        let (open, mut depth, mut quoted) = nest;
        // `{` and `}`, `[` and `]` are two apart in ASCII.
        let close = open + 2;
        let mut used = 0;
        let mut ended = false;
        while let Some(rest) = bytes.get(used..).filter(|rest| !ended && !rest.is_empty()) {
            let next = if quoted {
                self.find_quote(rest)
            } else {
                memchr3(b'"', open, close, rest)
            };
            let Some(next) = next else {
                used = bytes.len();
                break;
            };
            used += next + 1;
            match rest.get(next) {
                Some(b'"') => quoted = !quoted,
                Some(&byte) if byte == open => depth += 1,
                _ => depth = depth.saturating_sub(1),
            }
            ended = depth == 0;
        }
        self.keep(bytes.get(..used).unwrap_or_default());
        if ended {
            self.finish(tally);
        } else {
            self.at = At::Inside(Span::Nest(open, depth, quoted));
        }
        used
    }

    fn keep(&mut self, part: &[u8]) {
        match self.field {
            Some(field) if field.is_kept() => {
                if self.kept.len() + part.len() > KEPT_BYTES_MAX {
                    self.lost = true;
                } else {
                    self.kept.extend_from_slice(part);
                }
            }
            Some(_) => self.measured += part.len() as u64,
            None => {}
        }
    }

    /// Ends the value being passed.
    fn finish(&mut self, tally: &mut Tally) {
        if let Some(field) = self.field.take()
            && !self.lost
        {
            tally.note(field, &self.kept, self.measured);
            self.trails.tell(field, &self.kept, self.measured);
        }
        self.forget();
        self.step_out();
    }

    /// Ends the innermost object or array that was looked into.
    fn close(&mut self, tally: &mut Tally) {
        let closed = self.levels.pop();
        if closed.is_some() && self.levels.is_empty() {
            tally.note_text_end();
            self.trails.tell_text_end();
        }
        self.step_out();
    }

    fn step_out(&mut self) {
        self.at = match self.levels.last() {
            Some(level) if level.object => At::Member,
            Some(level) => At::Value(Some(level.node)),
            None => At::Value(Some(self.root)),
        };
    }

    fn forget(&mut self) {
        self.kept.clear();
        self.measured = 0;
        self.lost = false;
        self.escaped = false;
    }
}
