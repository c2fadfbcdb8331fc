//! Where no provider answers, an answer that has expired may stand in.

use crate::support::client::{Answer, End};
use crate::support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup};
use crate::{chat, is_hit, outcomes, start};
use std::thread;
use std::time::Duration;

const STALE: &str = "gateways: {default: {cache: {ttl: 1s, stale_if_error: 1h}, \
     timeout: {first_byte: 3s, idle: 3s}}}";

fn expire() {
    thread::park_timeout(Duration::from_millis(1100));
}

fn is_stale(answer: &Answer) -> bool {
    is_hit(answer) && answer.field("x-tollgate-cache-stale") == Some("true")
}

#[test]
fn an_expired_answer_stands_in_for_every_failure() {
    let (mock, gateway) = start(STALE);
    let kept = gateway.send(&chat());
    expire();
    let faults = [
        "status=500",
        "status=503",
        "status=429",
        "close",
        "hang",
        "garbage-head",
        // They break off before any of the answer went to the client.
        "cut-at=20",
        "chunked,cut-at=20",
        "hang-at=20",
    ];
    for fault in faults {
        let answer = gateway.send(&chat().mock(fault));
        assert!(is_stale(&answer), "{fault}");
        assert_eq!(answer.body, kept.body, "{fault}");
        assert!(answer.field("age").unwrap().parse::<u64>().unwrap() >= 1);
    }
    let count = faults.len() + 1;
    assert_eq!(mock.count("requests"), count as u64);
    let log = gateway.log(count);
    assert_eq!(outcomes(&gateway, count)[1..], vec!["stale"; faults.len()]);
    for (line, fault) in log[1..].iter().zip(faults) {
        let [attempt] = line["attempts"].as_array().unwrap().as_slice() else {
            panic!("{line}");
        };
        match fault.strip_prefix("status=") {
            Some(status) => assert_eq!(attempt["status"].to_string(), status),
            None => assert!(attempt["error"].is_string(), "{line}"),
        }
        assert_eq!(line["saved"], log[0]["cost"], "{line}");
        assert!(line["ttft"].is_null(), "{line}");
        // What a provider may bill although nobody got it.
        let used = ["hang", "cut-at=20", "chunked,cut-at=20", "hang-at=20"].contains(&fault);
        let source = if used { "estimated" } else { "none" };
        assert_eq!(attempt["usage_source"], source, "{fault} {line}");
        let cost = attempt["cost"].as_f64();
        assert_eq!(cost.is_some(), used, "{fault} {line}");
        assert_eq!(line["cost"].as_f64(), cost.or(Some(0.0)), "{fault} {line}");
    }
    assert!(
        log[1..]
            .iter()
            .all(|line| line["cached"] == true && line["end"] == "complete")
    );
}

#[test]
fn a_stream_that_has_begun_is_cut() {
    let (_mock, gateway) = start(STALE);
    let ask = |faults: &str| Request::json(CHAT_PATH, CHAT_STREAM).mock(faults);
    gateway.send(&ask("none"));
    expire();
    let answer = gateway.send(&ask("cut-at=700"));
    assert_eq!(answer.field("cf-aig-cache-status"), Some("MISS"));
    assert!(matches!(answer.end, End::Broken(_)), "{:?}", answer.end);
}

#[test]
fn failures_behind_an_expired_answer_count_against_their_provider() {
    let mock = Mock::start();
    let breaker = "{min_requests: 4, all_open: refuse}";
    let provider =
        format!("{{base_url: \"http://<mock>/v1\", dialect: openai, breaker: {breaker}}}");
    let gateway = Setup::new(&mock)
        .provider(&format!("custom-weak: {provider}"))
        .config(STALE)
        .start();
    let ask = |faults: &str| {
        let path = CHAT_PATH.replace("openai", "custom-weak");
        gateway.send(&Request::json(&path, CHAT).mock(faults))
    };
    ask("none");
    expire();
    for fault in ["close", "cut-at=20", "hang", "close", "cut-at=20", "close"] {
        assert!(is_stale(&ask(fault)), "{fault}");
    }
    // In the end nobody asks it any more.
    let log = gateway.log(7);
    assert_eq!(
        log[1]["attempts"].as_array().map(Vec::len),
        Some(1),
        "{}",
        log[1]
    );
    assert_eq!(
        log[6]["attempts"].as_array().map(Vec::len),
        Some(0),
        "{}",
        log[6]
    );
}

#[test]
fn a_good_answer_takes_its_place() {
    let (mock, gateway) = start(&STALE.replace("ttl: 1s", "ttl: 4s"));
    assert!(!is_hit(&gateway.send(&chat())));
    thread::park_timeout(Duration::from_millis(4100));
    assert!(!is_hit(&gateway.send(&chat())));
    let hit = gateway.send(&chat());
    assert!(is_hit(&hit) && !is_stale(&hit));
    assert_eq!(mock.count("requests"), 2);
}

#[test]
fn what_the_caller_did_wrong_is_told() {
    let (_mock, gateway) = start(STALE);
    gateway.send(&chat());
    expire();
    let answer = gateway.send(&chat().mock("status=400"));
    assert_eq!(answer.status, 400);
}

#[test]
fn without_the_rule_nothing_stands_in() {
    let (_mock, gateway) = start("gateways: {default: {cache: {ttl: 1s}}}");
    gateway.send(&chat());
    expire();
    assert_eq!(gateway.send(&chat().mock("status=500")).status, 500);
    assert_eq!(gateway.send(&chat().mock("close")).refusal(), (502, 2005));
}
