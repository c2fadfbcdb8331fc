//! Finds the wanted members of a JSON text as it passes, cut anywhere, without holding it.

use memchr::memchr;

use super::nest::Nest;
use super::place::{At, Level, Place, Span};
use super::quote::{
    ends_scalar, find_near_quote, is_blank, is_escaped, pass_plain, split_at_quote,
};
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
    /// What the texts so far had in common; there is nothing to know of the first one.
    trails: Option<Box<Trails<Place>>>,
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
            trails: None,
        }
    }

    /// Forgets an unfinished text; the next byte begins another.
    pub fn reset(&mut self) {
        self.levels.clear();
        self.at = At::Value(Some(self.root));
        self.field = None;
        self.forget();
        self.trails.get_or_insert_default().begin();
    }

    /// Reads on, and tells the tally what it finds.
    pub fn read(&mut self, mut bytes: &[u8], tally: &mut Tally) {
        while !bytes.is_empty() {
            let used = if let Some(used) = self.follow(bytes, tally) {
                used
            } else {
                let before = self.at;
                let used = self.step(bytes, tally);
                if self.trails.is_some() {
                    self.lay(bytes.get(..used).unwrap_or(bytes), before);
                }
                used
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Goes where texts before went from here, as far as this one is like them.
    fn follow(&mut self, bytes: &[u8], tally: &mut Tally) -> Option<usize> {
        let trails = self.trails.as_mut()?;
        let (used, place) = trails.follow(bytes, tally)?;
        self.levels.clear();
        self.levels.extend_from_slice(place.levels());
        (self.at, self.field) = (place.at, place.field);
        self.turn();
        Some(used)
    }

    /// Remembers the way from a place through these bytes.
    fn lay(&mut self, passed: &[u8], from: At) {
        if self.trails.as_ref().is_some_and(|trails| trails.are_laid()) {
            let place = self.place().filter(|place| !from.peeks_to(place.at));
            self.trails
                .iter_mut()
                .for_each(|trails| trails.extend(passed, place));
        }
        self.turn();
    }

    fn turn(&mut self) {
        let measures = self.is_measuring();
        self.trails
            .iter_mut()
            .for_each(|trails| trails.turn(measures));
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
            At::Inside(Span::Nest(nest)) => self.pass_nest(bytes, nest, tally),
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
                self.at = At::Inside(Span::Nest(Nest::new(first)));
            }
            b'"' => self.at = At::Inside(Span::Text),
            _ => self.at = At::Inside(Span::Scalar),
        }
        self.field = node.and_then(|node| node.field);
        if self.trails.is_none()
            && let Some(len) = self.pass_whole(bytes.get(start..).unwrap_or_default(), tally)
        {
            return start + len;
        }
        if first != b'"' {
            return start;
        }
        if self.field.is_some_and(Field::is_kept) {
            self.keep(b"\"");
        }
        start + 1
    }

    /// Passes a value that is here as a whole, which needs no keeping. Answers its length, or nothing if it is not.
    fn pass_whole(&mut self, bytes: &[u8], tally: &mut Tally) -> Option<usize> {
        let (len, measured) = match self.at {
            At::Inside(Span::Text) => {
                let inside = bytes.get(1..)?;
                let end = self.find_quote(inside).or_else(|| {
                    self.escaped = false;
                    None
                })?;
                (end + 2, end)
            }
            At::Inside(Span::Scalar) => (bytes.iter().position(|byte| ends_scalar(*byte))?, 0),
            _ => return None,
        };
        if let Some(field) = self.field.take()
            && (len <= KEPT_BYTES_MAX || !field.is_kept())
        {
            tally.note(field, bytes.get(..len)?, measured as u64);
        }
        self.step_out();
        Some(len)
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
        let Some(end) = find_near_quote(bytes) else {
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
        let Some(end) = self.find_quote(bytes) else {
            self.keep(bytes);
            return bytes.len();
        };
        let kept = self.field.is_some_and(Field::is_kept);
        let last = bytes.get(..end + usize::from(kept));
        self.finish(last.unwrap_or_default(), tally);
        end + 1
    }

    /// Only kept values can be numbers, words or null: such a value has no length worth measuring.
    fn pass_scalar(&mut self, bytes: &[u8], tally: &mut Tally) -> usize {
        let kept = self.field.is_some_and(Field::is_kept);
        let part = |end| bytes.get(..end).filter(|_| kept).unwrap_or_default();
        let Some(end) = bytes.iter().position(|byte| ends_scalar(*byte)) else {
            self.keep(part(bytes.len()));
            return bytes.len();
        };
        self.finish(part(end), tally);
        end
    }

    fn pass_nest(&mut self, bytes: &[u8], mut nest: Nest, tally: &mut Tally) -> usize {
        let (used, ended) = nest.pass(bytes);
        let part = bytes.get(..used).unwrap_or_default();
        if ended {
            self.finish(part, tally);
        } else {
            self.keep(part);
            self.at = At::Inside(Span::Nest(nest));
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

    /// Ends the value being passed with its last part, which is all of it as a rule, and then needs no keeping.
    fn finish(&mut self, last: &[u8], tally: &mut Tally) {
        if let Some(field) = self.field {
            let whole = self.kept.is_empty() && field.is_kept() && last.len() <= KEPT_BYTES_MAX;
            if !whole {
                self.keep(last);
            }
            let value = if whole { last } else { &self.kept };
            if !self.lost {
                tally.note(field, value, self.measured);
                if let Some(trails) = &mut self.trails {
                    trails.tell(field, value, self.measured);
                }
            }
        }
        self.field = None;
        self.forget();
        self.step_out();
    }

    /// Ends the innermost object or array that was looked into.
    fn close(&mut self, tally: &mut Tally) {
        let closed = self.levels.pop();
        if closed.is_some() && self.levels.is_empty() {
            tally.note_text_end();
            if let Some(trails) = &mut self.trails {
                trails.tell_text_end();
            }
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
