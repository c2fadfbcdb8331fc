//! Cohere's chat, embed and rerank, of both API versions.

use super::openai::insert;
use crate::app::mock::answer::{Answer, Body, Stream};
use crate::app::mock::ask::{Ask, Usage};
use serde_json::{Value, json};

/// The most results of a rerank.
const RESULTS_MAX: usize = 1000;

/// `POST …/v1/chat` and `…/v2/chat`
pub fn chat(ask: &Ask<'_>, v2: bool) -> Answer {
    match (v2, ask.streams()) {
        (true, false) => plain_v2(ask),
        (true, true) => stream_v2(ask),
        (false, false) => Answer::value(&whole_v1(ask, &ask.text())),
        (false, true) => stream_v1(ask),
    }
}

fn plain_v2(ask: &Ask<'_>) -> Answer {
    let (message, finish, said) = match ask.tool() {
        Some(name) => {
            let arguments = ask.arguments();
            let call = json!({"id": ask.id("call_"), "type": "function",
                "function": {"name": name, "arguments": arguments}});
            let message = json!({"role": "assistant", "tool_plan": "I will call the tool.", "tool_calls": [call]});
            (message, "TOOL_CALL", arguments)
        }
        None => {
            let text = ask.text();
            let message = json!({"role": "assistant", "content": [{"type": "text", "text": text}]});
            (message, finish_reason(ask, &text), text)
        }
    };
    let mut answer = json!({"id": ask.id(""), "finish_reason": finish, "message": message});
    insert(&mut answer, "usage", ask.usage(&said).map(show_usage));
    Answer::value(&answer)
}

fn stream_v2(ask: &Ask<'_>) -> Answer {
    let start = json!({"type": "message-start", "id": ask.id(""), "delta": {"message": {"role": "assistant",
        "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}});
    let (begin, content, end, finish, said) = match ask.tool() {
        Some(name) => {
            let arguments = ask.arguments();
            let call = json!({"id": ask.id("call_"), "type": "function",
                "function": {"name": name, "arguments": ""}});
            let begin = json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}});
            let delta = |part| {
                let calls = json!({"function": {"arguments": part}});
                json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": calls}}})
            };
            let content: Vec<_> = ask.cut(&arguments).into_iter().map(delta).collect();
            (
                begin,
                content,
                json!({"type": "tool-call-end", "index": 0}),
                "TOOL_CALL",
                arguments,
            )
        }
        None => {
            let text = ask.text();
            let begin = json!({"type": "content-start", "index": 0,
                "delta": {"message": {"content": {"type": "text", "text": ""}}}});
            let delta = |part| json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": part}}}});
            let content: Vec<_> = ask.cut(&text).into_iter().map(delta).collect();
            (
                begin,
                content,
                json!({"type": "content-end", "index": 0}),
                finish_reason(ask, &text),
                text,
            )
        }
    };
    let mut delta = json!({"finish_reason": finish});
    insert(&mut delta, "usage", ask.usage(&said).map(show_usage));
    let last = json!({"type": "message-end", "id": ask.id(""), "delta": delta});
    Answer::events(Stream {
        opening: vec![write_v2(&start), write_v2(&begin)],
        content: content.iter().map(write_v2).collect(),
        closing: vec![write_v2(&end), write_v2(&last)],
    })
}

fn write_v2(event: &Value) -> Vec<u8> {
    let name = event
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n").into_bytes()
}

fn whole_v1(ask: &Ask<'_>, text: &str) -> Value {
    let mut meta = json!({"api_version": {"version": "1"}});
    if let Some(usage) = ask.usage(text) {
        let usage = show_usage(usage);
        insert(
            &mut meta,
            "billed_units",
            usage.get("billed_units").cloned(),
        );
        insert(&mut meta, "tokens", usage.get("tokens").cloned());
    }
    let mut answer = json!({"response_id": ask.id(""), "generation_id": ask.id("gen-"), "text": text,
        "chat_history": [], "finish_reason": finish_reason(ask, text), "meta": meta});
    if let Some(name) = ask.tool() {
        let parameters: Value = serde_json::from_str(&ask.arguments()).unwrap_or_default();
        insert(
            &mut answer,
            "tool_calls",
            Some(json!([{"name": name, "parameters": parameters}])),
        );
    }
    answer
}

fn stream_v1(ask: &Ask<'_>) -> Answer {
    let text = ask.text();
    let start = json!({"event_type": "stream-start", "is_finished": false, "generation_id": ask.id("gen-")});
    let delta = |part| json!({"event_type": "text-generation", "is_finished": false, "text": part});
    let end = json!({"event_type": "stream-end", "is_finished": true,
        "finish_reason": finish_reason(ask, &text), "response": whole_v1(ask, &text)});
    let stream = Stream {
        opening: vec![write_v1(ask, &start)],
        content: ask
            .cut(&text)
            .into_iter()
            .map(|part| write_v1(ask, &delta(part)))
            .collect(),
        closing: vec![write_v1(ask, &end)],
    };
    let kind = if asks_events(ask) {
        "text/event-stream"
    } else {
        "application/stream+json"
    };
    Answer::new(kind, Body::Stream(stream))
}

/// An event of the first API version: a line of JSON, or a server-sent event where that is accepted.
pub fn write_v1(ask: &Ask<'_>, event: &Value) -> Vec<u8> {
    let name = event
        .get("event_type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match asks_events(ask) {
        true => format!("event: {name}\ndata: {event}\n\n").into_bytes(),
        false => format!("{event}\n").into_bytes(),
    }
}

fn asks_events(ask: &Ask<'_>) -> bool {
    let accept = ask.head.header("accept").unwrap_or_default();
    memchr::memmem::find(accept, b"text/event-stream").is_some()
}

/// `POST …/v1/embed` and `…/v2/embed`
pub fn embed(ask: &Ask<'_>, v2: bool) -> Answer {
    let vectors: Vec<_> = (0..ask.inputs()).map(|index| ask.embed(index)).collect();
    let texts: Value = ask
        .fields
        .texts
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let (embeddings, kind) = match v2 {
        true => (json!({"float": vectors}), "embeddings_by_type"),
        false => (json!(vectors), "embeddings_floats"),
    };
    let mut meta = json!({"api_version": {"version": if v2 { "2" } else { "1" }}});
    let billed = ask
        .usage("")
        .map(|usage| json!({"input_tokens": usage.input}));
    insert(&mut meta, "billed_units", billed);
    Answer::value(
        &json!({"id": ask.id(""), "response_type": kind, "embeddings": embeddings,
        "texts": texts, "meta": meta}),
    )
}

/// `POST …/v1/rerank` and `…/v2/rerank`
pub fn rerank(ask: &Ask<'_>) -> Answer {
    let count = ask
        .inputs()
        .min(ask.fields.top_n.unwrap_or(RESULTS_MAX))
        .min(RESULTS_MAX);
    let one =
        |index: usize| json!({"index": index, "relevance_score": 0.99 / (index as f64 + 1.0)});
    let results: Vec<_> = (0..count).map(one).collect();
    let mut meta = json!({"api_version": {"version": "2"}});
    insert(
        &mut meta,
        "billed_units",
        ask.usage("").map(|_| json!({"search_units": 1})),
    );
    Answer::value(&json!({"id": ask.id(""), "results": results, "meta": meta}))
}

fn show_usage(usage: Usage) -> Value {
    let tokens = json!({"input_tokens": usage.input, "output_tokens": usage.output});
    json!({"billed_units": tokens, "tokens": tokens})
}

fn finish_reason(ask: &Ask<'_>, text: &str) -> &'static str {
    if ask.is_cut(text) {
        "MAX_TOKENS"
    } else {
        "COMPLETE"
    }
}
