//! One connection after another: kept, pipelined, of older clients, and of those that wait for leave to send.

use crate::support::client::{Answer, Client, End};
use crate::support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, chat_of, random_sizes};
use crate::{ECHO, LOCKED, crc};

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
