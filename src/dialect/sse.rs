//! Server-sent events, read as they pass: nothing of the data is held.

use memchr::memchr2;

/// What comes out of an event stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Part of an event's data; lines of data are joined by line feeds.
    Data(&'a [u8]),
    /// The event is complete; its name, empty if it has none.
    End(&'a [u8]),
    /// A line with the field name `error`, which some servers write when a stream fails.
    Error,
}

/// The longest field name or event name that means anything.
const NAME_BYTES_MAX: usize = 64;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What nearly all lines begin with.
const DATA: &[u8] = b"data: ";

#[derive(Default)]
pub(super) struct Events {
    line: Line,
    /// The field name of this line.
    name: Vec<u8>,
    /// The name of this event.
    event: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

#[derive(Clone, Copy, Default)]
enum Line {
    #[default]
    Name,
    /// A value of which nothing was read yet: one space before it is not part of it.
    Start(Kind),
    Value(Kind),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Event,
    Other,
}

impl Events {
    /// Reads on, and hands over what it finds.
    pub fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Piece<'_>)) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let used = match self.line {
                Line::Name if self.name.is_empty() && bytes.starts_with(DATA) => {
                    self.begin_value(Kind::Data, &mut found);
                    self.line = Line::Value(Kind::Data);
                    DATA.len()
                }
                Line::Name => self.read_name(bytes, &mut found),
                Line::Start(kind) => {
                    self.line = Line::Value(kind);
                    usize::from(first == b' ')
                }
                Line::Value(kind) => self.read_value(kind, bytes, &mut found),
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Ends an event that the stream's end has cut from its empty line.
    pub fn finish(&mut self, mut found: impl FnMut(Piece<'_>)) {
        self.end_event(&mut found);
    }

    fn read_name(&mut self, bytes: &[u8], found: &mut impl FnMut(Piece<'_>)) -> usize {
        let ends = |byte: &u8| matches!(byte, b':' | b'\r' | b'\n');
        let end = bytes.iter().position(ends);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        extend_bounded(&mut self.name, part);
        let Some(end) = end else {
            return bytes.len();
        };
        let last = bytes.get(end).copied().unwrap_or_default();
        let name = self
            .name
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&self.name);
        let blank = name.is_empty() && last != b':';
        let kind = match name {
            b"data" => Kind::Data,
            b"event" => Kind::Event,
            b"error" => {
                found(Piece::Error);
                Kind::Other
            }
            _ => Kind::Other,
        };
        self.name.clear();
        if blank {
            self.end_event(found);
        } else {
            self.begin_value(kind, found);
        }
        if last == b':' {
            self.line = Line::Start(kind);
        } else {
            self.after_cr = last == b'\r';
        }
        end + 1
    }

    fn begin_value(&mut self, kind: Kind, found: &mut impl FnMut(Piece<'_>)) {
        match kind {
            Kind::Data => {
                if self.has_data {
                    found(Piece::Data(b"\n"));
                }
                self.has_data = true;
            }
            Kind::Event => self.event.clear(),
            Kind::Other => {}
        }
    }

    fn read_value(&mut self, kind: Kind, bytes: &[u8], found: &mut impl FnMut(Piece<'_>)) -> usize {
        let end = memchr2(b'\r', b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        match kind {
            Kind::Data if part.is_empty() => {}
            Kind::Data => found(Piece::Data(part)),
            Kind::Event => extend_bounded(&mut self.event, part),
            Kind::Other => {}
        }
        let Some(end) = end else {
            return bytes.len();
        };
        self.line = Line::Name;
        self.after_cr = bytes.get(end) == Some(&b'\r');
        end + 1
    }

    fn end_event(&mut self, found: &mut impl FnMut(Piece<'_>)) {
        if std::mem::take(&mut self.has_data) {
            found(Piece::End(&self.event));
        }
        self.event.clear();
    }
}

fn extend_bounded(name: &mut Vec<u8>, part: &[u8]) {
    let room = NAME_BYTES_MAX.saturating_sub(name.len()).min(part.len());
    name.extend_from_slice(part.get(..room).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut out = vec![String::new()];
        let mut note = |piece: Piece<'_>| match piece {
            Piece::Data(data) => out
                .last_mut()
                .unwrap()
                .push_str(&String::from_utf8_lossy(data)),
            Piece::End(name) => {
                out.last_mut()
                    .unwrap()
                    .push_str(&format!("|{}", String::from_utf8_lossy(name)));
                out.push(String::new());
            }
            Piece::Error => out.last_mut().unwrap().push('!'),
        };
        for chunk in chunks {
            events.read(chunk, &mut note);
        }
        events.finish(&mut note);
        out.pop();
        out
    }

    #[test]
    fn every_line_end_and_any_split_give_the_same_events() {
        let stream = "\u{feff}: hi\r\n\r\nevent: a\ndata: one\ndata:two\n\ndata\ndata:  x\r\rid: 7\nevent: lost\n\ndata: [DONE]";
        let whole = read(&[stream.as_bytes()]);
        assert_eq!(whole, ["one\ntwo|a", "\n x|", "[DONE]|"]);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), whole);
    }

    #[test]
    fn a_line_named_error_is_an_error() {
        assert_eq!(
            read(&[b"data: x\n\nerror: {\"code\":500}\n\ndata: y\n\n"]),
            ["x|", "!y|"]
        );
    }
}
