//! A streamed answer is kept and replayed as a stream, byte for byte; no form answers for the other.

use crate::support::request::chunk_of;
use crate::support::{CHAT_PATH, CHAT_STREAM, Request, Setup};
use crate::{ON, chat, hits, is_hit, outcomes, start};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

fn check(path: &str, body: &str, faults: &str) {
    let (mock, gateway) = start(ON);
    let ask = || {
        let request = Request::json(path, body).mock(faults);
        request.field("accept-encoding", "gzip")
    };
    let miss = gateway.send(&ask());
    assert!(!is_hit(&miss), "{path} {faults}");
    let hit = gateway.send(&ask());
    assert!(is_hit(&hit), "{path} {faults}: {}", miss.text());
    assert_eq!(hit.body, miss.body, "{path} {faults}");
    for field in ["content-type", "transfer-encoding", "content-encoding"] {
        assert_eq!(hit.field(field), miss.field(field), "{path} {faults}");
    }
    assert_eq!(mock.count("requests"), 1);
    let log = gateway.log(2);
    assert_eq!(log[1]["stream"], log[0]["stream"], "{path}");
    assert_eq!(log[1]["cache"], "hit", "{path}");
}

#[test]
fn streams_of_every_form_are_replayed() {
    check(CHAT_PATH, CHAT_STREAM, "none");
    check(CHAT_PATH, CHAT_STREAM, "chunks=2000,burst");
    check(CHAT_PATH, CHAT_STREAM, "split=byte");
    check(CHAT_PATH, CHAT_STREAM, "gzip");
    let anthropic = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"stream":true,"messages":[]}"#;
    check("/v1/acc/default/anthropic/v1/messages", anthropic, "none");
    let gemini =
        "/v1/acc/default/google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    let contents = r#"{"contents":[{"parts":[{"text":"a"}]}]}"#;
    check(&format!("{gemini}?alt=sse"), contents, "none");
    check(gemini, contents, "none");
    let bedrock = "/v1/acc/default/aws-bedrock/bedrock-runtime/us-east-1/model/m1/converse-stream";
    check(bedrock, r#"{"messages":[]}"#, "none");
    let responses = "/v1/acc/default/openai/responses";
    check(
        responses,
        r#"{"model":"gpt-4o","stream":true,"input":"a"}"#,
        "none",
    );
}

#[test]
fn plain_answers_of_every_form_are_replayed() {
    for (path, body) in [
        (
            "openai/embeddings",
            r#"{"model":"text-embedding-3-small","input":"a"}"#,
        ),
        ("openai/responses", r#"{"model":"gpt-4o","input":"a"}"#),
        (
            "anthropic/v1/messages",
            r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}"#,
        ),
        (
            "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent",
            r#"{"contents":[]}"#,
        ),
    ] {
        for faults in ["none", "chunked", "length"] {
            check(&format!("/v1/acc/default/{path}"), body, faults);
        }
    }
}

#[test]
fn no_form_answers_for_the_other() {
    let (mock, gateway) = start(ON);
    let named = |request: Request| request.field("cf-aig-cache-key", "one name");
    let stream = || named(Request::json(CHAT_PATH, CHAT_STREAM));
    let plain = || named(chat());
    assert_eq!(
        hits(&gateway, [stream(), plain(), stream(), plain()]),
        [false, false, true, true]
    );
    let answers = [gateway.send(&stream()), gateway.send(&plain())];
    let form = answers[0].field("content-type").unwrap();
    assert!(form.starts_with("text/event-stream"), "{form}");
    assert_eq!(answers[1].field("content-type"), Some("application/json"));
    assert_eq!(mock.count("requests"), 2);
    assert_eq!(outcomes(&gateway, 6)[4..], ["hit", "hit"]);
}

/// A provider whose streams say nothing until they may end, and then one word.
fn start_slow_thinker(may_end: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let may_end = may_end.clone();
            thread::spawn(move || think(stream, &may_end));
        }
    });
    address
}

fn think(mut stream: TcpStream, may_end: &AtomicBool) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 64 << 10])?;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    while !may_end.load(Ordering::Relaxed) {
        stream.write_all(&chunk_of(b": thinking\n\n"))?;
        thread::park_timeout(Duration::from_millis(100));
    }
    let word =
        b"data: {\"choices\":[{\"delta\":{\"content\":\"so\"},\"finish_reason\":\"stop\"}]}\n\n";
    stream.write_all(&chunk_of(word))?;
    stream.write_all(&chunk_of(b"data: [DONE]\n\n"))?;
    stream.write_all(b"0\r\n\r\n")?;
    // Closed at once, with bytes of the request unread, the connection would be reset.
    while stream.read(&mut [0; 1 << 10])? > 0 {}
    Ok(())
}

#[test]
fn those_who_wait_for_a_stream_without_a_token_are_let_in_when_it_is_passed_on_as_it_is() {
    let may_end = Arc::new(AtomicBool::new(false));
    let address = start_slow_thinker(may_end.clone());
    // Another attempt could follow, so nothing goes out at first.
    let rules = "gateways: {default: {cache: {ttl: 1h}, retry: {attempts: 2}}}";
    let gateway = Setup::leading_to(address).config(rules).start();
    let ask = Request::json(CHAT_PATH, CHAT_STREAM);
    let mut clients = [gateway.connect(), gateway.connect()];
    for client in &mut clients {
        client.send(&ask.bytes());
    }
    let heads = clients.each_mut().map(|client| client.read_head(false));
    let [one, other] = heads.map(|head| head.field("cf-aig-cache-status").unwrap().to_owned());
    assert!(
        [["MISS", "HIT"], ["HIT", "MISS"]].contains(&[one.as_str(), other.as_str()]),
        "{one} {other}"
    );
    may_end.store(true, Ordering::Relaxed);
    let bodies = clients.map(|mut client| {
        let mut body = Vec::new();
        while let Some(piece) = client.next_piece().unwrap() {
            body.extend(piece);
        }
        String::from_utf8(body).unwrap()
    });
    assert!(bodies[0].ends_with("data: [DONE]\n\n"), "{}", bodies[0]);
    assert_eq!(bodies[0], bodies[1]);
    let mut told = outcomes(&gateway, 2);
    told.sort();
    assert_eq!(told, ["coalesced", "miss"]);
}
