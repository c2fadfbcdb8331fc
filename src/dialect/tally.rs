//! What has been learnt of one answer so far.

use super::json::Cursor;
use crate::llm::usage::Usage;

/// Makes usage out of a member's JSON.
pub(super) type Parse = fn(&[u8]) -> Option<Usage>;

/// What a wanted member says.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// The whole usage so far: the last one counts, and only that one is parsed.
    Whole(Parse),
    /// A part of the usage, worked in as it comes.
    Part(fn(&mut Usage, &[u8])),
    /// A part that streams report elsewhere, so worked in for plain answers only.
    PlainPart(fn(&mut Usage, &[u8])),
    /// The part of the usage that ends a stream.
    Final(fn(&mut Usage, &[u8])),
    /// Something whose presence counts, such as an image.
    Count(fn(&mut Usage)),
    Model,
    /// Ends a stream if it is one of these words; if there are none, by not being null.
    End(&'static [&'static str]),
    /// Ends a choice: a stream that went on to report usage is complete, though it may lack a terminator.
    Finish,
    /// Generated text.
    Text,
    /// Generated text that some streams repeat in full with each event, so counted in plain answers only.
    Message,
    /// Generated, but not text: a call's name, audio, an image.
    Token,
    Error,
}

impl Field {
    /// Whether the value itself is wanted, not only its length.
    pub fn is_kept(self) -> bool {
        match self {
            Self::Whole(_) | Self::Part(_) | Self::PlainPart(_) | Self::Final(_) => true,
            Self::Model | Self::End(_) => true,
            Self::Count(_)
            | Self::Finish
            | Self::Text
            | Self::Message
            | Self::Token
            | Self::Error => false,
        }
    }
}

/// The longest model name that is believed.
const MODEL_BYTES_MAX: usize = 256;
/// Empty objects and arrays have this length.
const BRACKETS_LEN: u64 = 2;

#[derive(Default)]
pub(super) struct Tally {
    parts: Usage,
    /// The whole that a plain answer reports, which reports it once.
    whole: Option<Usage>,
    /// The whole that a stream reported last, and how to read it.
    latest: Option<Parse>,
    latest_text: Vec<u8>,
    pub model: Option<String>,
    /// Whether the answer comes in events, not as one text.
    pub streamed: bool,
    /// The stream's own last word was seen.
    pub ended: bool,
    finished: bool,
    pub error: bool,
    pub first_token: bool,
    pub output_bytes: u64,
    /// Complete JSON texts seen.
    pub texts: u64,
}

impl Tally {
    /// Takes note of a wanted member: `value` is its JSON if the field is kept, else `len` its length in bytes.
    pub fn note(&mut self, field: Field, value: &[u8], len: u64) {
        if field.is_kept() && is_nothing(value) {
            return;
        }
        match field {
            Field::Whole(_) if value.first() != Some(&b'{') => {}
            Field::Whole(parse) if self.streamed => {
                self.latest = Some(parse);
                self.latest_text.clear();
                self.latest_text.extend_from_slice(value);
            }
            Field::Whole(parse) => self.whole = parse(value),
            Field::PlainPart(_) if self.streamed => {}
            Field::Part(add) | Field::PlainPart(add) => add(&mut self.parts, value),
            Field::Final(add) => {
                add(&mut self.parts, value);
                self.ended = true;
            }
            Field::Model => self.note_model(value),
            Field::End(words) => {
                let word = unquote(value);
                self.ended |= words.is_empty() || words.iter().any(|end| end.as_bytes() == word);
            }
            Field::Count(add) if len > BRACKETS_LEN => add(&mut self.parts),
            Field::Finish => self.finished |= len > 0,
            Field::Error => self.error |= len > BRACKETS_LEN,
            Field::Message if self.streamed => {}
            Field::Text | Field::Message => self.note_output(len),
            Field::Token => self.first_token |= len > 0,
            Field::Count(_) => {}
        }
    }

    /// Takes note of generated text outside JSON, too.
    pub fn note_output(&mut self, len: u64) {
        self.output_bytes += len;
        self.first_token |= len > 0;
    }

    pub fn note_text_end(&mut self) {
        self.texts += 1;
    }

    /// Whether a stream is complete by its own account, which reports this usage.
    pub fn is_ended(&self, usage: &Usage) -> bool {
        self.ended || (self.finished && usage.is_reported())
    }

    /// The usage reported so far.
    pub fn usage(&self) -> Usage {
        let latest = self.latest.and_then(|parse| parse(&self.latest_text));
        latest.or(self.whole).unwrap_or_default().over(self.parts)
    }

    fn note_model(&mut self, value: &[u8]) {
        let name = unquote(value);
        let known = self.model.as_ref().map(String::as_bytes);
        if known == Some(name) || name.len() > MODEL_BYTES_MAX {
            return;
        }
        let plain = Cursor::new(value).plain_string();
        self.model = match plain.and_then(|name| String::from_utf8(name.to_vec()).ok()) {
            Some(model) => Some(model),
            None => serde_json::from_slice(value).ok().or(self.model.take()),
        };
    }
}

/// Whether a value says nothing: null, empty, or a list, which a parser would take for an object whose members
/// have no names.
fn is_nothing(value: &[u8]) -> bool {
    matches!(
        value,
        b"null" | b"false" | b"\"\"" | b"{}" | b"" | [b'[', ..]
    )
}

fn unquote(value: &[u8]) -> &[u8] {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    inner.unwrap_or(value)
}
