//! Streams that tell their usage only when asked are asked, and the client does not notice.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use support::client::{Answer, Client, End};
use support::mock::shown;
use support::request::chunk_of;
use support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, h2};

const DIRECT_PATH: &str = "/v1/chat/completions";
const OPTION: &str = r#""stream_options":{"include_usage":true},"#;

/// A streaming request, with members before the others.
fn streaming(members: &str) -> String {
    format!("{{{members}{}", CHAT_STREAM.strip_prefix('{').unwrap())
}

/// What the mock itself answers to a body.
fn direct(mock: &Mock, body: &str) -> String {
    let mut client = Client::connect(mock.address);
    client.send(&Request::json(DIRECT_PATH, body).bytes());
    client.read_answer(false).text()
}

/// The stream without its usage event, of which it has to have one.
fn without_usage(stream: &str) -> String {
    let events = stream.split_inclusive("\n\n");
    let (usage, rest): (Vec<&str>, Vec<&str>) =
        events.partition(|event| event.contains(r#""choices":[],"usage":{"#));
    assert_eq!(usage.len(), 1, "{stream}");
    rest.concat()
}

/// Tokens stand in the log's line as the provider reported them.
fn check_reported(line: &Value) {
    assert_eq!(line["usage_source"], "reported", "{line}");
    assert!(line["tokens_in"].as_u64().unwrap() > 0, "{line}");
    assert!(line["tokens_out"].as_u64().unwrap() > 0, "{line}");
}

#[test]
fn a_client_that_does_not_ask_gets_what_it_would_have_got() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let asked = streaming(OPTION);
    let spellings = [
        (streaming(""), asked.as_str()),
        (streaming("\"stream_options\":null,"), &asked),
        (streaming("\"stream_options\":{},"), &asked),
        (
            streaming("\"stream_options\":{\"include_usage\":false},"),
            &asked,
        ),
    ];
    let mut lines = 0;
    for (body, asked) in &spellings {
        let expect = without_usage(&direct(&mock, asked));
        for faults in [
            "none",
            "burst",
            "split=byte",
            "split=random,seed=5",
            "length",
            "eof",
            "http10",
            "trailers",
        ] {
            let answer = gateway.send(&Request::json(CHAT_PATH, body.as_str()).mock(faults));
            assert_eq!(answer.text(), expect, "{faults} {body}");
            assert_eq!((answer.status, &answer.end), (200, &End::Whole), "{faults}");
            assert_eq!(answer.all("transfer-encoding"), ["chunked"], "{faults}");
            assert!(answer.field("content-length").is_none(), "{faults}");
            let seen = mock.last();
            assert_eq!(seen["body_bytes"], asked.len());
            assert_eq!(shown(&seen, "content-length"), [asked.len().to_string()]);
            assert_eq!(shown(&seen, "accept-encoding"), ["identity"]);
            lines += 1;
            let line = gateway.last_log(lines);
            check_reported(&line);
            assert_eq!(line["bytes_in"], body.len());
            assert_eq!(line["bytes_out"], expect.len());
        }
    }
}

#[test]
fn a_client_that_asks_gets_the_event() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let body = streaming(OPTION);
    let request = Request::json(CHAT_PATH, body.as_str()).field("accept-encoding", "gzip");
    let answer = gateway.send(&request);
    assert_eq!(answer.text(), direct(&mock, &body));
    check_reported(&gateway.last_log(1));
    let echo = gateway.send(&request.mock("echo")).json();
    assert_eq!(echo["body"], body.as_str());
    assert_eq!(shown(&echo, "accept-encoding"), ["gzip"]);
}

#[test]
fn completions_are_asked_too() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let body = r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Say hi.","stream":true}"#;
    let path = "/v1/acc/default/openai/completions";
    let answer = gateway.send(&Request::json(path, body));
    assert!(answer.text().contains("\"text\":"), "{}", answer.text());
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert!(!answer.text().contains("\"choices\":[]"));
    check_reported(&gateway.last_log(1));
}

#[test]
fn nothing_else_is_touched() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .provider("groq: {base_url: \"http://<mock>/v1\"}")
        .provider("azure-openai: {base_url: \"http://<mock>\"}")
        .provider("custom-vllm: {base_url: \"http://<mock>/v1\", dialect: openai}")
        .config("gateways: {default: {}, quiet: {include_usage: false}}")
        .start();
    let asked = streaming(OPTION);
    let body = streaming("");
    let own_data = streaming("\"data_sources\":[],");
    let azure = "/v1/acc/default/azure-openai/res/dep/chat/completions";
    let cases = [
        (CHAT_PATH.to_owned(), body.as_str(), true),
        (CHAT_PATH.replace("openai", "custom-vllm"), &body, true),
        (format!("{azure}?api-version=2024-10-21"), &body, true),
        (
            format!("{azure}?api-version=2024-09-01-preview"),
            &body,
            true,
        ),
        (format!("{azure}?x=y&api-version=2024-02-01"), &body, false),
        (azure.replace("/res/dep", "/res/openai/v1"), &body, true),
        (format!("{azure}?api-version=2025-01-01"), &own_data, false),
        (CHAT_PATH.replace("default", "quiet"), &body, false),
        (CHAT_PATH.replace("openai", "groq"), &body, false),
        (CHAT_PATH.replace("openai", "anthropic"), &body, false),
        // Nobody said what is spoken there.
        (CHAT_PATH.replace("openai", "custom-echo"), &body, false),
        ("/v1/acc/default/openai/responses".to_owned(), &body, false),
        (CHAT_PATH.to_owned(), CHAT, false),
        (
            CHAT_PATH.to_owned(),
            r#"{"stream":true,"stream_options":{},"stream_options":{}}"#,
            false,
        ),
        (CHAT_PATH.to_owned(), r#"{"stream":true"#, false),
        (CHAT_PATH.to_owned(), "", false),
    ];
    for (path, body, is_asked) in &cases {
        let request = Request::json(path, *body).field("accept-encoding", "br");
        let answer = gateway.send(&request.mock("echo"));
        let echo = answer.json();
        let expect = if *is_asked { asked.as_str() } else { body };
        assert_eq!(echo["body"], expect, "{path}");
        let coding = if *is_asked { "identity" } else { "br" };
        assert_eq!(shown(&echo, "accept-encoding"), [coding], "{path}");
        // It is no stream, so nothing was taken out.
        let length = answer.body.len().to_string();
        assert_eq!(answer.field("content-length"), Some(length.as_str()));
    }
    let quiet = CHAT_PATH.replace("default", "quiet");
    let answer = gateway.send(&Request::json(&quiet, body.as_str()));
    assert_eq!(answer.text(), direct(&mock, &body));
    let line = gateway.last_log(cases.len() + 1);
    assert_eq!(line["usage_source"], "estimated");
}

#[test]
fn an_answer_that_is_packed_all_the_same_passes_as_it_is() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for (index, coding) in ["gzip", "br", "zstd"].into_iter().enumerate() {
        let request = Request::json(CHAT_PATH, CHAT_STREAM).mock(&format!("{coding},length"));
        let answer = gateway.send(&request);
        let length = answer.body.len().to_string();
        assert_eq!(answer.field("content-encoding"), Some(coding));
        assert_eq!(answer.field("content-length"), Some(length.as_str()));
        check_reported(&gateway.last_log(index + 1));
    }
}

#[test]
fn failures_are_told_as_they_came() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let send = |faults: &str| gateway.send(&Request::json(CHAT_PATH, CHAT_STREAM).mock(faults));
    let text = |answer: &Answer| String::from_utf8_lossy(&answer.body).into_owned();
    let answer = send("error-event,chunks-before=2");
    assert!(text(&answer).contains("\"error\":"), "{}", text(&answer));
    assert_eq!(text(&answer).matches("\"content\":").count(), 3);
    let answer = send("status=429");
    assert_eq!(answer.status, 429);
    assert!(answer.json()["error"].is_object());
    // Cut in the middle of an event: the events before it are there.
    let answer = send("cut-at=700");
    assert!(matches!(answer.end, End::Broken(_)));
    let whole = direct(&mock, &streaming(OPTION));
    assert!(whole.starts_with(&text(&answer)), "{}", text(&answer));
    let events = |text: &str| text.matches("\n\n").count();
    assert_eq!(
        events(&text(&answer)),
        events(&String::from_utf8_lossy(&whole.as_bytes()[..700]))
    );
    // No usage at all: nothing is taken for it.
    let answer = send("no-usage");
    assert!(text(&answer).ends_with("data: [DONE]\n\n"));
    assert_eq!(gateway.last_log(4)["usage_source"], "estimated");
}

#[test]
fn large_bodies_of_unknown_length_are_asked_too() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let body = support::chat_of(300_000);
    let body = [b"{\"stream\":true,", &body[1..]].concat();
    let request = Request::post(CHAT_PATH).field("content-type", "application/json");
    let answer = gateway.send(&request.chunked(body.clone(), vec![body.len()]));
    assert_eq!(answer.status, 200);
    let seen = mock.last();
    let length = body.len() + OPTION.len();
    assert_eq!(seen["body_bytes"], length);
    assert_eq!(shown(&seen, "content-length"), [length.to_string()]);
    assert!(shown(&seen, "transfer-encoding").is_empty());
    check_reported(&gateway.last_log(1));
}

#[tokio::test]
async fn http2_clients_do_not_notice_either() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let expect = without_usage(&direct(&mock, &streaming(OPTION)));
    let client = h2::Client::connect(gateway.address).await;
    for faults in ["none", "split=byte", "length"] {
        let request = h2::post(CHAT_PATH)
            .header("x-mock", faults)
            .body(())
            .unwrap();
        let answer = client.ask(request, CHAT_STREAM.into()).await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, expect.clone()));
        assert!(!answer.fields.contains_key("content-length"), "{faults}");
    }
    for line in gateway.log(3) {
        check_reported(&line);
    }
}

type Bodies = Arc<Mutex<Vec<Value>>>;

/// Answers each first request of a connection with `stream` cut at `at`, and hangs up on the second.
fn fickle_provider(stream: String) -> (SocketAddr, Bodies) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let bodies = Bodies::default();
    let seen = bodies.clone();
    thread::spawn(move || {
        for (at, connection) in listener.incoming().enumerate() {
            let seen = seen.clone();
            let connection = connection.unwrap();
            let stream = stream.clone();
            thread::spawn(move || {
                answer_once(connection, stream.split_at(at % stream.len()), &seen)
            });
        }
    });
    (address, bodies)
}

fn answer_once(mut stream: TcpStream, parts: (&str, &str), seen: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for first in [true, false] {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        seen.lock().unwrap().push(body);
        if first {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            for part in [parts.0, parts.1].iter().filter(|part| !part.is_empty()) {
                stream.write_all(&chunk_of(part.as_bytes())).unwrap();
            }
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
    }
}

#[test]
fn a_second_connection_is_asked_as_the_first_was() {
    const LEAD: &str = "data: {\"choices\":[{}],\"usage\":null}\r\n\r\n";
    const USAGE: &str = "data: {\"choices\":[],\
        \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\r\n\r\n";
    const TAIL: &str = "data: [DONE]\r\n\r\n";
    let stream = [LEAD, USAGE, TAIL].concat();
    let count = stream.len();
    let (address, bodies) = fickle_provider(stream);
    let gateway = Setup::leading_to(address).start();
    for _ in 0..count {
        let answer = gateway.send(&Request::json(CHAT_PATH, CHAT_STREAM));
        assert_eq!(answer.text(), [LEAD, TAIL].concat());
    }
    for line in gateway.log(count) {
        assert_eq!(
            (&line["tokens_in"], &line["tokens_out"]),
            (&json!(3), &json!(4))
        );
        assert_eq!(line["attempts"].as_array().unwrap().len(), 1);
    }
    // Each connection but the last was tried a second time, and hung up on.
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies.len(), 2 * count - 1);
    let asks = |body: &&Value| body["stream_options"]["include_usage"] == true;
    assert_eq!(bodies.iter().filter(asks).count(), bodies.len());
}
