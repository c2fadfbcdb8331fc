//! Money: reserved before, settled after, and never more than there is.

use super::*;
use std::thread;
use support::wait;

/// The body's length in tokens by the rule of thumb, and what it may write.
const MAX_TOKENS: u64 = 20;

fn worst(request: &Request) -> u64 {
    let bytes = request.bytes();
    let at = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let body = (bytes.len() - at - 4) as u64;
    body.div_ceil(4) + MAX_TOKENS
}

#[test]
fn of_500_at_once_on_a_budget_for_50_exactly_50_pass() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let request = chat("a", "m", MAX_TOKENS).mock("delay=4000");
    // A thousandth of a dollar a token; half a request more, which must not help anyone.
    let budget = worst(&request) * 101 / 2;
    let limits = format!("  a: {{limits: [{{name: spend, cost: $0.{budget:03}, per: 1d}}]}}\n");
    let limits = limits.replace(
        &format!("$0.{budget:03}"),
        &format!("${}.{:03}", budget / 1_000, budget % 1_000),
    );
    let gateway = setup(&mock, &folder, &limits).start();
    // All connections stand before the first request is sent.
    let mut clients: Vec<_> = (0..500).map(|_| gateway.connect()).collect();
    let bytes = request.bytes();
    thread::scope(|scope| {
        for part in clients.chunks_mut(63) {
            let bytes = &bytes;
            scope.spawn(move || part.iter_mut().for_each(|client| client.send(bytes)));
        }
    });
    let answers: Vec<_> = clients
        .iter_mut()
        .map(|client| client.read_answer(false))
        .collect();
    let (passed, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((passed.len(), refused.len()), (50, 450));
    for answer in refused {
        check_refused(answer, "spend", 2041);
    }
    assert_eq!(mock.count("requests"), 50);
    let spent: u64 = passed
        .iter()
        .map(|answer| tokens(answer).0 + tokens(answer).1)
        .sum();
    assert!(spent <= budget, "{spent} {budget}");
    wait::until("all to be settled", || {
        (stands(&gateway, "spend", "held") == 0.0).then_some(())
    });
    let used = stands(&gateway, "spend", "used");
    assert!((used - spent as f64 / 1e3).abs() < 1e-9, "{used} {spent}");
}

#[test]
fn whatever_way_a_request_ends_what_it_did_not_use_is_given_back() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a:\n    limits:\n      - {name: spend, cost: $1, per: 1d}\n      - {name: tpm, tokens: 1000, per: 1h}\n      - {name: few, concurrent: 5}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let check_back = |what: &str| {
        for limit in ["spend", "tpm", "few"] {
            wait::until(&format!("{limit} to be given back: {what}"), || {
                (stands(&gateway, limit, "held") == 0.0).then_some(())
            });
        }
        stands(&gateway, "tpm", "used")
    };
    // The provider refuses, breaks down or cannot be reached: nothing is used.
    for faults in ["status=500", "status=429", "close"] {
        gateway.send(&chat("a", "m", 100).mock(faults));
        assert_eq!(check_back(faults), 0.0, "{faults}");
    }
    let dead = "/v1/acc/a/custom-dead/chat/completions";
    let answer = gateway.send(&Request::json(dead, r#"{"model":"m","max_tokens":9}"#));
    assert_eq!(answer.status, 502);
    assert_eq!(check_back("dead"), 0.0);
    // The client leaves.
    let mut client = gateway.connect();
    client.send(&chat("a", "m", 100).mock("hang").bytes());
    wait::until("it to run", || {
        (stands(&gateway, "tpm", "held") > 100.0).then_some(())
    });
    drop(client);
    check_back("left");
    // A price of the client's own counts as what it says.
    let before = stands(&gateway, "spend", "used");
    let request = chat("a", "m", 10).field("cf-aig-custom-cost", r#"{"total_cost":0.25}"#);
    assert_eq!(gateway.send(&request).status, 200);
    check_back("custom");
    let spent = stands(&gateway, "spend", "used") - before;
    assert!((spent - 0.25).abs() < 1e-9, "{spent}");
}

#[test]
fn a_guess_does_not_keep_a_request_from_an_unused_budget() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a: {limits: [{name: tpm, tokens: 100, per: 1d}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let path = "/v1/acc/a/custom-priced/chat/completions";
    let unbounded = Request::json(path, r#"{"model":"m","messages":[]}"#);
    let answer = gateway.send(&unbounded);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (input, output) = tokens(&answer);
    wait::until("it to be settled", || {
        (stands(&gateway, "tpm", "held") == 0.0).then_some(())
    });
    assert_eq!(stands(&gateway, "tpm", "used"), (input + output) as f64);
    // One that says itself that it may use more is not let in.
    let answer = gateway.send(&chat("a", "m", 100));
    assert_eq!(answer.refusal(), (429, 2003));
}
