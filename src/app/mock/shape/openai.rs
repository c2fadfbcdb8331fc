//! OpenAI's chat completions, completions, embeddings and models, which many providers copy.

use crate::app::mock::answer::{Answer, Stream};
use crate::app::mock::ask::{Ask, Usage, base64};
use serde_json::{Value, json};

/// When everything here was created, in Unix seconds.
pub const CREATED: u64 = 1_700_000_000;
pub const MODELS: [&str; 4] = [
    "gpt-4o-mini",
    "claude-sonnet-4-5",
    "gemini-2.5-flash",
    "mock-model",
];

/// `POST …/chat/completions`
pub fn chat(ask: &Ask<'_>) -> Answer {
    let answer = match ask.streams() {
        true => stream_chat(ask),
        false => plain_chat(ask),
    };
    answer.header("x-request-id", ask.id("req_"))
}

fn plain_chat(ask: &Ask<'_>) -> Answer {
    let (message, finish, said) = match ask.tool() {
        Some(name) => {
            let arguments = ask.arguments();
            let calls = json!([{"id": ask.id("call_"), "type": "function",
                "function": {"name": name, "arguments": arguments}}]);
            let message = json!({"role": "assistant", "content": null, "refusal": null,
                "annotations": [], "tool_calls": calls});
            (message.to_string(), "tool_calls", arguments)
        }
        None => {
            let text = ask.text();
            let message = format!(
                r#"{{"role":"assistant","content":{},"refusal":null,"annotations":[]}}"#,
                quote(&text)
            );
            (message, finish_reason(ask, &text), text)
        }
    };
    let usage = ask.usage(&said).map(show_usage);
    let usage = usage
        .map(|usage| format!(r#","usage":{usage}"#))
        .unwrap_or_default();
    Answer::json(format!(
        concat!(
            r#"{{"id":"{}","object":"chat.completion","created":{},"model":{},"#,
            r#""choices":[{{"index":0,"message":{},"logprobs":null,"finish_reason":"{}"}}]{},"#,
            r#""service_tier":"default","system_fingerprint":"fp_mock"}}"#
        ),
        ask.id("chatcmpl-"),
        CREATED,
        quote(ask.model()),
        message,
        finish,
        usage
    ))
}

fn stream_chat(ask: &Ask<'_>) -> Answer {
    let options = ask.fields.stream_options.unwrap_or_default();
    let usage_wanted = options.include_usage.unwrap_or(false) && !ask.content.no_usage;
    let start = format!(
        r#"data: {{"id":"{}","object":"chat.completion.chunk","created":{},"model":{},"service_tier":"default","system_fingerprint":"fp_mock","choices":"#,
        ask.id("chatcmpl-"),
        CREATED,
        quote(ask.model())
    );
    let end = if usage_wanted {
        ",\"usage\":null}\n\n"
    } else {
        "}\n\n"
    };
    let chunk = |delta: &str, finish: &str| {
        format!(r#"{start}[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]{end}"#)
            .into_bytes()
    };
    let (first, content, finish, said) = match ask.tool() {
        Some(name) => {
            let arguments = ask.arguments();
            let call = json!([{"index": 0, "id": ask.id("call_"), "type": "function",
                "function": {"name": name, "arguments": ""}}]);
            let first =
                json!({"role": "assistant", "content": null, "tool_calls": call}).to_string();
            let delta = |part: &str| {
                let function = format!(r#"{{"arguments":{}}}"#, quote(part));
                chunk(
                    &format!(r#"{{"tool_calls":[{{"index":0,"function":{function}}}]}}"#),
                    "null",
                )
            };
            let content = ask.cut(&arguments).into_iter().map(delta).collect();
            (first, content, "\"tool_calls\"".to_owned(), arguments)
        }
        None => {
            let text = ask.text();
            let delta = |part: &str| chunk(&format!(r#"{{"content":{}}}"#, quote(part)), "null");
            let content = ask.cut(&text).into_iter().map(delta).collect();
            let first = r#"{"role":"assistant","content":"","refusal":null}"#.to_owned();
            (
                first,
                content,
                format!("\"{}\"", finish_reason(ask, &text)),
                text,
            )
        }
    };
    let mut closing = vec![chunk("{}", &finish)];
    if usage_wanted && let Some(usage) = ask.usage(&said) {
        closing.push(format!("{start}[],\"usage\":{}}}\n\n", show_usage(usage)).into_bytes());
    }
    closing.push(b"data: [DONE]\n\n".to_vec());
    Answer::events(Stream {
        opening: vec![chunk(&first, "null")],
        content,
        closing,
    })
}

/// `POST …/completions`
pub fn completion(ask: &Ask<'_>) -> Answer {
    let text = ask.text();
    let id = ask.id("cmpl-");
    let base = |part: &str, finish: Option<&str>| {
        json!({"id": id, "object": "text_completion", "created": CREATED, "model": ask.model(),
            "choices": [{"index": 0, "text": part, "logprobs": null, "finish_reason": finish}]})
    };
    let finish = finish_reason(ask, &text);
    let usage = ask.usage(&text).map(|usage| {
        json!({"prompt_tokens": usage.input,
        "completion_tokens": usage.output, "total_tokens": usage.total()})
    });
    if !ask.streams() {
        let mut whole = base(&text, Some(finish));
        insert(&mut whole, "usage", usage);
        return Answer::value(&whole);
    }
    let content = ask
        .cut(&text)
        .into_iter()
        .map(|part| event(&base(part, None)))
        .collect();
    let mut closing = vec![event(&base("", Some(finish)))];
    let options = ask.fields.stream_options.unwrap_or_default();
    if options.include_usage.unwrap_or(false) {
        let mut last = base("", None);
        insert(&mut last, "choices", Some(json!([])));
        insert(&mut last, "usage", usage);
        closing.push(event(&last));
    }
    closing.push(b"data: [DONE]\n\n".to_vec());
    Answer::events(Stream {
        opening: Vec::new(),
        content,
        closing,
    })
}

/// `POST …/embeddings`
pub fn embed(ask: &Ask<'_>) -> Answer {
    let packed = ask.fields.encoding_format.as_deref() == Some("base64");
    let data: Vec<Value> = (0..ask.inputs())
        .map(|index| {
            let vector = ask.embed(index);
            let vector = match packed {
                true => Value::from(base64(
                    &vector
                        .iter()
                        .flat_map(|x| x.to_le_bytes())
                        .collect::<Vec<_>>(),
                )),
                false => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    let usage = ask
        .usage("")
        .map(|usage| json!({"prompt_tokens": usage.input, "total_tokens": usage.input}));
    let mut answer =
        json!({"id": ask.id("embd-"), "object": "list", "model": ask.model(), "data": data});
    insert(&mut answer, "usage", usage);
    Answer::value(&answer)
}

/// `GET …/models`, in a form that the parsers of OpenAI and Anthropic both read.
pub fn list_models() -> Answer {
    let data: Vec<Value> = MODELS
        .iter()
        .map(|id| {
            json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock",
                "type": "model", "display_name": id, "created_at": "2023-11-14T22:13:20Z"})
        })
        .collect();
    Answer::value(&json!({"object": "list", "data": data, "has_more": false,
        "first_id": MODELS.first(), "last_id": MODELS.last()}))
}

fn show_usage(usage: Usage) -> String {
    format!(
        concat!(
            r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"#,
            r#""prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"#,
            r#""accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
        ),
        usage.input,
        usage.output,
        usage.total()
    )
}

fn finish_reason(ask: &Ask<'_>, text: &str) -> &'static str {
    if ask.is_cut(text) { "length" } else { "stop" }
}

fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// A string as JSON.
pub fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// Sets a member of an object, where there is a value for it.
pub fn insert(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(key.to_owned(), value);
    }
}
