//! The shapes answer what their parsers read.

use super::*;
use crate::app::mock::answer;
use crate::app::mock::fault::Faults;
use crate::app::mock::head::Head;
use crate::app::mock::upload::Body;
use serde_json::{Value, json};

const PLAIN: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],
    "tools":[{"type":"function","function":{"description":"a name","name":"weather"}}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},
    "messages":[],"input":["a","b","c"]}"#;

fn ask(path: &str, faults: &str, body: &str) -> Answer {
    let raw = format!("POST {path} HTTP/1.1\r\n\r\n");
    let head = Head::parse(raw.as_bytes()).unwrap();
    let (shape, path_model) = find(head.method, head.path);
    let faults = Faults::parse(faults).unwrap();
    let bytes = bytes::Bytes::copy_from_slice(body.as_bytes());
    let body = Body {
        crc: crc32fast::hash(&bytes),
        count: bytes.len() as u64,
        bytes,
    };
    let fields = serde_json::from_slice(&body.bytes).unwrap();
    let ask = Ask {
        head: &head,
        body: &body,
        fields,
        path_model,
        content: &faults.content,
    };
    super::answer(shape, &ask)
}

fn bytes(answer: &Answer) -> Vec<u8> {
    answer.body.pieces(false).collect::<Vec<_>>().concat()
}

fn value(path: &str, faults: &str, body: &str) -> Value {
    serde_json::from_slice(&bytes(&ask(path, faults, body))).unwrap()
}

/// The data of a stream's events.
fn events(path: &str, faults: &str, body: &str) -> Vec<Value> {
    let text = String::from_utf8(bytes(&ask(path, faults, body))).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn paths_are_found_by_their_end() {
    let check = |path: &str, shape: Shape, model: Option<&str>| {
        let (found, named) = find("POST", path);
        assert_eq!((found, named.as_deref()), (shape, model), "{path}");
    };
    check("/openai/deployments/x/chat/completions", Shape::Chat, None);
    check("/v1/chat/completions/", Shape::Chat, None);
    check("/v1/completions", Shape::Completion, None);
    check("/v1/chat", Shape::CohereChat { v2: false }, None);
    check("/v1/messages/count_tokens", Shape::MessageCount, None);
    check("/v1/threads/t/messages", Shape::Echo, None);
    check(
        "/v1beta/models/g-2:streamGenerateContent",
        Shape::Generate { streamed: true },
        Some("g-2"),
    );
    let vertex = "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:streamRawPredict";
    check(
        vertex,
        Shape::RawPredict { streamed: true },
        Some("claude@1"),
    );
    check(
        "/model/a.claude-v1%3A0/invoke",
        Shape::Invoke { streamed: false },
        Some("a.claude-v1:0"),
    );
    check("/converse", Shape::Echo, None);
    assert_eq!(find("GET", "/v1/models").0, Shape::ModelList);
    assert_eq!(find("GET", "/v1/chat/completions").0, Shape::Echo);
}

#[test]
fn every_shape_answers_json_that_is_the_same_twice() {
    let paths = [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/audio/transcriptions",
        "/v1/files",
        "/v1/moderations",
        "/v1/images/generations",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/models/g:generateContent",
        "/v1/models/g:streamGenerateContent",
        "/v1/models/g:embedContent",
        "/v1/models/g:batchEmbedContents",
        "/v1/models/g:countTokens",
        "/v1/models/g:predict",
        "/v1/models/c:rawPredict",
        "/v1/chat",
        "/v2/chat",
        "/v1/embed",
        "/v2/embed",
        "/v2/rerank",
        "/model/m/converse",
        "/model/m/invoke",
        "/model/titan-embed/invoke",
        "/else",
    ];
    for path in paths {
        for faults in [
            "",
            "tool",
            "no-usage",
            "error-event",
            "size=5000",
            "status=404",
        ] {
            assert_eq!(
                value(path, faults, PLAIN),
                value(path, faults, PLAIN),
                "{path} {faults}"
            );
        }
    }
}

#[test]
fn streams_have_as_many_content_chunks_as_asked() {
    for path in [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v2/chat",
    ] {
        for chunks in [0, 1, 7, 100] {
            let answer = ask(path, &format!("chunks={chunks}"), STREAM);
            let answer::Body::Stream(stream) = &answer.body else {
                panic!("{path}")
            };
            assert_eq!(stream.content.len(), chunks, "{path}");
        }
        assert!(!events(path, "", STREAM).is_empty());
    }
}

#[test]
fn plain_and_streamed_usage_agree_and_can_be_left_out() {
    let plain = value("/v1/chat/completions", "size=400", PLAIN);
    assert_eq!(plain["usage"]["completion_tokens"], 100);
    let last = events("/v1/chat/completions", "size=400", STREAM)
        .pop()
        .unwrap();
    assert_eq!(
        (&last["usage"]["completion_tokens"], &last["choices"]),
        (&json!(100), &json!([]))
    );
    assert!(
        value("/v1/chat/completions", "no-usage", PLAIN)
            .get("usage")
            .is_none()
    );
    let quiet = events("/v1/chat/completions", "no-usage", STREAM);
    assert!(quiet.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn a_tool_call_names_the_first_tool() {
    let chat = value("/v1/chat/completions", "tool", PLAIN);
    let call = &chat["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["name"], "weather");
    serde_json::from_str::<Value>(call["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(
        value("/v1/messages", "tool", PLAIN)["content"][0]["name"],
        "weather"
    );
    assert_eq!(
        value("/model/m/converse", "tool", PLAIN)["stopReason"],
        "tool_use"
    );
    assert!(
        value("/v1/chat/completions", "", PLAIN)["choices"][0]["message"]
            .get("tool_calls")
            .is_none()
    );
}

#[test]
fn responses_number_their_events() {
    let events = events("/v1/responses", "", STREAM);
    assert!(
        events
            .iter()
            .enumerate()
            .all(|(index, event)| event["sequence_number"] == index)
    );
    assert_eq!(events.first().unwrap()["type"], "response.created");
    assert_eq!(events.last().unwrap()["type"], "response.completed");
}

#[test]
fn embeddings_are_packed_on_request() {
    let floats = value(
        "/v1/embeddings",
        "",
        r#"{"input":["a","b"],"dimensions":3}"#,
    );
    assert_eq!(floats["data"].as_array().unwrap().len(), 2);
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 3);
    let packed = value(
        "/v1/embeddings",
        "",
        r#"{"input":[1,2,3],"encoding_format":"base64","dimensions":2}"#,
    );
    assert_eq!(packed["data"].as_array().unwrap().len(), 1);
    assert_eq!(packed["data"][0]["embedding"].as_str().unwrap().len(), 12);
}

#[test]
fn bedrock_streams_are_event_streams_with_good_checksums() {
    let stream = bytes(&ask("/model/m/converse-stream", "chunks=2", PLAIN));
    let names: Vec<_> = eventstream::parse(&stream)
        .unwrap()
        .into_iter()
        .map(|event| event.0)
        .collect();
    let deltas = ["contentBlockDelta", "contentBlockDelta"];
    assert_eq!(names[0], "messageStart");
    assert_eq!(names[1..3], deltas);
    assert_eq!(names[3..], ["contentBlockStop", "messageStop", "metadata"]);
    let invoked = bytes(&ask("/model/m/invoke-with-response-stream", "", PLAIN));
    let (name, payload) = eventstream::parse(&invoked).unwrap().pop().unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(name, "chunk");
    assert!(payload["bytes"].is_string());
    let broken = bytes(&ask("/model/m/converse-stream", "error-event", PLAIN));
    assert_eq!(
        eventstream::parse(&broken).unwrap()[0].0,
        "internalServerException"
    );
}

#[test]
fn a_message_of_the_event_stream_is_as_published() {
    // The example "all headers absent, empty payload" and its CRCs from the format's description.
    let empty = [
        0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
    ];
    assert_eq!(
        eventstream::parse(&empty),
        None,
        "it has no header to name it"
    );
    assert_eq!(crc32fast::hash(&empty[..8]).to_be_bytes(), empty[8..12]);
    assert_eq!(crc32fast::hash(&empty[..12]).to_be_bytes(), empty[12..]);
}

#[test]
fn base64_is_standard() {
    use crate::app::mock::ask::base64;
    use ::base64::{Engine, engine::general_purpose::STANDARD};
    for length in 0..20 {
        let bytes: Vec<u8> = (0..length)
            .map(|byte| (byte as u8).wrapping_mul(37))
            .collect();
        assert_eq!(base64(&bytes), STANDARD.encode(&bytes));
    }
}
