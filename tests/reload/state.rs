//! What lives on over a reload: the health of providers, limits, those who wait, the cache, the log.

use super::provider::Provider;
use super::support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, wait};
use super::*;
use serde_json::Value;

pub const POOL_PATH: &str = "/v1/acc/default/custom-pool/chat/completions";

fn ask(gateway: &Gateway, path: &str) -> u16 {
    gateway.send(&Request::json(path, CHAT)).status
}

/// The state of a key or an endpoint as the operator sees it: 0 closed, 1 half-open, 2 open.
pub fn state(gateway: &Gateway, member: &str) -> Option<f64> {
    let metrics = gateway.metrics();
    let mut own = metrics.iter().filter(|(series, _)| {
        series.starts_with("tollgate_breaker_state") && series.contains(member)
    });
    own.next().map(|(_, value)| *value)
}

/// A provider that refuses a key of two, and a gateway that has learned so.
pub fn parked() -> (Provider, Gateway) {
    let provider = Provider::start(|seen| match seen.key() {
        Some("zq-bad") => 401,
        _ => 200,
    });
    let line = format!(
        "custom-pool: {{dialect: openai, base_url: \"http://{}/v1\", keys: [{{name: bad, key: zq-bad, weight: 1000}}, {{name: good, key: zq-good}}]}}",
        provider.address
    );
    let gateway = Setup::leading_to(provider.address)
        .without_providers()
        .server(&format!("admin_token: {TOKEN}"))
        .provider(&line)
        .start();
    wait::until("the bad key to be chosen", || {
        assert_eq!(ask(&gateway, POOL_PATH), 200);
        (state(&gateway, "key bad") == Some(2.0)).then_some(())
    });
    provider.take();
    (provider, gateway)
}

fn check_parked(provider: &Provider, gateway: &Gateway) {
    for _ in 0..20 {
        assert_eq!(ask(gateway, POOL_PATH), 200);
    }
    assert_eq!(provider.seen_with("zq-bad"), 0);
    assert_eq!(state(gateway, "key bad"), Some(2.0));
    assert_eq!(gateway.metric("tollgate_keys_parked_total"), 1.0);
}

#[test]
fn a_parked_key_stays_parked_whatever_else_changes() {
    let (provider, gateway) = parked();
    append(&gateway, "gateways: {team: {}}\n");
    reload_well(&gateway);
    check_parked(&provider, &gateway);
    // Its pool is another one now: another key beside it, another weight, another window.
    for (from, to) in [
        (
            "{name: good, key: zq-good}",
            "{name: good, key: zq-good}, {name: more, key: zq-more}",
        ),
        ("weight: 1000", "weight: 900"),
        (
            "dialect: openai,",
            "dialect: openai, breaker: {window: 20s},",
        ),
    ] {
        change(&gateway, from, to);
        reload_well(&gateway);
        check_parked(&provider, &gateway);
    }
    // Another key of the same name is not the one that was refused.
    change(&gateway, "key: zq-bad", "key: zq-better");
    reload_well(&gateway);
    assert_eq!(state(&gateway, "key bad"), Some(0.0));
    wait::until("it to be asked with", || {
        assert_eq!(ask(&gateway, POOL_PATH), 200);
        (provider.seen_with("zq-better") > 0).then_some(())
    });
}

#[test]
fn breakers_that_are_switched_off_keep_nobody_away() {
    let (provider, gateway) = parked();
    change(
        &gateway,
        "dialect: openai,",
        "dialect: openai, breaker: {enabled: false},",
    );
    reload_well(&gateway);
    wait::until("the bad key to be tried again", || {
        ask(&gateway, POOL_PATH);
        (provider.seen_with("zq-bad") > 0).then_some(())
    });
}

#[test]
fn an_endpoint_that_rests_goes_on_resting() {
    let mock = Mock::start();
    let gateway = setup(&mock)
        .provider("custom-pool: {dialect: openai, endpoints: [\"http://<dead>/v1\", \"http://<mock>/v1\"], breaker: {open: 1h}}")
        .start();
    wait::until("the dead one to rest", || {
        assert_eq!(ask(&gateway, POOL_PATH), 200);
        let metrics = gateway.metrics();
        let mut open = metrics.iter().filter(|(series, value)| {
            series.starts_with("tollgate_breaker_state") && **value == 2.0
        });
        open.next().map(drop)
    });
    let connections = |gateway: &Gateway| {
        let mut attempts = 0;
        for _ in 0..20 {
            let answer = gateway.send(&Request::json(POOL_PATH, CHAT));
            assert_eq!(answer.status, 200);
            attempts += usize::from(answer.field("x-tollgate-attempts") != Some("1"));
        }
        attempts
    };
    assert_eq!(connections(&gateway), 0);
    change(
        &gateway,
        "breaker: {open: 1h}",
        "breaker: {open: 2h}, keys: [zq]",
    );
    reload_well(&gateway);
    assert_eq!(connections(&gateway), 0);
}

pub fn used(gateway: &Gateway, limit: &str, what: &str) -> String {
    let page = admin(gateway, &Request::get("/limits")).json();
    let rows = page["counters"].as_array().unwrap().clone();
    let row = rows.into_iter().find(|row| row["limit"] == limit);
    row.map_or("none".to_owned(), |row: Value| {
        row[what].as_str().unwrap().to_owned()
    })
}

const LIMITS: &str = "gateways:\n  default:\n    limits:\n      - {name: rate, requests: 5, per: 1m, technique: sliding}\n      - {name: running, concurrent: 2, over: {wait: {queue: 10, within: 20s}}}\n";

#[test]
fn what_was_used_under_a_limit_is_used_up_after_a_reload() {
    let mock = Mock::start();
    let gateway = setup(&mock).config(LIMITS).start();
    for _ in 0..3 {
        assert_eq!(ask(&gateway, CHAT_PATH), 200);
        reload_well(&gateway);
    }
    assert_eq!(used(&gateway, "rate", "used"), "3");
    // Another amount is no other limit.
    change(&gateway, "requests: 5", "requests: 4");
    reload_well(&gateway);
    assert_eq!(
        (ask(&gateway, CHAT_PATH), ask(&gateway, CHAT_PATH)),
        (200, 429)
    );
    change(&gateway, "requests: 4", "requests: 100");
    reload_well(&gateway);
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
}

#[test]
fn what_runs_counts_and_who_waits_waits_on() {
    let mock = Mock::start();
    let gateway = setup(&mock).config(LIMITS).start();
    let begin = |faults: &str| {
        let mut client = gateway.connect();
        client.send(&Request::json(CHAT_PATH, CHAT_STREAM).mock(faults).bytes());
        client
    };
    let running: Vec<_> = (0..2)
        .map(|_| {
            let mut client = begin("chunk-delay=60000");
            assert_eq!(client.read_head(false).status, 200);
            client
        })
        .collect();
    let mut waiting = begin("chunks=1");
    wait::until("it to wait", || {
        (gateway.metric("tollgate_in_flight") == 3.0).then_some(())
    });
    reload_well(&gateway);
    assert_eq!(used(&gateway, "running", "held"), "2");
    let mut later = begin("chunks=1");
    drop(running);
    for client in [&mut waiting, &mut later] {
        assert_eq!(client.read_answer(false).status, 200);
    }
    assert_eq!(gateway.log(4).len(), 4);
}

#[test]
fn answers_are_kept_over_a_reload() {
    let mock = Mock::start();
    let gateway = setup(&mock)
        .config("gateways: {default: {cache: {ttl: 1h}}}")
        .start();
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    gateway.log(1);
    reload_well(&gateway);
    let answer = gateway.send(&Request::json(CHAT_PATH, CHAT));
    assert_eq!(answer.field("cf-aig-cache-status"), Some("HIT"));
    assert_eq!(mock.count("requests"), 1);
    change(&gateway, "ttl: 1h", "ttl: 0s");
    reload_well(&gateway);
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    assert_eq!(mock.count("requests"), 2);
}

#[test]
fn another_log_takes_the_place_of_the_first_and_no_line_is_lost_or_doubled() {
    let mock = Mock::start();
    let mut gateway = setup(&mock).start();
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    let mut running = gateway.connect();
    let slow = "chunk-delay=100,chunks=10";
    running.send(&Request::json(CHAT_PATH, CHAT_STREAM).mock(slow).bytes());
    assert_eq!(running.read_head(false).status, 200);
    let first = gateway.log_path();
    let second = gateway.process.scratch.join("second.ndjson");
    change(&gateway, "requests.ndjson", "second.ndjson");
    reload_well(&gateway);
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    while running.next_piece().unwrap().is_some() {}
    let lines = |path: &std::path::Path| -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    // What began with the first one ends in it.
    wait::until("the stream's line", || {
        (lines(&first).len() == 2).then_some(())
    });
    assert_eq!(lines(&first)[1]["stream"], true);
    // One that runs when the process is told to stop, under the second of three.
    let third = gateway.process.scratch.join("third.ndjson");
    let mut running = gateway.connect();
    running.send(&Request::json(CHAT_PATH, CHAT_STREAM).mock(slow).bytes());
    assert_eq!(running.read_head(false).status, 200);
    change(&gateway, "second.ndjson", "third.ndjson");
    reload_well(&gateway);
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    gateway.process.signal("TERM");
    while running.next_piece().unwrap().is_some() {}
    wait::until("its end", || gateway.process.ended());
    assert_eq!(
        [
            lines(&first).len(),
            lines(&second).len(),
            lines(&third).len()
        ],
        [2, 2, 1]
    );
}

#[test]
fn a_rotated_log_is_opened_anew() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    gateway.log(1);
    let rotated = gateway.process.scratch.join("rotated.ndjson");
    fs::rename(gateway.log_path(), &rotated).unwrap();
    gateway.process.signal("HUP");
    wait::until("the new file", || gateway.log_path().exists().then_some(()));
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    assert_eq!(gateway.log(1).len(), 1);
}
