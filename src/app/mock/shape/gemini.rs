//! Google's Gemini, at AI Studio and at Vertex.

use super::openai::insert;
use crate::app::mock::answer::{Answer, Body, Stream};
use crate::app::mock::ask::Ask;
use serde_json::{Value, json};

/// Whether a list of models is asked for in Gemini's form.
pub fn asks_models(ask: &Ask<'_>) -> bool {
    ask.head.path.contains("/v1beta") || ask.head.header("x-goog-api-key").is_some()
}

/// `…:generateContent` and `…:streamGenerateContent`
pub fn generate(ask: &Ask<'_>, streamed: bool) -> Answer {
    let (parts, said, finish) = match ask.tool() {
        Some(name) => {
            let arguments = ask.arguments();
            let args: Value = serde_json::from_str(&arguments).unwrap_or_default();
            (
                vec![json!({"functionCall": {"name": name, "args": args}})],
                arguments,
                "STOP",
            )
        }
        None => {
            let text = ask.text();
            let parts = match streamed {
                true => ask
                    .cut(&text)
                    .into_iter()
                    .map(|part| json!({"text": part}))
                    .collect(),
                false => vec![json!({"text": text})],
            };
            let finish = if ask.is_cut(&text) {
                "MAX_TOKENS"
            } else {
                "STOP"
            };
            (parts, text, finish)
        }
    };
    let usage = ask.usage(&said).map(|usage| {
        json!({"promptTokenCount": usage.input, "candidatesTokenCount": usage.output,
            "totalTokenCount": usage.total(),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}]})
    });
    let last = parts.len().saturating_sub(1);
    let chunks = parts.into_iter().enumerate().map(|(index, part)| {
        let mut candidate = json!({"content": {"role": "model", "parts": [part]}, "index": 0});
        insert(
            &mut candidate,
            "finishReason",
            (index == last).then(|| json!(finish)),
        );
        let mut chunk = json!({"candidates": [candidate], "modelVersion": ask.model(),
            "responseId": ask.id("")});
        insert(&mut chunk, "usageMetadata", usage.clone());
        chunk
    });
    match streamed {
        false => chunks
            .into_iter()
            .next()
            .map_or_else(|| Answer::json("{}"), |chunk| Answer::value(&chunk)),
        true if asks_events(ask) => stream_events(chunks),
        true => stream_array(chunks),
    }
}

/// Whether a stream is asked for as events rather than as one JSON array.
pub fn asks_events(ask: &Ask<'_>) -> bool {
    ask.head
        .query
        .is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"))
}

fn stream_events(chunks: impl Iterator<Item = Value>) -> Answer {
    let content = chunks
        .map(|chunk| format!("data: {chunk}\r\n\r\n").into_bytes())
        .collect();
    Answer::events(Stream {
        content,
        ..Stream::default()
    })
}

fn stream_array(chunks: impl Iterator<Item = Value>) -> Answer {
    let lead = |index: usize| if index == 0 { "[" } else { ",\r\n" };
    let content = chunks
        .enumerate()
        .map(|(index, chunk)| format!("{}{chunk}", lead(index)).into_bytes());
    let stream = Stream {
        content: content.collect(),
        closing: vec![b"]".to_vec()],
        ..Stream::default()
    };
    Answer::new("application/json", Body::Stream(stream))
}

/// `…:embedContent` and `…:batchEmbedContents`
pub fn embed(ask: &Ask<'_>, batch: bool) -> Answer {
    let mut answer = match batch {
        false => json!({"embedding": {"values": ask.embed(0)}}),
        true => {
            let vectors: Vec<_> = (0..ask.inputs())
                .map(|index| json!({"values": ask.embed(index)}))
                .collect();
            json!({"embeddings": vectors})
        }
    };
    let usage = ask
        .usage("")
        .map(|usage| json!({"promptTokenCount": usage.input}));
    insert(&mut answer, "usageMetadata", usage);
    Answer::value(&answer)
}

/// `…:countTokens`
pub fn count(ask: &Ask<'_>) -> Answer {
    let count = ask.input_tokens();
    Answer::value(&json!({"totalTokens": count,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": count}]}))
}

/// `…:predict`, Vertex's embeddings.
pub fn predict(ask: &Ask<'_>) -> Answer {
    let one = |index| {
        let statistics = json!({"token_count": ask.input_tokens(), "truncated": false});
        json!({"embeddings": {"values": ask.embed(index), "statistics": statistics}})
    };
    let predictions: Vec<_> = (0..ask.inputs()).map(one).collect();
    Answer::value(&json!({"predictions": predictions}))
}

/// `GET …/models`
pub fn list_models(names: &[&str]) -> Answer {
    let models: Vec<_> = names
        .iter()
        .map(|name| {
            json!({"name": format!("models/{name}"), "version": "001", "displayName": name,
                "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"]})
        })
        .collect();
    Answer::value(&json!({"models": models}))
}
