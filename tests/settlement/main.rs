//! Every request is settled once, whichever way it ends, and the sums are those of the providers.
#![cfg(test)]

mod provider;
#[path = "../support/mod.rs"]
mod support;
mod way;

use proptest::prelude::*;
use provider::Provider;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::thread;
use support::client::{Answer, Client};
use support::gateway::Gateway;
use support::{Mock, Request, Setup, wait};
use way::{Case, Lapse, Source, Way, cases, nanos};

const GATEWAYS: &str = "gateways: {default: {}, drained: {on_client_gone: drain}}";

/// Milliseconds that an attempt has where it is to hang and another one to follow.
const LAPSE_PATIENCE: u64 = 2000;
/// What the number of a repeated request is more by.
const AGAIN: usize = 1000;

fn start(provider: &Provider) -> Gateway {
    let setup = Setup::leading_to(provider.address).without_breakers();
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

/// What the case asks, under this number in the log.
fn request(number: usize, case: &Case) -> Request {
    let body = json!({
        "model": "m",
        "stream": case.way.streams(),
        "messages": [{"role": "user", "content": "tell me"}],
    });
    let usage = format!("{},{}", case.input, case.output);
    let request = match case.way {
        Way::Fallback(lapse) => {
            let step = |way: String| {
                json!({
                    "provider": "custom-ledger",
                    "endpoint": "chat/completions",
                    "headers": {"x-way": way, "x-usage": usage, "x-number": number.to_string()},
                    "query": body,
                })
            };
            let mut failing = step(format!("{lapse:?}"));
            if lapse == Lapse::Hang {
                failing["config"] = json!({"requestTimeout": LAPSE_PATIENCE});
            }
            let steps = json!([failing, step(case.way.name())]);
            Request::json("/v1/acc/default", steps.to_string())
        }
        way => {
            let provider = if way == Way::Dead {
                "custom-dead"
            } else {
                "custom-ledger"
            };
            let gateway = if way == Way::LeaveDrained {
                "drained"
            } else {
                "default"
            };
            let path = format!("/v1/acc/{gateway}/{provider}/chat/completions");
            Request::json(&path, body.to_string())
                .field("x-way", &way.name())
                .field("x-usage", &usage)
                .field("x-number", &number.to_string())
        }
    };
    let request = request.field("cf-aig-event-id", &number.to_string());
    match case.way {
        Way::Hang => request.field("cf-aig-request-timeout", "1000"),
        Way::Refused => request.field("cf-aig-request-timeout", "soon"),
        Way::Retry(lapse) => {
            let again = request
                .field("cf-aig-max-attempts", "2")
                .field("cf-aig-retry-delay", "10");
            match lapse {
                Lapse::Hang => again.field("cf-aig-request-timeout", &LAPSE_PATIENCE.to_string()),
                _ => again,
            }
        }
        _ => request,
    }
}

/// Does what the case says, and gives what the client saw, where it stayed.
fn run(gateway: &Gateway, provider: &Provider, number: usize, case: &Case) -> Option<Answer> {
    let ask = request(number, case);
    match case.way {
        Way::Leave | Way::LeaveDrained => {
            let mut client = gateway.connect();
            client.send(&ask.bytes());
            assert_eq!(client.read_head(false).status, 200);
            client.next_piece().unwrap().unwrap();
            None
        }
        Way::LeaveEarly => {
            let mut client = gateway.connect();
            client.send(&ask.bytes());
            wait::until("the provider to be asked", || {
                provider.has_seen(number).then_some(())
            });
            None
        }
        Way::Hit => {
            let keep = |ask: Request| {
                let ask = ask.field("cf-aig-cache-ttl", "3600");
                ask.field("cf-aig-cache-key", &number.to_string())
            };
            let miss = gateway.send(&keep(ask));
            let hit = gateway.send(&keep(request(number + AGAIN, case)));
            assert_eq!(hit.field("cf-aig-cache-status"), Some("HIT"));
            assert_eq!(hit.body, miss.body);
            Some(miss)
        }
        _ => Some(gateway.send(&ask)),
    }
}

/// An answer that is told as a whole tells its bill, that of all its attempts.
fn check_answer(case: &Case, answer: &Answer) {
    let plain = matches!(case.way, Way::Plain | Way::Hit);
    let told_after = matches!(
        case.way,
        Way::Retry(Lapse::ServerError | Lapse::Close)
            | Way::Fallback(Lapse::ServerError | Lapse::Close)
    );
    if plain || told_after {
        let tokens = (case.input + case.output).to_string();
        assert_eq!(answer.field("x-tollgate-tokens"), Some(tokens.as_str()));
        let cost: f64 = answer.field("x-tollgate-cost").unwrap().parse().unwrap();
        assert_eq!((cost * 1e9).round() as u64, case.cost());
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

fn check_all(gateway: &Gateway, provider: &Provider, cases: &[Case]) {
    thread::scope(|scope| {
        for (number, case) in cases.iter().enumerate() {
            scope.spawn(move || {
                if let Some(answer) = run(gateway, provider, number, case) {
                    check_answer(case, &answer);
                }
            });
        }
    });
    let hits = cases.iter().filter(|case| case.is_repeated()).count();
    let requests = cases.len() + hits;
    let lines = gateway.log(requests);
    assert_eq!(lines.len(), requests, "no request is settled twice");
    let lines = by_number(lines);
    assert_eq!(lines.len(), requests, "no request is forgotten");
    for (number, case) in cases.iter().enumerate() {
        case.check(&lines[&number]);
        if case.is_repeated() {
            case.check_hit(&lines[&(number + AGAIN)]);
        }
    }
    check_metrics(gateway, cases, &lines);
}

/// What the metrics say is what the lines say, and the estimated part is told apart.
fn check_metrics(gateway: &Gateway, cases: &[Case], lines: &BTreeMap<usize, Value>) {
    let scripted = |count: fn(&Case) -> u64| -> u64 {
        let told = cases
            .iter()
            .filter(|case| case.way.attempts().contains(&Source::Reported));
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
        assert_eq!(all as u64, sum(lines, member));
        let estimated = metric(gateway, "tollgate_estimated_tokens_total", kind);
        assert_eq!((all - estimated) as u64, reported);
    }
    let nanos_of = |member: &str| -> u64 {
        let lines = lines.values();
        lines.filter_map(|line| nanos(&line[member])).sum()
    };
    let counted = |name: &str| (gateway.metric(name) * 1e9).round() as u64;
    assert_eq!(counted("tollgate_cost_usd_total"), nanos_of("cost"));
    assert_eq!(counted("tollgate_saved_usd_total"), nanos_of("saved"));
    assert_eq!(
        gateway.metric("tollgate_requests_total") as usize,
        lines.len()
    );
    let attempts: usize = cases.iter().map(|case| case.way.attempts().len()).sum();
    assert_eq!(gateway.metric("tollgate_attempts_total") as usize, attempts);
    wait::until("nothing in flight", || {
        (gateway.metric("tollgate_in_flight") == 0.0).then_some(())
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn what_is_settled_is_what_was_used(cases in cases()) {
        let provider = Provider::start();
        check_all(&start(&provider), &provider, &cases);
    }
}

#[test]
fn a_stopped_gateway_settles_what_it_drops() {
    for signal in ["INT", "TERM"] {
        let provider = Provider::start();
        let setup = Setup::leading_to(provider.address).server("drain: 1s");
        let mut gateway = setup
            .provider("custom-ledger: {base_url: \"http://<mock>/v1\", dialect: openai}")
            .start();
        let path = "/v1/acc/default/custom-ledger/chat/completions";
        let body = r#"{"model":"m","messages":[{"role":"user","content":"tell me"}]}"#;
        let mut clients: Vec<Client> = Vec::new();
        for number in 0..10 {
            let request = Request::json(path, body)
                .field("cf-aig-event-id", &number.to_string())
                .field("x-number", &number.to_string())
                .field("x-way", "Hang")
                .field("x-usage", "1,1");
            let mut client = gateway.connect();
            client.send(&request.bytes());
            clients.push(client);
        }
        wait::until("ten requests at the provider", || {
            (0..10)
                .all(|number| provider.has_seen(number))
                .then_some(())
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
    let gateways = "gateways: {default: {on_client_gone: drain, timeout: {first_byte: 3s, idle: 300ms, total: 3s}}}";
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
