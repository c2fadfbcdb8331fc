//! The same target again: how often, after what, and what is never sent twice.

use super::shape::{self, PATH, chat};
use super::support::gateway::Gateway;
use super::support::{CHAT, CHAT_PATH, Mock, Request, Setup, wait};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// No pause, so that only counts are looked at.
const AT_ONCE: (&str, &str) = ("cf-aig-retry-delay", "0");

fn plain(faults: &str) -> Request {
    plain_at("default", faults)
}

fn plain_at(gateway: &str, faults: &str) -> Request {
    Request::json(&CHAT_PATH.replace("default", gateway), CHAT)
        .field(AT_ONCE.0, AT_ONCE.1)
        .mock(faults)
}

/// The statuses of the attempts, as the log has them.
fn statuses(line: &Value) -> Vec<Option<u64>> {
    let attempts = line["attempts"].as_array().unwrap().iter();
    attempts.map(|own| own["status"].as_u64()).collect()
}

/// Sends, and gives the status, what the header and the log say of attempts, and what the mock saw.
fn count(gateway: &Gateway, mock: &Mock, line: usize, request: &Request) -> (u16, usize) {
    mock.reset();
    let answer = gateway.send(request);
    let line = gateway.last_log(line);
    let attempts = line["attempts"].as_array().unwrap().len();
    let told = answer.field("x-tollgate-attempts").map(str::to_owned);
    assert_eq!(told, Some(attempts.to_string()), "{line}");
    assert_eq!(mock.count("requests"), attempts as u64, "{line}");
    (answer.status, attempts)
}

#[test]
fn a_target_is_tried_as_often_as_was_asked() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    for attempts in 1..=5 {
        let request = plain("status=503").field("cf-aig-max-attempts", &attempts.to_string());
        let seen = count(&gateway, &mock, attempts, &request);
        assert_eq!(seen, (503, attempts));
    }
    let line = gateway.last_log(5);
    assert_eq!(statuses(&line), [Some(503); 5]);
    assert_eq!(line["end"], "complete");
}

#[test]
fn only_what_may_heal_is_tried_again() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {}, hasty: {timeout: {first_byte: 2s, idle: 2s}}}")
        .start();
    let cases = [
        ("status=400", 400, 1),
        ("status=401", 401, 1),
        ("status=402", 402, 1),
        ("status=403", 403, 1),
        ("status=404", 404, 1),
        ("status=413", 413, 1),
        ("status=422", 422, 1),
        ("status=307", 307, 1),
        ("status=408", 408, 2),
        ("status=409", 409, 2),
        ("status=425", 425, 2),
        ("status=429", 429, 2),
        ("status=500", 500, 2),
        ("status=502", 502, 2),
        ("status=503", 503, 2),
        ("status=504", 504, 2),
        ("overloaded", 529, 2),
        ("hang", 504, 2),
        // On a new connection: one that was kept would be taken for a stale one, and asked anew.
        ("close", 502, 2),
        ("garbage-head", 502, 2),
        ("cut-at=0", 502, 2),
        ("reset-at=20", 502, 2),
        ("hang-at=20", 504, 2),
        ("error-event", 200, 2),
    ];
    for (number, (faults, status, attempts)) in cases.into_iter().enumerate() {
        let asked = if faults.starts_with("hang") {
            plain_at("hasty", faults)
        } else {
            plain(faults)
        };
        let request = asked.field("cf-aig-max-attempts", "2");
        let seen = count(&gateway, &mock, number + 1, &request);
        assert_eq!(seen, (status, attempts), "{faults}");
    }
}

#[test]
fn an_attempt_that_succeeds_is_the_last() {
    let mock = Mock::scripted("- {times: 2, faults: status=503}");
    let gateway = Setup::new(&mock).without_breakers().start();
    let request = Request::json(CHAT_PATH, CHAT)
        .field(AT_ONCE.0, AT_ONCE.1)
        .field("cf-aig-max-attempts", "5");
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("x-tollgate-attempts"), Some("3"));
    assert!(answer.text().contains("The mock read"));
    let line = gateway.last_log(1);
    assert_eq!(statuses(&line), [Some(503), Some(503), Some(200)]);
    assert_eq!(line["success"], true);
    assert_eq!(mock.count("requests"), 3);
}

#[test]
fn every_pause_is_at_least_what_the_provider_asked_for() {
    let mock = Mock::scripted("- {times: 2, faults: 'status=429,retry-after=1'}");
    let gateway = Setup::new(&mock).without_breakers().start();
    let request = Request::json(CHAT_PATH, CHAT)
        .field(AT_ONCE.0, AT_ONCE.1)
        .field("cf-aig-max-attempts", "3");
    let began = Instant::now();
    assert_eq!(gateway.send(&request).status, 200);
    assert!(began.elapsed() >= Duration::from_secs(2));
    let line = gateway.last_log(1);
    let started = |number: usize| line["attempts"][number]["started"].as_f64().unwrap();
    assert!(
        started(1) >= 1000.0 && started(2) >= started(1) + 1000.0,
        "{line}"
    );
}

#[test]
fn a_pause_beyond_the_requests_own_time_is_not_waited_for() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {timeout: {total: 20s}}}")
        .start();
    // Alone: the provider's answer at once, as it is.
    let request = plain("status=429,retry-after=3600").field("cf-aig-max-attempts", "5");
    mock.reset();
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 429);
    assert_eq!(answer.field("retry-after"), Some("3600"));
    assert_eq!(answer.field("x-tollgate-attempts"), Some("1"));
    assert!(answer.text().contains("the mock was asked for status 429"));
    assert_eq!(mock.count("requests"), 1);
    // With another step: that one, at once.
    let steps = json!([
        chat(false, "status=503,retry-after=3600"),
        chat(true, "none")
    ]);
    let request = Request::json(PATH, steps.to_string()).field("cf-aig-max-attempts", "5");
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("cf-aig-step"), Some("1"));
    assert_eq!(answer.field("x-tollgate-attempts"), Some("2"));
    let line = gateway.last_log(2);
    assert_eq!(statuses(&line), [Some(503), Some(200)]);
}

/// Asks with what stands at each of the four places, and gives the number of attempts.
fn attempts_of(gateway: &Gateway, config: Value, step: Value, request: &[(&str, &str)]) -> usize {
    let mut own = chat(false, "status=503");
    own["config"] = config;
    for (name, value) in step.as_object().unwrap() {
        own["headers"][name] = value.clone();
    }
    let asked = Request::json(PATH, own.to_string());
    let asked = request
        .iter()
        .fold(asked, |asked, (name, value)| asked.field(name, value));
    let answer = gateway.send(&asked);
    assert_eq!(answer.status, 503, "{}", answer.text());
    answer
        .field("x-tollgate-attempts")
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_narrower_place_wins_for_attempts() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {retry: {attempts: 2, delay: 1ms}}}")
        .start();
    let request = [("cf-aig-max-attempts", "3")];
    let step = json!({"cf-aig-max-attempts": "4"});
    let config = json!({"maxAttempts": 5});
    assert_eq!(attempts_of(&gateway, json!({}), json!({}), &[]), 2);
    assert_eq!(attempts_of(&gateway, json!({}), json!({}), &request), 3);
    assert_eq!(attempts_of(&gateway, json!({}), step.clone(), &request), 4);
    assert_eq!(attempts_of(&gateway, config, step, &request), 5);
    // A number is as good as its text.
    let step = json!({"cf-aig-max-attempts": 1});
    assert_eq!(attempts_of(&gateway, json!({}), step, &request), 1);
}

#[test]
fn the_narrower_place_wins_for_the_delay() {
    // Were one of the wider places heard, a pause would probably be longer than the test waits for an
    // answer: four of up to a minute each.
    let long = "gateways: {default: {retry: {attempts: 5, delay: 60s, backoff: constant}}}";
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().config(long).start();
    let hour = [("cf-aig-retry-delay", "60000")];
    let none = json!({"cf-aig-retry-delay": "0"});
    let minute = json!({"cf-aig-retry-delay": "60000"});
    let zero = json!({"retryDelay": 0});
    let count = |config, step, request| attempts_of(&gateway, config, step, request);
    assert_eq!(
        count(json!({}), json!({}), &[("cf-aig-retry-delay", "0")]),
        5
    );
    assert_eq!(count(json!({}), none, &hour), 5);
    assert_eq!(count(zero, minute, &hour), 5);
}

#[test]
fn the_narrower_place_wins_for_the_timeout() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {timeout: {first_byte: 30s}}}")
        .start();
    // What the gateway gave up on says what it waited for.
    let waited = |config: Value, step: Value, request: &[(&str, &str)]| {
        let mut own = chat(false, "hang");
        own["config"] = config;
        for (name, value) in step.as_object().unwrap() {
            own["headers"][name] = value.clone();
        }
        let asked = Request::json(PATH, own.to_string());
        let asked = request
            .iter()
            .fold(asked, |asked, (name, value)| asked.field(name, value));
        let answer = gateway.send(&asked);
        assert_eq!(answer.refusal(), (504, 9504));
        let said = answer.json()["description"].as_str().unwrap().to_owned();
        said.rsplit(' ').next().unwrap().to_owned()
    };
    let request = [("cf-aig-request-timeout", "30")];
    let step = json!({"cf-aig-request-timeout": "20"});
    let config = json!({"requestTimeout": 10});
    assert_eq!(waited(json!({}), json!({}), &request), "30ms");
    assert_eq!(waited(json!({}), step.clone(), &request), "20ms");
    assert_eq!(waited(config, step, &request), "10ms");
}

#[test]
fn each_step_has_a_timeout_of_its_own() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {timeout: {first_byte: 50ms}}}")
        .start();
    let mut patient = chat(false, "delay=400");
    patient["config"] = json!({"requestTimeout": 20000});
    let steps = json!([chat(false, "hang"), patient]);
    let answer = gateway.send(&Request::json(PATH, steps.to_string()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("cf-aig-step"), Some("1"));
    // The time starts anew with each attempt, the same target's included.
    let mut own = chat(false, "hang");
    own["config"] = json!({"requestTimeout": 50, "maxAttempts": 3, "retryDelay": 0});
    let answer = gateway.send(&Request::json(PATH, json!([own]).to_string()));
    assert_eq!(answer.refusal(), (504, 9504));
    let line = gateway.last_log(2);
    assert_eq!(statuses(&line), [None; 3]);
    for attempt in line["attempts"].as_array().unwrap() {
        assert!(attempt["duration"].as_f64().unwrap() >= 50.0, "{line}");
        assert_eq!(attempt["usage_source"], "estimated", "{line}");
    }
}

#[test]
fn the_time_for_the_whole_request_ends_the_pauses_too() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {timeout: {total: 8s}}}")
        .start();
    // The first attempt fails at once, the second would come too late.
    let request = plain("status=503,retry-after=5").field("cf-aig-max-attempts", "5");
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.field("x-tollgate-attempts"), Some("2"));
}

#[test]
fn an_upload_is_never_sent_twice() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let upload = |faults: &str| {
        Request::post("/v1/acc/default/openai/audio/transcriptions")
            .field("content-type", "multipart/form-data; boundary=x")
            .field("cf-aig-max-attempts", "5")
            .field(AT_ONCE.0, AT_ONCE.1)
            .mock(faults)
            .body(vec![b'x'; 200_000])
    };
    for (number, (faults, status)) in [("status=503", 503), ("close", 502)]
        .into_iter()
        .enumerate()
    {
        let seen = count(&gateway, &mock, number + 1, &upload(faults));
        assert_eq!(seen, (status, 1), "{faults}");
    }
}

#[test]
fn a_request_without_a_body_may_be_sent_again() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let request = Request::get("/v1/acc/default/openai/models")
        .field("cf-aig-max-attempts", "3")
        .field(AT_ONCE.0, AT_ONCE.1)
        .mock("status=503");
    assert_eq!(count(&gateway, &mock, 1, &request), (503, 3));
}

#[test]
fn a_client_that_leaves_in_a_pause_ends_it() {
    let mock = Mock::start();
    let openai = "openai: {base_url: \"http://<mock>/v1\", breaker: {min_requests: 1, open: 1h}}";
    for stream in [false, true] {
        mock.reset();
        let setup = Setup::new(&mock).without_providers().provider(openai);
        let gateway = setup.start();
        let steps = json!([
            chat(stream, "status=503,retry-after=300"),
            chat(stream, "none")
        ]);
        let request =
            Request::json(shape::PATH, steps.to_string()).field("cf-aig-max-attempts", "2");
        let mut client = gateway.connect();
        client.send(&request.bytes());
        // The state shows that the failure was noted, and the pause follows.
        wait::until("the end of the first attempt", || {
            let metrics = gateway.metrics_text();
            metrics.contains("tollgate_breaker_state{").then_some(())
        });
        assert!(client.is_silent_for(Duration::from_millis(200)));
        drop(client);
        // The line comes with the end of the pause, long before the pause would end by itself.
        let line = gateway.last_log(1);
        assert_eq!(line["end"], "client_gone", "{line}");
        assert_eq!(statuses(&line), [Some(503)], "{line}");
        assert_eq!(line["usage_source"], "none", "{line}");
        assert_eq!(mock.count("requests"), 1);
    }
}

#[test]
fn a_client_that_left_is_no_reason_for_another_attempt_where_answers_are_drained() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {on_client_gone: drain}}")
        .start();
    // In a pause; and while an attempt runs that then fails.
    let cases = [
        (vec![chat(false, "status=503,retry-after=5")], Some(503)),
        (
            vec![chat(false, "delay=5000,status=503"), chat(false, "none")],
            Some(503),
        ),
    ];
    for (number, (steps, status)) in cases.into_iter().enumerate() {
        mock.reset();
        let request =
            Request::json(PATH, Value::from(steps).to_string()).field("cf-aig-max-attempts", "2");
        let mut client = gateway.connect();
        client.send(&request.bytes());
        wait::until("the first attempt", || {
            (mock.count("requests") == 1).then_some(())
        });
        drop(client);
        let line = gateway.last_log(number + 1);
        assert_eq!(line["end"], "client_gone", "{line}");
        assert_eq!(statuses(&line), [status], "{line}");
        assert_eq!(mock.count("requests"), 1);
    }
}
