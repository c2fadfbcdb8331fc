//! Every request is settled once, whichever way it ends, and the sums are those of the providers.
#![cfg(test)]

mod provider;
#[path = "../support/mod.rs"]
mod support;
mod way;

use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread;
use support::client::Client;
use support::gateway::Gateway;
use support::{Mock, Request, Setup, wait};
use way::{Case, Way, cases, nanos};

const GATEWAYS: &str = "gateways: {default: {}, drained: {on_client_gone: drain}}";

fn start() -> Gateway {
    let setup = Setup::leading_to(provider::start());
    let prices = "prices: {m: {input: $2, output: $8}}";
    setup
        .provider(&format!(
            "custom-ledger: {{base_url: \"http://<mock>/v1\", dialect: openai, {prices}}}"
        ))
        .provider(&format!(
            "custom-dead: {{base_url: \"http://<dead>/v1\", dialect: openai, {prices}}}"
        ))
        .config(GATEWAYS)
        .start()
}

/// Does what the case says, and gives what the client saw, where it stayed.
fn run(gateway: &Gateway, number: usize, case: &Case) -> Option<support::client::Answer> {
    let provider = if case.way == Way::Dead {
        "custom-dead"
    } else {
        "custom-ledger"
    };
    let name = if case.way == Way::LeaveDrained {
        "drained"
    } else {
        "default"
    };
    let path = format!("/v1/acc/{name}/{provider}/chat/completions");
    let body = format!(
        r#"{{"model":"m","stream":{},"messages":[{{"role":"user","content":"tell me"}}]}}"#,
        case.way.streams()
    );
    let patience = match case.way {
        Way::Hang => "1000",
        Way::Refused => "soon",
        _ => "10000",
    };
    let request = Request::json(&path, body)
        .field("cf-aig-event-id", &number.to_string())
        .field("cf-aig-request-timeout", patience)
        .field("x-way", &case.way.name())
        .field("x-usage", &format!("{},{}", case.input, case.output));
    match case.way {
        Way::Leave | Way::LeaveDrained => {
            let mut client = gateway.connect();
            client.send(&request.bytes());
            assert_eq!(client.read_head(false).status, 200);
            client.next_piece().unwrap().unwrap();
            None
        }
        Way::LeaveEarly => {
            let mut client = gateway.connect();
            client.send(&request.bytes());
            assert!(client.is_silent_for(std::time::Duration::from_millis(100)));
            None
        }
        _ => Some(gateway.send(&request)),
    }
}

/// The lines by the number of their request.
fn by_number(lines: Vec<Value>) -> BTreeMap<usize, Value> {
    let numbered = lines.into_iter().map(|line| {
        let number = line["event_id"].as_str().unwrap().parse().unwrap();
        (number, line)
    });
    numbered.collect()
}

fn sum(lines: &BTreeMap<usize, Value>, member: &str) -> u64 {
    lines
        .values()
        .filter_map(|line| line[member].as_u64())
        .sum()
}

fn metric(gateway: &Gateway, name: &str, label: &str) -> f64 {
    let metrics = gateway.metrics();
    let own = metrics
        .iter()
        .filter(|(series, _)| series.starts_with(&format!("{name}{{")) && series.contains(label));
    own.map(|(_, value)| value).sum()
}

fn check_all(gateway: &Gateway, cases: &[Case]) {
    thread::scope(|scope| {
        for (number, case) in cases.iter().enumerate() {
            scope.spawn(move || {
                let answer = run(gateway, number, case);
                if let (Way::Plain, Some(answer)) = (case.way, answer) {
                    let tokens = (case.input + case.output).to_string();
                    assert_eq!(answer.field("x-tollgate-tokens"), Some(tokens.as_str()));
                    let cost: f64 = answer.field("x-tollgate-cost").unwrap().parse().unwrap();
                    let nanos = case.input * 2000 + case.output * 8000;
                    assert_eq!((cost * 1e9).round() as u64, nanos);
                }
            });
        }
    });
    let lines = gateway.log(cases.len());
    assert_eq!(lines.len(), cases.len(), "no request is settled twice");
    let lines = by_number(lines);
    assert_eq!(lines.len(), cases.len(), "no request is forgotten");
    for (number, case) in cases.iter().enumerate() {
        case.check(&lines[&number]);
    }
    // What the metrics say is what the lines say, and the estimated part is told apart.
    let scripted = |count: fn(&Case) -> u64| -> u64 {
        let told = cases
            .iter()
            .filter(|case| case.way.expected().usage_source == "reported");
        told.map(count).sum()
    };
    for (kind, member, reported) in [
        ("kind=\"input\"", "tokens_in", scripted(|case| case.input)),
        (
            "kind=\"output\"",
            "tokens_out",
            scripted(|case| case.output),
        ),
    ] {
        let all = metric(gateway, "tollgate_tokens_total", kind);
        assert_eq!(all as u64, sum(&lines, member));
        let estimated = metric(gateway, "tollgate_estimated_tokens_total", kind);
        assert_eq!((all - estimated) as u64, reported);
    }
    let cost: u64 = lines.values().filter_map(|line| nanos(&line["cost"])).sum();
    let counted = gateway.metric("tollgate_cost_usd_total");
    assert_eq!((counted * 1e9).round() as u64, cost);
    assert_eq!(
        gateway.metric("tollgate_requests_total") as usize,
        cases.len()
    );
    let attempts: usize = cases.iter().map(|case| case.way.expected().attempts).sum();
    assert_eq!(gateway.metric("tollgate_attempts_total") as usize, attempts);
    assert_eq!(gateway.metric("tollgate_in_flight"), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn what_is_settled_is_what_was_used(cases in cases()) {
        check_all(&start(), &cases);
    }
}

#[test]
fn a_stopped_gateway_settles_what_it_drops() {
    for signal in ["INT", "TERM"] {
        let setup = Setup::leading_to(provider::start()).server("drain: 1s");
        let mut gateway = setup
            .provider("custom-ledger: {base_url: \"http://<mock>/v1\", dialect: openai}")
            .start();
        let path = "/v1/acc/default/custom-ledger/chat/completions";
        let body = r#"{"model":"m","messages":[{"role":"user","content":"tell me"}]}"#;
        let mut clients: Vec<Client> = Vec::new();
        for number in 0..10 {
            let request = Request::json(path, body)
                .field("cf-aig-event-id", &number.to_string())
                .field("x-way", "Hang")
                .field("x-usage", "1,1");
            let mut client = gateway.connect();
            client.send(&request.bytes());
            clients.push(client);
        }
        wait::until("ten requests in flight", || {
            (gateway.metric("tollgate_in_flight") == 10.0).then_some(())
        });
        gateway.process.signal(signal);
        wait::until("the end", || gateway.process.ended());
        let lines = gateway.log_text();
        assert_eq!(lines.lines().count(), 10, "{signal}: {lines}");
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["end"], "error", "{signal}: {line}");
            assert_eq!(line["usage_source"], "estimated", "{signal}: {line}");
            assert!(
                line["attempts"][0]["error"]
                    .as_str()
                    .unwrap()
                    .contains("stopped")
            );
        }
    }
}

#[test]
fn an_answer_that_is_drained_is_bounded_by_the_gateways_patience() {
    let mock = Mock::start();
    let gateways = "gateways: {default: {on_client_gone: drain, timeout: {first_byte: 300ms, idle: 300ms, total: 1s}}}";
    let gateway = Setup::new(&mock).config(gateways).start();
    for faults in ["hang-at=300", "endless"] {
        let mut client = gateway.connect();
        let request = Request::json(support::CHAT_PATH, support::CHAT_STREAM).mock(faults);
        client.send(&request.bytes());
        assert_eq!(client.read_head(false).status, 200);
        drop(client);
    }
    for line in gateway.log(2) {
        assert_eq!(line["end"], "client_gone", "{line}");
        assert_eq!(line["usage_source"], "estimated", "{line}");
        assert!(line["attempts"][0]["error"].is_string(), "{line}");
    }
    wait::until("the mock's calls to end", || {
        (mock.count("aborted") == 2).then_some(())
    });
}
