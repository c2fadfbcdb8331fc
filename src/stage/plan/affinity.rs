//! What requests have in common that had better go to the same endpoint with the same key.

use crate::llm::metadata::Metadata;
use crate::provider::config::balance::By;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How much of a prompt tells it from others. Providers remember prompts from some 1024 tokens on,
/// which are longer than this.
const PROMPT_BYTES: usize = 2048;

/// Where an affinity is read from.
#[derive(Clone, Copy, Debug)]
pub struct Clue<'a> {
    pub headers: &'a HeaderMap,
    pub metadata: &'a Metadata,
    /// The request's body; empty where it is not held.
    pub body: &'a [u8],
}

impl Clue<'_> {
    /// A number that requests with this in common share, in every process; `None` where a request
    /// does not say.
    pub fn affinity(&self, by: &By) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        match by {
            By::Header(name) => self.headers.get(name)?.as_bytes().hash(&mut hasher),
            By::Metadata(name) => self.metadata.get(name)?.text().hash(&mut hasher),
            By::Prompt => hash_prompt(self.body, &mut hasher)?,
        }
        Some(hasher.finish())
    }
}

/// The members that make up a prompt, as the formats spell them.
#[derive(Deserialize)]
struct Prompt<'a> {
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow, alias = "systemInstruction")]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
}

fn hash_prompt(body: &[u8], hasher: &mut DefaultHasher) -> Option<()> {
    let prompt: Prompt<'_> = serde_json::from_slice(body).ok()?;
    let parts = [
        prompt.system,
        prompt.instructions,
        prompt.system_instruction,
        prompt.messages,
        prompt.contents,
        prompt.input,
        prompt.prompt,
    ];
    let mut left = PROMPT_BYTES;
    for part in parts.into_iter().flatten() {
        let text = part.get().as_bytes();
        let text = text.get(..left).unwrap_or(text);
        hasher.write(text);
        left -= text.len();
    }
    (left < PROMPT_BYTES).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::metadata::Scalar;

    fn by_prompt(body: &str) -> Option<u64> {
        let clue = Clue {
            headers: &HeaderMap::new(),
            metadata: &Metadata::default(),
            body: body.as_bytes(),
        };
        clue.affinity(&By::Prompt)
    }

    #[test]
    fn prompts_are_told_apart_by_how_they_begin() {
        let long = "once upon a time ".repeat(200);
        let turn = |model: &str, more: &str| {
            by_prompt(&format!(
                r#"{{"model":"{model}","messages":[{{"role":"user","content":"{long}"}}{more}]}}"#
            ))
        };
        let first = turn("a", "");
        assert!(first.is_some());
        assert_eq!(first, turn("b", r#",{"role":"assistant","content":"yes"}"#));
        assert_ne!(
            by_prompt(r#"{"prompt":"a"}"#),
            by_prompt(r#"{"prompt":"b"}"#)
        );
        assert_eq!(
            by_prompt(r#"{"system":"s","messages":[],"max_tokens":1}"#),
            by_prompt(r#"{"messages":[],"system":"s"}"#)
        );
        for body in ["", "{}", "[", r#"{"model":"a"}"#] {
            assert_eq!(by_prompt(body), None, "{body}");
        }
    }

    #[test]
    fn requests_without_the_header_or_entry_have_no_affinity() {
        let mut headers = HeaderMap::new();
        headers.insert("x-user", http::HeaderValue::from_static("u"));
        let mut metadata = Metadata::default();
        metadata.add("user".to_owned(), Scalar::Text("u".to_owned()));
        let clue = Clue {
            headers: &headers,
            metadata: &metadata,
            body: b"",
        };
        let by = |text: &str| clue.affinity(&By::try_from(text.to_owned()).unwrap());
        assert!(by("header:x-user").is_some() && by("header:x-team").is_none());
        assert!(by("metadata.user").is_some() && by("metadata.team").is_none());
    }
}
