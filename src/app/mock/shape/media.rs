//! OpenAI's other calls: audio, files, moderations, images.

use super::openai::{CREATED, insert};
use crate::app::mock::answer::{Answer, Body, Stream};
use crate::app::mock::ask::Ask;
use serde_json::{Map, Value, json};

/// Bytes of a spoken answer when `size` does not say, and of each of its pieces.
const SPEECH_BYTES: usize = 16 << 10;
const SPEECH_PIECE_BYTES: usize = 4096;
/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// `POST …/audio/transcriptions` and `…/audio/translations`
pub fn transcribe(ask: &Ask<'_>) -> Answer {
    let text = format!(
        "The mock heard {} bytes, {:08x}.",
        ask.body.count, ask.body.crc
    );
    let mut answer = json!({"text": text});
    let usage = ask.usage(&text).map(|usage| {
        json!({"type": "tokens", "input_tokens": usage.input, "output_tokens": usage.output,
            "total_tokens": usage.total(), "input_token_details": {"audio_tokens": usage.input, "text_tokens": 0}})
    });
    insert(&mut answer, "usage", usage);
    Answer::value(&answer)
}

/// `POST …/audio/speech`
pub fn speak(ask: &Ask<'_>) -> Answer {
    let size = ask.content.size_bytes.unwrap_or(SPEECH_BYTES);
    let seed = ask.body.crc;
    let noise = (0..u32::try_from(size).unwrap_or(u32::MAX)).map(|at| {
        let word = (at ^ seed).wrapping_mul(0x9e37_79b1);
        word.to_be_bytes().first().copied().unwrap_or(0)
    });
    let bytes: Vec<u8> = noise.collect();
    let content = bytes
        .chunks(SPEECH_PIECE_BYTES)
        .map(<[u8]>::to_vec)
        .collect();
    Answer::new(
        "audio/mpeg",
        Body::Stream(Stream {
            content,
            ..Stream::default()
        }),
    )
}

/// `POST …/files`
pub fn file(ask: &Ask<'_>) -> Answer {
    Answer::value(
        &json!({"id": ask.id("file-"), "object": "file", "bytes": ask.body.count,
        "created_at": CREATED, "expires_at": null, "filename": "upload.jsonl",
        "purpose": "assistants", "status": "processed", "status_details": null}),
    )
}

/// `POST …/moderations`
pub fn moderate(ask: &Ask<'_>) -> Answer {
    let all = |value: &Value| -> Map<String, Value> {
        CATEGORIES
            .iter()
            .map(|name| ((*name).to_owned(), value.clone()))
            .collect()
    };
    let one = json!({"flagged": false, "categories": all(&json!(false)),
        "category_scores": all(&json!(0.001)), "category_applied_input_types": all(&json!(["text"]))});
    let results = vec![one; ask.inputs()];
    Answer::value(&json!({"id": ask.id("modr-"), "model": ask.model(), "results": results}))
}

/// `POST …/images/generations`
pub fn draw(ask: &Ask<'_>) -> Answer {
    let mut answer = json!({"created": CREATED, "background": "opaque", "output_format": "png",
        "quality": "low", "size": "1024x1024", "data": [{"b64_json": PIXEL}]});
    let usage = ask.usage(PIXEL).map(|usage| {
        json!({"input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.total(),
            "input_tokens_details": {"image_tokens": 0, "text_tokens": usage.input}})
    });
    insert(&mut answer, "usage", usage);
    Answer::value(&answer)
}
