//! The readers at every split, on noise, and on bodies that want too much.

use std::io::Read;

use proptest::prelude::*;

use super::*;

const DIALECTS: [Option<Dialect>; 13] = [
    None,
    Some(Dialect::Openai),
    Some(Dialect::Anthropic),
    Some(Dialect::Gemini),
    Some(Dialect::Bedrock),
    Some(Dialect::Cohere),
    Some(Dialect::WorkersAi),
    Some(Dialect::Huggingface),
    Some(Dialect::Replicate),
    Some(Dialect::Elevenlabs),
    Some(Dialect::Deepgram),
    Some(Dialect::Cartesia),
    Some(Dialect::Ollama),
];

const CONTENT_TYPES: [&str; 5] = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "",
];

fn begin(dialect: Option<Dialect>, content_type: &str, encoding: &str) -> Reader {
    let header = |name: &str| match name {
        "content-type" => Some(content_type),
        "content-encoding" => Some(encoding),
        _ => None,
    };
    Reader::new(
        dialect,
        Operation::Chat,
        Head {
            status: 200,
            header: &header,
        },
    )
}

fn read(dialect: Option<Dialect>, content_type: &str, chunks: &[&[u8]]) -> Reading {
    let mut reader = begin(dialect, content_type, "");
    for chunk in chunks {
        reader.read(chunk);
    }
    reader.finish()
}

/// Snippets of which answers are made, whole and broken.
fn snippet() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "data: ",
        "\n\n",
        "\r\n",
        "event: output\n",
        "[DONE]",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ",",
        ":",
        "null",
        "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"cost\":0.1}}",
        "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}",
        "{\"usageMetadata\":{\"promptTokenCount\":5},\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\\\"b\"}]}}]}",
        "{\"choices\":[{\"delta\":{\"content\":\"\\u4e2d\\\\\"}}],\"model\":\"m\"}",
        "\"usage\":",
        "\"choices\":[",
        "\"delta\":",
        "\"text\":",
        "\"error\":{\"message\":\"x\"}",
        "\"model\":\"m\"",
        "12",
        "1e9",
        "-1",
    ]);
    prop_oneof![4 => known.prop_map(|text| text.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..8)]
}

proptest! {
    #[test]
    fn any_split_gives_the_same_reading(
        parts in prop::collection::vec(snippet(), 0..24),
        lens in prop::collection::vec(1_usize..9, 1..8),
        dialect in prop::sample::select(DIALECTS.to_vec()),
        content_type in prop::sample::select(CONTENT_TYPES.to_vec()),
    ) {
        let body = parts.concat();
        let whole = read(dialect, content_type, &[&body]);
        let mut chunks = Vec::new();
        let mut rest = body.as_slice();
        for len in lens.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*len).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(read(dialect, content_type, &chunks), whole);
    }

    #[test]
    fn noise_in_any_encoding_is_survived(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        encoding in prop::sample::select(vec!["gzip", "deflate", "br", "zstd", "", "gzip, br"]),
    ) {
        let mut reader = begin(None, "", encoding);
        for chunk in noise.chunks(7) {
            reader.read(chunk);
        }
        reader.finish();
    }
}

#[test]
fn a_bomb_stops_the_reading() {
    let zeros = std::io::repeat(b' ').take(200 * 1024 * 1024);
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(zeros, flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    let mut reader = begin(None, "application/json", "gzip");
    for chunk in packed.chunks(4096) {
        reader.read(chunk);
    }
    assert!(reader.finish().unread);
}

#[test]
fn the_first_token_is_no_greeting() {
    let mut reader = begin(Some(Dialect::Openai), "text/event-stream", "");
    reader.read(b": ping\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n");
    assert!(!reader.first_token());
    reader.read(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n");
    assert!(reader.first_token());
    assert_eq!(reader.finish().output_bytes, 2);
}

#[test]
fn what_the_model_says_is_no_usage() {
    let said = br#"{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}","tool_calls":[{"function":
        {"arguments":{"usage":{"prompt_tokens":9}}}}]}}],"metadata":{"usage":{"prompt_tokens":9}}}"#;
    assert_eq!(
        read(Some(Dialect::Openai), "application/json", &[said]).usage,
        None
    );
}

#[test]
fn refusals_and_counts_use_nothing() {
    let body = b"{\"usage\":{\"prompt_tokens\":9}}";
    for (status, operation) in [
        (429, Operation::Chat),
        (200, Operation::CountTokens),
        (200, Operation::Files),
    ] {
        let mut reader = Reader::new(
            None,
            operation,
            Head {
                status,
                header: &|_| None,
            },
        );
        reader.read(body);
        assert_eq!(reader.finish().usage, None);
    }
}

#[test]
fn an_error_within_a_stream_is_seen() {
    for stream in [
        "data: {\"choices\":[]}\n\ndata: {\"error\":{\"message\":\"overloaded\"}}\n\n",
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
        "data: {\"choices\":[]}\n\nerror: {\"code\":500}\n\n",
    ] {
        assert!(
            read(None, "text/event-stream", &[stream.as_bytes()]).error,
            "{stream}"
        );
    }
    assert!(!read(None, "text/event-stream", &[b"data: {\"error\":null}\n\n"]).error);
}

#[test]
fn stated_costs_are_in_nano_dollars() {
    for (usage, cost) in [
        ("{\"total_tokens\":1,\"cost\":0.00035595}", Some(355_950)),
        (
            "{\"total_tokens\":1,\"cost\":{\"currency\":\"USD\",\"total_cost\":0.00937}}",
            Some(9_370_000),
        ),
        (
            "{\"total_tokens\":1,\"cost_in_usd_ticks\":2733250}",
            Some(273_325),
        ),
        ("{\"total_tokens\":1,\"cost\":\"free\"}", None),
    ] {
        let body = format!("{{\"usage\":{usage}}}");
        let reading = read(
            Some(Dialect::Openai),
            "application/json",
            &[body.as_bytes()],
        );
        assert_eq!(reading.usage.unwrap().stated_cost_nano_usd, cost, "{usage}");
    }
}

#[test]
fn a_message_delta_corrects_what_message_start_said() {
    let stream = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,",
        "\"cache_creation_input_tokens\":3,\"cache_creation\":{\"ephemeral_1h_input_tokens\":3},\"output_tokens\":1}}}\n\n",
        "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":20,\"cache_read_input_tokens\":null}}\n\n",
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":50}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let reading = read(
        Some(Dialect::Anthropic),
        "text/event-stream",
        &[stream.as_bytes()],
    );
    let usage = reading.usage.unwrap();
    assert_eq!((usage.input, usage.output), (Some(28), Some(50)));
    assert_eq!(
        (usage.cached_input, usage.cache_write, usage.cache_write_1h),
        (Some(5), Some(3), Some(3))
    );
    assert!(reading.complete);
}

#[test]
fn units_beside_tokens_are_read() {
    let spoken = |name: &str| (name == "character-cost").then_some("42");
    let reader = Reader::new(
        Some(Dialect::Elevenlabs),
        Operation::Speech,
        Head {
            status: 200,
            header: &spoken,
        },
    );
    assert_eq!(reader.finish().usage.unwrap().units.characters, Some(42));
    let units = |dialect, body: &str| {
        let reading = read(Some(dialect), "application/json", &[body.as_bytes()]);
        reading.usage.unwrap().units
    };
    assert_eq!(
        units(Dialect::Deepgram, "{\"metadata\":{\"duration\":3.7}}").audio_ms,
        Some(3700)
    );
    assert_eq!(
        units(
            Dialect::Replicate,
            "{\"metrics\":{\"predict_time\":12.727759}}"
        )
        .compute_ms,
        Some(12_728)
    );
    let images = "{\"data\":[{\"b64_json\":\"aGVs\"},{\"url\":\"http://x\"}]}";
    assert_eq!(units(Dialect::Openai, images).images, Some(2));
    let generated =
        "[{\"generated_text\":\"x\",\"details\":{\"generated_tokens\":20,\"prefill\":[{},{}]}}]";
    let reading = read(
        Some(Dialect::Huggingface),
        "application/json",
        &[generated.as_bytes()],
    );
    assert_eq!(
        reading.usage.map(|usage| (usage.input, usage.output)),
        Some((Some(2), Some(20)))
    );
}
