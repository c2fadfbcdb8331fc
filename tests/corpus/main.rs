//! Every recorded exchange passes through the real binary unchanged, there and back.
//!
//! Streams that would not tell their usage are asked for it, and their client does not notice.
#![cfg(test)]

mod asking;
mod exchange;
mod kept;
#[path = "../support/mod.rs"]
mod support;
mod upstream;
mod way;

use exchange::Exchange;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use support::client::{Answer, Client, End};
use support::gateway::Gateway;
use support::{Request, Setup};
use upstream::{REPLAY_ID, Upstream};
use way::Way;

/// Connections that replay side by side.
const CLIENTS: usize = 4;
/// The log shows this field's value, so that a line can be told to belong to an exchange.
const EVENT_ID: &str = "cf-aig-event-id";
/// What a provider says about its own connection, and the time, which the gateway tells itself.
const REPLACED: [&str; 3] = ["alt-svc", "date", "strict-transport-security"];
/// Of more faults than these only the number is told.
const FAULTS_SHOWN: usize = 60;

#[test]
fn every_recorded_exchange_passes_unchanged() {
    if let Some(exchanges) = exchange::load() {
        let told = pass_unchanged(exchanges);
        assert!(told > 0, "no recorded stream kept its usage to itself");
    }
}

#[test]
fn every_recorded_answer_passes_unchanged_and_is_counted_when_it_is_packed() {
    if let Some(exchanges) = exchange::load() {
        let packed = exchanges.into_iter();
        let packed = packed.map(|(id, exchange)| (id, exchange.packed()));
        pass_unchanged(packed.collect());
    }
}

/// Returns how many were asked for their usage, and told it.
fn pass_unchanged(exchanges: BTreeMap<String, Exchange>) -> usize {
    let exchanges = Arc::new(exchanges);
    let upstream = Upstream::start(exchanges.clone());
    let plan: Vec<(&Exchange, Way)> = exchanges
        .values()
        .map(|exchange| (exchange, Way::of(exchange)))
        .collect();
    let setup = Setup::leading_to(upstream.address);
    let gateway = way::configure(setup, plan.iter().map(|(_, way)| way)).start();
    let start = Instant::now();
    let mut faults = replay(&plan, &gateway);
    let seconds = start.elapsed().as_secs_f32();
    faults.extend(upstream.faults());
    faults.extend(check_log(&plan, gateway.log(plan.len())));
    let streamed = plan.iter().filter(|(exchange, _)| exchange.streaming);
    let told = plan
        .iter()
        .filter_map(|(exchange, _)| asking::answer(exchange));
    let told = told.count();
    println!(
        "{} exchanges compared, {} of them streamed, {told} of these asked for their usage, in {seconds:.1} s; {} faults",
        plan.len(),
        streamed.count(),
        faults.len()
    );
    let shown = &faults[..faults.len().min(FAULTS_SHOWN)];
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        shown.join("\n")
    );
    told
}

/// Sends everything and tells what came back otherwise than it was recorded.
fn replay(plan: &[(&Exchange, Way)], gateway: &Gateway) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut faults = Vec::new();
        let mut client = gateway.connect();
        while let Some((exchange, way)) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answered = ask(&mut client, exchange, way);
            let found = match &answered {
                Ok(answer) => compare(exchange, answer),
                Err(error) => vec![format!("no answer: {error}")],
            };
            let told = found.iter().map(|what| tell(exchange, way, what));
            faults.extend(told);
            if answered.is_ok_and(|answer| answer.end == End::Whole) {
                continue;
            }
            client = gateway.connect();
        }
        faults
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        let found = workers.into_iter().map(|worker| worker.join().unwrap());
        found.flatten().collect()
    })
}

/// One exchange; every third body goes in chunks.
fn ask(client: &mut Client, exchange: &Exchange, way: &Way) -> std::io::Result<Answer> {
    let mut request = Request::new(&exchange.method, &way.target);
    for (name, value) in &exchange.request_headers {
        request = request.field(name, value);
    }
    request = request
        .field(REPLAY_ID, &exchange.id)
        .field(EVENT_ID, &exchange.id);
    let body = &exchange.request_body;
    request = if exchange.method == "GET" && body.is_empty() {
        request
    } else if exchange.seed().is_multiple_of(3) {
        request.chunked(body.as_slice(), exchange.sizes(body.len()))
    } else {
        request.body(body.as_slice())
    };
    client.try_send(&request.bytes())?;
    client.try_read_answer(exchange.method == "HEAD")
}

fn compare(exchange: &Exchange, answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    if answer.status != exchange.status {
        let said: String = answer.text().chars().take(200).collect();
        let (is, was) = (answer.status, exchange.status);
        return vec![format!("status {is}, not {was}: {said}")];
    }
    if answer.end != End::Whole {
        faults.push(format!("ended otherwise: {:?}", answer.end));
    }
    if answer.body != exchange.response_body {
        let pairs = answer.body.iter().zip(&exchange.response_body);
        let same = pairs.take_while(|(is, was)| is == was).count();
        let (is, was) = (answer.body.len(), exchange.response_body.len());
        faults.push(format!(
            "another body: {is} bytes of {was}, the same up to {same}"
        ));
    }
    for (name, value) in &exchange.response_headers {
        let replaced = REPLACED.contains(&name.as_str());
        if !replaced && !answer.all(name).contains(&value.as_str()) {
            let is = answer.all(name);
            faults.push(format!("{name} is {is:?}, not {value:?}"));
        }
    }
    faults
}

/// Every exchange has one line, which says what became of it.
fn check_log(plan: &[(&Exchange, Way)], lines: Vec<Value>) -> Vec<String> {
    let mut by_id = BTreeMap::<String, Vec<Value>>::new();
    for line in lines {
        let id = line["event_id"].as_str().unwrap_or_default().to_owned();
        by_id.entry(id).or_default().push(line);
    }
    let mut faults = Vec::new();
    for (exchange, way) in plan {
        let lines = by_id.remove(&exchange.id).unwrap_or_default();
        let [line] = lines.as_slice() else {
            let count = lines.len();
            faults.push(tell(exchange, way, &format!("{count} lines of the log")));
            continue;
        };
        for (name, value) in [
            ("status_code", Value::from(exchange.status)),
            ("end", "complete".into()),
            ("provider", way.slug.as_str().into()),
            ("bytes_in", exchange.request_body.len().into()),
            ("bytes_out", exchange.response_body.len().into()),
        ] {
            if line[name] != value {
                let what = format!("the log's {name} is {}, not {value}", line[name]);
                faults.push(tell(exchange, way, &what));
            }
        }
        if let Some(what) = compare_usage(exchange, line) {
            faults.push(tell(exchange, way, &what));
        }
    }
    let strange = by_id.into_iter();
    faults.extend(strange.map(|(id, lines)| format!("{} lines of nobody: {id:?}", lines.len())));
    faults
}

/// The counts of the log's line against what the provider reported; none and zero are the same.
/// Looking an old answer up uses nothing again.
fn compare_usage(exchange: &Exchange, line: &Value) -> Option<String> {
    if asking::answer(exchange).is_some() {
        let logged = [&line["tokens_in"], &line["tokens_out"]].map(Value::as_u64);
        let told = [Some(asking::TOKENS.0), Some(asking::TOKENS.1)];
        return (logged != told).then(|| format!("the log's tokens are {logged:?}, not {told:?}"));
    }
    let (norm, _) = exchange.counts();
    let counts = [
        ("tokens_in", norm.input_total),
        ("tokens_out", norm.output_total),
        ("tokens_cached_in", norm.cache_read),
        ("tokens_cache_write", norm.cache_write),
        ("tokens_reasoning", norm.reasoning),
    ];
    counts.iter().find_map(|(name, count)| {
        // What the provider left out is estimated, and marked so.
        if count.is_none() && line["usage_source"] == "estimated" {
            return None;
        }
        let count = count.filter(|_| exchange.method == "POST").unwrap_or(0);
        let logged = line[*name].as_u64().unwrap_or(0);
        (logged != count).then(|| format!("the log's {name} is {logged}, not {count}"))
    })
}

fn tell(exchange: &Exchange, way: &Way, what: &str) -> String {
    format!("{} {} {what}", exchange.id, way.slug)
}
