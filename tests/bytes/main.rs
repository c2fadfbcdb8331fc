//! Bodies pass byte for byte, both ways, whatever their size, framing and coding.
#![cfg(test)]

mod connection;
#[path = "../support/mod.rs"]
mod support;

use support::client::{Client, End};
use support::gateway::Gateway;
use support::request::chunk_of;
use support::{CHAT, CHAT_PATH, Mock, Request, Setup, chat_of, noise, random_sizes, wait};

const ECHO: &str = "/v1/acc/default/custom-echo/anything";
const LOCKED: &str =
    "gateways: {default: {}, locked: {auth: {required: true, tokens: [secret-token-1]}}}";

fn crc(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// Sends a JSON body and sees that the mock received exactly that.
fn check_upload(gateway: &Gateway, body: &[u8], sizes: Option<Vec<usize>>) {
    let request = Request::post(ECHO).field("content-type", "application/json");
    let framing = format!("{:?}", sizes.as_ref().map(Vec::len));
    let request = match sizes {
        Some(sizes) => request.chunked(body, sizes),
        None => request.body(body),
    };
    let echo = gateway.send(&request);
    assert_eq!(
        echo.status,
        200,
        "{} bytes, {framing}: {}",
        body.len(),
        echo.text()
    );
    let echo = echo.json();
    assert_eq!(echo["body_bytes"], body.len(), "{framing}");
    assert_eq!(
        echo["body_crc32"],
        crc(body),
        "{} bytes, {framing}",
        body.len()
    );
}

#[test]
fn request_bodies_of_every_size_and_framing_reach_the_provider() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let sizes = [
        0,
        1,
        2,
        100,
        4095,
        4096,
        16_383,
        16_384,
        65_535,
        65_536,
        65_537,
        131_072,
        1 << 20,
        (1 << 20) + 1,
        5 << 20,
    ];
    for size in sizes {
        let body = noise(size, size as u64);
        check_upload(&gateway, &body, None);
        for seed in 0..2 {
            let chunks = random_sizes(size, 1 + size / (3 + 20 * seed as usize), seed);
            check_upload(&gateway, &body, Some(chunks));
        }
        if size <= 4096 {
            check_upload(&gateway, &body, Some(vec![1; size]));
        }
    }
}

#[test]
fn request_bodies_may_trickle_in_byte_by_byte() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for chunked in [false, true] {
        let body = chat_of(300);
        let request = Request::post(ECHO).field("content-type", "application/json");
        let request = match chunked {
            true => request.chunked(body.clone(), vec![100, 1, 199]),
            false => request.body(body.clone()),
        };
        let mut client = gateway.connect();
        for byte in request.bytes() {
            client.send(&[byte]);
        }
        assert_eq!(client.read_answer(false).json()["body_crc32"], crc(&body));
    }
}

#[test]
fn answers_of_every_size_framing_and_coding_reach_the_client() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let direct = |faults: &str, body: &str| {
        let mut client = Client::connect(mock.address);
        client.send(
            &Request::json("/v1/chat/completions", body)
                .mock(faults)
                .bytes(),
        );
        client.read_answer(false)
    };
    for size in [1, 100, 8_192, 65_536, 1 << 20, 5 << 20] {
        for framing in [
            "length",
            "chunked",
            "eof",
            "split=byte",
            "split=random,seed=7",
        ] {
            // So many writes take the mock long.
            if framing.starts_with("split") && size > 10_000 {
                continue;
            }
            for coding in ["identity", "gzip", "br", "deflate", "zstd"] {
                // The mock compresses slowly.
                if size > 100_000 && coding != "identity" {
                    continue;
                }
                let faults = format!("size={size},{framing},{coding}");
                let expect = direct(&faults, CHAT);
                let request = Request::json(CHAT_PATH, CHAT).mock(&faults);
                let answer = gateway.send(&request.field("accept-encoding", "gzip;q=0.5, x-odd"));
                assert_eq!(answer.status, 200, "{faults}");
                assert!(answer.body == expect.body, "{faults}: other bytes");
                let coded = answer.field("content-encoding");
                assert_eq!(coded, expect.field("content-encoding"), "{faults}");
                assert!(
                    !matches!(answer.end, End::Broken(_)),
                    "{faults}: {:?}",
                    answer.end
                );
            }
        }
    }
    let sent = mock.last();
    let sent = support::mock::shown(&sent, "accept-encoding");
    assert_eq!(sent, ["gzip;q=0.5, x-odd"]);
}

#[test]
fn streamed_answers_pass_byte_for_byte_however_they_are_split() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    // Where the client does not ask for usage, the gateway does and takes it out again.
    let asked = "\"stream_options\":{\"include_usage\":true},\"stream\"";
    let body = support::CHAT_STREAM.replacen("\"stream\"", asked, 1);
    let body = body.as_str();
    for faults in [
        "none",
        "split=byte",
        "split=random,seed=3",
        "burst",
        "eof",
        "gzip",
        "trailers",
        "chunks=500",
        "http10",
    ] {
        let mut client = Client::connect(mock.address);
        client.send(
            &Request::json("/v1/chat/completions", body)
                .mock(faults)
                .bytes(),
        );
        let expect = client.read_answer(false);
        let answer = gateway.send(&Request::json(CHAT_PATH, body).mock(faults));
        assert!(answer.body == expect.body, "{faults}: other bytes");
        assert!(
            !matches!(answer.end, End::Broken(_)),
            "{faults}: {:?}",
            answer.end
        );
    }
}

/// Streams 50 MB and sees that nothing is held back.
fn check_stream_through(gateway: &Gateway, mock: &Mock, request: &Request, chunked: bool) {
    const PART: usize = 1 << 20;
    const PARTS: usize = 50;
    let part = noise(PART, 50);
    let frame = |bytes: &[u8]| {
        if chunked {
            chunk_of(bytes)
        } else {
            bytes.to_vec()
        }
    };
    let request = match chunked {
        true => request.clone().chunked(Vec::new(), Vec::new()),
        false => request
            .clone()
            .field("content-length", &(PART * PARTS).to_string()),
    };
    let before = gateway.process.memory_kib("VmHWM");
    let mut client = gateway.connect();
    client.send(&request.head());
    let bytes_in = mock.count("bytes_in");
    let mut hash = crc32fast::Hasher::new();
    for n in 0..PARTS {
        client.send(&frame(&part));
        hash.update(&part);
        if n == 4 {
            wait::until("the provider to see the first bytes", || {
                (mock.count("bytes_in") > bytes_in + PART as u64).then_some(())
            });
        }
    }
    if chunked {
        client.send(b"0\r\n\r\n");
    }
    let answer = client.read_answer(false);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let last = mock.last();
    assert_eq!(last["body_bytes"], PART * PARTS);
    assert_eq!(last["body_crc32"], format!("{:08x}", hash.finalize()));
    let grown = gateway.process.memory_kib("VmHWM") - before;
    assert!(grown < 16 << 10, "the gateway grew by {grown} KiB");
}

#[test]
fn uploads_stream_through_without_being_held() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let multipart = Request::post("/v1/acc/default/openai/audio/transcriptions")
        .field("content-type", "multipart/form-data; boundary=xyz");
    let audio = Request::post("/v1/acc/default/openai/files").field("content-type", "audio/wav");
    let files =
        Request::post("/v1/acc/default/openai/files").field("content-type", "application/json");
    for (request, chunked) in [(&multipart, false), (&audio, true), (&files, false)] {
        check_stream_through(&gateway, &mock, request, chunked);
    }
}

#[test]
fn a_body_announced_beyond_the_limit_is_refused_before_it_is_read() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).server("max_body: 1MiB").start();
    let request = Request::post(CHAT_PATH)
        .field("content-type", "application/json")
        .field("content-length", "1048577");
    let mut client = gateway.connect();
    client.send(&request.head());
    let answer = client.read_answer(false);
    assert_eq!(answer.refusal(), (413, 9413));
    assert_eq!(mock.count("requests"), 0);

    check_upload(&gateway, &chat_of(1 << 20), None);
    check_upload(&gateway, &chat_of(1 << 20), Some(vec![1 << 20]));
}

#[test]
fn a_client_that_goes_on_sending_too_much_can_read_its_refusal() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).server("max_body: 1MiB").start();
    let body = noise(8 << 20, 8);
    for chunked in [false, true] {
        let request = Request::post(CHAT_PATH).field("content-type", "application/json");
        let request = match chunked {
            true => request.chunked(body.clone(), random_sizes(body.len(), 100_000, 1)),
            false => request.body(body.clone()),
        };
        let mut client = gateway.connect();
        let sending = client.send_aside(request.bytes());
        let answer = client.read_answer(false);
        assert_eq!(answer.refusal(), (413, 9413), "chunked: {chunked}");
        sending.join().unwrap().ok();
        let line = gateway.last_log(1 + usize::from(chunked));
        assert_eq!(line["refusal"], "body:9413");
    }
    assert_eq!(mock.count("requests"), 0);
}

#[test]
fn a_client_that_sends_it_all_before_it_reads_gets_its_refusal_too() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).server("max_body: 1MiB").start();
    let body = noise(8 << 20, 8);
    let request = Request::post(CHAT_PATH)
        .field("content-type", "application/json")
        .chunked(body, vec![1 << 20; 8]);
    let mut client = gateway.connect();
    client.send(&request.bytes());
    assert_eq!(client.read_answer(false).refusal(), (413, 9413));
}

#[test]
fn a_body_that_pauses_too_long_is_answered_408() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).server("body_timeout: 200ms").start();
    for content_type in ["application/json", "audio/wav"] {
        let request = Request::post(ECHO)
            .field("content-type", content_type)
            .field("content-length", "100");
        let mut client = gateway.connect();
        client.send(&request.head());
        client.send(b"{\"model\":");
        let answer = client.read_answer(false);
        assert_eq!(answer.refusal(), (408, 9408), "{content_type}");
    }
}
