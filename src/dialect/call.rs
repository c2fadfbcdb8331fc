//! What a JSON body asks for: the few members that the gateway needs, read without building a tree.

use crate::llm::call::Call;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The members, as the formats spell them. Of a repeated one the last counts, as with providers, so
/// that gateway and provider do not read two different models out of one body.
#[derive(Default)]
struct Members<'a> {
    model: Option<&'a RawValue>,
    /// ElevenLabs and Cartesia.
    model_id: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    max_tokens: Option<&'a RawValue>,
    max_completion_tokens: Option<&'a RawValue>,
    max_output_tokens: Option<&'a RawValue>,
    /// Choices.
    n: Option<&'a RawValue>,
    /// Gemini.
    generation_config: Option<&'a RawValue>,
    /// Bedrock.
    inference_config: Option<&'a RawValue>,
    /// Ollama.
    options: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    fn of_name(&mut self, name: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match name {
            "model" => &mut self.model,
            "model_id" => &mut self.model_id,
            "stream" => &mut self.stream,
            "max_tokens" => &mut self.max_tokens,
            "max_completion_tokens" => &mut self.max_completion_tokens,
            "max_output_tokens" => &mut self.max_output_tokens,
            "n" => &mut self.n,
            "generationConfig" | "generation_config" => &mut self.generation_config,
            "inferenceConfig" => &mut self.inference_config,
            "options" => &mut self.options,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(Name(name)) = map.next_key()? {
            match members.of_name(&name) {
                Some(member) => *member = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
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
        let nested = [self.generation_config, self.inference_config, self.options];
        let nested = nested.map(|raw| raw.map(|raw| serde_json::from_str(raw.get())));
        let nested: [Bounds<'_>; 3] =
            nested.map(|bounds| bounds.and_then(Result::ok).unwrap_or_default());
        let own = [
            self.max_tokens,
            self.max_completion_tokens,
            self.max_output_tokens,
        ];
        let inner = nested.iter().flat_map(|bounds| {
            [
                bounds.max_output_tokens,
                bounds.max_tokens,
                bounds.num_predict,
            ]
        });
        let bound = own.into_iter().chain(inner).filter_map(number).max()?;
        let inner = nested.iter().map(|bounds| bounds.candidate_count);
        let choices = inner.chain([self.n]).filter_map(number).max();
        Some(bound.saturating_mul(choices.unwrap_or(1).max(1)))
    }
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

fn number(raw: Option<&RawValue>) -> Option<u64> {
    let number: serde_json::Number = serde_json::from_str(raw?.get()).ok()?;
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
    let Ok(members) = serde_json::from_slice::<Members<'_>>(body) else {
        return Call::default();
    };
    Call {
        output_max: members.output_max(),
        model: text(members.model).or_else(|| text(members.model_id)),
        stream: members.stream.is_some_and(|raw| raw.get() == "true"),
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
mod tests {
    use super::*;

    fn check(body: &str, model: Option<&str>, stream: bool) {
        let expect = Call {
            model: model.map(str::to_owned),
            stream,
            output_max: None,
        };
        assert_eq!(read(body.as_bytes()), expect, "{body}");
    }

    #[test]
    fn bodies_say_their_model_and_whether_they_stream() {
        check(
            r#"{"messages":[{"model":"no"}],"model":"gpt","stream":true}"#,
            Some("gpt"),
            true,
        );
        check(r#"{"model":"a\u002db","stream":null}"#, Some("a-b"), false);
        check(r#"{"model_id":"eleven"}"#, Some("eleven"), false);
        check(r#"{"model":"a","model":"b"}"#, Some("b"), false);
        check(r#"{"model":"a","model_id":0}"#, Some("a"), false);
        check(r#"{"model":7}"#, None, false);
        check(r#"["#, None, false);
        check(r#"["gpt",null,true]"#, None, false);
        check("", None, false);
    }

    #[test]
    fn a_body_takes_another_model_and_nothing_else_changes() {
        let check = |body: &str, expect: Option<&str>| {
            let changed = with_model(body.as_bytes(), "b\"2");
            let changed = changed.map(|body| String::from_utf8(body).unwrap());
            assert_eq!(changed.as_deref(), expect, "{body}");
        };
        check(
            r#"{ "messages":[{"model":"a"}], "model" : "a" ,"n":1.0}"#,
            Some(r#"{ "messages":[{"model":"a"}], "model" : "b\"2" ,"n":1.0}"#),
        );
        check(r#"{"model_id":"a"}"#, Some(r#"{"model_id":"b\"2"}"#));
        for body in [
            "{}",
            "[]",
            "",
            r#"{"model":7}"#,
            r#"{"model":"a","model":"b"}"#,
        ] {
            check(body, None);
        }
    }

    #[test]
    fn bodies_say_how_long_their_answer_may_be() {
        for (body, output_max) in [
            (r#"{"max_tokens":100}"#, Some(100)),
            (
                r#"{"max_tokens":100,"max_completion_tokens":200,"n":3}"#,
                Some(600),
            ),
            (r#"{"max_output_tokens":1e2}"#, Some(100)),
            (
                r#"{"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#,
                Some(14),
            ),
            (r#"{"generation_config":{"max_output_tokens":7}}"#, Some(7)),
            (r#"{"inferenceConfig":{"maxTokens":5,"topP":1}}"#, Some(5)),
            (r#"{"options":{"num_predict":9}}"#, Some(9)),
            (r#"{"options":{"num_predict":-1}}"#, None),
            (r#"{"max_tokens":"100"}"#, None),
            (r#"{"max_tokens":null,"n":2}"#, None),
            (r#"{"generationConfig":[1]}"#, None),
            (r#"{"messages":[{"max_tokens":4}]}"#, None),
            (
                r#"{"max_tokens":18446744073709551615,"n":2}"#,
                Some(u64::MAX),
            ),
        ] {
            let call = read(body.replacen('{', "{\"model\":\"m\",", 1).as_bytes());
            assert_eq!(call.output_max, output_max, "{body}");
            assert_eq!(call.model.as_deref(), Some("m"), "{body}");
        }
    }

    #[test]
    fn files_in_base64_are_no_text() {
        assert_eq!(text_bytes(b"{}"), 2);
        let text = "a word and another ".repeat(200);
        let body = format!(r#"{{"content":"{text}"}}"#);
        assert_eq!(text_bytes(body.as_bytes()), body.len() as u64);
        let file = "QUJD".repeat(5000);
        let body = format!(r#"{{"text":"see","url":"data:image/png;base64,{file}"}}"#);
        assert!(
            text_bytes(body.as_bytes()) < 64,
            "{}",
            text_bytes(body.as_bytes())
        );
        assert_eq!(text_bytes(&[b'"'; 5000]), 5000);
    }
}
