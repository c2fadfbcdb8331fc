//! Where no provider answers, an answer that has expired may stand in.

use crate::support::client::Answer;
use crate::{chat, is_hit, outcomes, start};
use std::thread;
use std::time::Duration;

const STALE: &str = "gateways: {default: {cache: {ttl: 1s, stale_if_error: 1h}, \
     timeout: {first_byte: 400ms}}}";

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
    let of = |line: usize| log[line]["attempts"][0].clone();
    assert_eq!(of(1)["status"], 500);
    assert!(of(4)["error"].is_string(), "{}", log[4]);
    assert!(
        log[1..]
            .iter()
            .all(|line| line["cached"] == true && line["end"] == "complete")
    );
}

#[test]
fn a_good_answer_takes_its_place() {
    let (mock, gateway) = start(STALE);
    assert!(!is_hit(&gateway.send(&chat())));
    expire();
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
