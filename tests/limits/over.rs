//! What becomes of a request for which there is no room: another model, or a place in the line.

use super::*;
use std::thread;
use support::wait;

/// Amounts that let two or three requests pass, with and without a window.
const KINDS: [(&str, &str); 4] = [
    ("requests", "requests: 2, per: 2s"),
    ("tokens", "tokens: 90, per: 2s"),
    ("cost", "cost: $0.09, per: 2s"),
    ("concurrent", "concurrent: 1"),
];
const TECHNIQUES: [&str; 3] = ["fixed", "sliding", "burst"];

/// Every kind with every technique that it knows: names and limits without what is to become of the rest.
fn all() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (kind, amount) in KINDS {
        for technique in TECHNIQUES {
            let name = format!("{kind}-{technique}");
            match kind {
                "concurrent" => all.push((kind.to_owned(), amount.to_owned())),
                _ => all.push((name, format!("{amount}, technique: {technique}"))),
            }
        }
    }
    all.dedup();
    all
}

#[test]
fn those_who_wait_are_served_in_the_end() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = all();
    let gateways: String = limits
        .iter()
        .map(|(name, limit)| {
            format!("  {name}: {{limits: [{{name: {name}, {limit}, over: {{wait: {{within: 60s}}}}}}]}}\n")
        })
        .collect();
    let gateway = setup(&mock, &folder, &gateways).start();
    thread::scope(|scope| {
        for (name, _) in &limits {
            for _ in 0..6 {
                let gateway = &gateway;
                scope.spawn(move || {
                    let answer = gateway.send(&chat(name, "m", 10).mock("delay=50"));
                    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
                });
            }
        }
    });
    let lines = gateway.log(6 * limits.len());
    for (name, _) in &limits {
        let waited = lines.iter().filter(|line| line["limit"] == name.as_str());
        assert!(waited.count() >= 1, "nobody waited for {name}");
    }
    let held = |row: &Value| row["held"] != "0";
    assert!(
        !counters(&gateway).iter().any(held),
        "{:?}",
        counters(&gateway)
    );
}

#[test]
fn a_line_has_an_end_and_patience_too() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits =
        "  a: {limits: [{name: one, concurrent: 1, over: {wait: {queue: 2, within: 5s}}}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let mut running = gateway.connect();
    running.send(&chat("a", "m", 5).mock("hang").bytes());
    wait::until("it to run", || {
        (stands(&gateway, "one", "held") == 1.0).then_some(())
    });
    let ask = |count| -> Vec<_> {
        let clients = (0..count).map(|_| {
            let mut client = gateway.connect();
            client.send(&chat("a", "m", 5).bytes());
            client
        });
        clients.collect()
    };
    let mut asking = ask(2);
    wait::until("two to wait", || {
        (gateway.metric("tollgate_in_flight") == 3.0).then_some(())
    });
    asking.extend(ask(3));
    let answers = asking.iter_mut().map(|client| client.read_answer(false));
    let answers: Vec<_> = answers.collect();
    for answer in &answers {
        check_refused(answer, "one", 2003);
    }
    let in_vain = answers
        .iter()
        .filter(|answer| answer.text().contains("waited in vain"));
    assert_eq!(in_vain.count(), 2);
    assert_eq!(mock.count("requests"), 1);
}

#[test]
fn who_leaves_the_line_makes_room_in_it() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits =
        "  a: {limits: [{name: one, concurrent: 1, over: {wait: {queue: 1, within: 5m}}}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let mut running = gateway.connect();
    running.send(&chat("a", "m", 5).mock("hang").bytes());
    wait::until("it to run", || {
        (stands(&gateway, "one", "held") == 1.0).then_some(())
    });
    let mut waiting = gateway.connect();
    let named = chat("a", "m", 5).field("cf-aig-event-id", "leaves");
    waiting.send(&named.bytes());
    wait::until("it to wait", || {
        (gateway.metric("tollgate_in_flight") == 2.0).then_some(())
    });
    assert!(waiting.is_silent_for(std::time::Duration::from_millis(300)));
    // Nobody else finds a place, as long as it waits.
    wait::until("a full line", || {
        let mut third = gateway.connect();
        third.send(&chat("a", "m", 5).bytes());
        (!third.is_silent_for(std::time::Duration::from_millis(200))).then_some(())
    });
    drop(waiting);
    wait::until("its line in the log", || {
        let lines = gateway.log(1);
        let left = lines.iter().find(|line| line["event_id"] == "leaves")?;
        assert_eq!(left["end"], "client_gone");
        Some(())
    });
    wait::until("a place in the line", || {
        let mut third = gateway.connect();
        third.send(&chat("a", "m", 5).bytes());
        let silent = third.is_silent_for(std::time::Duration::from_millis(200));
        // A gateway that is held up is silent, too.
        (silent && gateway.metric("tollgate_in_flight") == 2.0).then_some(())
    });
    assert_eq!(mock.count("requests"), 1);
}

#[test]
fn a_request_over_the_limit_goes_on_with_the_other_model() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let gateways: String = all()
        .iter()
        .map(|(name, limit)| {
            let limit = limit.replace("2s", "1d");
            format!(
                "  {name}: {{limits: [{{name: {name}, {limit}, when: {{model: dear}}, over: {{model: cheap}}}}]}}\n"
            )
        })
        .collect();
    let gateway = setup(&mock, &folder, &gateways).start();
    for (name, _) in all() {
        let mut held = gateway.connect();
        if name == "concurrent" {
            held.send(&chat(&name, "dear", 10).mock("hang").bytes());
            wait::until("it to run", || {
                (stands(&gateway, &name, "held") == 1.0).then_some(())
            });
        }
        let mut answers = (0..8).map(|_| gateway.send(&chat(&name, "dear", 10)));
        let other = answers.find(|answer| answer.field("x-tollgate-limit").is_some());
        let other = other.unwrap();
        assert_eq!(other.status, 200, "{name}: {}", other.text());
        assert_eq!(other.json()["model"], "cheap", "{name}");
        assert_eq!(other.field("x-tollgate-model"), Some("cheap"));
        assert_eq!(other.field("x-tollgate-limit"), Some(name.as_str()));
        let id = other.field("cf-aig-log-id").unwrap().to_owned();
        let line = wait::until("its line", || {
            let lines = gateway.log(1);
            lines.into_iter().find(|line| line["id"] == id.as_str())
        });
        assert_eq!(line["model"], "dear");
        assert_eq!(line["attempts"][0]["model"], "cheap");
        assert_eq!(line["limit"], name.as_str());
    }
}

#[test]
fn a_model_in_the_path_is_changed_there() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a: {limits: [{name: l, requests: 1, per: 1d, over: {model: gemini-small}}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let path = "/v1/acc/a/google-ai-studio/v1beta/models/gemini-big:generateContent";
    let request = Request::json(path, r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#);
    assert_eq!(gateway.send(&request).status, 200);
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let path = mock.last()["path"].as_str().unwrap().to_owned();
    assert_eq!(path, "/v1beta/models/gemini-small:generateContent");
    // What says no model cannot be sent to another one.
    let nameless = Request::json("/v1/acc/a/custom-priced/chat/completions", "{}");
    assert_eq!(gateway.send(&nameless).refusal(), (429, 2003));
}
