//! Until the first token another target may take over, and the client never knows; after it never.

use super::shape::{PATH, Shape, chat};
use super::support::client::End;
use super::support::gateway::Gateway;
use super::support::request::chunk_of;
use super::support::{CHAT_PATH, CHAT_STREAM, Mock, Request, Setup};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

fn universal(steps: &[Value]) -> Request {
    Request::json(PATH, Value::from(steps.to_vec()).to_string())
}

/// How a provider of the test's own ends its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
    /// Not by itself.
    Open,
}

/// A provider that answers each connection with this stream.
fn saying(pieces: Vec<Vec<u8>>, ending: Ending) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let pieces = pieces.clone();
            let pause = || thread::park_timeout(Duration::from_millis(50));
            thread::spawn(move || say(&mut stream.unwrap(), &pieces, ending, pause));
        }
    });
    address
}

/// A provider that answers one connection, and goes on after the first piece once the sender is
/// dropped.
fn saying_when_told(pieces: Vec<Vec<u8>>) -> (SocketAddr, SyncSender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = sync_channel(0);
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        say(&mut stream, &pieces, Ending::Whole, || {
            let _ = told.recv();
        });
    });
    (address, tell)
}

fn say(stream: &mut TcpStream, pieces: &[Vec<u8>], ending: Ending, pause: impl Fn()) {
    let mut some = [0; 64 << 10];
    if !stream.read(&mut some).is_ok_and(|count| count > 0) {
        return;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let _ = stream.write_all(head.as_bytes());
    for piece in pieces {
        let _ = stream.write_all(&chunk_of(piece));
        pause();
    }
    if ending == Ending::Whole {
        let _ = stream.write_all(b"0\r\n\r\n");
    }
    if ending != Ending::Open {
        let _ = stream.shutdown(Shutdown::Write);
    }
    while stream.read(&mut some).is_ok_and(|count| count > 0) {}
}

/// A gateway before the mock and a provider of the test's own, which speaks this dialect.
fn start(mock: &Mock, own: SocketAddr, dialect: &str) -> Gateway {
    let own = format!("custom-own: {{base_url: \"http://{own}\", dialect: {dialect}}}");
    Setup::new(mock).provider(&own).without_breakers().start()
}

/// A step at the test's own provider, and then one at the mock.
fn both(endpoint: &str) -> Request {
    let query = json!({"model": "m", "stream": true, "messages": []});
    let first = json!({"provider": "custom-own", "endpoint": endpoint, "query": query});
    universal(&[first, chat(true, "none")])
}

/// Steps at a provider of these words, in a dialect of its own, and then at the mock.
fn after(dialect: &str, endpoint: &str, pieces: &[&[u8]], ending: Ending) -> (String, String) {
    let mock = Mock::start();
    let own = saying(pieces.iter().map(|piece| piece.to_vec()).collect(), ending);
    let gateway = start(&mock, own, dialect);
    let answer = gateway.send(&both(endpoint));
    let step = answer.field("cf-aig-step").unwrap().to_owned();
    assert_eq!(answer.status, 200);
    (step, answer.text())
}

#[test]
fn greetings_are_no_tokens() {
    // What each dialect sends before it says anything, and then its error.
    let cases: [(&str, &str, &[&[u8]]); 7] = [
        (
            "openai",
            "chat/completions",
            &[
                b"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
                b": ping\n\n",
                b"data: {\"choices\":[]}\n\n",
                b"data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n",
            ],
        ),
        (
            "openai",
            "chat/completions",
            &[b"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n"],
        ),
        (
            "openai",
            "responses",
            &[
                b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"error\":null,\"output\":[]}}\n\n",
                b"event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"response\":{\"status\":\"in_progress\",\"error\":null,\"output\":[]}}\n\n",
                b"event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"no\"}\n\n",
            ],
        ),
        (
            "anthropic",
            "v1/messages",
            &[
                b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"1\",\"role\":\"assistant\",\"content\":[],\"model\":\"m\",\"stop_reason\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
                b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
                b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
                b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            ],
        ),
        ("anthropic", "v1/messages", &[b"event: ping\ndata: {\"type\":\"ping\"}\n\n"]),
        (
            "gemini",
            "v1beta/models/m:streamGenerateContent?alt=sse",
            &[
                b"data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"\"}]}}]}\r\n\r\n",
                b"data: {\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
            ],
        ),
        ("openai", "chat/completions", &[b": OPENROUTER PROCESSING\n\n", b"dat"]),
    ];
    for (dialect, endpoint, pieces) in cases {
        // Either it is the error that ends the attempt, or the cut.
        let sent = String::from_utf8_lossy(&pieces.concat()).into_owned();
        let ending = if sent.contains("\"error\":{") || sent.contains("event: error") {
            Ending::Open
        } else {
            Ending::Cut
        };
        let (step, text) = after(dialect, endpoint, pieces, ending);
        assert_eq!(step, "1", "{sent}");
        assert!(text.contains("[DONE]") && !text.contains("rror"), "{text}");
    }
}

#[test]
fn after_a_token_nothing_is_tried_again() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    // More pieces follow the token than the gateway takes at once, so that the cut never comes with it.
    let faults = "size=16000,chunks=40,cut-at=8000";
    for (number, shape) in Shape::ALL.into_iter().enumerate() {
        mock.reset();
        let request = universal(&[shape.step("m", true, faults), shape.step("m", true, "none")])
            .field("cf-aig-max-attempts", "5")
            .field("cf-aig-retry-delay", "0");
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("cf-aig-step"), Some("0"));
        assert!(matches!(answer.end, End::Broken(_)), "{:?}", answer.end);
        assert_eq!(answer.body.len(), 8000);
        let line = gateway.last_log(number + 1);
        assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "{line}");
        assert_eq!(line["end"], "upstream_cut", "{line}");
        assert_eq!(mock.count("requests"), 1);
    }
}

#[test]
fn events_of_a_healthy_stream_do_not_wait_for_the_next() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    for sent in [3000, 4000, 5000] {
        // Then nothing for long, so that whatever is kept back stays away.
        let slow = format!("size=8000,chunks=10,chunk-delay=50,hang-at={sent}");
        let held = Shape::ALL
            .map(|shape| universal(&[shape.step("m", true, &slow), shape.step("m", true, "none")]));
        let retried = Request::json(CHAT_PATH, CHAT_STREAM)
            .mock(&slow)
            .field("cf-aig-max-attempts", "2");
        for request in held.iter().chain([&retried]) {
            let mut client = gateway.connect();
            client.send(&request.bytes());
            assert_eq!(client.read_head(false).status, 200);
            let mut come = 0;
            while come < sent {
                come += client.next_piece().unwrap().unwrap().len();
            }
        }
    }
}

#[test]
fn where_nothing_else_is_left_nothing_is_held() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    // The greeting comes, and then nothing for long.
    let slow = "chunk-delay=60000";
    let alone = [
        Request::json(CHAT_PATH, CHAT_STREAM).mock(slow),
        universal(&[chat(true, slow)]),
        universal(&[chat(true, "status=503"), chat(true, slow)]),
    ];
    for request in alone {
        let mut client = gateway.connect();
        client.send(&request.bytes());
        assert_eq!(client.read_head(false).status, 200);
        let first = client.next_piece().unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("assistant"));
    }
    // Where something is, not even the head comes.
    let more = universal(&[chat(true, slow), chat(true, "none")]);
    let mut client = gateway.connect();
    client.send(&more.bytes());
    assert!(client.is_silent_for(Duration::from_millis(500)));
}

#[test]
fn a_head_is_held_up_to_its_bound_and_no_further() {
    // Comments are no tokens, however many there are. What was passed on cannot be taken back.
    let comments = |kib: usize| format!(":{}\n", ".".repeat(1022)).repeat(kib).into_bytes();
    let error = b"\n\ndata: {\"error\":{\"message\":\"no\"}}\n\n";
    let (step, text) = after(
        "openai",
        "chat/completions",
        &[&comments(200), error],
        Ending::Whole,
    );
    assert_eq!(step, "1");
    assert!(text.ends_with("[DONE]\n\n"));
    let mock = Mock::start();
    let (own, go_on) = saying_when_told(vec![comments(300), error.to_vec()]);
    let gateway = start(&mock, own, "openai");
    let mut client = gateway.connect();
    client.send(&both("chat/completions").bytes());
    assert_eq!(client.read_head(false).field("cf-aig-step"), Some("0"));
    drop(go_on);
    let mut length = 0;
    while let Some(piece) = client.next_piece().unwrap() {
        length += piece.len();
    }
    assert_eq!(length, (300 << 10) + error.len());
}
