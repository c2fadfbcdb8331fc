//! Anthropic's messages, plain and streamed, also as they travel through Vertex and Bedrock.

use super::openai::{insert, quote};
use crate::app::mock::answer::{Answer, Stream};
use crate::app::mock::ask::{Ask, Usage};
use serde_json::{Value, json};

/// `POST …/v1/messages` and Vertex's rawPredict.
pub fn message(ask: &Ask<'_>, streamed: bool) -> Answer {
    let answer = match streamed {
        true => {
            let [opening, content, closing] =
                events(ask).map(|part| part.iter().map(write_event).collect());
            Answer::events(Stream {
                opening,
                content,
                closing,
            })
        }
        false => Answer::value(&whole(ask)),
    };
    answer.header("request-id", ask.id("req_"))
}

/// `POST …/v1/messages/count_tokens`
pub fn count(ask: &Ask<'_>) -> Answer {
    Answer::value(&json!({"input_tokens": ask.input_tokens()}))
}

/// The whole message.
pub fn whole(ask: &Ask<'_>) -> Value {
    let (block, reason, said) = match ask.tool() {
        Some(name) => {
            let arguments = ask.arguments();
            let input: Value = serde_json::from_str(&arguments).unwrap_or_default();
            let block =
                json!({"type": "tool_use", "id": ask.id("toolu_"), "name": name, "input": input});
            (block, "tool_use", arguments)
        }
        None => {
            let text = ask.text();
            (
                json!({"type": "text", "text": text}),
                stop_reason(ask, &text),
                text,
            )
        }
    };
    let mut message = shell(ask);
    insert(&mut message, "content", Some(json!([block])));
    insert(&mut message, "stop_reason", Some(json!(reason)));
    insert(&mut message, "usage", ask.usage(&said).map(show_usage));
    message
}

/// A stream's events: what opens it, its deltas, what closes it.
pub fn events(ask: &Ask<'_>) -> [Vec<Event>; 3] {
    let (block, kind, said, reason) = match ask.tool() {
        Some(name) => {
            let block =
                json!({"type": "tool_use", "id": ask.id("toolu_"), "name": name, "input": {}});
            (
                block,
                ("input_json_delta", "partial_json"),
                ask.arguments(),
                "tool_use",
            )
        }
        None => {
            let text = ask.text();
            let reason = stop_reason(ask, &text);
            (
                json!({"type": "text", "text": ""}),
                ("text_delta", "text"),
                text,
                reason,
            )
        }
    };
    let usage = ask.usage(&said);
    let mut start = shell(ask);
    insert(
        &mut start,
        "usage",
        usage.map(|usage| show_usage(Usage { output: 1, ..usage })),
    );
    let opening = vec![
        Event::new(
            "message_start",
            &json!({"type": "message_start", "message": start}),
        ),
        Event::new(
            "content_block_start",
            &json!({"type": "content_block_start", "index": 0, "content_block": block}),
        ),
        Event::new("ping", &json!({"type": "ping"})),
    ];
    let (kind, member) = kind;
    let delta = |part: &str| Event {
        name: "content_block_delta",
        data: format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"{kind}","{member}":{}}}}}"#,
            quote(part)
        ),
    };
    let content = ask.cut(&said).into_iter().map(delta).collect();
    let mut end =
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}});
    insert(
        &mut end,
        "usage",
        usage.map(|usage| json!({"output_tokens": usage.output})),
    );
    let closing = vec![
        Event::new(
            "content_block_stop",
            &json!({"type": "content_block_stop", "index": 0}),
        ),
        Event::new("message_delta", &end),
        Event::new("message_stop", &json!({"type": "message_stop"})),
    ];
    [opening, content, closing]
}

/// One event of a message's stream.
#[derive(Debug)]
pub struct Event {
    pub name: &'static str,
    /// JSON
    pub data: String,
}

impl Event {
    fn new(name: &'static str, data: &Value) -> Self {
        Self {
            name,
            data: data.to_string(),
        }
    }
}

fn write_event(event: &Event) -> Vec<u8> {
    format!("event: {}\ndata: {}\n\n", event.name, event.data).into_bytes()
}

fn shell(ask: &Ask<'_>) -> Value {
    json!({"id": ask.id("msg_"), "type": "message", "role": "assistant", "model": ask.model(),
        "content": [], "stop_reason": null, "stop_sequence": null})
}

fn show_usage(usage: Usage) -> Value {
    json!({"input_tokens": usage.input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": usage.output, "service_tier": "standard"})
}

fn stop_reason(ask: &Ask<'_>, text: &str) -> &'static str {
    if ask.is_cut(text) {
        "max_tokens"
    } else {
        "end_turn"
    }
}
