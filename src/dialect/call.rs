//! What a JSON body asks for: the few members that the gateway needs, read without building a tree.

use super::json::{read_digits, read_members};
use crate::llm::call::Call;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The members, as the formats spell them. Of a repeated one the last counts, as with providers, so
/// that gateway and provider do not read two different models out of one body.
#[derive(Default)]
struct Members<'a> {
    model: Option<&'a [u8]>,
    /// ElevenLabs and Cartesia.
    model_id: Option<&'a [u8]>,
    stream: Option<&'a [u8]>,
    max_tokens: Option<&'a [u8]>,
    max_completion_tokens: Option<&'a [u8]>,
    max_output_tokens: Option<&'a [u8]>,
    /// Choices.
    n: Option<&'a [u8]>,
    /// Gemini.
    generation_config: Option<&'a [u8]>,
    /// Bedrock.
    inference_config: Option<&'a [u8]>,
    /// Ollama.
    options: Option<&'a [u8]>,
}

impl<'a> Members<'a> {
    fn of_name(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match name {
            b"model" => &mut self.model,
            b"model_id" => &mut self.model_id,
            b"stream" => &mut self.stream,
            b"max_tokens" => &mut self.max_tokens,
            b"max_completion_tokens" => &mut self.max_completion_tokens,
            b"max_output_tokens" => &mut self.max_output_tokens,
            b"n" => &mut self.n,
            b"generationConfig" | b"generation_config" => &mut self.generation_config,
            b"inferenceConfig" => &mut self.inference_config,
            b"options" => &mut self.options,
            _ => return None,
        })
    }

    /// Nothing if the body is no JSON object.
    fn of_body(body: &'a [u8]) -> Option<Self> {
        let mut members = Self::default();
        read_members(body, |name, value| {
            if let Some(member) = members.of_name(name) {
                let text = value.is_ascii() || str::from_utf8(value).is_ok();
                *member = Some(text.then_some(value)?);
            }
            Some(())
        })?;
        Some(members)
    }
}

/// What formats that nest them say of an answer's length.
#[derive(Default, Deserialize)]
struct Bounds<'a> {
    #[serde(borrow, rename = "maxOutputTokens", alias = "max_output_tokens")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, rename = "candidateCount", alias = "candidate_count")]
    candidate_count: Option<&'a RawValue>,
    #[serde(borrow, rename = "maxTokens")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    num_predict: Option<&'a RawValue>,
}

impl Members<'_> {
    /// The largest of the bounds that are there, times the choices that are asked for. What is no
    /// number bounds nothing.
    fn output_max(&self) -> Option<u64> {
        let own = [
            self.max_tokens,
            self.max_completion_tokens,
            self.max_output_tokens,
        ];
        let mut bound = own.into_iter().flatten().filter_map(number).max();
        let mut choices = self.n.and_then(number);
        let nested = [self.generation_config, self.inference_config, self.options];
        for object in nested.into_iter().flatten() {
            let inner: Bounds<'_> = serde_json::from_slice(object).unwrap_or_default();
            let bounds = [inner.max_output_tokens, inner.max_tokens, inner.num_predict];
            let read = |raw: &RawValue| number(raw.get().as_bytes());
            bound = bound.max(bounds.into_iter().flatten().filter_map(read).max());
            choices = choices.max(inner.candidate_count.and_then(read));
        }
        Some(bound?.saturating_mul(choices.unwrap_or(1).max(1)))
    }
}

/// A string's text, from JSON that holds.
fn text(value: &[u8]) -> Option<String> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice(value).ok();
    }
    String::from_utf8(inner.to_vec()).ok()
}

fn number(value: &[u8]) -> Option<u64> {
    if let Some(whole) = read_digits(value) {
        return Some(whole);
    }
    let number: serde_json::Number = serde_json::from_slice(value).ok()?;
    // Some write a whole number as 100.0.
    number.as_u64().or_else(|| {
        number
            .as_f64()
            .filter(|number| *number >= 0.0)
            .map(|number| number.ceil() as u64)
    })
}

/// Reads a request's body. What is no JSON object, or spells the members otherwise, asks for
/// nothing that is known: the provider will say what is wrong with it.
pub fn read(body: &[u8]) -> Call {
    let Some(members) = Members::of_body(body) else {
        return Call::default();
    };
    Call {
        output_max: members.output_max(),
        model: members
            .model
            .and_then(text)
            .or_else(|| members.model_id.and_then(text)),
        stream: members.stream == Some(b"true"),
    }
}

/// The body with another model in the place of its own; `None` where it names none.
pub fn with_model(body: &[u8], model: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        model: Option<&'a RawValue>,
        #[serde(borrow)]
        model_id: Option<&'a RawValue>,
    }
    let named: Named<'_> = serde_json::from_slice(body).ok()?;
    let old = named.model.or(named.model_id)?.get();
    if !old.starts_with('"') {
        return None;
    }
    // The text was borrowed from the body, so where it stands is where it begins.
    let start = (old.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let (lead, rest) = body.split_at_checked(start)?;
    let tail = rest.get(old.len()..)?;
    let model = serde_json::to_vec(model).ok()?;
    Some([lead, &model, tail].concat())
}

/// From this length on a string without a blank is no text but a file in base64.
const BLOB_BYTES_MIN: usize = 1024;

/// Bytes of a JSON body that a model reads as text: all of it but files in base64. A body is at
/// least as long as what it says, so this is a measure for comparing, not a count.
pub fn text_bytes(body: &[u8]) -> u64 {
    if body.len() < BLOB_BYTES_MIN {
        return body.len() as u64;
    }
    let mut blobs = 0;
    let mut rest = body;
    // Files hold no quotation marks, so the stretches between any two of them will do.
    while let Some(end) = memchr::memchr(b'"', rest) {
        let (stretch, tail) = rest.split_at(end);
        let lead = stretch.get(..BLOB_BYTES_MIN);
        if lead.is_some_and(|lead| memchr::memchr3(b' ', b'\\', b'\n', lead).is_none()) {
            blobs += stretch.len();
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    body.len().saturating_sub(blobs) as u64
}

#[cfg(test)]
mod tests;
