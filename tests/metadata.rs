//! What clients say about their requests is kept as far as it is sound, and never refuses one.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::client::Answer;
use support::gateway::Gateway;
use support::{CHAT, CHAT_PATH, CHAT_STREAM, Mock, Request, Setup, h2};

const FIELD: &str = "cf-aig-metadata";
const WARNING: &str = "x-tollgate-warning";
const GATEWAYS: &str = "gateways: {default: {}, wide: {metadata: {max_entries: 7}}, \
     locked: {auth: {required: true, tokens: [secret-token-1]}}}";

fn warning(answer: &Answer) -> &str {
    let said = answer.field(WARNING).unwrap_or_default();
    said.strip_prefix("cf-aig-metadata: ").unwrap_or(said)
}

/// Sends `metadata` and compares what the log keeps of it.
fn check(gateway: &Gateway, lines: usize, metadata: &str, kept: Value) -> Answer {
    let answer = gateway.send(&Request::json(CHAT_PATH, CHAT).field(FIELD, metadata));
    assert_eq!(answer.status, 200, "{metadata}");
    assert_eq!(gateway.last_log(lines)["metadata"], kept, "{metadata}");
    answer
}

#[test]
fn sound_metadata_stands_in_the_log_without_a_warning() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let sent = r#"{"team":"AI","user":12345,"beta":true,"share":-0.5,"city":"Zürich"}"#;
    let kept = json!({"team": "AI", "user": 12345, "beta": true, "share": -0.5, "city": "Zürich"});
    let answer = check(&gateway, 1, sent, kept);
    assert_eq!(answer.field(WARNING), None);
    // In the order in which it was sent.
    let text = gateway.log_text();
    assert!(text.contains(r#""metadata":{"team":"AI","user":12345,"beta":true"#));
    assert!(support::mock::shown(&mock.last(), FIELD).is_empty());
    // None is no fault.
    let answer = gateway.send(&Request::json(CHAT_PATH, CHAT));
    assert_eq!(answer.field(WARNING), None);
    assert_eq!(gateway.last_log(2)["metadata"], Value::Null);
    check(&gateway, 3, "{}", Value::Null);
    assert_eq!(gateway.metric("tollgate_metadata_faults_total"), 0.0);
}

#[test]
fn unsound_metadata_is_kept_in_part_and_told() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let cases = [
        ("not_json", "team=ai", Value::Null, "not JSON, nothing kept"),
        (
            "not_object",
            "[1]",
            Value::Null,
            "not a JSON object, nothing kept",
        ),
        (
            "value",
            r#"{"a":null,"b":{"c":1},"d":2}"#,
            json!({"d": 2}),
            "dropped \"a\" and 1 more, a value has to be a string, a number or a boolean",
        ),
        (
            "reserved",
            r#"{"cf.user_id":"me","d":2}"#,
            json!({"d": 2}),
            "dropped \"cf.user_id\", names that begin with cf. are reserved",
        ),
        (
            "duplicate",
            r#"{"d":2,"d":3}"#,
            json!({"d": 2}),
            "dropped \"d\", a name may be given once",
        ),
        (
            "too_many",
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}"#,
            json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}),
            "dropped \"f\", too many entries (gateways.NAME.metadata.max_entries)",
        ),
    ];
    let count = cases.len();
    for (index, (reason, sent, kept, told)) in cases.into_iter().enumerate() {
        let answer = check(&gateway, index + 1, sent, kept);
        assert_eq!(warning(&answer), told);
        let series =
            format!("tollgate_metadata_faults_total{{gateway=\"default\",reason=\"{reason}\"}}");
        assert_eq!(gateway.metrics().get(&series), Some(&1.0), "{reason}");
    }
    let long = format!(r#"{{"a":"{}","b":1}}"#, "x".repeat(5000));
    let answer = check(&gateway, count + 1, &long, json!({"b": 1}));
    assert_eq!(
        warning(&answer),
        "dropped \"a\", a name may have 256 bytes and a string 4096"
    );
}

#[test]
fn bytes_that_are_no_text_do_no_harm() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::json(CHAT_PATH, CHAT).field(FIELD, "MARK");
    let mut bytes = request.bytes();
    let at = bytes.windows(4).position(|part| part == b"MARK").unwrap();
    bytes[at..at + 4].copy_from_slice(b"{\xff\xfe}");
    let mut client = gateway.connect();
    client.send(&bytes);
    let answer = client.read_answer(false);
    assert_eq!(
        (answer.status, warning(&answer)),
        (200, "not UTF-8, nothing kept")
    );
    assert_eq!(gateway.last_log(1)["metadata"], Value::Null);
    // A name is no way into the answer's head.
    let sneaky = r#"{"a\r\nset-cookie: b=\"c":null}"#;
    let answer = check(&gateway, 2, sneaky, Value::Null);
    assert!(answer.field("set-cookie").is_none());
    assert!(warning(&answer).starts_with("dropped \"a??set-cookie: b=?c\","));
    // The field is there twice: the first counts.
    let twice = Request::json(CHAT_PATH, CHAT)
        .field(FIELD, r#"{"a":1}"#)
        .field(FIELD, r#"{"b":1}"#);
    let answer = gateway.send(&twice);
    assert_eq!(warning(&answer), "sent more than once, the first counts");
    assert_eq!(gateway.last_log(3)["metadata"], json!({"a": 1}));
}

#[test]
fn a_gateway_may_keep_more() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).config(GATEWAYS).start();
    let sent = r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8}"#;
    let path = CHAT_PATH.replace("default", "wide");
    let answer = gateway.send(&Request::json(&path, CHAT).field(FIELD, sent));
    assert!(warning(&answer).starts_with("dropped \"h\", too many"));
    let line = gateway.last_log(1);
    assert_eq!(line["metadata"].as_object().unwrap().len(), 7);
}

#[test]
fn refusals_and_streams_tell_it_too() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).config(GATEWAYS).start();
    let locked = CHAT_PATH.replace("default", "locked");
    let nowhere = CHAT_PATH.replace("openai", "nobody");
    let cases = [
        (Request::json(&locked, CHAT), 401),
        (Request::json(&nowhere, CHAT), 400),
        (Request::json("/v1/acc/missing/openai/x", CHAT), 400),
        (Request::json(CHAT_PATH, CHAT_STREAM), 200),
        (Request::json(CHAT_PATH, CHAT).mock("status=500"), 500),
    ];
    for (index, (request, status)) in cases.into_iter().enumerate() {
        let answer = gateway.send(&request.field(FIELD, r#"{"team":"a","cf.x":1}"#));
        assert_eq!(answer.status, status);
        assert!(
            warning(&answer).starts_with("dropped \"cf.x\","),
            "{status}"
        );
        let line = gateway.last_log(index + 1);
        assert_eq!(line["metadata"], json!({"team": "a"}), "{status}");
    }
}

#[tokio::test]
async fn http2_clients_have_the_same_rule() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let client = h2::Client::connect(gateway.address).await;
    let value = http::HeaderValue::from_bytes(r#"{"team":"Zürich","n":[]}"#.as_bytes()).unwrap();
    let request = h2::post(CHAT_PATH).header(FIELD, value).body(()).unwrap();
    let answer = client.ask(request, CHAT.into()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.fields[WARNING],
        "cf-aig-metadata: dropped \"n\", a value has to be a string, a number or a boolean"
    );
    assert_eq!(gateway.last_log(1)["metadata"], json!({"team": "Zürich"}));
}
