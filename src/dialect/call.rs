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
        Ok(members) => members,
        Err(_) => return Call::default(),
    };
    Call {
        model: members.model.or(members.model_id).map(Cow::into_owned),
        stream: members.stream.unwrap_or(false),
    }
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
        check("", None, false);
    }
}
