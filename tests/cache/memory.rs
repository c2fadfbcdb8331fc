//! Memory stays within its bound, however much is asked.

use crate::support::gateway::Gateway;
use crate::support::{Mock, Setup};
use crate::{chat, is_hit};
use std::thread;

const CLIENTS: usize = 4;

fn rss_kib(gateway: &Gateway) -> usize {
    usize::try_from(gateway.process.memory_kib("VmRSS")).unwrap()
}

/// Ten times the bound, each under a key of its own.
fn overload(gateway: &Gateway, bound_mib: usize, answer_bytes: usize) {
    let count = 10 * (bound_mib << 20) / answer_bytes / CLIENTS;
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            scope.spawn(move || {
                let mut client = gateway.connect();
                for number in 0..count {
                    let request = chat().field("cf-aig-cache-key", &format!("{worker}-{number}"));
                    client.send(&request.mock(&format!("size={answer_bytes}")).bytes());
                    assert!(!is_hit(&client.read_answer(false)));
                }
            });
        }
    });
}

fn check(bound_mib: usize, answer_bytes: usize) {
    let mock = Mock::start();
    let setup = Setup::new(&mock).config(&format!(
        "cache: {{memory: {bound_mib}MiB}}\ngateways: {{default: {{cache: {{ttl: 1h}}}}}}"
    ));
    let gateway = setup.start();
    // What the process takes without a cache that is filled.
    for _ in 0..200 {
        let request = chat().field("cf-aig-skip-cache", "true");
        gateway.send(&request.mock(&format!("size={answer_bytes}")));
    }
    let before = rss_kib(&gateway);
    overload(&gateway, bound_mib, answer_bytes);
    let grown = rss_kib(&gateway).saturating_sub(before);
    let kept = gateway.metrics()["tollgate_cache_bytes{tier=\"memory\"}"];
    println!("answers of {answer_bytes} bytes: {kept} bytes kept, {grown} KiB grown");
    assert!(kept <= (bound_mib << 20) as f64);
    assert!(kept > 0.75 * (bound_mib << 20) as f64, "{kept}");
    let bound = bound_mib * 1024 * 120 / 100;
    assert!(grown <= bound, "{grown} KiB of {bound}");
}

#[test]
fn ten_times_the_bound_in_large_answers_stays_within_it() {
    check(64, 100_000);
}

#[test]
fn ten_times_the_bound_in_small_answers_stays_within_it() {
    check(24, 8_000);
}
