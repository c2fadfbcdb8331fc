//! What outlives a request: restarts, other processes, the operator's hand, and the bounds of memory.

use super::*;
use support::wait;

const LIMITS: &str = "  a:\n    limits:\n      - {name: spend, cost: $100, per: 1d, by: [metadata.team]}\n      - {name: day, tokens: 5000, per: 1d, technique: sliding}\n      - {name: bucket, requests: 12, per: 1d, technique: burst}\n";

fn used(gateway: &Gateway) -> Vec<(String, String)> {
    let mut used: Vec<_> = counters(gateway)
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("limit") + " " + &text("by"), text("used"))
        })
        .collect();
    used.retain(|(_, used)| used != "0");
    used.sort();
    used
}

/// What another process reads in the folder is written, whatever becomes of the one that wrote it.
fn wait_read(other: &Gateway, expected: &[(String, String)]) {
    wait::until("another process to read it", || {
        (used(other) == expected).then_some(())
    });
}

fn ask(gateway: &Gateway) -> u16 {
    let metadata = r#"{"team":"red"}"#;
    let request = chat("a", "m", 10).field("cf-aig-metadata", metadata);
    gateway.send(&request).status
}

#[test]
fn budgets_come_back_after_a_kill() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let mut before = Vec::new();
    for round in 1..=3 {
        let mut gateway = setup(&mock, &folder, LIMITS).start();
        assert_eq!(used(&gateway), before, "in round {round}");
        for _ in 0..3 {
            assert_eq!(ask(&gateway), 200);
        }
        // One that runs when the process dies counts as a request, and is not held for ever.
        let mut running = gateway.connect();
        running.send(&chat("a", "m", 50).mock("hang").bytes());
        // The others are settled a moment after their answers.
        wait::until("it alone to run", || {
            let came = stands(&gateway, "bucket", "used") == f64::from(4 * round);
            (came && gateway.metric("tollgate_in_flight") == 1.0).then_some(())
        });
        before = used(&gateway);
        assert_eq!(before.len(), 3);
        wait_read(&setup(&mock, &folder, LIMITS).start(), &before);
        gateway.process.signal("KILL");
        wait::until("its end", || gateway.process.ended());
    }
    let gateway = setup(&mock, &folder, LIMITS).start();
    assert_eq!(stands(&gateway, "day", "held"), 0.0);
    // Twelve a day, and there were three times four.
    assert_eq!(ask(&gateway), 429);
}

#[test]
fn two_processes_share_one_budget() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let old = setup(&mock, &folder, LIMITS).start();
    let new = setup(&mock, &folder, LIMITS).start();
    for _ in 0..3 {
        assert_eq!(ask(&old), 200);
        assert_eq!(ask(&new), 200);
    }
    wait::until("both to know of all", || {
        let (old, new) = (used(&old), used(&new));
        let requests = old.iter().find(|(limit, _)| limit.starts_with("bucket"));
        (old == new && requests.is_some_and(|(_, used)| used == "6")).then_some(())
    });
    // What the old one holds, the new one does not give away.
    let mut running = old.connect();
    running.send(&chat("a", "m", 4_000).mock("hang").bytes());
    wait::until("the new one to know", || {
        (stands(&new, "day", "held") > 4_000.0).then_some(())
    });
    assert_eq!(new.send(&chat("a", "m", 900)).refusal().0, 429);
    drop(running);
    drop(old);
    wait::until("the dead one's to be given back", || {
        (stands(&new, "day", "held") == 0.0).then_some(())
    });
}

#[test]
fn a_stop_writes_everything_down() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let mut gateway = setup(&mock, &folder, LIMITS).start();
    assert_eq!(ask(&gateway), 200);
    wait::until("it to be settled", || {
        (stands(&gateway, "day", "held") == 0.0).then_some(())
    });
    let before = used(&gateway);
    gateway.process.signal("TERM");
    wait::until("its end", || gateway.process.ended());
    assert_eq!(used(&setup(&mock, &folder, LIMITS).start()), before);
}

#[test]
fn the_operator_sets_a_counter_back() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a: {limits: [{name: l, requests: 1, per: 1d}]}\n";
    let request = |gateway: &Gateway, request: Request| {
        let mut client = Client::connect(gateway.admin);
        client.send(&request.bytes());
        client.read_answer(false)
    };
    let locked = setup(&mock, &folder, limits).start();
    assert_eq!(ask(&locked), 200);
    let id = counters(&locked)[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/limits/{id}");
    let answer = request(&locked, Request::new("DELETE", &path));
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("server.admin_token"),
        "{}",
        answer.text()
    );
    let gateway = setup(&mock, &folder, limits)
        .server("admin_token: admin-token-1")
        .start();
    wait_read(&gateway, &used(&locked));
    drop(locked);
    for (token, status) in [
        ("", 401),
        ("Bearer admin-token-2", 401),
        ("Bearer admin-token-1", 200),
    ] {
        let reset = Request::new("DELETE", &path).field("authorization", token);
        assert_eq!(ask(&gateway), 429);
        assert_eq!(request(&gateway, reset).status, status, "{token}");
    }
    assert_eq!(ask(&gateway), 200);
    assert_eq!(ask(&gateway), 429);
    let unknown = Request::post(&format!("/limits/{}", "0".repeat(32)));
    let unknown = unknown.field("authorization", "Bearer admin-token-1");
    assert_eq!(request(&gateway, unknown).status, 404);
}
