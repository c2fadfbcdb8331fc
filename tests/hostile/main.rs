//! Hostile input against the real binary: it answers properly or hangs up, and goes on serving.
#![cfg(test)]

mod bodies;
mod case;
mod framing;
mod heads;
mod stalls;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use case::{Case, throw};
use support::gateway::Gateway;
use support::{CHAT, CHAT_PATH, Mock, Request, Setup, wait};

fn start(mock: &Mock) -> Gateway {
    let setup = Setup::new(mock).server("head_timeout: 1s");
    let setup = setup.server("body_timeout: 1s").server("keepalive: 2s");
    setup.server("max_body: 12MiB").start()
}

fn check(cases: Vec<Case>) {
    let mock = Mock::start();
    throw(cases, start(&mock), &mock);
}

#[test]
fn bad_request_lines_are_refused() {
    check(heads::request_lines());
}

#[test]
fn bad_header_fields_are_refused() {
    check(heads::fields());
}

#[test]
fn bad_hosts_are_refused() {
    check(heads::hosts());
}

#[test]
fn heads_beyond_the_limit_are_refused() {
    check(heads::sizes());
}

#[test]
fn lengths_that_two_servers_could_read_differently_are_refused() {
    check(framing::lengths());
}

#[test]
fn codings_that_two_servers_could_read_differently_are_refused() {
    check(framing::codings());
}

#[test]
fn a_bad_chunk_ends_the_connection() {
    check(framing::chunks());
}

#[test]
fn odd_paths_stay_within_their_base() {
    check(targets::traversals());
    check(targets::paths());
}

#[test]
fn odd_json_is_the_providers_to_judge() {
    check(bodies::json());
}

#[test]
fn odd_protocols_and_fields_do_no_harm() {
    check(bodies::protocols());
}

#[test]
fn clients_that_stall_or_vanish_are_let_go() {
    check(stalls::all());
}

#[test]
fn a_thousand_connections_that_come_to_nothing_do_no_harm() {
    let mock = Mock::start();
    let mut gateway = start(&mock);
    for number in 0..1000 {
        let mut client = gateway.connect();
        if number % 3 == 0 {
            client.try_send(b"POST /v1/acc").ok();
        }
        if number % 2 == 0 {
            let socket = socket2::SockRef::from(&client.stream);
            socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
    }
    assert_eq!(gateway.send(&Request::json(CHAT_PATH, CHAT)).status, 200);
    wait::until("an idle gateway", || {
        (gateway.metric("tollgate_in_flight") == 0.0).then_some(())
    });
    assert!(gateway.process.ended().is_none());
    assert!(!gateway.process.stderr().contains("panicked"));
    assert_eq!(mock.count("requests"), 1);
}

#[test]
fn what_a_client_sends_stays_small_in_the_log_and_plain_in_the_metrics() {
    let mock = Mock::start();
    let gateway = start(&mock);
    let long = format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(1 << 20));
    gateway.send(&Request::json(CHAT_PATH, long));
    let odd = r#"{"model":"a\u0000\u001b[31m\nb","messages":[]}"#;
    gateway.send(&Request::json(CHAT_PATH, odd));
    gateway.send(&Request::new(&"M".repeat(5000), CHAT_PATH));
    gateway.log(3);
    for line in gateway.log_text().lines() {
        let start: String = line.chars().take(300).collect();
        assert!(line.len() < 4096, "{} bytes: {start}", line.len());
    }
    let metrics = gateway.metrics_text();
    assert!(metrics.len() < 64 << 10);
    let plain = |c: char| c == '\n' || !c.is_control();
    assert!(metrics.chars().all(plain), "control characters in a label");
}
