//! Every recorded exchange that may be kept is the same out of the cache.

use crate::exchange::{self, Exchange};
use crate::support::client::{Answer, Client, End};
use crate::support::{Request, Setup};
use crate::tell;
use crate::upstream::{REPLAY_ID, Upstream};
use crate::way::{self, Way};
use std::sync::Arc;

const CONFIG: &str = "gateways: {default: {cache: {ttl: 1h}}}\ncache: {memory: 1GiB}";

/// Each under a key of its own, since many ask the same and were answered otherwise.
fn ask(client: &mut Client, exchange: &Exchange, way: &Way) -> std::io::Result<Answer> {
    let mut request = Request::new(&exchange.method, &way.target);
    for (name, value) in &exchange.request_headers {
        request = request.field(name, value);
    }
    request = request.field(REPLAY_ID, &exchange.id);
    request = request.field("cf-aig-cache-key", &exchange.id);
    if exchange.method != "GET" || !exchange.request_body.is_empty() {
        request = request.body(exchange.request_body.as_slice());
    }
    client.try_send(&request.bytes())?;
    client.try_read_answer(exchange.method == "HEAD")
}

#[test]
fn every_recorded_exchange_is_the_same_out_of_the_cache() {
    let Some(exchanges) = exchange::load() else {
        return;
    };
    let exchanges = Arc::new(exchanges);
    let upstream = Upstream::start(exchanges.clone());
    let plan = exchanges
        .values()
        .map(|exchange| (exchange, Way::of(exchange)));
    let plan: Vec<(&Exchange, Way)> = plan.collect();
    let setup = Setup::leading_to(upstream.address).config(CONFIG);
    let gateway = way::configure(setup, plan.iter().map(|(_, way)| way)).start();
    let mut client = gateway.connect();
    let (mut hits, mut streams, mut faults) = (0, 0, Vec::new());
    for (exchange, way) in &plan {
        let mut both = || {
            let both = [(); 2].map(|()| ask(&mut client, exchange, way).ok());
            if both.iter().flatten().any(|answer| answer.end != End::Whole) {
                client = gateway.connect();
            }
            both
        };
        let [Some(first), Some(second)] = both() else {
            faults.push(tell(exchange, way, "no answer"));
            client = gateway.connect();
            continue;
        };
        if first.field("cf-aig-cache-status") == Some("HIT") {
            faults.push(tell(exchange, way, "a hit before it was ever asked"));
        }
        if second.field("cf-aig-cache-status") != Some("HIT") {
            continue;
        }
        hits += 1;
        streams += usize::from(exchange.streaming);
        if exchange.status != 200 || exchange.method != "POST" {
            faults.push(tell(exchange, way, "this may not be kept"));
        }
        if second.body != first.body || second.body != exchange.response_body {
            faults.push(tell(exchange, way, "another body out of the cache"));
        }
        let field = |answer: &Answer, name| answer.field(name).map(str::to_owned);
        for name in ["content-type", "content-encoding"] {
            if field(&first, name) != field(&second, name) {
                faults.push(tell(exchange, way, name));
            }
        }
    }
    let all = plan.len();
    println!("{hits} of {all} exchanges are kept, {streams} of them streamed");
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(hits > all / 3 && streams > 0, "{hits} of {all} were kept");
}
