//! Many who ask the same at once cost one.

use crate::support::client::{Answer, End};
use crate::support::gateway::Gateway;
use crate::support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, wait};
use crate::{ON, chat, start};
use std::sync::Barrier;
use std::thread;

/// How often what hangs on the order of events is repeated.
const REPEATS: usize = 200;
const CROWD: usize = 40;

/// Everybody sends at once.
fn crowd(
    gateway: &Gateway,
    count: usize,
    request: impl Fn(usize) -> Request + Sync,
) -> Vec<Answer> {
    let barrier = Barrier::new(count);
    let ask = |number| {
        let mut client = gateway.connect();
        let bytes = request(number).bytes();
        barrier.wait();
        client.send(&bytes);
        client.read_answer(false)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || ask(number)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    })
}

fn check_crowd(body: &str, faults: &str, repeats: usize) {
    let (mock, gateway) = start(ON);
    for repeat in 0..repeats {
        mock.reset();
        let ask = |_| {
            let request = Request::json(CHAT_PATH, body).mock(faults);
            request.field("cf-aig-cache-key", &repeat.to_string())
        };
        let answers = crowd(&gateway, CROWD, ask);
        assert_eq!(mock.count("requests"), 1, "{repeat} {faults}");
        for answer in &answers {
            assert_eq!(
                (answer.status, &answer.end),
                (200, &End::Whole),
                "{repeat} {faults}"
            );
            assert_eq!(answer.body, answers[0].body, "{repeat} {faults}");
        }
    }
    let count = repeats * CROWD;
    let log = gateway.log(count);
    let of = |outcome| log.iter().filter(|line| line["cache"] == outcome).count();
    assert_eq!(of("miss"), repeats);
    assert_eq!(of("coalesced") + of("hit"), count - repeats);
    assert!(of("coalesced") > 0);
    let cost = |line: &&serde_json::Value| line["cost"].as_f64().unwrap() > 0.0;
    assert_eq!(log.iter().filter(cost).count(), repeats, "one pays");
    assert!(
        log.iter()
            .filter(|line| line["cached"] == true)
            .all(|line| line["saved"].as_f64().unwrap() > 0.0)
    );
}

#[test]
fn forty_plain_requests_at_once_cost_one() {
    check_crowd(CHAT, "delay=20", REPEATS);
}

#[test]
fn forty_streams_at_once_cost_one() {
    check_crowd(CHAT_STREAM, "chunk-delay=4", REPEATS);
}

#[test]
fn a_stream_is_read_while_it_arrives() {
    let (mock, gateway) = start(ON);
    let ask = Request::json(CHAT_PATH, CHAT_STREAM).mock("chunk-delay=400,chunks=10");
    let mut leader = gateway.connect();
    leader.send(&ask.bytes());
    leader.read_head(false);
    let mut first = Vec::new();
    while first.len() < 200 {
        first.extend(leader.next_piece().unwrap().unwrap());
    }
    let mut follower = gateway.connect();
    follower.send(&ask.bytes());
    let head = follower.read_head(false);
    assert_eq!(head.field("cf-aig-cache-status"), Some("HIT"));
    let piece = follower.next_piece().unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&piece).contains("[DONE]"));
    let sent = mock.count("bytes_out");
    let rest = |client: &mut crate::support::client::Client, mut whole: Vec<u8>| {
        while let Some(piece) = client.next_piece().unwrap() {
            whole.extend(piece);
        }
        whole
    };
    let (one, other) = (rest(&mut leader, first), rest(&mut follower, piece));
    assert_eq!(one, other);
    // What is asked of the mock here counts too, but far less.
    assert!(
        mock.count("bytes_out") > sent + 1500,
        "it came before the provider had sent all"
    );
    assert_eq!(mock.count("requests"), 1);
    assert_eq!(gateway.last_log(2)["cached"], true);
}

#[test]
fn a_failed_leader_hands_over_without_a_stampede() {
    let count = 6;
    let of = |fault: &'static str, number: usize| {
        chat()
            .field("cf-aig-cache-key", fault)
            .mock(if number == 0 { fault } else { "delay=100" })
    };
    for fault in [
        "status=500,delay=300",
        "status=429,delay=300",
        "delay=300,close",
        "delay=300,cut-at=40",
        "error-event,delay=300",
    ] {
        let (mock, gateway) = start(ON);
        let answers = thread::scope(|scope| {
            let leader = scope.spawn(|| {
                let mut client = gateway.connect();
                client.send(&of(fault, 0).bytes());
                let _ = client.try_read_answer(false);
            });
            // The others come while the first one waits.
            wait::until("the first one's question", || {
                (mock.count("requests") == 1).then_some(())
            });
            let others = crowd(&gateway, count, |number| of(fault, number + 1));
            leader.join().unwrap();
            others
        });
        assert!(
            answers
                .iter()
                .all(|answer| answer.status == 200 && answer.end == End::Whole),
            "{fault}"
        );
        assert_eq!(mock.count("requests"), 2, "{fault}");
    }
}

/// Two steps: the first fails in its own way, the second one answers.
fn two_steps(body: &str, fault: &str) -> String {
    let step = |fault: &str| {
        format!(
            r#"{{"provider":"openai","endpoint":"chat/completions","headers":{{"x-mock":"{fault}"}},"query":{body}}}"#
        )
    };
    format!("[{},{}]", step(fault), step("delay=30"))
}

#[test]
fn forty_at_once_share_retries_and_a_fallback() {
    for (body, fault) in [
        (CHAT, "status=500"),
        (CHAT, "status=429,delay=50"),
        (CHAT, "cut-at=40,delay=50"),
        (CHAT, "garbage-head,delay=50"),
        (CHAT_STREAM, "error-event,delay=50"),
        (CHAT_STREAM, "error-event,delay=50,chunk-delay=20"),
        (CHAT_STREAM, "reset-at=0,delay=50"),
    ] {
        let (mock, gateway) = start(ON);
        for round in 0..5 {
            mock.reset();
            let body = two_steps(body, fault);
            let ask = |_| {
                Request::json("/v1/acc/default", body.as_str())
                    .field("cf-aig-cache-key", &round.to_string())
            };
            let answers = crowd(&gateway, CROWD, ask);
            for answer in &answers {
                assert_eq!(
                    (answer.status, &answer.end),
                    (200, &End::Whole),
                    "{fault}: {}",
                    answer.text()
                );
                assert_eq!(answer.body, answers[0].body, "{fault}");
                assert!(
                    !answer.text().contains("\"error\""),
                    "{fault}: {}",
                    answer.text()
                );
            }
            assert_eq!(mock.count("requests"), 2, "{fault}");
        }
        let log = gateway.log(5 * CROWD);
        let misses = log.iter().filter(|line| line["cache"] == "miss");
        assert!(
            misses
                .clone()
                .all(|line| line["attempts"].as_array().unwrap().len() == 2)
        );
        assert_eq!(misses.count(), 5, "{fault}");
    }
}

#[test]
fn a_step_says_for_itself_how_long_its_answer_lasts() {
    let (_mock, gateway) = start(ON);
    let ask = |ttl: &str| {
        let step = format!(
            r#"[{{"provider":"openai","endpoint":"chat/completions","headers":{{"cf-aig-cache-ttl":"{ttl}"}},"query":{CHAT}}}]"#
        );
        Request::json("/v1/acc/default", step).field("cf-aig-cache-ttl", "90")
    };
    for _ in 0..2 {
        let answer = gateway.send(&ask("120"));
        assert_eq!(answer.field("x-tollgate-cache-ttl"), Some("120"));
    }
    assert_eq!(gateway.send(&ask("0")).field("x-tollgate-cache-ttl"), None);
    assert_eq!(gateway.send(&ask("7")).status, 400);
    let log = gateway.log(4);
    let outcomes: Vec<_> = log
        .iter()
        .map(|line| line["cache"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["miss", "hit", "bypass", "off"]);
}

#[test]
fn where_all_fail_each_fails_by_itself_one_after_the_other() {
    let (mock, gateway) = start(ON);
    let answers = crowd(&gateway, 8, |_| chat().mock("status=503,delay=30"));
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert_eq!(mock.count("requests"), 8);
    assert_eq!(gateway.log(8).len(), 8);
}

#[test]
fn what_is_never_kept_is_asked_by_each_at_once() {
    let (mock, gateway) = start(ON);
    let answers = crowd(&gateway, 8, |_| chat().mock("status=400,delay=30"));
    assert!(answers.iter().all(|answer| answer.status == 400));
    assert_eq!(mock.count("requests"), 8);
}

#[test]
fn nobody_waits_beyond_his_own_time_to_the_first_byte() {
    let (mock, gateway) = start(ON);
    let patient = || chat().mock("delay=6000");
    thread::scope(|scope| {
        let leader = scope.spawn(|| gateway.send(&patient()));
        wait::until("the first one's question", || {
            (mock.count("requests") == 1).then_some(())
        });
        let hasty = patient().field("cf-aig-request-timeout", "300");
        let answer = gateway.send(&hasty);
        assert_eq!(answer.refusal(), (504, 9504));
        assert!(!leader.is_finished(), "the other one still waits");
        assert_eq!(leader.join().unwrap().status, 200);
    });
    assert_eq!(mock.count("requests"), 1);
    let log = gateway.log(2);
    assert_eq!(
        (&log[0]["end"], &log[0]["status_code"]),
        (&"timeout".into(), &504.into())
    );
}

#[test]
fn a_leader_that_times_out_ends_as_it_would_alone() {
    let (mock, gateway) =
        start("gateways: {default: {cache: {ttl: 1h}, timeout: {first_byte: 20s, idle: 300ms}}}");
    let hasty = chat().field("cf-aig-request-timeout", "300");
    let answer = gateway.send(&hasty.mock("hang"));
    assert_eq!(answer.refusal(), (504, 9504));
    let stream = Request::json(CHAT_PATH, CHAT_STREAM).mock("hang-at=300");
    let answer = gateway.send(&stream);
    assert!(matches!(answer.end, End::Broken(_)), "{:?}", answer.end);
    let log = gateway.log(2);
    assert_eq!(
        (&log[0]["end"], &log[1]["end"]),
        (&"timeout".into(), &"timeout".into())
    );
    assert_eq!(mock.count("requests"), 2);
    wait::until("nothing in flight", || {
        (gateway.metric("tollgate_in_flight") == 0.0).then_some(())
    });
}

#[test]
fn an_answer_is_kept_though_its_asker_left() {
    for (body, faults) in [
        (CHAT, "size=200000,chunked,chunk-delay=300"),
        (CHAT_STREAM, "chunks=20,chunk-delay=50"),
    ] {
        let (mock, gateway) = start(ON);
        let (tries, ask) = (1..=20)
            .find_map(|tries| {
                mock.reset();
                let ask = Request::json(CHAT_PATH, body).mock(faults);
                let ask = ask.field("cf-aig-cache-key", &tries.to_string());
                leave_in_the_midst(&mock, &gateway, &ask, body == CHAT_STREAM);
                let line = gateway.last_log(tries);
                assert_eq!(line["cache"], "miss", "{line}");
                // What an asker leaves before the answer begins is given up, as it may not be kept; and where
                // the asker is slow, all of it has come.
                let has_begun =
                    line["end"] == "client_gone" && !line["attempts"][0]["status"].is_null();
                assert!(
                    !has_begun || line["tokens_out"].as_u64().unwrap() > 0,
                    "{line}"
                );
                has_begun.then_some((tries, ask))
            })
            .expect("an asker who left while his answer arrived");
        let answer = gateway.send(&ask);
        assert_eq!(answer.field("cf-aig-cache-status"), Some("HIT"));
        assert_eq!(mock.count("requests"), 1);
        assert_eq!(gateway.log(tries + 1).len(), tries + 1);
    }
}

/// Asks, and leaves when the provider has begun to answer. Of a plain answer the asker sees
/// nothing before its end, so that he may leave before the gateway has seen its beginning.
fn leave_in_the_midst(mock: &Mock, gateway: &Gateway, ask: &Request, is_stream: bool) {
    let mut client = gateway.connect();
    client.send(&ask.bytes());
    if is_stream {
        client.read_head(false);
        client.next_piece().unwrap();
    } else {
        wait::until("the provider", || {
            (mock.count("bytes_out") > 30_000).then_some(())
        });
    }
}

#[test]
fn a_slow_asker_does_not_hold_up_those_who_share_its_answer() {
    let (mock, gateway) = start(ON);
    let ask = Request::json(CHAT_PATH, CHAT_STREAM).mock("chunks=20000,burst,chunk-delay=0");
    let mut slow = gateway.connect();
    slow.send(&ask.bytes());
    slow.read_head(false);
    let answers = crowd(&gateway, 3, |_| ask.clone());
    for answer in &answers {
        assert_eq!(answer.end, End::Whole);
        assert!(answer.body == answers[0].body);
    }
    let mut whole = Vec::new();
    while let Some(piece) = slow.next_piece().unwrap() {
        whole.extend(piece);
    }
    assert_eq!(whole.len(), answers[0].body.len());
    assert!(whole == answers[0].body);
    assert_eq!(mock.count("requests"), 1);
}
