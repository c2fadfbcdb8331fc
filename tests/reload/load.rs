//! Many reloads under load: nobody notices, and the log is exact.

use super::support::client::End;
use super::support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, wait};
use super::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const RELOADS: usize = 200;
/// Connections that are kept, connections for one request each, and streams, side by side.
const KEPT: usize = 4;
const FRESH: usize = 2;
const STREAMS: usize = 4;

/// Counts requests, and what went wrong.
struct Load<'a> {
    gateway: &'a Gateway,
    stop: AtomicBool,
    sent: AtomicUsize,
}

impl Load<'_> {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn request(&self, body: &str, faults: &str) -> Vec<u8> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let request = Request::json(CHAT_PATH, body).mock(faults);
        request
            .field("cf-aig-event-id", &number.to_string())
            .bytes()
    }

    fn keep_asking(&self) {
        let mut client = self.gateway.connect();
        while self.goes_on() {
            client.send(&self.request(CHAT, "delay=2"));
            let answer = client.read_answer(false);
            assert_eq!((answer.status, answer.end), (200, End::Whole));
        }
    }

    fn ask_afresh(&self) {
        while self.goes_on() {
            let mut client = self.gateway.connect();
            client.send(&self.request(CHAT, "delay=2"));
            let answer = client.read_answer(false);
            assert_eq!((answer.status, answer.end), (200, End::Whole));
        }
    }

    fn stream(&self) {
        while self.goes_on() {
            let mut client = self.gateway.connect();
            client.send(&self.request(CHAT_STREAM, "chunk-delay=50,chunks=20"));
            let answer = client.read_answer(false);
            assert_eq!((answer.status, &answer.end), (200, &End::Whole));
            assert!(answer.text().ends_with("data: [DONE]\n\n"));
        }
    }
}

#[test]
fn two_hundred_reloads_fail_no_request_and_lose_no_line() {
    let mock = Mock::start();
    let gateway = setup(&mock)
        .config("gateways: {default: {limits: [{name: all, requests: 1000000, per: 1m}]}}")
        .start();
    let load = Load {
        gateway: &gateway,
        stop: AtomicBool::new(false),
        sent: AtomicUsize::new(0),
    };
    thread::scope(|scope| {
        for _ in 0..KEPT {
            scope.spawn(|| load.keep_asking());
        }
        for _ in 0..FRESH {
            scope.spawn(|| load.ask_afresh());
        }
        for _ in 0..STREAMS {
            scope.spawn(|| load.stream());
        }
        for turn in 0..RELOADS {
            // Every other one changes what pools are made of, and one in ten is a bad one.
            let weight = turn % 2 + 1;
            let text = config(&gateway);
            let line = text.lines().find(|line| line.contains("openai:")).unwrap();
            let other = format!(
                "  openai: {{base_url: \"http://{}/v1\", keys: [{{key: zq, weight: {weight}}}]}}",
                mock.address
            );
            change(&gateway, line, &other);
            reload_well(&gateway);
            if turn % 10 == 0 {
                append(&gateway, "bogus: 1\n");
                assert_eq!(reload(&gateway).status, 422);
                change(&gateway, "bogus: 1\n", "");
            }
        }
        load.stop.store(true, Ordering::Relaxed);
    });
    let sent = load.sent.load(Ordering::Relaxed);
    let lines = gateway.log(sent);
    assert_eq!(lines.len(), sent);
    let ids: BTreeSet<_> = lines
        .iter()
        .map(|line| line["event_id"].to_string())
        .collect();
    assert_eq!(ids.len(), sent);
    assert!(lines.iter().all(|line| line["end"] == "complete"));
    assert_eq!(generation(&gateway), 1.0 + RELOADS as f64);
    wait::until("all to be counted", || {
        (gateway.metric("tollgate_requests_total") == sent as f64).then_some(())
    });
    assert_eq!(gateway.metric("tollgate_log_dropped_total"), 0.0);
    // Nothing is left of earlier logs, pools or requests.
    assert_eq!(gateway.metric("tollgate_in_flight"), 0.0);
}
