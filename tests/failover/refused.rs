//! Steps that cannot be meant are refused with their index, before anything is sent.

use super::shape::{PATH, chat, with};
use super::support::client::Answer;
use super::support::{Mock, Request, Setup};
use serde_json::{Value, json};

#[test]
fn bad_steps_are_refused_with_their_index_and_nothing_is_sent() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let good = || chat(false, "none");
    let bad = |member, value| with(good(), member, value);
    let header = |name: &str, value: Value| bad("headers", json!({name: value}));
    let config = |member: &str, value: Value| bad("config", json!({member: value}));
    let nul = json!(null);
    let cases: Vec<(Value, u64, &str)> = vec![
        (json!("openai"), 9400, "not a step"),
        (json!(7), 9400, "not a step"),
        (nul.clone(), 9400, "not a step"),
        (json!([]), 9400, "not a step"),
        (json!([good()]), 9400, "not a step"),
        (json!({}), 9400, "provider"),
        (bad("provider", nul.clone()), 9400, "provider"),
        (bad("provider", json!(7)), 9400, "expected a string"),
        (bad("provider", json!("")), 9400, "nothing here"),
        (
            bad("provider", json!("opnai")),
            2008,
            "no such provider: `opnai`",
        ),
        (
            bad("provider", json!("openai/v1")),
            2008,
            "no such provider",
        ),
        (
            bad("provider", json!("compat")),
            9400,
            "`compat` is not supported",
        ),
        (bad("endpoint", nul.clone()), 9400, "endpoint"),
        (bad("endpoint", json!(["chat"])), 9400, "expected a string"),
        (bad("endpoint", json!("../../admin")), 9400, "`..`"),
        (bad("endpoint", json!("chat/%2e%2e/x")), 9400, "`..`"),
        (
            bad("endpoint", json!("chat/completions\r\nx: y")),
            9400,
            "control",
        ),
        (
            bad("endpoint", json!("chat/completions?a=b\r\nx: y")),
            9400,
            "`endpoint`",
        ),
        (
            bad("endpoint", json!("chat/completions?a b")),
            9400,
            "`endpoint`",
        ),
        (
            bad("endpoint", json!("chat completions")),
            9400,
            "`endpoint`",
        ),
        (bad("query", json!("{}")), 9400, "`query`"),
        (bad("query", json!(7)), 9400, "`query`"),
        (bad("query", json!([1])), 9400, "`query`"),
        (bad("query", json!(true)), 9400, "`query`"),
        (bad("headers", json!([])), 9400, "not a step"),
        (bad("headers", json!("a: b")), 9400, "not a step"),
        (header("bad name", json!("x")), 9400, "`bad name`"),
        (header("", json!("x")), 9400, "header ``"),
        (header("x:y", json!("x")), 9400, "`x:y`"),
        (header("x-a", json!("a\r\nx-b: c")), 9400, "`x-a`"),
        (header("x-a", json!("a\u{0}")), 9400, "`x-a`"),
        (header("x-a", json!({"a": 1})), 9400, "`x-a`"),
        (header("x-a", json!(["a"])), 9400, "`x-a`"),
        (bad("authorization", json!("a\nb")), 9400, "authorization"),
        (bad("authorization", json!(7)), 9400, "expected a string"),
        (bad("config", json!([])), 9400, "`config` is no object"),
        (bad("config", json!([9])), 9400, "`config` is no object"),
        (bad("config", json!("fast")), 9400, "`config` is no object"),
        (config("maxAttempts", json!(0)), 9400, "maxAttempts"),
        (config("maxAttempts", json!(6)), 9400, "maxAttempts"),
        (config("maxAttempts", json!(-1)), 9400, "not a step"),
        (config("maxAttempts", json!("3")), 9400, "not a step"),
        (config("retryDelay", json!(60001)), 9400, "retryDelay"),
        (config("requestTimeout", json!(0)), 9400, "requestTimeout"),
        (
            config("requestTimeout", json!(86_400_001)),
            9400,
            "requestTimeout",
        ),
        (config("backoff", json!("fibonacci")), 9400, "fibonacci"),
        (
            header("cf-aig-max-attempts", json!("6")),
            9400,
            "cf-aig-max-attempts",
        ),
        (
            header("cf-aig-retry-delay", json!("soon")),
            9400,
            "cf-aig-retry-delay",
        ),
        (
            header("cf-aig-backoff", json!("steep")),
            9400,
            "cf-aig-backoff",
        ),
        (
            header("cf-aig-request-timeout", json!("0")),
            9400,
            "cf-aig-request-timeout",
        ),
        (
            header("cf-aig-custom-cost", json!("free")),
            9400,
            "cf-aig-custom-cost",
        ),
    ];
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (step, code, says) in &cases {
        for index in [0, 2] {
            let mut steps = vec![good(); index];
            steps.push(step.clone());
            steps.push(good());
            let answer = gateway.send(&Request::json(PATH, json!(steps).to_string()));
            seen += 1;
            let told = description(&answer);
            let place = format!("step {index}");
            let refused = answer.status == 400 && answer.refusal() == (400, *code);
            if !refused || !told.contains(&place) || !told.contains(says) {
                wrong.push(format!("{step} at {index}: {} {told}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(mock.count("requests"), 0, "nothing is sent");
    for line in gateway.log(seen) {
        assert_eq!(line["end"], "refused", "{line}");
        assert_eq!(line["attempts"], json!([]), "{line}");
    }
}

fn description(answer: &Answer) -> String {
    let read: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let told = read.and_then(|told| Some(told["description"].as_str()?.to_owned()));
    told.unwrap_or_else(|| answer.text())
}

#[test]
fn bodies_that_are_no_list_of_steps_are_refused() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let good = chat(false, "none").to_string();
    let many = |count: usize| format!("[{}]", vec![good.clone(); count].join(","));
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "step 0"),
        ("   ".to_owned(), "step 0"),
        ("hello".to_owned(), "step 0"),
        ("null".to_owned(), "step 0"),
        ("7".to_owned(), "step 0"),
        ("\"a\"".to_owned(), "step 0"),
        ("[]".to_owned(), "at least one"),
        ("[".to_owned(), "step 0"),
        (format!("[{good}"), "step 1"),
        (format!("[{good},"), "step 1"),
        (format!("[{good},{{"), "step 1"),
        (format!("[{good},]"), "step 1"),
        (format!("[{good}] x"), "step"),
        (format!("{good}{good}"), "step"),
        (format!("[{good},{good}{good}]"), "step 2"),
        ("[".repeat(100_000), "step 0"),
        (many(21), "step 20: a request may have at most 20 steps"),
        (many(100), "step 20: a request may have at most 20 steps"),
    ];
    for (body, says) in &cases {
        let answer = gateway.send(&Request::json(PATH, body.as_bytes()));
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.refusal(), (400, 9400), "{shown}: {}", answer.text());
        let told = description(&answer);
        assert!(told.contains(says), "{shown}: {told}");
    }
    let broken = [b"[{\"provider\":\"".as_slice(), &[0xff, 0xfe], b"\"}]"].concat();
    let answer = gateway.send(&Request::json(PATH, broken));
    assert_eq!(answer.refusal(), (400, 9400));
    assert_eq!(mock.count("requests"), 0);
    // So many are allowed.
    let answer = gateway.send(&Request::json(PATH, many(20)));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(mock.count("requests"), 1);
}

#[test]
fn only_a_post_has_steps() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        for path in [PATH, "/v1/acc/default/"] {
            let answer = gateway.send(&Request::new(method, path));
            assert_eq!(answer.refusal(), (404, 9404), "{method} {path}");
        }
    }
    let answer = gateway.send(&Request::json("/v1/acc/nowhere", "[]"));
    assert_eq!(answer.refusal(), (400, 2001));
    assert_eq!(mock.count("requests"), 0);
}
