//! Takes the usage event that only the gateway asked for out of a stream, which else passes as it is.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use memchr::memmem::find;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The most that is held back of one event; a longer one passes.
const HELD_BYTES_MAX: usize = 64 * 1024;
const CHOICES: &[u8] = b"\"choices\"";

/// A filter of one stream's bytes, cut anywhere. It holds back one event at most, and only while
/// that can still be the one to go: its reader waits for the empty line at its end anyway.
#[derive(Default)]
pub struct UsageFilter {
    /// The beginning of the current event, from earlier pieces.
    held: Vec<u8>,
    /// Up to where `held` was searched in vain.
    searched: usize,
    event: Event,
    in_line: bool,
    after_cr: bool,
}

/// What is known of the current event.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Event {
    /// Nothing of it came.
    #[default]
    New,
    /// A comment stands before it, which passes by itself.
    Comment,
    /// It can be the one that goes.
    Open,
    /// It stays, whatever comes.
    Stays,
    /// It was taken out, and its last line end may not be complete.
    Gone,
}

/// What passes of one piece.
struct Passed {
    piece: Bytes,
    /// From here on the piece is not told apart yet.
    from: usize,
    parts: Vec<Bytes>,
}

impl UsageFilter {
    /// What passes of a piece now; `last` where it is the end of the stream.
    pub fn pass(&mut self, piece: Option<Bytes>, last: bool) -> Option<Bytes> {
        let mut passed = Passed {
            piece: piece.unwrap_or_default(),
            from: 0,
            parts: Vec::new(),
        };
        let piece = passed.piece.clone();
        let (mut at, mut start) = (0, 0);
        while let Some(&first) = piece.get(at) {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                at += 1;
                if self.event == Event::Gone {
                    passed.from = at;
                }
                continue;
            }
            if matches!(self.event, Event::New | Event::Gone) {
                start = at;
                self.event = if first == b':' {
                    Event::Comment
                } else {
                    Event::Open
                };
            }
            let rest = piece.get(at..).unwrap_or_default();
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                self.in_line = true;
                break;
            };
            let empty = !self.in_line && end == 0;
            self.in_line = false;
            self.after_cr = rest.get(end) == Some(&b'\r');
            at += end + 1;
            match self.event {
                Event::Comment => self.event = Event::New,
                _ if empty => self.end_event(&mut passed, start, at),
                _ => {}
            }
        }
        if self.event == Event::Open && start < piece.len() {
            self.hold(&mut passed, start);
        }
        if last {
            self.release(&mut passed);
        }
        passed.finish()
    }

    /// The event that began at `start`, or before this piece, is complete.
    fn end_event(&mut self, passed: &mut Passed, start: usize, end: usize) {
        let goes = self.event == Event::Open && {
            let part = passed.piece.get(start..end).unwrap_or_default();
            if self.held.is_empty() {
                is_usage(part)
            } else {
                self.held.extend_from_slice(part);
                is_usage(&self.held)
            }
        };
        self.searched = 0;
        let held = std::mem::take(&mut self.held);
        if goes {
            passed.pass_until(start);
            passed.from = end;
            self.event = Event::Gone;
            return;
        }
        if !held.is_empty() {
            passed.parts.push(Bytes::from(held));
            passed.from = end;
        }
        self.event = Event::New;
    }

    /// Keeps the part of an event that a piece ends with, as long as the event can be the one.
    fn hold(&mut self, passed: &mut Passed, start: usize) {
        let part = passed.piece.get(start..).unwrap_or_default();
        let decided = if self.held.is_empty() {
            stays(part, &mut self.searched)
        } else {
            self.held.extend_from_slice(part);
            stays(&self.held, &mut self.searched)
        };
        if decided || self.held.len().max(part.len()) > HELD_BYTES_MAX {
            self.event = Event::Stays;
            self.searched = 0;
            if !self.held.is_empty() {
                passed.parts.push(std::mem::take(&mut self.held).into());
                passed.from = passed.piece.len();
            }
            return;
        }
        if self.held.is_empty() {
            self.held.extend_from_slice(part);
        }
        passed.pass_until(start);
        passed.from = passed.piece.len();
    }

    /// The stream is over: what is held passes, unless it is the event without the line at its end.
    fn release(&mut self, passed: &mut Passed) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() && !is_usage(&held) {
            passed.parts.push(held.into());
        }
    }
}

impl Passed {
    fn pass_until(&mut self, end: usize) {
        if self.from < end {
            self.parts.push(self.piece.slice(self.from..end));
        }
    }

    fn finish(mut self) -> Option<Bytes> {
        if self.parts.is_empty() {
            // As most pieces do: whole, or but for a part of one end.
            let rest = self.piece.slice(self.from..);
            return Some(rest).filter(|rest| !rest.is_empty());
        }
        self.pass_until(self.piece.len());
        if self.parts.len() < 2 {
            return self.parts.pop();
        }
        let mut whole = BytesMut::with_capacity(self.parts.iter().map(Bytes::len).sum());
        for part in &self.parts {
            whole.extend_from_slice(part);
        }
        Some(whole.freeze())
    }
}

/// Whether a part of an event shows that it is not the one that goes: its data is no object, or has
/// choices. Nobody has choices deeper within before those that count. What was searched in vain is not
/// searched again.
fn stays(event: &[u8], searched: &mut usize) -> bool {
    if let Some(data) = event.strip_prefix(b"data:") {
        let first = data.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
        if first.is_some_and(|byte| !matches!(byte, b'{' | b'\r' | b'\n')) {
            return true;
        }
    }
    while let Some(found) = event.get(*searched..).and_then(|rest| find(rest, CHOICES)) {
        let after = event.get(*searched + found + CHOICES.len()..);
        let mut after = after.unwrap_or_default().iter();
        let mut next = || after.find(|byte| !matches!(byte, b' ' | b'\t'));
        match (next(), next(), next()) {
            // There are none, or not all of it is here.
            (Some(b':'), Some(b'['), Some(b']') | None) | (Some(b':'), None, _) | (None, ..) => {
                *searched += found;
                return false;
            }
            // It goes on in another line, or is no name: the whole event will tell.
            (Some(b':'), Some(b'\r' | b'\n'), _)
            | (Some(b':'), Some(b'['), Some(b'\r' | b'\n')) => *searched += found + CHOICES.len(),
            (Some(b':'), Some(_), _) => return true,
            (Some(_), ..) => *searched += found + CHOICES.len(),
        }
    }
    *searched = event.len().saturating_sub(CHOICES.len()).max(*searched);
    false
}

#[derive(Deserialize)]
struct Chunk<'a> {
    choices: Vec<IgnoredAny>,
    #[serde(borrow)]
    #[expect(
        dead_code,
        reason = "that it is there, and an object, is all that counts"
    )]
    usage: BTreeMap<Cow<'a, str>, IgnoredAny>,
}

/// Whether the event is the one that was asked for: no choices, and usage. Azure's first chunk has no
/// choices either, and no usage.
fn is_usage(event: &[u8]) -> bool {
    if stays(event, &mut 0) {
        return false;
    }
    let mut data = Cow::Borrowed(&b""[..]);
    for line in event.split(|byte| matches!(byte, b'\r' | b'\n')) {
        if let Some(value) = line.strip_prefix(b"data:") {
            if data.is_empty() {
                data = Cow::Borrowed(value);
            } else {
                data.to_mut().push(b'\n');
                data.to_mut().extend_from_slice(value);
            }
        }
    }
    let chunk = serde_json::from_slice::<Chunk<'_>>(&data);
    chunk.is_ok_and(|chunk| chunk.choices.is_empty())
}

#[cfg(test)]
mod tests;
