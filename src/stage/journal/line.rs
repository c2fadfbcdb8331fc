//! Writes one line of JSON, member by member, without a copy of anything.

use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

/// An object that is being written. It is closed by [`Object::close`].
pub struct Object<'a> {
    line: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub fn open(line: &'a mut Vec<u8>) -> Self {
        line.push(b'{');
        Self { line, empty: true }
    }

    pub fn close(self) {
        self.line.push(b'}');
    }

    /// A member's name, which needs no escapes, and the place for its value.
    pub fn member(&mut self, name: &'static str) -> &mut Vec<u8> {
        let lead: &[u8] = if std::mem::take(&mut self.empty) {
            b"\""
        } else {
            b",\""
        };
        self.line.extend_from_slice(lead);
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
        self.line
    }

    fn null(&mut self, name: &'static str) {
        self.member(name).extend_from_slice(b"null");
    }

    pub fn text<'t>(&mut self, name: &'static str, text: impl Into<Option<&'t str>>) {
        match text.into() {
            Some(text) => write_text(self.member(name), text),
            None => self.null(name),
        }
    }

    /// A text that has no escapes.
    pub fn plain(&mut self, name: &'static str, text: &[u8]) {
        let line = self.member(name);
        line.push(b'"');
        line.extend_from_slice(text);
        line.push(b'"');
    }

    /// Something that is shown as a number, or as a text without escapes between quotes.
    pub fn shown(&mut self, name: &'static str, quote: &str, value: impl Display) {
        // A vector takes all that is written to it.
        let _ = write!(self.member(name), "{quote}{value}{quote}");
    }

    pub fn number(&mut self, name: &'static str, number: impl Into<Option<u64>>) {
        match number.into() {
            Some(number) => write_number(self.member(name), number),
            None => self.null(name),
        }
    }

    pub fn flag(&mut self, name: &'static str, flag: bool) {
        let word: &[u8] = if flag { b"true" } else { b"false" };
        self.member(name).extend_from_slice(word);
    }

    /// In milliseconds, with microseconds behind the point.
    pub fn duration(&mut self, name: &'static str, duration: impl Into<Option<Duration>>) {
        match duration.into() {
            Some(duration) => write_milliseconds(self.member(name), duration),
            None => self.null(name),
        }
    }

    pub fn json(&mut self, name: &'static str, value: &impl Serialize) {
        let line = self.member(name);
        let start = line.len();
        if serde_json::to_writer(&mut *line, value).is_err() {
            line.truncate(start);
            line.extend_from_slice(b"null");
        }
    }
}

/// Most texts need no escapes, and are then copied as they are.
fn write_text(line: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| !matches!(byte, 0..=0x1f | b'"' | b'\\');
    if text.as_bytes().iter().all(is_plain) {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
    } else {
        // A text is always JSON, and a vector takes all that is written to it.
        let _ = serde_json::to_writer(line, text);
    }
}

fn write_number(line: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    line.extend_from_slice(digits.get(start..).unwrap_or_default());
}

fn write_milliseconds(line: &mut Vec<u8>, duration: Duration) {
    let micros = duration.as_nanos().saturating_add(500) / 1_000;
    let micros = u64::try_from(micros).unwrap_or(u64::MAX);
    write_number(line, micros / 1_000);
    line.push(b'.');
    let mut part = micros % 1_000;
    let mut unit = 100;
    // At least one digit, and no zeros at the end.
    loop {
        write_number(line, part / unit);
        part %= unit;
        unit /= 10;
        if part == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_json(text in ".*", number: u64, micros in 0..1_u64 << 50) {
            let mut line = Vec::new();
            let mut object = Object::open(&mut line);
            object.text("text", &*text);
            object.text("none", None);
            object.number("number", number);
            object.duration("duration", Duration::from_micros(micros));
            object.flag("flag", true);
            object.close();
            let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let expected = serde_json::json!({
                "text": text, "none": null, "number": number,
                "duration": micros as f64 / 1e3, "flag": true,
            });
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn durations_have_no_more_digits_than_they_need() {
        let check = |nanos, expected: &str| {
            let mut line = Vec::new();
            write_milliseconds(&mut line, Duration::from_nanos(nanos));
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        };
        check(0, "0.0");
        check(1_499, "0.001");
        check(1_500, "0.002");
        check(12_000_000, "12.0");
        check(12_340_000, "12.34");
        check(12_000_500_000, "12000.5");
    }
}
