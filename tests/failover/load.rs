//! Many streams at once, while the first of two providers dies and comes back.

use super::shape::PATH;
use super::support::client::End;
use super::support::gateway::Gateway;
use super::support::{Mock, Request, Setup, wait};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

const STREAMS: usize = 500;
/// Of these, so many are under way before the provider dies, and so many more before it is back.
const BEFORE: usize = 150;
const WITHOUT: usize = 200;

/// The first provider before it dies: half of its answers never begin, half greet and say no more.
const DOOMED: &str = "[{times: 75, faults: hang}, {faults: 'chunk-delay=600000'}]";
/// And when it is back.
const BACK: &str = "[{faults: 'chunks=10,chunk-delay=100'}]";
/// The second one takes long enough for all streams to be open at once.
const LONG: &str = "chunks=10,chunk-delay=500";

/// An address for a mock that comes and goes: as long as the socket lives, nobody else is given it.
fn hold_address() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn steps() -> String {
    let step = |provider: &str, faults: &str| {
        json!({
            "provider": provider,
            "endpoint": "chat/completions",
            "headers": {"x-mock": faults},
            "query": {"model": provider, "stream": true, "messages": []},
        })
    };
    let mut steps = json!([step("custom-a", ""), step("custom-b", LONG)]);
    steps[0]["headers"] = json!({});
    steps.to_string()
}

/// Starts all streams in three lots, and lets `between` happen after each of the first two.
fn ask_all(gateway: &Gateway, mut between: impl FnMut(usize)) -> Vec<Result<usize, String>> {
    let (tell, told) = mpsc::sync_channel(STREAMS);
    let begun = AtomicUsize::new(0);
    let body = steps();
    thread::scope(|scope| {
        for lot in [BEFORE, WITHOUT, STREAMS - BEFORE - WITHOUT] {
            for _ in 0..lot {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                let (tell, body) = (tell.clone(), &body);
                scope.spawn(move || {
                    let request = Request::json(PATH, body.as_bytes())
                        .field("cf-aig-event-id", &number.to_string());
                    tell.send(ask(gateway, &request)).unwrap();
                });
            }
            between(begun.load(Ordering::Relaxed));
        }
        drop(tell);
        told.iter().collect()
    })
}

/// The step that answered, whole.
fn ask(gateway: &Gateway, request: &Request) -> Result<usize, String> {
    let mut client = gateway.connect();
    client.send(&request.bytes());
    let answer = client
        .try_read_answer(false)
        .map_err(|error| error.to_string())?;
    let step = answer
        .field("cf-aig-step")
        .and_then(|step| step.parse().ok());
    let whole = answer.end == End::Whole && answer.text().ends_with("data: [DONE]\n\n");
    match step {
        Some(step) if answer.status == 200 && whole => Ok(step),
        _ => Err(format!(
            "{} {:?} {}",
            answer.status,
            answer.end,
            answer.text()
        )),
    }
}

/// What is wrong with a line of the log.
fn judge(line: &Value, address: SocketAddr) -> Option<String> {
    let attempts = line["attempts"].as_array().unwrap();
    let seen: Vec<_> = attempts
        .iter()
        .map(|own| {
            let text = |name: &str| own[name].as_str().unwrap_or_default().to_owned();
            (
                text("provider"),
                own["status"].as_u64(),
                text("usage_source"),
            )
        })
        .collect();
    let step = line["step"].as_u64().unwrap();
    let sound = match seen.as_slice() {
        [(a, Some(200), told)] => step == 0 && a == "custom-a" && told == "reported",
        [(a, status, used), (b, Some(200), told)] => {
            // Never reached or gone without an answer, or gone after it had begun one.
            let used = match status {
                None => used == "none",
                Some(200) => used == "estimated",
                Some(_) => false,
            };
            let error = attempts[0]["error"].as_str().unwrap_or_default();
            let named = error.contains(&address.to_string());
            step == 1 && a == "custom-a" && b == "custom-b" && told == "reported" && used && named
        }
        _ => false,
    };
    let tokens: u64 = attempts
        .iter()
        .filter_map(|own| own["tokens_in"].as_u64())
        .sum();
    let sound = sound
        && line["end"] == "complete"
        && line["success"] == true
        && line["tokens_in"].as_u64() == Some(tokens);
    (!sound).then(|| line.to_string())
}

#[test]
fn no_request_fails_while_a_provider_dies_and_comes_back() {
    let (_held, address) = hold_address();
    let mut first = Some(Mock::listening(&address.to_string(), Some(DOOMED)));
    let second = Mock::start();
    let gateway = Setup::new(&second)
        .provider(&format!(
            "custom-a: {{base_url: \"http://{address}\", dialect: openai}}"
        ))
        .provider("custom-b: {base_url: \"http://<mock>\", dialect: openai}")
        // Which stream goes where is told exactly below.
        .without_breakers()
        .start();
    let has = |mock: &Mock, count: usize| {
        wait::until("the streams", || {
            (mock.count("requests") >= count as u64).then_some(())
        });
    };
    let mut most = 0.0;
    let answers = ask_all(&gateway, |begun| match (begun, first.take()) {
        (BEFORE, Some(mock)) => has(&mock, BEFORE),
        (STREAMS, Some(mock)) => {
            has(&mock, STREAMS - BEFORE - WITHOUT);
            most = gateway.metric("tollgate_in_flight");
            first = Some(mock);
        }
        _ => {
            has(&second, BEFORE + WITHOUT);
            first = Some(Mock::listening(&address.to_string(), Some(BACK)));
        }
    });
    let failed: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert!(
        failed.is_empty(),
        "{} failed: {:?}",
        failed.len(),
        failed[0]
    );
    let lines = gateway.log(STREAMS);
    assert_eq!(lines.len(), STREAMS);
    let ids: BTreeSet<_> = lines
        .iter()
        .map(|line| line["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), STREAMS, "a line each");
    let wrong: Vec<_> = lines
        .iter()
        .filter_map(|line| judge(line, address))
        .collect();
    assert!(wrong.is_empty(), "{} lines: {}", wrong.len(), wrong[0]);
    let by = |step| answers.iter().filter(|answer| **answer == Ok(step)).count();
    println!(
        "{most} at once; {} by the first, {} by the second",
        by(0),
        by(1)
    );
    assert_eq!(
        (by(0), by(1)),
        (STREAMS - BEFORE - WITHOUT, BEFORE + WITHOUT)
    );
}
