//! The cache spares the provider, and nothing else: who may not ask gets nothing out of it.

use crate::support::process::Scratch;
use crate::support::{CHAT, CHAT_PATH, Request};
use crate::{ON, chat, hits, is_hit, start};

#[test]
fn a_blocked_caller_gets_nothing_out_of_the_cache() {
    let (mock, gateway) = start(
        "gateways: {default: {auth: {required: true, tokens: [first-token, second-token]}, \
         cache: {ttl: 1h, partition: gateway}}}",
    );
    let by = |token: &str| chat().field("cf-aig-authorization", &format!("Bearer {token}"));
    assert_eq!(
        hits(&gateway, [by("first-token"), by("second-token")]),
        [false, true]
    );
    for request in [chat(), by("third-token")] {
        assert_eq!(gateway.send(&request).refusal(), (401, 2009));
    }
    assert_eq!(mock.count("requests"), 1);
    let log = gateway.log(4);
    assert_eq!(log[3]["cached"], false);
    assert_eq!(log[1]["key"], "token-2");
}

#[test]
fn a_request_that_is_too_large_is_refused_though_it_was_answered_before() {
    let (_mock, gateway) = start(ON);
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, true]);
    let broken = Request::json("/v1/acc/nowhere/openai/chat/completions", CHAT);
    assert_eq!(gateway.send(&broken).refusal(), (400, 2001));
}

#[test]
fn hits_come_on_one_connection_as_other_answers_do() {
    let (mock, gateway) = start(ON);
    let mut client = gateway.connect();
    for count in 0..50 {
        client.send(&chat().bytes());
        let answer = client.read_answer(false);
        assert_eq!(is_hit(&answer), count > 0);
    }
    assert_eq!(mock.count("requests"), 1);
    let lines = gateway.log(50);
    assert_eq!(
        lines.iter().filter(|line| line["cache"] == "hit").count(),
        49
    );
    assert!(lines.iter().all(|line| line["end"] == "complete"));
}

#[test]
fn hits_carry_what_pages_and_tracers_need() {
    let (_mock, gateway) = start(ON);
    let ask = || {
        chat()
            .field("origin", "https://page.example")
            .field("cf-aig-event-id", "mine")
    };
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, true]);
    let hit = gateway.send(&ask());
    assert!(is_hit(&hit));
    assert_eq!(hit.field("access-control-allow-origin"), Some("*"));
    assert_eq!(hit.field("cf-aig-event-id"), Some("mine"));
    let id = hit.field("cf-aig-log-id").unwrap().to_owned();
    assert_eq!(gateway.last_log(3)["id"], id);
    assert_eq!(gateway.last_log(3)["path"], CHAT_PATH);
}

#[test]
fn who_is_over_the_limit_gets_nothing_out_of_the_cache() {
    let limits = "limits: [{name: few, requests: 2, per: 1h}]";
    // Counters outlive a process in this folder.
    let scratch = Scratch::new();
    let folder = scratch.join("counters");
    let (mock, gateway) = start(&format!(
        "counters: {{folder: \"{}\"}}\ngateways: {{default: {{cache: {{ttl: 1h}}, {limits}}}}}",
        folder.display()
    ));
    assert!(!is_hit(&gateway.send(&chat())));
    assert!(is_hit(&gateway.send(&chat())));
    let refused = gateway.send(&chat());
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.field("x-tollgate-limit"), Some("few"));
    assert_ne!(refused.field("cf-aig-cache-status"), Some("HIT"));
    assert_eq!(mock.count("requests"), 1);
}
