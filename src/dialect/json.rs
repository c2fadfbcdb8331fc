//! Passes over whole JSON texts, exactly as strict as a parser that skips them.

use std::borrow::Cow;

use super::block::{BLOCK_LEN, Marks};
use super::quote::find_odd;

/// As many digits always fit.
const DIGITS_MAX: usize = 19;

/// Reads on from the beginning of what is left. Whatever it refuses is no JSON.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// The members of the object that a text is, one after the other, with a name's escapes undone. Nothing if the
/// text is no object, or if `note` wants no more.
pub(super) fn read_members<'a>(
    text: &'a [u8],
    mut note: impl FnMut(&[u8], &'a [u8]) -> Option<()>,
) -> Option<()> {
    let mut cursor = Cursor::new(text);
    cursor.take(b'{')?;
    let mut open = !cursor.take_if(b'}');
    while open {
        let name = match cursor.plain_string() {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(undo_escapes(cursor.string()?)?),
        };
        cursor.take(b':')?;
        note(&name, cursor.value()?)?;
        open = cursor.take_if(b',');
        if !open {
            cursor.take(b'}')?;
        }
    }
    cursor.end()
}

/// The number that plain digits are, as most are written; nothing for others.
pub(super) fn read_digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > DIGITS_MAX {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(number * 10 + u64::from(digit))
    })
}

/// A string without its quotes and escapes, from one with both.
fn undo_escapes(string: &[u8]) -> Option<Vec<u8>> {
    let undone: String = serde_json::from_slice(string).ok()?;
    Some(undone.into_bytes())
}

impl<'a> Cursor<'a> {
    pub const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next byte that is no blank.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let (first, rest) = self.rest.split_first()?;
            if !matches!(first, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(*first);
            }
            self.rest = rest;
        }
    }

    #[inline]
    pub fn take_if(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.skip(1);
        }
        there
    }

    #[inline]
    pub fn take(&mut self, byte: u8) -> Option<()> {
        self.take_if(byte).then_some(())
    }

    /// Nothing but blanks is left.
    pub fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// The next string, in its quotes.
    #[inline]
    pub fn string(&mut self) -> Option<&'a [u8]> {
        self.peek().filter(|first| *first == b'"')?;
        self.taken(Self::skip_string)
    }

    /// The next string without its quotes, if it is ASCII and has no escapes. Else nothing was read.
    #[inline]
    pub fn plain_string(&mut self) -> Option<&'a [u8]> {
        self.peek().filter(|first| *first == b'"')?;
        let text = self.rest.get(1..)?;
        let (inner, rest) = text.split_at_checked(find_odd(text)?)?;
        let (first, rest) = rest.split_first()?;
        if *first != b'"' {
            return None;
        }
        self.rest = rest;
        Some(inner)
    }

    /// The next value, if it is a number of plain digits. Else nothing was read.
    #[inline]
    pub fn digits(&mut self) -> Option<u64> {
        let first = self.peek()?;
        let mut number = 0;
        let mut len = 0;
        for byte in self.rest.iter().take(DIGITS_MAX) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number * 10 + u64::from(digit);
            len += 1;
        }
        let after = self.rest.get(len..)?;
        let more = matches!(after.first(), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
        if len == 0 || more || (first == b'0' && len > 1) {
            return None;
        }
        self.rest = after;
        Some(number)
    }

    /// The next value, whatever it is, without the blanks around it.
    #[inline]
    pub fn value(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        self.taken(Self::skip_value)
    }

    #[inline]
    fn taken(&mut self, skip: impl FnOnce(&mut Self) -> Option<()>) -> Option<&'a [u8]> {
        let from = self.rest;
        skip(self)?;
        from.get(..from.len() - self.rest.len())
    }

    #[inline]
    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    pub fn skip_value(&mut self) -> Option<()> {
        let mut open = Open::default();
        loop {
            let first = self.peek()?;
            let mut ended = true;
            match first {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    self.skip(1);
                    let object = first == b'{';
                    open.push(object);
                    // `{` and `}`, `[` and `]` are two apart in ASCII.
                    ended = self.peek()? == first + 2;
                    if !ended && object {
                        self.skip_name()?;
                    }
                }
                b'-' | b'0'..=b'9' => self.skip_number()?,
                _ => self.skip_word()?,
            }
            while ended {
                let Some(object) = open.last() else {
                    return Some(());
                };
                let next = self.peek()?;
                self.skip(1);
                match next {
                    b'}' if object => open.pop(),
                    b']' if !object => open.pop(),
                    b',' => {
                        ended = false;
                        if object {
                            self.skip_name()?;
                        }
                    }
                    _ => return None,
                }
            }
        }
    }

    fn skip_name(&mut self) -> Option<()> {
        self.string()?;
        self.take(b':')
    }

    fn skip_string(&mut self) -> Option<()> {
        let special = |byte| (byte == b'"') | (byte == b'\\') | (byte < b' ');
        let mut block = self.rest.get(1..)?;
        loop {
            let mut marks = Marks::new(block, special);
            let mut next = BLOCK_LEN;
            while let Some(place) = marks.first() {
                let (lead, after) = block.split_at_checked(place + 1)?;
                match lead.last()? {
                    b'"' => {
                        self.rest = after;
                        return Some(());
                    }
                    b'\\' => next = place + 1 + escape_len(after)?,
                    _ => return None,
                }
                if next >= BLOCK_LEN {
                    break;
                }
                marks = marks.since(next);
                next = BLOCK_LEN;
            }
            block = block.get(next..)?;
        }
    }

    fn skip_number(&mut self) -> Option<()> {
        self.skip(usize::from(self.rest.first() == Some(&b'-')));
        if self.rest.first() == Some(&b'0') {
            self.skip(1);
            if self.rest.first().is_some_and(u8::is_ascii_digit) {
                return None;
            }
        } else {
            self.skip_digits()?;
        }
        if self.rest.first() == Some(&b'.') {
            self.skip(1);
            self.skip_digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.skip(1);
            self.skip(usize::from(matches!(self.rest.first(), Some(b'+' | b'-'))));
            self.skip_digits()?;
        }
        Some(())
    }

    fn skip_digits(&mut self) -> Option<()> {
        let end = self.rest.iter().position(|byte| !byte.is_ascii_digit());
        let end = end.unwrap_or(self.rest.len());
        self.skip(end);
        (end > 0).then_some(())
    }

    fn skip_word(&mut self) -> Option<()> {
        let mut words = [&b"null"[..], b"true", b"false"].into_iter();
        self.rest = words.find_map(|word| self.rest.strip_prefix(word))?;
        Some(())
    }
}

/// The length of what follows a backslash.
fn escape_len(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(1),
        b'u' => {
            let digits = text.get(1..5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(5)
        }
        _ => None,
    }
}

/// Which of the open brackets are objects': a bit for each, so that no depth costs much.
#[derive(Default)]
struct Open {
    /// The innermost ones, as many as have room, the last one lowest.
    near: u64,
    depth: u32,
    far: Vec<u64>,
}

impl Open {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(u64::BITS) {
            self.far.push(self.near);
        }
        self.near = self.near << 1 | u64::from(object);
        self.depth += 1;
    }

    fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.near & 1 == 1)
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.near >>= 1;
        if self.depth.is_multiple_of(u64::BITS)
            && let Some(near) = self.far.pop()
        {
            self.near = near;
        }
    }
}
