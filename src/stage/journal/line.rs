//! Writes one line of JSON, member by member, without a copy of anything.

use crate::base::clock::write_rfc3339;
use crate::base::digits;
use crate::base::money::NanoUsd;
use serde::Serialize;
use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Writes members of an object: `members!(line, "," "model": model, "status": status)`. The first
/// one's lead is `{` or `,`; names need no escapes, and go out in one piece with what is around them.
macro_rules! members {
    ($line:expr, $lead:literal $name:literal: $value:expr $(, $names:literal: $values:expr)* $(,)?) => {{
        $line.extend_from_slice(concat!($lead, "\"", $name, "\":").as_bytes());
        $crate::stage::journal::line::Value::write($value, $line);
        $(
            $line.extend_from_slice(concat!(",\"", $names, "\":").as_bytes());
            $crate::stage::journal::line::Value::write($values, $line);
        )*
    }};
}
pub(super) use members;

/// What can stand behind a member's name; nothing is `null`.
pub trait Value {
    fn write(self, line: &mut Vec<u8>);
}

/// A text that has no escapes.
pub struct Plain<T>(pub T);

/// Anything that has a form in JSON.
pub struct Json<'a, T: ?Sized>(pub &'a T);

impl<T: Value> Value for Option<T> {
    #[inline]
    fn write(self, line: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(line),
            None => line.extend_from_slice(b"null"),
        }
    }
}

impl Value for bool {
    #[inline]
    fn write(self, line: &mut Vec<u8>) {
        match self {
            true => line.extend_from_slice(b"true"),
            false => line.extend_from_slice(b"false"),
        }
    }
}

impl Value for u64 {
    fn write(self, line: &mut Vec<u8>) {
        digits::write(line, self);
    }
}

/// All its digits; a float would be shown as `4.2e-7`.
impl Value for NanoUsd {
    fn write(self, line: &mut Vec<u8>) {
        self.write_to(line);
    }
}

/// In milliseconds, with microseconds behind the point.
impl Value for Duration {
    fn write(self, line: &mut Vec<u8>) {
        let rest = u64::from(self.subsec_nanos() + 500) / 1_000;
        let micros = self.as_secs().saturating_mul(1_000_000);
        digits::write_decimal::<3>(line, micros.saturating_add(rest), 1);
    }
}

/// In UTC, with milliseconds.
impl Value for SystemTime {
    fn write(self, line: &mut Vec<u8>) {
        line.push(b'"');
        write_rfc3339(line, self);
        line.push(b'"');
    }
}

impl Value for IpAddr {
    fn write(self, line: &mut Vec<u8>) {
        line.push(b'"');
        match self {
            Self::V4(address) => {
                let [first, rest @ ..] = address.octets();
                digits::write(line, first.into());
                for octet in rest {
                    line.push(b'.');
                    digits::write(line, octet.into());
                }
            }
            // A vector takes all that is written to it.
            Self::V6(address) => drop(write!(line, "{address}")),
        }
        line.push(b'"');
    }
}

impl<T: AsRef<[u8]>> Value for Plain<T> {
    fn write(self, line: &mut Vec<u8>) {
        line.push(b'"');
        line.extend_from_slice(self.0.as_ref());
        line.push(b'"');
    }
}

/// Most texts need no escapes, and are then copied as they are.
impl Value for &str {
    fn write(self, line: &mut Vec<u8>) {
        if is_plain(self.as_bytes()) {
            Plain(self).write(line);
        } else {
            Json(self).write(line);
        }
    }
}

impl<T: Serialize + ?Sized> Value for Json<'_, T> {
    fn write(self, line: &mut Vec<u8>) {
        let start = line.len();
        if serde_json::to_writer(&mut *line, self.0).is_err() {
            line.truncate(start);
            line.extend_from_slice(b"null");
        }
    }
}

/// Whether none of these bytes has to be escaped.
fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let escapes = words.iter().fold(0, |all, word| all | escapes(*word));
    escapes == 0
        && match text.last_chunk::<8>() {
            // Some bytes are looked at twice, which costs less than to look at each by itself.
            Some(last) => self::escapes(*last) == 0,
            None => rest
                .iter()
                .all(|byte| !matches!(byte, 0..=0x1f | b'"' | b'\\')),
        }
}

/// Eight bytes at once: not 0 where one of them has to be escaped.
#[inline]
fn escapes(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    /// The highest bit of a byte becomes 1 where the byte is below `limit`; above it, that may be
    /// wrong, but then some byte below it is one.
    fn below(word: u64, limit: u64) -> u64 {
        word.wrapping_sub(ONES * limit) & !word
    }
    let word = u64::from_le_bytes(bytes);
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: impl Value) -> String {
        let mut line = Vec::new();
        value.write(&mut line);
        String::from_utf8(line).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_json(text in ".*", number: u64, micros in 0..1_u64 << 50) {
            let mut line = Vec::new();
            members!(
                &mut line,
                "{" "text": &*text,
                "none": None::<&str>,
                "number": number,
                "duration": Duration::from_micros(micros),
                "flag": true,
                "json": Some(Json(&[1, 2])),
            );
            line.push(b'}');
            let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let expected = serde_json::json!({
                "text": text, "none": null, "number": number,
                "duration": micros as f64 / 1e3, "flag": true, "json": [1, 2],
            });
            prop_assert_eq!(read, expected);
        }

        /// Long runs without escapes, so that one stands at every place of a word.
        #[test]
        fn texts_are_escaped_as_the_library_does(text in "[a-z\u{0}-\u{22}\\\\\u{7f}\u{ff}]{0,3}[!#-~é\u{7f}]{0,30}[\u{0}-\u{24}\\\\é]?[ -!#-~]{0,20}") {
            prop_assert_eq!(written(&*text), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn numbers_and_addresses_are_those_of_the_standard_library(number: u64, shift in 0..64_u32, address: IpAddr) {
            prop_assert_eq!(written(number >> shift), (number >> shift).to_string());
            prop_assert_eq!(written(address), format!("\"{address}\""));
            let money = NanoUsd::new(number >> shift);
            prop_assert_eq!(written(money), money.to_string());
        }
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for byte in 0..=0x7f_u8 {
            for place in 0..20 {
                let mut text = [b'a'; 20];
                text[place] = byte;
                let text = str::from_utf8(&text).unwrap();
                assert_eq!(written(text), serde_json::to_string(text).unwrap());
            }
        }
    }

    #[test]
    fn durations_have_no_more_digits_than_they_need() {
        let check = |nanos, expected: &str| {
            assert_eq!(written(Duration::from_nanos(nanos)), expected);
        };
        check(0, "0.0");
        check(1_499, "0.001");
        check(1_500, "0.002");
        check(999_999_500, "1000.0");
        check(12_000_000, "12.0");
        check(12_340_000, "12.34");
        check(12_000_500_000, "12000.5");
        assert_eq!(written(Duration::MAX), "18446744073709551.615");
        let longest = Duration::from_micros(u64::MAX);
        assert_eq!(written(longest), "18446744073709551.615");
    }
}
