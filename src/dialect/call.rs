//! What a JSON body asks for: the few members that the gateway needs, read without building a tree.

use crate::llm::call::Call;
use serde::Deserialize;
use std::borrow::Cow;

/// The members, as the formats spell them. Duplicates are refused by the derive, so that gateway
/// and provider cannot read two different models out of one body.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    /// ElevenLabs and Cartesia.
    #[serde(borrow)]
    model_id: Option<Cow<'a, str>>,
    stream: Option<bool>,
}

/// Reads a request's body. What is no JSON object, or spells the members otherwise, asks for
/// nothing that is known: the provider will say what is wrong with it.
pub fn read(body: &[u8]) -> Call {
    let members: Members<'_> = match serde_json::from_slice(body) {
        // The derive would read the members out of an array, too, by their order.
        Ok(members) if body.trim_ascii_start().starts_with(b"{") => members,
        _ => return Call::default(),
    };
    Call {
        model: members.model.or(members.model_id).map(Cow::into_owned),
        stream: members.stream.unwrap_or(false),
    }
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
        check(r#"{"model":"a","model":"b"}"#, None, false);
        check(r#"{"model":7}"#, None, false);
        check(r#"["#, None, false);
        check(r#"["gpt",null,true]"#, None, false);
        check("", None, false);
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
