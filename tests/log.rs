//! The request log when things go wrong around it: stops, kills, full disks and readers that do not read.
#![cfg(test)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use support::client::{Client, End};
use support::gateway::Gateway;
use support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, wait};

/// Requests that are under way when something happens.
const UNDER_WAY: usize = 5;

/// A request that takes a while, on a connection of its own, once the gateway has it.
fn begin(gateway: &Gateway, mock: &Mock, body: &str, faults: &str) -> Client {
    let before = mock.count("requests");
    let mut client = gateway.connect();
    client.send(&Request::json(CHAT_PATH, body).mock(faults).bytes());
    wait::until("the request to arrive", || {
        (mock.count("requests") > before).then_some(())
    });
    client
}

fn send_plain(gateway: &Gateway) {
    assert_eq!(gateway.send(&Request::json(CHAT_PATH, CHAT)).status, 200);
}

fn wait_for_end(gateway: &mut Gateway) {
    let status = wait::until("the gateway's end", || gateway.process.ended());
    assert!(status.success(), "{status}: {}", gateway.process.stderr());
}

#[test]
fn a_line_is_written_while_nothing_else_happens() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    // Neither a later record nor a stop pushes it out.
    for count in 1..4 {
        send_plain(&gateway);
        assert_eq!(gateway.log(count).len(), count);
    }
}

#[test]
fn a_stop_waits_for_requests_under_way_and_writes_their_lines() {
    let mock = Mock::start();
    let mut gateway = Setup::new(&mock).start();
    send_plain(&gateway);
    let faults = "delay=300,chunk-delay=50";
    let clients = (0..UNDER_WAY).map(|_| begin(&gateway, &mock, CHAT_STREAM, faults));
    let clients: Vec<_> = clients.collect();
    gateway.process.signal("TERM");
    for mut client in clients {
        let answer = client.read_answer(false);
        assert_eq!((answer.status, answer.end), (200, End::Whole));
    }
    wait_for_end(&mut gateway);
    let lines = gateway.log(1 + UNDER_WAY);
    assert_eq!(lines.len(), 1 + UNDER_WAY);
    assert!(lines.iter().all(|line| line["end"] == "complete"));
}

#[test]
fn an_interrupt_writes_the_lines_of_what_had_ended() {
    let mock = Mock::start();
    let mut gateway = Setup::new(&mock).start();
    for _ in 0..20 {
        send_plain(&gateway);
    }
    let _client = begin(&gateway, &mock, CHAT, "hang");
    gateway.process.signal("INT");
    wait_for_end(&mut gateway);
    let lines = gateway.log(20);
    let ended = lines.iter().filter(|line| line["end"] == "complete");
    assert_eq!(ended.count(), 20);
}

#[test]
fn what_was_seen_in_the_log_outlives_a_kill() {
    let mock = Mock::start();
    let mut gateway = Setup::new(&mock).start();
    for _ in 0..20 {
        send_plain(&gateway);
    }
    let seen = gateway.log(20);
    gateway.process.signal("KILL");
    let status = wait::until("the gateway's end", || gateway.process.ended());
    assert!(!status.success());
    assert_eq!(gateway.log(20), seen);
}

#[test]
fn a_full_disk_stops_no_request_and_loses_no_line() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    send_plain(&gateway);
    gateway.log(1);
    fs::remove_file(gateway.log_path()).unwrap();
    symlink("/dev/full", gateway.log_path()).unwrap();
    for _ in 0..20 {
        send_plain(&gateway);
    }
    wait_for(&gateway, "tollgate_log_errors_total", 1.0);
    let notes = gateway.process.stderr();
    let told: Vec<_> = notes
        .lines()
        .filter(|line| line.contains("cannot be written"))
        .collect();
    let [told] = told.as_slice() else {
        panic!("the fault is told once, not so: {notes}");
    };
    for word in ["requests.ndjson", "No space left"] {
        assert!(told.contains(word), "{word} is missing: {told}");
    }
    // There is room again.
    fs::remove_file(gateway.log_path()).unwrap();
    assert_eq!(gateway.log(20).len(), 20);
    assert_eq!(gateway.metric("tollgate_log_dropped_total"), 0.0);
    wait::until("the end of the fault to be told", || {
        let notes = gateway.process.stderr();
        notes.contains("is written again").then_some(())
    });
}

fn wait_for(gateway: &Gateway, metric: &str, least: f64) {
    wait::until(metric, || (gateway.metric(metric) >= least).then_some(()));
}

/// Requests that are refused at once, on a few connections side by side.
fn send_many(gateway: &Gateway, count: usize) {
    let work = || {
        let mut client = gateway.connect();
        for _ in 0..count / UNDER_WAY {
            client.send(&Request::get("/v1/acc/nope/openai/x").bytes());
            assert_eq!(client.read_answer(false).status, 400);
        }
    };
    thread::scope(|scope| {
        for _ in 0..UNDER_WAY {
            scope.spawn(work);
        }
    });
}

#[test]
fn a_log_that_nobody_reads_stops_no_request_and_what_is_dropped_is_counted() {
    let mock = Mock::start();
    let mut gateway = Setup::new(&mock).start();
    send_plain(&gateway);
    gateway.log(1);
    let path = gateway.log_path();
    fs::remove_file(&path).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    // Open both ways, so that the gateway's opening need not wait; nobody reads.
    let held = fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    // What a pipe holds, what the writer has taken and the queue behind it: less than this together.
    let mut sent = 1;
    wait::within(wait::LONG * 3, || {
        send_many(&gateway, 5000);
        sent += 5000;
        (gateway.metric("tollgate_log_dropped_total") > 0.0).then_some(())
    })
    .expect("records to be dropped");
    // A request is counted just after its answer.
    wait_for(&gateway, "tollgate_requests_total", f64::from(sent));
    let dropped = gateway.metric("tollgate_log_dropped_total");
    send_plain(&gateway);
    wait_for(&gateway, "tollgate_log_dropped_total", dropped + 1.0);
    // The stop does not wait for the reader for ever.
    gateway.process.signal("TERM");
    wait_for_end(&mut gateway);
    drop(held);
}
