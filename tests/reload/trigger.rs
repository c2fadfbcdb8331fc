//! What makes a reload: a signal and the operator's request; and that files it names are read again.

use super::support::{Mock, Request, wait};
use super::*;
use std::thread;

const KEYS: &str = "custom-keyed: {base_url: \"http://<mock>\", keys: [\"${file:<dir>/key}\"]}";
const PATH: &str = "/v1/acc/default/custom-keyed/x";

/// A gateway whose file, once it is reloaded, names one more provider, with a key from a file.
fn keyed(mock: &Mock) -> Gateway {
    let gateway = setup(mock).start();
    write_key(&gateway, "zq-first");
    let folder = gateway.process.scratch.join("").display().to_string();
    let line = KEYS
        .replace("<mock>", &mock.address.to_string())
        .replace("<dir>", &folder);
    change(&gateway, "providers:\n", &format!("providers:\n  {line}\n"));
    gateway
}

fn write_key(gateway: &Gateway, key: &str) {
    fs::write(gateway.process.scratch.join("key"), key).unwrap();
}

fn key_sent(gateway: &Gateway) -> String {
    let seen = support::echo(gateway, Request::post(PATH));
    let shown = support::mock::shown(&seen, "authorization");
    shown.first().copied().unwrap_or_default().to_owned()
}

#[test]
fn the_operator_reloads_and_is_told_so() {
    let mock = Mock::start();
    let gateway = keyed(&mock);
    assert_eq!(generation(&gateway), 1.0);
    let before = gateway.metric("tollgate_config_reload_timestamp_seconds");
    let unknown = gateway.send(&Request::post(PATH));
    assert_eq!(unknown.status, 400, "{}", unknown.text());

    let answer = reload(&gateway);
    assert_eq!((answer.status, answer.text().as_str()), (200, "reloaded\n"));
    assert_eq!(key_sent(&gateway), "Bearer zq-first");
    assert_eq!(gateway.metric("tollgate_config_reload_success"), 1.0);
    assert!(gateway.metric("tollgate_config_reload_timestamp_seconds") > before);
    // The file of the configuration is the same, and the key's is another.
    write_key(&gateway, "zq-second");
    assert_eq!(key_sent(&gateway), "Bearer zq-first");
    reload_well(&gateway);
    assert_eq!(key_sent(&gateway), "Bearer zq-second");
}

#[test]
fn only_the_operator_may() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    let ask = |request: Request| admin(&gateway, &request).status;
    assert_eq!(ask(Request::get("/reload")), 405);
    assert_eq!(ask(Request::post("/reload")), 401);
    let wrong = Request::post("/reload").field("authorization", "Bearer operator-token-2");
    assert_eq!(ask(wrong), 401);
    assert_eq!(generation(&gateway), 1.0);
    // The token itself is one of the things that a reload changes.
    change(&gateway, TOKEN, "operator-token-2");
    reload_well(&gateway);
    assert_eq!(reload(&gateway).status, 401);
    change(&gateway, "  admin_token: operator-token-2\n", "");
    gateway.process.signal("HUP");
    wait_for_generation(&gateway, 3.0);
    assert_eq!(reload(&gateway).status, 403);
}

#[test]
fn a_hangup_reloads() {
    let mock = Mock::start();
    let gateway = keyed(&mock);
    gateway.process.signal("HUP");
    wait_for_generation(&gateway, 2.0);
    assert_eq!(key_sent(&gateway), "Bearer zq-first");
}

#[test]
fn two_at_once_have_their_turns() {
    let mock = Mock::start();
    let gateway = keyed(&mock);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| reload_well(&gateway));
        }
    });
    assert_eq!(generation(&gateway), 5.0);
    assert_eq!(key_sent(&gateway), "Bearer zq-first");
}

#[test]
fn bounds_of_requests_are_changed_too() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    let body = support::chat_of(8 << 10);
    let ask = || {
        let request = Request::json(support::CHAT_PATH, body.clone());
        gateway.send(&request).status
    };
    assert_eq!(ask(), 200);
    change(
        &gateway,
        "  threads: 1\n",
        "  threads: 1\n  max_body: 1KiB\n",
    );
    reload_well(&gateway);
    assert_eq!(ask(), 413);
    // How long an idle connection is kept, told by when it is closed.
    change(
        &gateway,
        "  max_body: 1KiB\n",
        "  head_timeout: 100ms\n  keepalive: 100ms\n",
    );
    reload_well(&gateway);
    let mut client = gateway.connect();
    client.send(&Request::json(support::CHAT_PATH, support::CHAT).bytes());
    assert_eq!(client.read_answer(false).status, 200);
    assert!(client.is_closed());
    // Over HTTP/2: its preface, and settings without any (RFC 9113, 3.4 and 6.5).
    let mut client = gateway.connect();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(client.is_closed());
}

#[test]
fn a_provider_and_a_gateway_come_and_go() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    let ask = |path: &str| {
        let answer = gateway.send(&Request::json(path, support::CHAT));
        answer.status
    };
    let (team, own) = (
        "/v1/acc/team/openai/chat/completions",
        "/v1/acc/default/custom-own/v1/chat/completions",
    );
    assert_eq!((ask(team), ask(own)), (400, 400));
    let line = format!("  custom-own: {{base_url: \"http://{}\"}}\n", mock.address);
    change(&gateway, "providers:\n", &format!("providers:\n{line}"));
    append(&gateway, "gateways: {team: {}}\n");
    reload_well(&gateway);
    assert_eq!((ask(team), ask(own)), (200, 200));
    // Requests that run end on what they began with.
    let mut running = gateway.connect();
    running.send(
        &Request::json(team, support::CHAT_STREAM)
            .mock("chunk-delay=100,chunks=10")
            .bytes(),
    );
    assert_eq!(running.read_head(false).status, 200);
    change(&gateway, &line, "");
    change(&gateway, "gateways: {team: {}}\n", "");
    reload_well(&gateway);
    assert_eq!((ask(team), ask(own)), (400, 400));
    let mut text = Vec::new();
    while let Some(piece) = running.next_piece().unwrap() {
        text.extend(piece);
    }
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    let lines = gateway.log(7);
    let own = lines
        .iter()
        .find(|line| line["gateway"] == "team" && line["stream"] == true);
    assert_eq!(own.unwrap()["end"], "complete");
    wait::until("all to be counted", || {
        (gateway.metric("tollgate_in_flight") == 0.0).then_some(())
    });
}
