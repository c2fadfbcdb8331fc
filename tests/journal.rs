//! What is written down: one line a request and numbers that add up, and never a secret.
#![cfg(test)]

mod support;

use serde_json::Value;
use std::fs;
use support::client::Client;
use support::gateway::Gateway;
use support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, wait};

const LOCKED: &str =
    "gateways: {default: {}, locked: {auth: {required: true, tokens: [secret-token-1]}}}";

/// The names of every line, as the public surface has them.
const MEMBERS: [&str; 24] = [
    "id",
    "created_at",
    "account",
    "gateway",
    "provider",
    "model",
    "model_type",
    "path",
    "method",
    "status_code",
    "success",
    "duration",
    "step",
    "event_id",
    "request_content_type",
    "response_content_type",
    "stream",
    "end",
    "refusal",
    "key",
    "attempts",
    "bytes_in",
    "bytes_out",
    "client",
];

#[test]
fn a_line_says_what_happened() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request =
        Request::json(&format!("{CHAT_PATH}?key=hush"), CHAT).field("user-agent", "test/1");
    let answer = gateway.send(&request.field("cf-aig-event-id", "ev-1"));
    let line = gateway.last_log(1);
    for name in MEMBERS {
        assert!(line.get(name).is_some(), "{name} is missing: {line}");
    }
    for (name, value) in [
        ("account", Value::from("acc")),
        ("gateway", "default".into()),
        ("provider", "openai".into()),
        ("model", "gpt-4o-mini".into()),
        ("path", "/v1/acc/default/openai/chat/completions".into()),
        ("method", "POST".into()),
        ("status_code", 200.into()),
        ("success", true.into()),
        ("event_id", "ev-1".into()),
        ("request_content_type", "application/json".into()),
        ("stream", false.into()),
        ("end", "complete".into()),
        ("refusal", Value::Null),
        ("key", Value::Null),
        ("bytes_in", CHAT.len().into()),
        ("bytes_out", answer.body.len().into()),
        ("client", "127.0.0.1".into()),
        ("user_agent", "test/1".into()),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!(line["id"].as_str(), answer.field("cf-aig-log-id"));
    assert_eq!(
        line["response_content_type"].as_str(),
        answer.field("content-type")
    );
    let attempts = line["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0]["provider"], "openai");
    assert_eq!(attempts[0]["model"], "gpt-4o-mini");
    assert_eq!(attempts[0]["status"], 200);
    assert_eq!(attempts[0]["error"], Value::Null);
    let (whole, tried) = (&line["duration"], &attempts[0]["duration"]);
    assert!(whole.as_f64() >= tried.as_f64(), "{whole} {tried}");
    assert!(line["created_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_stream_says_when_its_first_byte_came() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::json(CHAT_PATH, CHAT_STREAM).mock("delay=40,chunk-delay=300,chunks=10");
    let answer = gateway.send(&request);
    let line = gateway.last_log(1);
    assert_eq!(line["stream"], true);
    assert_eq!(line["bytes_out"], answer.body.len());
    let (first, whole) = (
        line["ttft"].as_f64().unwrap(),
        line["duration"].as_f64().unwrap(),
    );
    assert!(first >= 40.0 && whole >= first + 60.0, "{first} {whole}");
    assert_eq!(gateway.metric("tollgate_first_token_seconds_count"), 1.0);
}

#[test]
fn bodies_are_counted_without_their_framing() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let body = support::chat_of(10_000);
    let request = Request::post(CHAT_PATH).field("content-type", "application/json");
    let faults = "size=5000,split=random";
    let answer = gateway.send(&request.chunked(body, vec![100; 100]).mock(faults));
    let line = gateway.last_log(1);
    assert_eq!(line["bytes_in"], 10_000);
    assert_eq!(line["bytes_out"], answer.body.len());
}

#[test]
fn every_request_is_a_line_and_a_count_whatever_became_of_it() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).config(LOCKED).start();
    let requests = [
        Request::json(CHAT_PATH, CHAT),
        Request::json(CHAT_PATH, CHAT_STREAM),
        Request::json(CHAT_PATH, CHAT).mock("status=429"),
        Request::json(CHAT_PATH, CHAT).mock("close"),
        Request::json(CHAT_PATH, CHAT).mock("cut-at=10"),
        Request::json(CHAT_PATH, CHAT_STREAM).mock("reset-at=50"),
        Request::json(CHAT_PATH, CHAT).mock("garbage-head"),
        Request::json(CHAT_PATH, "not json"),
        Request::json("/v1/acc/locked/openai/chat/completions", CHAT),
        Request::json("/v1/acc/nope/openai/chat/completions", CHAT),
        Request::json("/v1/acc/default/nope/chat/completions", CHAT),
        Request::get("/"),
        Request::get("/v1/a/default/openai/../x"),
        Request::new("HEAD", "/v1/acc/default/openai/models"),
        Request::new("OPTIONS", CHAT_PATH)
            .field("origin", "x")
            .field("access-control-request-method", "GET"),
        Request::json(CHAT_PATH, CHAT).field("cf-aig-request-timeout", "x"),
        Request::new("CONNECT", "a.test:1"),
    ];
    for request in &requests {
        gateway.send(request);
    }
    for malformed in [
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nbad field\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(malformed.as_bytes());
        client.is_closed();
    }
    let count = requests.len() + 3;
    let lines = gateway.log(count);
    assert_eq!(lines.len(), count);
    for line in &lines {
        for name in MEMBERS {
            assert!(line.get(name).is_some(), "{name} is missing: {line}");
        }
    }
    let mut ids: Vec<_> = lines.iter().map(|line| line["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert_eq!(gateway.metric("tollgate_requests_total"), count as f64);
    assert_eq!(
        gateway.metric("tollgate_request_duration_seconds_count"),
        count as f64
    );
    assert_eq!(
        gateway.metric("tollgate_overhead_seconds_count"),
        count as f64
    );
    assert_eq!(gateway.metric("tollgate_in_flight"), 0.0);
    assert_eq!(gateway.metric("tollgate_streams_open"), 0.0);
}

#[test]
fn nothing_secret_is_written_anywhere() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .provider("mistral: {base_url: \"http://nowhere.invalid\"}")
        .config(LOCKED)
        .start();
    for path in [
        "/v1/acc/locked/openai/chat/completions?key=hush-1",
        "/v1/acc/default/openai/chat/completions?api_key=hush-1",
        "/v1/acc/default/mistral/v1/chat/completions?key=hush-1",
        "/v1/acc/nope/openai/x?key=hush-1",
        "/?key=hush-1",
    ] {
        for faults in ["none", "close", "garbage-head", "status=401", "cut-at=5"] {
            for token in ["secret-token-1", "wrong-hush-1"] {
                let request = Request::json(path, CHAT.replace("Say", "hush-1"))
                    .mock(faults)
                    .field("cf-aig-authorization", token)
                    .field("authorization", "Bearer sk-hush-1")
                    .field("x-api-key", "hush-1")
                    .field("cookie", "hush-1")
                    .field("proxy-authorization", "hush-1");
                gateway.send(&request);
            }
        }
    }
    let malformed = "GET /?key=hush-1 HTTP/1.1\r\nauthorization: hush-1\r\nhush-1\r\n\r\n";
    let mut client = gateway.connect();
    client.send(malformed.as_bytes());
    client.is_closed();
    gateway.log(51);
    for (place, text) in [
        ("log", gateway.log_text()),
        ("metrics", gateway.metrics_text()),
        ("stderr", gateway.process.stderr()),
        ("stdout", gateway.process.stdout()),
    ] {
        for secret in ["hush-1", "secret-token-1"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{place}: {line:?}");
        }
    }
}

fn send_plain(gateway: &Gateway) {
    assert_eq!(gateway.send(&Request::json(CHAT_PATH, CHAT)).status, 200);
}

#[test]
fn a_rotated_log_goes_on_under_its_name() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let old = gateway.process.scratch.join("requests.ndjson.1");
    send_plain(&gateway);
    gateway.log(1);
    fs::rename(gateway.log_path(), &old).unwrap();
    send_plain(&gateway);
    assert_eq!(gateway.log(1).len(), 1, "by itself at the next line");
    assert_eq!(fs::read_to_string(&old).unwrap().lines().count(), 1);

    fs::rename(gateway.log_path(), &old).unwrap();
    gateway.process.signal("HUP");
    wait::until("the log to be there again", || {
        gateway.log_path().exists().then_some(())
    });
    send_plain(&gateway);
    assert_eq!(gateway.log(1).len(), 1);
}

#[test]
fn a_log_that_was_cut_to_nothing_goes_on_at_its_start() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    send_plain(&gateway);
    gateway.log(1);
    fs::File::options()
        .write(true)
        .truncate(true)
        .open(gateway.log_path())
        .unwrap();
    send_plain(&gateway);
    assert_eq!(gateway.log(1).len(), 1);
}

#[test]
fn a_stop_writes_the_last_lines_out() {
    let mock = Mock::start();
    let mut gateway = Setup::new(&mock).start();
    for _ in 0..20 {
        send_plain(&gateway);
    }
    gateway.process.signal("TERM");
    let status = wait::until("the gateway's end", || gateway.process.ended());
    assert!(status.success(), "{status}: {}", gateway.process.stderr());
    assert_eq!(gateway.log(20).len(), 20);
}

#[test]
fn strangers_cannot_fill_the_metrics_with_models() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let mut client = gateway.connect();
    for n in 0..600 {
        let body = format!("{{\"model\":\"stranger-{n}\"}}");
        client.send(&Request::json(CHAT_PATH, body).mock("status=404").bytes());
        assert_eq!(client.read_answer(false).status, 404);
    }
    gateway.log(600);
    let text = gateway.metrics_text();
    assert!(!text.contains("stranger"));
    let metrics = gateway.metrics();
    let series = metrics
        .iter()
        .find(|(name, _)| name.contains("model=\"other\""));
    assert_eq!(series.map(|(_, count)| *count), Some(600.0), "{text}");
}

#[test]
fn models_beyond_the_cap_are_counted_together() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let mut client = gateway.connect();
    for n in 0..600 {
        let body = format!("{{\"model\":\"model-{n}\",\"messages\":[]}}");
        client.send(&Request::json(CHAT_PATH, body).bytes());
        assert_eq!(client.read_answer(false).status, 200);
    }
    gateway.log(600);
    let metrics = gateway.metrics();
    let series = metrics
        .keys()
        .filter(|name| name.starts_with("tollgate_requests_total"));
    assert_eq!(series.count(), 501);
    assert_eq!(gateway.metric("tollgate_requests_total"), 600.0);
}

#[test]
fn odd_text_stays_one_line_of_json() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let body = r#"{"model":"a\"b\\c\nd\u0000é\ud83d\ude80","messages":[]}"#;
    let request = Request::json("/v1/a%0Ab/default/openai/chat/completions", body);
    gateway.send(
        &request
            .field("user-agent", "\"quoted\"\ttab é")
            .field("cf-aig-event-id", "\u{e9}\"\\"),
    );
    let line = gateway.last_log(1);
    assert_eq!(line["model"], "a\"b\\c\u{fffd}d\u{fffd}é🚀");
    assert_eq!(line["user_agent"], "\"quoted\"\ttab é");
    assert_eq!(gateway.log_text().lines().count(), 1);
}

#[test]
fn the_metrics_name_what_the_surface_promises() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    send_plain(&gateway);
    // What stands in the log has been counted before.
    gateway.log(1);
    let metrics = gateway.metrics();
    let labels = "{gateway=\"default\",model=\"gpt-4o-mini\",provider=\"openai\",status=\"200\"}";
    assert_eq!(
        metrics.get(&format!("tollgate_requests_total{labels}")),
        Some(&1.0)
    );
    assert_eq!(
        metrics.get("tollgate_attempts_total{outcome=\"ok\",provider=\"openai\"}"),
        Some(&1.0)
    );
    for name in ["tollgate_in_flight", "tollgate_streams_open"] {
        assert_eq!(metrics.get(name), Some(&0.0), "{name}");
    }
    assert!(
        metrics
            .keys()
            .any(|name| name.starts_with("tollgate_build_info{"))
    );
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("POST", "/metrics", 405),
        ("GET", "/x", 404),
    ] {
        let mut client = Client::connect(gateway.admin);
        client.send(&Request::new(method, path).bytes());
        let answer = client.read_answer(method == "HEAD");
        assert_eq!(answer.status, status, "{method} {path}");
        let promised = answer.all("connection").contains(&"keep-alive");
        let length = answer.field("content-length");
        assert!(!promised || length.is_some(), "{path}: {:?}", answer.fields);
    }
}
