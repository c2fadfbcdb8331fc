//! Limits and budgets hold: by every technique, for every kind, whatever is to become of the rest.
#![cfg(test)]

mod budget;
mod over;
mod state;
mod subject;
#[path = "../support/mod.rs"]
mod support;
mod technique;

use serde_json::Value;
use support::client::{Answer, Client};
use support::gateway::Gateway;
use support::process::Scratch;
use support::{Mock, Request, Setup};

/// Dollars for a million tokens: a dollar a thousand, so that sums are easy to see.
const PRICES: &str = "prices: {\"*\": {input: $1000, output: $1000}}";

/// A gateway whose limits are kept in a folder of the test's own.
fn setup(mock: &Mock, folder: &Scratch, gateways: &str) -> Setup {
    let folder = folder.join("counters");
    Setup::new(mock)
        .provider(&format!(
            "custom-priced: {{base_url: \"http://<mock>/v1\", dialect: openai, {PRICES}}}"
        ))
        .provider(&format!(
            "custom-dead: {{base_url: \"http://<dead>/v1\", dialect: openai, {PRICES}}}"
        ))
        .config(&format!("counters: {{folder: \"{}\"}}", folder.display()))
        .config(&format!("gateways:\n{gateways}"))
}

/// A chat request to a gateway of ours.
fn chat(gateway: &str, model: &str, max_tokens: u64) -> Request {
    let path = format!("/v1/acc/{gateway}/custom-priced/chat/completions");
    let body = format!(
        r#"{{"model":"{model}","max_tokens":{max_tokens},"messages":[{{"role":"user","content":"Say naïve."}}]}}"#
    );
    Request::json(&path, body)
}

/// Tokens by the provider's own word, both ways.
fn tokens(answer: &Answer) -> (u64, u64) {
    let usage = &answer.json()["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    (count("prompt_tokens"), count("completion_tokens"))
}

/// The counters that are in use, as the operator sees them.
fn counters(gateway: &Gateway) -> Vec<Value> {
    let mut client = Client::connect(gateway.admin);
    client.send(&Request::get("/limits").bytes());
    let page = client.read_answer(false).json();
    page["counters"].as_array().unwrap().clone()
}

/// What a limit's only counter says of `used` or `held`; zero where it has none.
fn stands(gateway: &Gateway, limit: &str, what: &str) -> f64 {
    let counters = counters(gateway);
    let mut own = counters.iter().filter(|row| row["limit"] == limit);
    let row = own.next();
    assert!(own.next().is_none(), "{counters:?}");
    row.map_or(0.0, |row| row[what].as_str().unwrap().parse().unwrap())
}

/// Refused by a limit of this name, with the code and a time to come back.
fn check_refused(answer: &Answer, limit: &str, code: u64) {
    assert_eq!(answer.refusal(), (429, code), "{}", answer.text());
    assert_eq!(answer.field("x-tollgate-limit"), Some(limit));
    let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1, "{seconds}");
}
