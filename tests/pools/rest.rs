//! An endpoint that fails gets a rest, one request probes it, and nobody notices.

use super::provider::Provider;
use super::*;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::wait;

/// Accepts connections and closes them, and counts.
struct Broken {
    url: String,
    connects: Arc<AtomicUsize>,
}

impl Broken {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url(listener.local_addr().unwrap());
        let connects = Arc::new(AtomicUsize::new(0));
        let counted = connects.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { url, connects }
    }

    fn connects(&self) -> usize {
        self.connects.load(Ordering::SeqCst)
    }
}

/// Endpoints of which one can be broken and mended.
struct Switch {
    provider: Provider,
    well: Arc<AtomicBool>,
}

impl Switch {
    fn start(status: u16, delay: Duration) -> Self {
        let well = Arc::new(AtomicBool::new(false));
        let told = well.clone();
        let provider = Provider::start(move |_| {
            if told.load(Ordering::SeqCst) {
                200
            } else {
                thread::park_timeout(delay);
                status
            }
        });
        Self { provider, well }
    }
}

#[test]
fn a_dead_endpoint_fails_nobody_and_is_left_alone() {
    let (mock, broken) = (Mock::start(), Broken::start());
    let endpoints = [
        url(mock.address),
        broken.url.clone(),
        url(dead("127.0.0.1:0")),
    ];
    let gateway = only(&pool(&endpoints, "breaker: {min_requests: 3, open: 1h}")).start();
    let sent = AtomicUsize::new(0);
    let all = |count: usize| {
        sent.fetch_add(count, Ordering::SeqCst);
        for _ in 0..count {
            let answer = gateway.send(&chat("custom-pool"));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    };
    wait::until("both to rest", || {
        all(1);
        let resting = gateway.metrics();
        let resting = resting.iter().filter(|(series, value)| {
            series.starts_with("tollgate_breaker_state") && **value == 2.0
        });
        (resting.count() == 2).then_some(())
    });
    let connects = broken.connects();
    assert_eq!(connects, 3);
    mock.reset();
    all(200);
    assert_eq!(broken.connects(), connects);
    assert_eq!(mock.count("requests"), 200);
    let lines = gateway.log(sent.load(Ordering::SeqCst));
    for line in &lines[lines.len() - 200..] {
        assert_eq!(attempts(line).len(), 1, "{line}");
    }
    let notes = gateway.process.stderr();
    assert_eq!(
        notes.matches("fails too often and rests").count(),
        2,
        "{notes}"
    );
}

#[test]
fn one_request_probes_and_the_endpoint_comes_back() {
    let (mock, switch) = (
        Mock::start(),
        Switch::start(500, Duration::from_millis(150)),
    );
    let endpoints = [url(mock.address), url(switch.provider.address)];
    let gateway = only(&pool(&endpoints, "breaker: {min_requests: 1, open: 3s}")).start();
    let label = format!("{}", switch.provider.address);
    let crowd = || {
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..4 {
                        assert_eq!(gateway.send(&chat("custom-pool")).status, 200);
                    }
                });
            }
        });
    };
    wait::until("it to rest", || {
        assert_eq!(gateway.send(&chat("custom-pool")).status, 200);
        (state(&gateway, &label) == Some(2.0)).then_some(())
    });
    switch.provider.take();
    crowd();
    assert_eq!(switch.provider.take().len(), 0);
    // The rest is over: a crowd comes, of which one asks, and is told no once more.
    wait::until("the end of the rest", || {
        (state(&gateway, &label) == Some(1.0)).then_some(())
    });
    crowd();
    assert_eq!(switch.provider.take().len(), 1);
    assert_eq!(state(&gateway, &label), Some(2.0));
    switch.well.store(true, Ordering::SeqCst);
    wait::until("the end of the rest", || {
        (state(&gateway, &label) == Some(1.0)).then_some(())
    });
    wait::until("it to be well", || {
        assert_eq!(gateway.send(&chat("custom-pool")).status, 200);
        (state(&gateway, &label) == Some(0.0)).then_some(())
    });
    switch.provider.take();
    crowd();
    // Half of 48, and surely some.
    let share = switch.provider.take().len();
    assert!((4..=44).contains(&share), "{share}");
}

#[test]
fn where_all_rest_one_is_asked_all_the_same_or_none() {
    for (all_open, status) in [("try", 500), ("refuse", 503)] {
        let (one, other) = (
            Switch::start(500, Duration::ZERO),
            Switch::start(500, Duration::ZERO),
        );
        let endpoints = [url(one.provider.address), url(other.provider.address)];
        let breaker = format!("breaker: {{min_requests: 1, open: 1h, all_open: {all_open}}}");
        let gateway = only(&pool(&endpoints, &breaker)).start();
        assert_eq!(gateway.send(&chat("custom-pool")).status, 500);
        // What was learned of the last attempt is known once it is logged.
        gateway.log(1);
        assert_eq!(one.provider.take().len() + other.provider.take().len(), 2);
        let answer = gateway.send(&chat("custom-pool"));
        assert_eq!(answer.status, status, "{all_open}: {}", answer.text());
        let asked = one.provider.take().len() + other.provider.take().len();
        if all_open == "try" {
            assert_eq!(asked, 1);
            one.well.store(true, Ordering::SeqCst);
            other.well.store(true, Ordering::SeqCst);
            assert_eq!(gateway.send(&chat("custom-pool")).status, 200);
        } else {
            assert_eq!(asked, 0);
            assert_eq!(answer.refusal(), (503, 9503));
            let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
            assert!((3500..=3600).contains(&seconds), "{seconds}");
        }
    }
}

#[test]
fn a_retry_after_prolongs_the_rest_of_an_endpoint() {
    let provider = Provider::start(|_| provider::Reply {
        status: 503,
        fields: "retry-after: 600\r\n".to_owned(),
    });
    let line = pool(
        &[url(provider.address)],
        "breaker: {min_requests: 1, open: 100ms, all_open: refuse}",
    );
    let gateway = only(&line).start();
    assert_eq!(gateway.send(&chat("custom-pool")).status, 503);
    gateway.log(1);
    let answer = gateway.send(&chat("custom-pool"));
    assert_eq!(answer.refusal(), (503, 9503));
    let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
    assert!((500..=600).contains(&seconds), "{seconds}");
}
