//! Bodies pass byte for byte, both ways, whatever their size, framing and coding.
#![cfg(test)]

mod support;

use support::client::{Answer, Client, End};
use support::gateway::Gateway;
use support::request::chunk_of;
use support::{
    CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, chat_of, noise, random_sizes, wait,
};

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

#[test]
fn one_connection_carries_many_requests_also_after_refusals() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).config(LOCKED).start();
    let mut client = gateway.connect();
    let requests = [
        (Request::json(CHAT_PATH, CHAT), 200),
        (
            Request::json("/v1/acc/nowhere/openai/chat/completions", CHAT),
            400,
        ),
        (Request::json("/v1/acc/default/nobody/x", CHAT), 400),
        (
            Request::json("/v1/acc/locked/openai/chat/completions", CHAT),
            401,
        ),
        (Request::json(CHAT_PATH, CHAT).mock("status=500"), 500),
        (Request::get("/nothing"), 404),
    ];
    let mut connections = 1;
    for round in 0..30 {
        let (request, status) = &requests[round % requests.len()];
        client.send(&request.bytes());
        let answer = client.read_answer(false);
        assert_eq!(answer.status, *status, "request {round}");
        if answer.all("connection").contains(&"close") {
            connections += 1;
            client = gateway.connect();
        }
    }
    println!("30 requests used {connections} connections");
    assert_eq!(gateway.log(30).len(), 30);
}

#[test]
fn twenty_good_requests_use_one_connection_each_way() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let mut client = gateway.connect();
    for size in 0..20 {
        let body = chat_of(100 + size * 1000);
        client.send(&Request::json(ECHO, body.clone()).bytes());
        let answer = client.read_answer(false);
        assert_eq!(answer.json()["body_crc32"], crc(&body));
        assert_ne!(answer.field("connection"), Some("close"));
    }
    let accepted = mock.stats()["connections"]["accepted"].as_u64().unwrap();
    assert!(
        accepted <= 2,
        "{accepted} connections to the provider, one of them ours"
    );
}

#[test]
fn a_failed_provider_does_not_cost_the_clients_connection() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for faults in ["close", "garbage-head", "hang"] {
        let mut client = gateway.connect();
        let request = Request::json(CHAT_PATH, CHAT).mock(faults);
        client.send(&request.field("cf-aig-request-timeout", "100").bytes());
        let failed = client.read_answer(false);
        assert!(failed.status >= 502, "{faults}");
        if failed.field("connection") == Some("close") {
            continue;
        }
        // It was promised to stay.
        client
            .try_send(&Request::json(CHAT_PATH, CHAT).bytes())
            .ok();
        let next = client.try_read_answer(false);
        assert_eq!(next.map(|answer| answer.status).ok(), Some(200), "{faults}");
    }
}

/// Sends a request as HTTP/1.0 and reads the answer.
fn ask_in_http10(client: &mut Client, request: &Request) -> Answer {
    let bytes = request.bytes();
    let end = bytes
        .windows(8)
        .position(|part| part == b"HTTP/1.1")
        .unwrap();
    client.send(&bytes[..end]);
    client.send(b"HTTP/1.0");
    client.send(&bytes[end + 8..]);
    client.read_answer(false)
}

#[test]
fn an_http10_client_gets_no_chunks_and_its_connection_ends_with_the_answer() {
    let mock = Mock::start();
    let cached = "gateways: {default: {cache: {ttl: 1h}}, plain: {}}";
    let gateway = Setup::new(&mock).config(cached).start();
    for (body, faults) in [(CHAT, "none"), (CHAT, "chunked"), (CHAT_STREAM, "none")] {
        // From the provider, from the provider into the cache, and out of it.
        for path in [
            CHAT_PATH.replace("default", "plain").as_str(),
            CHAT_PATH,
            CHAT_PATH,
        ] {
            let request = Request::json(path, body)
                .mock(faults)
                .field("cf-aig-cache-key", faults);
            let answer = ask_in_http10(&mut gateway.connect(), &request);
            assert_eq!(answer.status, 200, "{faults}");
            assert_eq!(answer.field("transfer-encoding"), None, "{faults}");
            assert_eq!(answer.field("connection"), Some("close"), "{faults}");
            let whole = match answer.field("content-length") {
                Some(_) => End::Whole,
                None => End::Closed,
            };
            assert_eq!(answer.end, whole, "{faults}");
            assert!(!answer.body.is_empty(), "{faults}");
            let other = gateway.send(&request);
            if path == CHAT_PATH {
                assert_eq!(other.body, answer.body, "{faults}");
            }
        }
    }
    let refused = Request::json("/v1/acc/nope/openai/x", CHAT);
    let mut client = gateway.connect();
    assert_eq!(ask_in_http10(&mut client, &refused).status, 400);
    assert!(client.is_closed());
}

#[test]
fn an_http10_client_may_stay_where_the_answer_has_a_length() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let mut client = gateway.connect();
    let request = Request::json(CHAT_PATH, CHAT).field("connection", "keep-alive");
    for _ in 0..2 {
        let answer = ask_in_http10(&mut client, &request);
        assert_eq!((answer.status, &answer.end), (200, &End::Whole));
        assert_eq!(answer.field("connection"), Some("keep-alive"));
    }
    let stream = Request::json(CHAT_PATH, CHAT_STREAM).field("connection", "keep-alive");
    let answer = ask_in_http10(&mut client, &stream);
    assert_eq!(answer.end, End::Closed);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let bodies: Vec<_> = (0..8).map(|n| chat_of(100 + n * 3000)).collect();
    let mut bytes = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        let request = Request::post(ECHO).field("content-type", "application/json");
        let request = match n % 2 {
            0 => request.body(body.clone()),
            _ => request.chunked(body.clone(), random_sizes(body.len(), 700, n as u64)),
        };
        bytes.extend(request.bytes());
        bytes.extend(Request::get(ECHO).bytes());
    }
    let mut client = gateway.connect();
    client.send(&bytes);
    for body in &bodies {
        assert_eq!(client.read_answer(false).json()["body_crc32"], crc(body));
        assert_eq!(client.read_answer(false).json()["method"], "GET");
    }
    assert_eq!(gateway.log(16).len(), 16);
}

#[test]
fn a_client_that_expects_100_continue_gets_it_and_then_the_answer() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for content_type in ["application/json", "audio/wav"] {
        let body = chat_of(5000);
        let request = Request::post(ECHO)
            .field("content-type", content_type)
            .field("expect", "100-continue")
            .body(body.clone());
        let mut client = gateway.connect();
        client.send(&request.head());
        assert_eq!(client.read_head(false).status, 100, "{content_type}");
        client.send(&body);
        let answer = client.read_answer(false);
        assert!(
            answer.interim.is_empty(),
            "{content_type}: only one 100 comes"
        );
        assert_eq!(answer.json()["body_crc32"], crc(&body), "{content_type}");
    }
}

#[test]
fn a_refused_client_that_expects_100_continue_gets_the_refusal_at_once() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .config(LOCKED)
        .server("max_body: 1MiB")
        .start();
    let locked = "/v1/acc/locked/openai/chat/completions";
    let cases = [
        (locked, "1000", (401, 2009)),
        (CHAT_PATH, "9000000", (413, 9413)),
    ];
    for (path, length, refusal) in cases {
        let request = Request::post(path)
            .field("content-type", "application/json")
            .field("expect", "100-continue")
            .field("content-length", length);
        let mut client = gateway.connect();
        client.send(&request.head());
        let answer = client.read_answer(false);
        assert!(answer.interim.is_empty());
        assert_eq!(answer.refusal(), refusal);
    }
}

#[test]
fn a_client_that_was_given_leave_gets_a_later_refusal() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .server("max_body: 1KiB")
        .provider("custom-nobody: {base_url: \"http://127.0.0.1:1\"}")
        .start();
    let ask = |path: &str| {
        let request = Request::post(path).field("content-type", "application/json");
        request.field("expect", "100-continue")
    };
    let long = ask(CHAT_PATH).chunked(vec![b' '; 4 << 10], vec![1 << 10; 4]);
    let nobody = ask("/v1/acc/default/custom-nobody/chat/completions").body(CHAT);
    for (request, refusal) in [(long, (413, 9413)), (nobody, (502, 2005))] {
        let mut client = gateway.connect();
        let head = request.head();
        client.send(&head);
        assert_eq!(client.read_head(false).status, 100, "{refusal:?}");
        client.send(request.bytes().get(head.len()..).unwrap());
        assert_eq!(client.read_answer(false).refusal(), refusal);
    }
    assert_eq!(gateway.log(2)[1]["status_code"], 502);
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
