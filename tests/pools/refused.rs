//! A bad key: the next one takes its place within the same request, and it gets a rest.

use super::provider::{Provider, Reply};
use super::*;
use std::collections::BTreeMap;
use support::client::Answer;

/// All requests begin with the same of two keys, as long as it is well: that of this user.
const USER: &str = "gkvza";
const KEYS: &str = "keys: [{name: bad, key: zq-bad}, {name: good, key: zq-good}], balance: {sticky: header:x-user}";

fn ask(gateway: &Gateway) -> Answer {
    gateway.send(&chat("custom-pool").field("x-user", USER))
}

/// Answers so to the bad key, and well to all others.
fn provider(status: u16, fields: &'static str) -> Provider {
    Provider::start(move |seen| {
        let bad = seen.key() == Some("zq-bad");
        Reply {
            status: if bad { status } else { 200 },
            fields: if bad { fields } else { "" }.to_owned(),
        }
    })
}

fn start(provider: &Provider, breaker: &str) -> Gateway {
    let endpoints = [url(provider.address)];
    only(&pool(
        &endpoints,
        &format!("{KEYS}, breaker: {{{breaker}}}"),
    ))
    .config("gateways: {default: {retry: {attempts: 1}}}")
    .start()
}

/// How often each key came.
fn keys(provider: &Provider) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for seen in provider.take() {
        *keys
            .entry(seen.key().unwrap_or("none").to_owned())
            .or_default() += 1;
    }
    keys
}

fn count(keys: &BTreeMap<String, usize>, key: &str) -> usize {
    keys.get(key).copied().unwrap_or(0)
}

#[test]
fn the_next_key_takes_the_place_of_one_that_is_refused() {
    for (status, fields, parked) in [
        (401, "", true),
        (402, "", true),
        (429, "", false),
        (429, "retry-after: 60\r\n", false),
    ] {
        let provider = provider(status, fields);
        // Only a Retry-After of its own lets a key cool down for longer than this.
        let cool_down = if fields.is_empty() { "1h" } else { "1ms" };
        let gateway = start(&provider, &format!("cool_down: {cool_down}"));
        let what = format!("{status} {fields:?}");
        let answer = ask(&gateway);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert_eq!(answer.field("x-tollgate-attempts"), Some("2"), "{what}");
        let first = keys(&provider);
        assert_eq!(
            (count(&first, "zq-bad"), count(&first, "zq-good")),
            (1, 1),
            "{what}"
        );
        for _ in 0..20 {
            assert_eq!(ask(&gateway).status, 200);
        }
        let later = keys(&provider);
        assert_eq!(
            (count(&later, "zq-bad"), count(&later, "zq-good")),
            (0, 20),
            "{what}"
        );
        assert_eq!(state(&gateway, "key bad"), Some(2.0), "{what}");
        assert_eq!(state(&gateway, "key good"), Some(0.0), "{what}");
        let notes = gateway.process.stderr();
        let told = notes.matches("refuses this key").count();
        assert_eq!(told, usize::from(parked), "{what}: {notes}");
        let counted = gateway.metric("tollgate_keys_parked_total");
        assert_eq!(counted, f64::from(u8::from(parked)), "{what}");
        // The endpoint is not to blame.
        assert_eq!(state(&gateway, "endpoint"), Some(0.0), "{what}");
        let line = gateway.log(21).remove(0);
        let statuses: Vec<_> = attempts(&line).iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, [status, 200], "{what}");
    }
}

#[test]
fn a_key_is_parked_only_after_several_forbidden_requests_in_a_row() {
    let provider = provider(403, "");
    let gateway = start(&provider, "park: 1h");
    for number in 1..=10 {
        assert_eq!(ask(&gateway).status, 200);
        let parked = gateway.metric("tollgate_keys_parked_total");
        assert_eq!(parked, if number < 3 { 0.0 } else { 1.0 }, "{number}");
    }
    let keys = keys(&provider);
    assert_eq!((count(&keys, "zq-bad"), count(&keys, "zq-good")), (3, 10));
    assert_eq!(
        gateway.process.stderr().matches("refuses this key").count(),
        1
    );
}

#[test]
fn a_parked_key_is_taken_again_after_its_time() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let mended = Arc::new(AtomicBool::new(false));
    let told = mended.clone();
    let provider = Provider::start(move |seen| {
        let well = told.load(Ordering::SeqCst) || seen.key() != Some("zq-bad");
        if well { 200 } else { 401 }
    });
    let gateway = start(&provider, "park: 300ms");
    assert_eq!(ask(&gateway).status, 200);
    // It is probed again and again, and told of once.
    support::wait::until("a second probe", || {
        assert_eq!(ask(&gateway).status, 200);
        let keys = provider.seen_with("zq-bad");
        (keys >= 3).then_some(())
    });
    assert_eq!(
        gateway.process.stderr().matches("refuses this key").count(),
        1
    );
    assert_eq!(gateway.metric("tollgate_keys_parked_total"), 1.0);
    mended.store(true, Ordering::SeqCst);
    support::wait::until("it to be taken again", || {
        assert_eq!(ask(&gateway).status, 200);
        (state(&gateway, "key bad") == Some(0.0)).then_some(())
    });
    support::wait::until("it to be told", || {
        let notes = gateway.process.stderr();
        notes.contains("takes this key again").then_some(())
    });
}

#[test]
fn where_every_key_is_refused_the_providers_own_answer_is_told() {
    for (status, breaker, then) in [
        (401, "all_open: try", 401),
        (401, "all_open: refuse", 503),
        (429, "all_open: try, cool_down: 1h", 429),
        (429, "all_open: refuse, cool_down: 1h", 503),
    ] {
        let provider = Provider::start(move |_| status);
        let gateway = start(&provider, breaker);
        let what = format!("{status} {breaker}");
        let answer = ask(&gateway);
        assert_eq!(answer.status, status, "{what}");
        gateway.log(1);
        let keys = keys(&provider);
        assert_eq!(
            (count(&keys, "zq-bad"), count(&keys, "zq-good")),
            (1, 1),
            "{what}"
        );
        let answer = ask(&gateway);
        assert_eq!(answer.status, then, "{what}: {}", answer.text());
        if then == 503 {
            let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
            assert!((3000..=3600).contains(&seconds), "{seconds}");
            assert_eq!(provider.take().len(), 0, "{what}");
        }
    }
}

#[test]
fn a_clients_own_bad_key_parks_nothing() {
    for status in [401, 402, 403, 429] {
        let provider = Provider::start(move |seen| {
            if seen.key() == Some("own") {
                status
            } else {
                200
            }
        });
        let gateway = start(&provider, "");
        for _ in 0..10 {
            let own = chat("custom-pool").field("authorization", "Bearer own");
            assert_eq!(gateway.send(&own).status, status);
        }
        gateway.log(10);
        assert_eq!(count(&keys(&provider), "own"), 10);
        assert_eq!(gateway.metric("tollgate_keys_parked_total"), 0.0);
        assert_eq!(state(&gateway, "key bad"), Some(0.0));
        assert_eq!(state(&gateway, "key good"), Some(0.0));
        assert_eq!(state(&gateway, "endpoint"), Some(0.0));
        assert_eq!(ask(&gateway).status, 200);
        assert_eq!(count(&keys(&provider), "zq-bad"), 1);
    }
}
