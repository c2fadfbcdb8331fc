//! A client's text, fit for a log and a label.

use http::{HeaderMap, HeaderName};

/// What of a client's own text is kept.
pub const CHARS_MAX: usize = 256;

/// The text cut to [`CHARS_MAX`], without control characters.
pub fn plain(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    if text.len() <= CHARS_MAX && !text.bytes().any(|b| b.is_ascii_control()) {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX).map(plain).collect()
}

/// The text cut to `chars_max`.
pub fn cut(text: &str, chars_max: usize) -> String {
    if text.len() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max).collect()
}

/// A header field, cut; what is not UTF-8 is replaced.
pub fn field(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    match value.to_str() {
        Ok(text) => Some(cut(text, CHARS_MAX)),
        Err(_) => Some(cut(&String::from_utf8_lossy(value.as_bytes()), CHARS_MAX)),
    }
}
