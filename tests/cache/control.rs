//! Who switches the cache on and off, and what it says to nonsense.

use crate::support::{CHAT, CHAT_PATH, Request};
use crate::{ON, chat, hits, outcomes, start};

const OFF: &str = "";

fn with(name: &str, value: &str) -> Request {
    chat().field(name, value)
}

#[test]
fn without_a_word_nothing_is_kept() {
    let (mock, gateway) = start(OFF);
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, false]);
    assert_eq!(mock.count("requests"), 2);
    assert_eq!(outcomes(&gateway, 2), ["off", "off"]);
    assert_eq!(gateway.metric("tollgate_cache_requests_total"), 0.0);
}

#[test]
fn a_request_switches_it_on_for_itself() {
    let (_mock, gateway) = start(OFF);
    for (name, value, ttl) in [
        ("cf-aig-cache-ttl", "60", "60"),
        ("cf-cache-ttl", "90", "90"),
        ("cf-aig-cache-key", "mine", "300"),
    ] {
        let ask = || with("authorization", name).field(name, value);
        assert_eq!(hits(&gateway, [ask(), ask()]), [false, true], "{name}");
        let hit = gateway.send(&ask());
        assert_eq!(hit.field("x-tollgate-cache-ttl"), Some(ttl), "{name}");
    }
}

#[test]
fn a_request_switches_it_off_for_itself() {
    let (mock, gateway) = start(ON);
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, true]);
    for (name, value) in [
        ("cf-aig-skip-cache", "true"),
        ("cf-skip-cache", "true"),
        ("cf-aig-cache-ttl", "0"),
    ] {
        assert_eq!(hits(&gateway, [with(name, value)]), [false], "{name}");
    }
    assert_eq!(mock.count("requests"), 4);
    let all = ["miss", "hit", "bypass", "bypass", "bypass"];
    assert_eq!(outcomes(&gateway, 5), all);
}

#[test]
fn a_key_of_ones_own_stands_for_the_question() {
    let (mock, gateway) = start(OFF);
    let ask = |key: &str, body: &str| Request::json(CHAT_PATH, body).field("cf-aig-cache-key", key);
    let (one, other) = (CHAT, r#"{"model":"gpt-4o","messages":[]}"#);
    assert_eq!(
        hits(&gateway, [ask("k", one), ask("k", other), ask("j", other)]),
        [false, true, false]
    );
    let stream = r#"{"model":"gpt-4o","stream":true,"messages":[]}"#;
    assert_eq!(
        hits(&gateway, [ask("k", stream), ask("k", stream)]),
        [false, true]
    );
    let foreign = ask("k", one).field("authorization", "Bearer another");
    let elsewhere = Request::json("/v1/acc/other/openai/chat/completions", CHAT);
    let elsewhere = elsewhere.field("cf-aig-cache-key", "k");
    assert_eq!(
        gateway.send(&elsewhere).status,
        400,
        "there is no such gateway"
    );
    assert_eq!(hits(&gateway, [foreign]), [false]);
    assert_eq!(mock.count("requests"), 4);
}

#[test]
fn nonsense_is_refused_and_says_what_would_make_sense() {
    let (mock, gateway) = start(ON);
    let long = "k".repeat(1025);
    for (name, value) in [
        ("cf-aig-cache-ttl", "59"),
        ("cf-aig-cache-ttl", "2678401"),
        ("cf-aig-cache-ttl", "soon"),
        ("cf-cache-ttl", "-5"),
        ("cf-aig-skip-cache", "maybe"),
        ("cf-aig-cache-key", ""),
        ("cf-aig-cache-key", long.as_str()),
    ] {
        let answer = gateway.send(&with(name, value));
        assert_eq!(answer.refusal(), (400, 9400), "{name}: {value}");
        let said = answer.json()["description"].as_str().unwrap().to_owned();
        assert!(said.contains(name) && said.contains("has to be"), "{said}");
    }
    assert_eq!(mock.count("requests"), 0);
}

#[test]
fn what_is_no_question_is_never_kept() {
    let (mock, gateway) = start(ON);
    let twice = |request: &Request| {
        (0..2).for_each(|_| {
            gateway.send(request);
        })
    };
    let requests = [
        Request::get("/v1/acc/default/openai/models"),
        Request::json("/v1/acc/default/openai/batches", "{}"),
        Request::post("/v1/acc/default/openai/chat/completions")
            .field("content-type", "text/plain")
            .body("x"),
    ];
    requests.iter().for_each(twice);
    assert_eq!(mock.count("requests"), 6);
    assert!(
        outcomes(&gateway, 6)
            .iter()
            .all(|outcome| outcome == "bypass")
    );
}

#[test]
fn only_whole_answers_without_an_error_are_kept() {
    let (mock, gateway) = start(ON);
    let stream = r#"{"model":"gpt-4o","stream":true,"messages":[]}"#;
    let faults = [
        (CHAT, "status=500"),
        (CHAT, "status=429"),
        (CHAT, "status=400"),
        (CHAT, "status=201"),
        (CHAT, "garbage"),
        (CHAT, "cut-at=50"),
        (CHAT, "reset-at=50"),
        (CHAT, "eof"),
        (stream, "error-event"),
        (stream, "error-event,chunks-before=3"),
        (stream, "cut-at=300"),
        (stream, "reset-at=300"),
    ];
    for (count, (body, fault)) in (1_u64..).zip(faults) {
        let _ = gateway.send(&Request::json(CHAT_PATH, body).mock(fault));
        let _ = gateway.send(&Request::json(CHAT_PATH, body).mock(fault));
        assert_eq!(mock.count("requests"), 2 * count, "{fault}");
    }
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, true]);
    let entries = gateway.metrics()["tollgate_cache_entries{tier=\"memory\"}"];
    assert!((entries - 1.0).abs() < f64::EPSILON, "{entries}");
}
