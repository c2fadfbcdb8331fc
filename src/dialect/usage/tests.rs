//! What the readers make of single answers, and of bodies that want too much.

use std::io::Read;

use super::*;

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
fn usage_that_is_no_object_says_nothing() {
    let event = |usage: &str| format!("data: {{\"usage\":{usage}}}\n\n");
    let object = r#"{"prompt_tokens":5,"completion_tokens":7}"#;
    for odd in ["[1,2,3,4]", "\"12\"", "12", "true"] {
        for dialect in [Some(Dialect::Openai), None] {
            let plain = format!("{{\"usage\":{odd}}}");
            let reading = read(dialect, "application/json", &[plain.as_bytes()]);
            assert_eq!(reading.usage, None, "{odd}");
            let stream = event(object) + &event(odd);
            let reading = read(dialect, "text/event-stream", &[stream.as_bytes()]);
            let usage = reading.usage.unwrap();
            assert_eq!((usage.input, usage.output), (Some(5), Some(7)), "{odd}");
        }
    }
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
