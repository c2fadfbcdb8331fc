//! OpenAI's responses, plain and streamed.

use super::openai::{CREATED, insert};
use crate::app::mock::answer::{Answer, Stream};
use crate::app::mock::ask::Ask;
use serde_json::{Value, json};

/// `POST …/responses`
pub fn answer(ask: &Ask<'_>) -> Answer {
    let answer = match (ask.streams(), ask.tool()) {
        (false, _) => Answer::value(&response(ask, "completed")),
        (true, Some(name)) => stream_call(ask, &name),
        (true, None) => stream_text(ask),
    };
    answer.header("x-request-id", ask.id("req_"))
}

/// The whole object; with its output and usage once it is completed.
fn response(ask: &Ask<'_>, status: &str) -> Value {
    let done = status == "completed";
    let (item, said) = match ask.tool() {
        Some(name) => (
            call_item(ask, &name, &ask.arguments(), status),
            ask.arguments(),
        ),
        None => (message_item(ask, &ask.text(), status), ask.text()),
    };
    let usage = ask.usage(&said).filter(|_| done).map(|usage| {
        json!({"input_tokens": usage.input, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.total()})
    });
    let mut response = json!({
        "id": ask.id("resp_"), "object": "response", "created_at": CREATED, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": ask.fields.max_tokens, "model": ask.model(), "output": [],
        "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
        "usage": usage, "user": null, "metadata": {},
    });
    insert(&mut response, "output", done.then(|| json!([item])));
    if let Some(tools) = ask.fields.tools {
        insert(
            &mut response,
            "tools",
            serde_json::from_str(tools.get()).ok(),
        );
    }
    response
}

fn message_item(ask: &Ask<'_>, text: &str, status: &str) -> Value {
    let content = if status == "completed" {
        vec![text_part(text)]
    } else {
        Vec::new()
    };
    json!({"id": ask.id("msg_"), "type": "message", "status": status, "role": "assistant", "content": content})
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn call_item(ask: &Ask<'_>, name: &str, arguments: &str, status: &str) -> Value {
    json!({"id": ask.id("fc_"), "type": "function_call", "status": status, "call_id": ask.id("call_"),
        "name": name, "arguments": arguments})
}

fn stream_text(ask: &Ask<'_>) -> Answer {
    let text = ask.text();
    let id = ask.id("msg_");
    let place =
        |kind: &str| json!({"type": kind, "item_id": id, "output_index": 0, "content_index": 0});
    let with = |kind: &str, key: &str, value: Value| {
        let mut event = place(kind);
        insert(&mut event, key, Some(value));
        event
    };
    let delta = |part: &str| {
        let mut event = with("response.output_text.delta", "delta", json!(part));
        insert(&mut event, "logprobs", Some(json!([])));
        event
    };
    let item = message_item(ask, "", "in_progress");
    let mut done = with("response.output_text.done", "text", json!(text));
    insert(&mut done, "logprobs", Some(json!([])));
    let opening = vec![
        item_event("response.output_item.added", item),
        with("response.content_part.added", "part", text_part("")),
    ];
    let content = ask.cut(&text).into_iter().map(delta).collect();
    let closing = vec![
        done,
        with("response.content_part.done", "part", text_part(&text)),
        item_event(
            "response.output_item.done",
            message_item(ask, &text, "completed"),
        ),
    ];
    stream(ask, opening, content, closing)
}

fn stream_call(ask: &Ask<'_>, name: &str) -> Answer {
    let arguments = ask.arguments();
    let id = ask.id("fc_");
    let delta = |part| json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": 0, "delta": part});
    let opening = vec![item_event(
        "response.output_item.added",
        call_item(ask, name, "", "in_progress"),
    )];
    let content = ask.cut(&arguments).into_iter().map(delta).collect();
    let closing = vec![
        json!({"type": "response.function_call_arguments.done", "item_id": id, "output_index": 0,
            "name": name, "arguments": arguments}),
        item_event(
            "response.output_item.done",
            call_item(ask, name, &arguments, "completed"),
        ),
    ];
    stream(ask, opening, content, closing)
}

fn item_event(kind: &str, item: Value) -> Value {
    json!({"type": kind, "output_index": 0, "item": item})
}

/// Numbers the events, between those that every response has.
fn stream(ask: &Ask<'_>, opening: Vec<Value>, content: Vec<Value>, closing: Vec<Value>) -> Answer {
    let whole = |kind: &str, status: &str| json!({"type": kind, "response": response(ask, status)});
    let mut number = 0;
    let mut write = |mut event: Value| {
        insert(&mut event, "sequence_number", Some(json!(number)));
        number += 1;
        let name = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n").into_bytes()
    };
    let first = ["response.created", "response.in_progress"].map(|kind| whole(kind, "in_progress"));
    let last = whole("response.completed", "completed");
    Answer::events(Stream {
        opening: first.into_iter().chain(opening).map(&mut write).collect(),
        content: content.into_iter().map(&mut write).collect(),
        closing: closing.into_iter().chain([last]).map(&mut write).collect(),
    })
}
