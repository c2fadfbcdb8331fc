//! Bedrock: converse, and invoke with Anthropic's bodies or Titan's embeddings.

use super::openai::insert;
use super::{anthropic, eventstream};
use crate::app::mock::answer::{Answer, Body, Stream};
use crate::app::mock::ask::{Ask, Usage, base64};
use serde_json::{Value, json};

/// Every answer says that it took so long, in milliseconds.
const LATENCY_MS: u64 = 42;
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// `POST /model/{id}/converse` and `/converse-stream`
pub fn converse(ask: &Ask<'_>, streamed: bool) -> Answer {
    let answer = match streamed {
        true => stream_converse(ask),
        false => plain_converse(ask),
    };
    answer.header("x-amzn-requestid", ask.id(""))
}

fn plain_converse(ask: &Ask<'_>) -> Answer {
    let (block, reason, said) = match ask.tool() {
        Some(name) => {
            let arguments = ask.arguments();
            let input: Value = serde_json::from_str(&arguments).unwrap_or_default();
            let block =
                json!({"toolUse": {"toolUseId": ask.id("tooluse_"), "name": name, "input": input}});
            (block, "tool_use", arguments)
        }
        None => {
            let text = ask.text();
            (json!({"text": text}), "end_turn", text)
        }
    };
    let mut answer = json!({
        "output": {"message": {"role": "assistant", "content": [block]}},
        "stopReason": reason,
        "metrics": {"latencyMs": LATENCY_MS},
    });
    insert(&mut answer, "usage", ask.usage(&said).map(show_usage));
    Answer::value(&answer)
}

fn stream_converse(ask: &Ask<'_>) -> Answer {
    let event =
        |name: &str, payload: &Value| eventstream::event(name, payload.to_string().as_bytes());
    let mut opening = vec![event("messageStart", &json!({"role": "assistant"}))];
    let (said, reason) = match ask.tool() {
        Some(name) => {
            let start = json!({"toolUse": {"toolUseId": ask.id("tooluse_"), "name": name}});
            let start = json!({"contentBlockIndex": 0, "start": start});
            opening.push(event("contentBlockStart", &start));
            (ask.arguments(), "tool_use")
        }
        None => (ask.text(), "end_turn"),
    };
    let delta = |part: &str| {
        let delta = match reason {
            "tool_use" => json!({"toolUse": {"input": part}}),
            _ => json!({"text": part}),
        };
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": 0, "delta": delta}),
        )
    };
    let mut metadata = json!({"metrics": {"latencyMs": LATENCY_MS}});
    insert(&mut metadata, "usage", ask.usage(&said).map(show_usage));
    let closing = vec![
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event("messageStop", &json!({"stopReason": reason})),
        event("metadata", &metadata),
    ];
    let content = ask.cut(&said).into_iter().map(delta).collect();
    Answer::new(
        EVENT_STREAM,
        Body::Stream(Stream {
            opening,
            content,
            closing,
        }),
    )
}

/// `POST /model/{id}/invoke` and `/invoke-with-response-stream`
pub fn invoke(ask: &Ask<'_>, streamed: bool) -> Answer {
    let answer = match streamed {
        true => stream_invoke(ask),
        false if ask.model().contains("embed") => {
            let embedding =
                json!({"embedding": ask.embed(0), "inputTextTokenCount": ask.input_tokens()});
            count_in_head(Answer::value(&embedding), ask.usage(""))
        }
        false => {
            let said = said(ask);
            count_in_head(Answer::value(&anthropic::whole(ask)), ask.usage(&said))
        }
    };
    answer.header("x-amzn-requestid", ask.id(""))
}

fn stream_invoke(ask: &Ask<'_>) -> Answer {
    let metrics = ask.usage(&said(ask)).map(|usage| {
        json!({"inputTokenCount": usage.input, "outputTokenCount": usage.output,
            "invocationLatency": LATENCY_MS, "firstByteLatency": LATENCY_MS})
    });
    let chunk = |event: &anthropic::Event| {
        let mut data = event.data.clone();
        if event.name == "message_stop" {
            let mut last: Value = serde_json::from_str(&data).unwrap_or_default();
            insert(
                &mut last,
                "amazon-bedrock-invocationMetrics",
                metrics.clone(),
            );
            data = last.to_string();
        }
        let payload = json!({"bytes": base64(data.as_bytes())});
        eventstream::event("chunk", payload.to_string().as_bytes())
    };
    let [opening, content, closing] =
        anthropic::events(ask).map(|part| part.iter().map(chunk).collect());
    let stream = Stream {
        opening,
        content,
        closing,
    };
    let kind = "application/json";
    Answer::new(EVENT_STREAM, Body::Stream(stream)).header("x-amzn-bedrock-content-type", kind)
}

fn count_in_head(answer: Answer, usage: Option<Usage>) -> Answer {
    let Some(usage) = usage else { return answer };
    answer
        .header("x-amzn-bedrock-input-token-count", usage.input.to_string())
        .header(
            "x-amzn-bedrock-output-token-count",
            usage.output.to_string(),
        )
        .header("x-amzn-bedrock-invocation-latency", LATENCY_MS.to_string())
}

fn said(ask: &Ask<'_>) -> String {
    if ask.tool().is_some() {
        ask.arguments()
    } else {
        ask.text()
    }
}

fn show_usage(usage: Usage) -> Value {
    json!({"inputTokens": usage.input, "outputTokens": usage.output, "totalTokens": usage.total()})
}
