//! The cache from outside: what is kept, for whom and for how long, and what is never served.
#![cfg(test)]

mod bypass;
mod control;
mod disk;
mod hits;
mod http2;
mod memory;
mod purge;
mod stale;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod together;

use support::client::{Answer, End};
use support::gateway::Gateway;
use support::{CHAT, CHAT_PATH, Mock, Request, Setup};

/// Every gateway keeps answers for an hour.
const ON: &str = "gateways: {default: {cache: {ttl: 1h}}, other: {cache: {ttl: 1h}}}";

fn start(config: &str) -> (Mock, Gateway) {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).config(config).start();
    (mock, gateway)
}

fn chat() -> Request {
    Request::json(CHAT_PATH, CHAT)
}

/// Whether the answer says that it comes out of the cache.
fn is_hit(answer: &Answer) -> bool {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.end, End::Whole);
    let said = answer.all("cf-aig-cache-status");
    assert_eq!(said.len(), 1, "{said:?}");
    match said[0] {
        "HIT" => true,
        "MISS" => false,
        other => panic!("cf-aig-cache-status: {other}"),
    }
}

/// Sends the requests one after the other, and says which of them were hits.
fn hits<const N: usize>(gateway: &Gateway, requests: [Request; N]) -> [bool; N] {
    requests.map(|request| is_hit(&gateway.send(&request)))
}

/// What the log says became of each request, once there are as many lines.
fn outcomes(gateway: &Gateway, count: usize) -> Vec<String> {
    let lines = gateway.log(count).into_iter();
    let outcomes = lines.map(|line| line["cache"].as_str().unwrap().to_owned());
    outcomes.collect()
}
