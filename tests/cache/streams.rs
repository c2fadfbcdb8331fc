//! A streamed answer is kept and replayed as a stream, byte for byte; no form answers for the other.

use crate::support::{CHAT_PATH, CHAT_STREAM, Request};
use crate::{ON, chat, hits, is_hit, outcomes, start};

fn check(path: &str, body: &str, faults: &str) {
    let (mock, gateway) = start(ON);
    let ask = || {
        let request = Request::json(path, body).mock(faults);
        request.field("accept-encoding", "gzip")
    };
    let miss = gateway.send(&ask());
    assert!(!is_hit(&miss), "{path} {faults}");
    let hit = gateway.send(&ask());
    assert!(is_hit(&hit), "{path} {faults}: {}", miss.text());
    assert_eq!(hit.body, miss.body, "{path} {faults}");
    for field in ["content-type", "transfer-encoding", "content-encoding"] {
        assert_eq!(hit.field(field), miss.field(field), "{path} {faults}");
    }
    assert_eq!(mock.count("requests"), 1);
    let log = gateway.log(2);
    assert_eq!(log[1]["stream"], log[0]["stream"], "{path}");
    assert_eq!(log[1]["cache"], "hit", "{path}");
}

#[test]
fn streams_of_every_form_are_replayed() {
    check(CHAT_PATH, CHAT_STREAM, "none");
    check(CHAT_PATH, CHAT_STREAM, "chunks=2000,burst");
    check(CHAT_PATH, CHAT_STREAM, "split=byte");
    check(CHAT_PATH, CHAT_STREAM, "gzip");
    let anthropic = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"stream":true,"messages":[]}"#;
    check("/v1/acc/default/anthropic/v1/messages", anthropic, "none");
    let gemini =
        "/v1/acc/default/google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    let contents = r#"{"contents":[{"parts":[{"text":"a"}]}]}"#;
    check(&format!("{gemini}?alt=sse"), contents, "none");
    check(gemini, contents, "none");
    let bedrock = "/v1/acc/default/aws-bedrock/bedrock-runtime/us-east-1/model/m1/converse-stream";
    check(bedrock, r#"{"messages":[]}"#, "none");
    let responses = "/v1/acc/default/openai/responses";
    check(
        responses,
        r#"{"model":"gpt-4o","stream":true,"input":"a"}"#,
        "none",
    );
}

#[test]
fn plain_answers_of_every_form_are_replayed() {
    for (path, body) in [
        (
            "openai/embeddings",
            r#"{"model":"text-embedding-3-small","input":"a"}"#,
        ),
        ("openai/responses", r#"{"model":"gpt-4o","input":"a"}"#),
        (
            "anthropic/v1/messages",
            r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}"#,
        ),
        (
            "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent",
            r#"{"contents":[]}"#,
        ),
    ] {
        for faults in ["none", "chunked", "length"] {
            check(&format!("/v1/acc/default/{path}"), body, faults);
        }
    }
}

#[test]
fn no_form_answers_for_the_other() {
    let (mock, gateway) = start(ON);
    let named = |request: Request| request.field("cf-aig-cache-key", "one name");
    let stream = || named(Request::json(CHAT_PATH, CHAT_STREAM));
    let plain = || named(chat());
    assert_eq!(
        hits(&gateway, [stream(), plain(), stream(), plain()]),
        [false, false, true, true]
    );
    let answers = [gateway.send(&stream()), gateway.send(&plain())];
    let form = answers[0].field("content-type").unwrap();
    assert!(form.starts_with("text/event-stream"), "{form}");
    assert_eq!(answers[1].field("content-type"), Some("application/json"));
    assert_eq!(mock.count("requests"), 2);
    assert_eq!(outcomes(&gateway, 6)[4..], ["hit", "hit"]);
}
