//! What the next process knows of the former one's: counters, budgets, keys at rest, answers that were kept.

use crate::driver::signal;
use crate::site::Site;
use crate::support::client::Client;
use crate::support::{CHAT, Request, wait};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Requests that a limit lets pass.
const ROOM: usize = 120;

/// Sends twice as many requests as the limit has room for while processes change; exactly those that
/// fit may pass.
fn check_limit(limit: &str, reloads: bool) {
    let rest = format!("gateways: {{limited: {{limits: [{limit}]}}}}\n");
    let mut site = Site::start(&rest);
    let (passed, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let address = site.target.plain;
    let request = Request::json("/v1/acc/limited/openai/chat/completions", CHAT).bytes();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROOM / 2 {
                    let mut client = Client::connect(address);
                    client.send(&request);
                    let answer = client.read_answer(false);
                    match answer.status {
                        200 => passed.fetch_add(1, Ordering::Relaxed),
                        429 => refused.fetch_add(1, Ordering::Relaxed),
                        _ => panic!("{}: {}", answer.status, answer.text()),
                    };
                    std::thread::park_timeout(Duration::from_millis(60));
                }
            });
        }
        for _ in 0..5 {
            if reloads {
                for _ in 0..10 {
                    signal(site.main(), "HUP");
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                site.reload();
            } else {
                site.upgrade();
            }
        }
    });
    let count = (passed.into_inner(), refused.into_inner());
    assert_eq!(count, (ROOM, ROOM), "{limit}: passed and refused");
    assert_eq!(site.mock.count("requests"), ROOM as u64);
}

#[test]
fn a_days_budget_holds_over_upgrades() {
    check_limit(&format!("{{name: day, requests: {ROOM}, per: 1d}}"), false);
}

#[test]
fn a_days_budget_holds_over_reloads() {
    check_limit(&format!("{{name: day, requests: {ROOM}, per: 1d}}"), true);
}

#[test]
fn an_hours_rate_holds_over_upgrades() {
    let limit =
        format!("{{name: hour, requests: {ROOM}, per: 1h, technique: sliding, by: [client]}}");
    check_limit(&limit, false);
}

#[test]
fn a_rate_by_the_minute_holds_over_reloads() {
    let limit =
        format!("{{name: minute, requests: {ROOM}, per: 5m, technique: sliding, by: [client]}}");
    check_limit(&limit, true);
}

#[test]
fn a_key_that_was_refused_rests_in_the_next_process_too() {
    let rest = "gateways: {default: {}}\n";
    let mut site = Site::start(rest);
    let mock = site.mock.address;
    let keyed = format!(
        "  custom-keyed:\n    dialect: openai\n    base_url: \"http://{mock}/v1\"\n    \
         keys: [sk-only-one]\n    breaker: {{park: 1h, all_open: refuse}}\n"
    );
    let text = site.text.replace("log:", &format!("{keyed}log:"));
    site.configure(&text);
    site.reload();
    let request = Request::json("/v1/acc/default/custom-keyed/chat/completions", CHAT);
    assert_eq!(site.ask(&request.clone().mock("status=401")).status, 401);
    // It is told of after the answer.
    wait::until("the key to rest", || {
        (site.metric("tollgate_keys_parked_total") == 1.0).then_some(())
    });
    let asked = site.mock.count("requests");
    let refused = site.ask(&request);
    assert_ne!(refused.status, 200, "{}", refused.text());
    site.reload();
    assert_eq!(site.ask(&request).status, refused.status);
    for _ in 0..3 {
        site.upgrade();
        assert_eq!(site.ask(&request).status, refused.status);
    }
    assert_eq!(site.mock.count("requests"), asked, "the key was used again");
}

#[test]
fn an_answer_that_was_kept_is_a_hit_in_the_next_process() {
    let rest = "cache: {directory: \"<state>/cache\"}\ngateways: {default: {cache: {ttl: 1h}}}\n";
    let mut site = Site::start(rest);
    let first = site.chat();
    assert_eq!(first.field("cf-aig-cache-status"), Some("MISS"));
    wait::until("the entry in memory and on disk", || {
        (site.metric("tollgate_cache_entries") == 2.0).then_some(())
    });
    let kept = |site: &Site| {
        let again = site.chat();
        assert_eq!(again.field("cf-aig-cache-status"), Some("HIT"));
        assert_eq!(again.body, first.body);
    };
    kept(&site);
    site.reload();
    kept(&site);
    for _ in 0..3 {
        site.upgrade();
        kept(&site);
    }
    assert_eq!(site.mock.count("requests"), 1);
}
