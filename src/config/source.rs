//! The user's text as faults may show it: one line at a time, secrets masked.

use super::place::{Inner, Place};
use std::ops::Range;

/// The longest part of a line that is shown.
const LINE_CHARS_MAX: usize = 400;

/// Words that tell of a secret, in a key.
const SECRET_WORDS: [&str; 5] = ["token", "secret", "password", "passwd", "apikey"];

/// The text, and which parts of it are never shown: secrets, and comments, which may hold old ones.
pub struct Source<'t> {
    text: &'t str,
    secrets: Vec<Range<usize>>,
    /// Where a `#` begins no comment.
    shown: Vec<Range<usize>>,
}

/// A line to be shown, and the part of it that is at fault.
#[derive(Clone, Debug)]
pub struct Excerpt {
    pub text: String,
    /// Bytes of `text`.
    pub mark: Range<usize>,
}

impl<'t> Source<'t> {
    pub fn new(text: &'t str, top: &Place) -> Self {
        let mut source = Self {
            text,
            secrets: Vec::new(),
            shown: Vec::new(),
        };
        source.hide(top, false, "");
        source
            .secrets
            .sort_by_key(|secret| (secret.start, secret.end));
        source.shown.sort_by_key(|shown| (shown.start, shown.end));
        source
    }

    /// Line and column from 1 of a byte of the text; the column counts characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let head = self.text.get(..byte).unwrap_or(self.text);
        let start = head.rfind('\n').map_or(0, |newline| newline + 1);
        let line = head.bytes().filter(|&b| b == b'\n').count() + 1;
        (
            line,
            head.get(start..).unwrap_or_default().chars().count() + 1,
        )
    }

    /// The line where `at` begins.
    pub fn excerpt(&self, at: &Range<usize>) -> Excerpt {
        let line = self.line(at.start);
        let mut shown = Excerpt {
            text: String::new(),
            mark: 0..0,
        };
        let (mut from, mut to) = (None, None);
        let mut masked_until = line.start;
        let mut chars = 0;
        for (offset, c) in self
            .text
            .get(line.clone())
            .unwrap_or_default()
            .char_indices()
        {
            let byte = line.start + offset;
            if byte >= at.start {
                from.get_or_insert(shown.text.len());
            }
            if byte >= at.end {
                to.get_or_insert(shown.text.len());
            }
            if byte < masked_until {
                continue;
            }
            if c == '#' && self.begins_comment(byte) {
                break;
            }
            if let Some(secret) = range_at(&self.secrets, byte) {
                shown.text.push_str("***");
                masked_until = secret.end;
                continue;
            }
            shown
                .text
                .push(if c.is_control() && c != '\t' { '?' } else { c });
            chars += 1;
            if chars > LINE_CHARS_MAX && from.is_some() {
                shown.text.push_str(" ...");
                break;
            }
        }
        let end = shown.text.len();
        let from = from.unwrap_or(end);
        shown.mark = from..to.unwrap_or(end).max(from);
        shown
    }

    /// The line of `byte` when the text breaks off there, `within` these keys: the tree ends before
    /// it, so what might be a secret is told from the words around.
    pub fn hide_broken_line(&mut self, byte: usize, within: &[String]) {
        let line = self.line(byte);
        let text = self.text.get(line.clone()).unwrap_or_default();
        let secret = within.iter().any(|key| key == "auth" || is_secret(key));
        let start = match secret || self.is_below_secret(line.start, text) {
            true => Some(text.len() - text.trim_start_matches([' ', '\t', '-']).len()),
            false => secret_word_end(text),
        };
        if let Some(start) = start.map(|start| line.start + start)
            && start < line.end
        {
            self.secrets.retain(|secret| secret.end <= start);
            self.secrets.push(start..line.end);
        }
    }

    /// Whether a line around `text`, at `start`, speaks of secrets, as far as indents tell: its own
    /// may be what is broken, so that of the line above counts as well.
    fn is_below_secret(&self, start: usize, text: &str) -> bool {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let above = self.text.get(..start).unwrap_or_default().lines().rev();
        let mut above = above.filter(|line| !line.trim().is_empty()).peekable();
        let mut reach = indent(text).max(above.peek().copied().map_or(0, indent));
        for line in above {
            if indent(line) <= reach {
                reach = indent(line);
                if secret_word_end(line).is_some() {
                    return true;
                }
            }
        }
        false
    }

    fn line(&self, byte: usize) -> Range<usize> {
        let byte = byte.min(self.text.len());
        let start = self
            .text
            .get(..byte)
            .and_then(|head| head.rfind('\n'))
            .map_or(0, |at| at + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        let end = start + rest.find('\n').unwrap_or(rest.len());
        start..end
    }

    fn begins_comment(&self, byte: usize) -> bool {
        let head = self.text.get(..byte).unwrap_or_default();
        let apart = head.is_empty() || head.ends_with(char::is_whitespace);
        apart && range_at(&self.shown, byte).is_none() && range_at(&self.secrets, byte).is_none()
    }

    /// Hides the scalars of `place`: `secret` says whether a key around it tells of secrets.
    fn hide(&mut self, place: &Place, secret: bool, key: &str) {
        match &place.inner {
            Inner::Scalar => {
                let text = self.text.get(place.value.clone()).unwrap_or_default();
                let shown =
                    is_reference(text) || text.starts_with('*') || matches!(text, "true" | "false");
                if (secret && !shown) || holds_password(text) {
                    self.secrets.push(place.value.clone());
                } else {
                    self.shown.push(place.value.clone());
                }
            }
            Inner::List(items) => {
                for (_, item) in items {
                    self.hide(item, secret, key);
                }
            }
            Inner::Map(entries, _) => {
                for (name, entry) in entries {
                    // A listener's `key` is the path of a file; a token's `name` is for the log.
                    let open = (key == "tls" && name == "key")
                        || (secret && matches!(name.as_str(), "name" | "weight"));
                    let known = match key {
                        "tokens" => matches!(name.as_str(), "name" | "token"),
                        "keys" => matches!(name.as_str(), "name" | "key" | "weight"),
                        _ => true,
                    };
                    if !known {
                        // A token with a colon in it looks like a key.
                        self.secrets.push(entry.key.clone());
                    }
                    let secret = !open && (secret || name == "auth" || is_secret(name));
                    self.hide(entry, secret, name);
                }
            }
        }
    }
}

/// The range around `byte`, of ranges that are sorted and apart.
fn range_at(ranges: &[Range<usize>], byte: usize) -> Option<&Range<usize>> {
    let after = ranges.partition_point(|range| range.start <= byte);
    ranges
        .get(after.checked_sub(1)?)
        .filter(|range| range.contains(&byte))
}

/// Whether a key, even misspelt, tells of a secret.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['_', '-'], "");
    key.trim_end_matches('s').ends_with("key")
        || strsim::osa_distance("keys", &key) <= 1
        || SECRET_WORDS.iter().any(|word| {
            key.contains(word) || strsim::osa_distance(word, key.trim_end_matches('s')) <= 2
        })
}

/// Whether the whole of a scalar stands elsewhere: `${env:NAME}`.
fn is_reference(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'']);
    text.starts_with("${") && text.find('}') == Some(text.len() - 1)
}

/// Whether a URL holds a user's name and password.
fn holds_password(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'))
        || text.contains("PRIVATE KEY")
}

/// Where the value after a secret word begins in a line.
fn secret_word_end(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let words = SECRET_WORDS.iter().chain(&["key", "auth"]);
    let word = words.filter_map(|word| lower.find(word)).min()?;
    let colon = lower.get(word..)?.find(':')?;
    Some(word + colon + 1)
}
