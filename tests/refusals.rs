//! The gateway's own answers, one by one; and providers' errors, which are none of them.
#![cfg(test)]

mod support;

use serde_json::json;
use support::client::{Answer, Client};
use support::gateway::Gateway;
use support::{CHAT, CHAT_PATH, Mock, Request, Setup};

fn setup(mock: &Mock) -> Gateway {
    Setup::new(mock)
        .server("max_body: 1KiB")
        .server("max_head: 4KiB")
        .server("head_timeout: 300ms")
        .server("body_timeout: 300ms")
        .provider("groq: {base_url: \"http://<dead>/v1\"}")
        .provider("mistral: {base_url: \"http://nowhere.invalid\"}")
        .config(
            "gateways: {default: {}, locked: {auth: {required: true, tokens: [secret-token-1]}}}",
        )
        .start()
}

/// The envelope member by member, and the fields that every answer carries.
fn check_refusal(what: &str, answer: &Answer, status: u16, code: u64, message: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    let body = answer.json();
    let description = body["description"].as_str().unwrap();
    assert!(!description.is_empty(), "{what}");
    let expect = json!({
        "success": false, "result": [], "messages": [],
        "error": [{"code": code, "message": message}],
        "name": "AiGatewayError", "httpCode": status, "internalCode": code,
        "message": message, "description": description,
    });
    assert_eq!(body, expect, "{what}");
    assert!(
        answer
            .text()
            .starts_with("{\"success\":false,\"result\":[],\"messages\":[],\"error\":[{\"code\":")
    );
    assert_eq!(
        answer.field("content-type"),
        Some("application/json"),
        "{what}"
    );
    let length = answer.field("content-length").unwrap();
    assert_eq!(length, answer.body.len().to_string(), "{what}");
    for name in ["log-id", "request-id", "event-id", "step", "cache-status"] {
        assert!(
            answer.field(&format!("cf-aig-{name}")).is_some(),
            "{what}: {name}"
        );
    }
}

#[test]
fn a_preface_that_stops_halfway_holds_no_connection() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).server("head_timeout: 300ms").start();
    for lead in ["PRI ", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let mut client = gateway.connect();
        client.send(lead.as_bytes());
        assert!(client.is_closed(), "{lead:?}");
    }
}

#[test]
fn every_cause_has_its_status_its_code_and_the_whole_envelope() {
    let mock = Mock::start();
    let gateway = setup(&mock);
    let chat = |path: &str| Request::json(path, CHAT);
    let failed = "Failed to get response from provider";
    let cases = [
        (
            "unknown gateway",
            chat("/v1/acc/nope/openai/chat/completions"),
            400,
            2001,
            "Please configure AI Gateway in the Cloudflare dashboard",
        ),
        (
            "unknown provider",
            chat("/v1/acc/default/nope/chat/completions"),
            400,
            2008,
            "Invalid provider",
        ),
        (
            "unknown custom",
            chat("/v1/acc/default/custom-nope/x"),
            400,
            2008,
            "Invalid provider",
        ),
        (
            "no token",
            chat("/v1/acc/locked/openai/chat/completions"),
            401,
            2009,
            "Unauthorized",
        ),
        (
            "short path",
            chat("/openai/v1/chat/completions"),
            404,
            9404,
            "Not found",
        ),
        ("root", Request::get("/"), 404, 9404, "Not found"),
        ("only v1", Request::get("/v1"), 404, 9404, "Not found"),
        (
            "dots",
            chat("/v1/acc/default/openai/../x"),
            400,
            9400,
            "Bad request",
        ),
        (
            "escaped dots",
            chat("/v1/acc/default/openai/%2e%2E/x"),
            400,
            9400,
            "Bad request",
        ),
        (
            "timeout that is none",
            chat(CHAT_PATH).field("cf-aig-request-timeout", "soon"),
            400,
            9400,
            "Bad request",
        ),
        (
            "large body",
            Request::json(CHAT_PATH, vec![b' '; 2000]),
            413,
            9413,
            "Request body too large",
        ),
        (
            "large chunked body",
            Request::post(CHAT_PATH)
                .field("content-type", "application/json")
                .chunked(vec![b' '; 2000], vec![500; 4]),
            413,
            9413,
            "Request body too large",
        ),
        (
            "large head",
            Request::get(CHAT_PATH).field("x", &"y".repeat(5000)),
            431,
            9431,
            "Request head too large",
        ),
        (
            "refused provider",
            chat("/v1/acc/default/groq/chat/completions"),
            502,
            2005,
            failed,
        ),
        (
            "unresolvable provider",
            chat("/v1/acc/default/mistral/v1/chat/completions"),
            502,
            2005,
            failed,
        ),
        (
            "provider that closes",
            chat(CHAT_PATH).mock("close"),
            502,
            2005,
            failed,
        ),
        (
            "provider that is none",
            chat(CHAT_PATH).mock("garbage-head"),
            502,
            9502,
            "Invalid response from provider",
        ),
        (
            "silent provider",
            chat(CHAT_PATH)
                .mock("hang")
                .field("cf-aig-request-timeout", "100"),
            504,
            9504,
            "Provider timed out",
        ),
        (
            "connect",
            Request::new("CONNECT", "example.com:443").field("host", "example.com:443"),
            405,
            9405,
            "Method not allowed",
        ),
    ];
    for (count, (what, request, status, code, message)) in cases.iter().enumerate() {
        let answer = gateway.send(request);
        check_refusal(what, &answer, *status, *code, message);
        let line = gateway.last_log(count + 1);
        assert_eq!(line["status_code"], *status, "{what}");
        assert_eq!(line["success"], false, "{what}");
        let refusal = line["refusal"]
            .as_str()
            .unwrap_or_else(|| panic!("{what}: {line}"));
        assert!(refusal.ends_with(&format!(":{code}")), "{what}: {refusal}");
        let id = answer.field("cf-aig-log-id");
        assert_eq!(line["id"].as_str(), id, "{what}");
        let end = match status {
            502 => "error",
            504 => "timeout",
            _ => "refused",
        };
        assert_eq!(line["end"], end, "{what}");
    }
}

#[test]
fn malformed_heads_and_slow_clients_are_answered_too() {
    let mock = Mock::start();
    let gateway = setup(&mock);
    let post = "POST /v1/acc/default/openai/chat/completions HTTP/1.1\r\nhost: x\r\n\
                content-type: application/json\r\n";
    let cases = [
        (
            "no http",
            "hello\r\n\r\n".to_owned(),
            400,
            9400,
            "Bad request",
        ),
        (
            "both framings",
            format!("{post}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
            9400,
            "Bad request",
        ),
        (
            "bad length",
            format!("{post}content-length: five\r\n\r\n"),
            400,
            9400,
            "Bad request",
        ),
        (
            "two lengths",
            format!("{post}content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
            400,
            9400,
            "Bad request",
        ),
        (
            "bad chunk",
            format!("{post}transfer-encoding: chunked\r\n\r\nxyz\r\n"),
            400,
            9400,
            "Bad request",
        ),
        (
            "half a head",
            "GET / HT".to_owned(),
            408,
            9408,
            "Request timeout",
        ),
        (
            "half a body",
            format!("{post}content-length: 50\r\n\r\n{{"),
            408,
            9408,
            "Request timeout",
        ),
        (
            "two hosts",
            "GET /v1/acc/default/openai/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
            400,
            9400,
            "Bad request",
        ),
        (
            "no host",
            "GET /v1/acc/default/openai/models HTTP/1.1\r\n\r\n".to_owned(),
            400,
            9400,
            "Bad request",
        ),
    ];
    let mut failures = Vec::new();
    for (what, bytes, status, code, message) in &cases {
        let mut client = gateway.connect();
        client.send(bytes.as_bytes());
        match client.try_read_answer(false) {
            Ok(answer) if answer.status == *status => {
                check_refusal(what, &answer, *status, *code, message);
            }
            Ok(answer) => failures.push(format!("{what}: {}", answer.status)),
            Err(error) => failures.push(format!("{what}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(gateway.log(cases.len()).len(), cases.len());
}

#[test]
fn a_refused_head_request_announces_the_length_and_sends_no_body() {
    let mock = Mock::start();
    let gateway = setup(&mock);
    for path in [
        "/v1/acc/locked/openai/models",
        "/v1/acc/nope/openai/models",
        "/v1/acc/default/groq/models",
    ] {
        let expect = gateway.send(&Request::get(path));
        let mut client = gateway.connect();
        client.send(&Request::new("HEAD", path).bytes());
        let answer = client.read_answer(true);
        assert_eq!(answer.status, expect.status, "{path}");
        assert_eq!(
            answer.field("content-length"),
            expect.field("content-length"),
            "{path}"
        );
        client.send(&Request::get(path).bytes());
        let next = client.try_read_answer(false);
        let next = next.unwrap_or_else(|error| panic!("{path}: {error} after {answer:?}"));
        assert_eq!(
            next.json(),
            expect.json(),
            "{path}: stray bytes behind HEAD"
        );
    }
}

#[test]
fn a_providers_own_error_passes_untouched() {
    let mock = Mock::start();
    let gateway = setup(&mock);
    for status in [
        400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529, 599,
    ] {
        let faults = format!("status={status},retry-after=7");
        let mut client = Client::connect(mock.address);
        client.send(
            &Request::json("/v1/chat/completions", CHAT)
                .mock(&faults)
                .bytes(),
        );
        let expect = client.read_answer(false);
        let answer = gateway.send(&Request::json(CHAT_PATH, CHAT).mock(&faults));
        assert_eq!(answer.status, status);
        assert_eq!(answer.body, expect.body, "{status}");
        for name in [
            "content-type",
            "retry-after",
            "content-length",
            "x-request-id",
        ] {
            assert_eq!(answer.field(name), expect.field(name), "{status}: {name}");
        }
        assert_eq!(answer.field("retry-after"), Some("7"));
    }
    let lines = gateway.log(15);
    assert!(
        lines
            .iter()
            .all(|line| line["end"] == "complete" && line["success"] == false)
    );
    assert!(lines.iter().all(|line| line["refusal"].is_null()));
}

#[test]
fn other_statuses_pass_too() {
    let mock = Mock::start();
    let gateway = setup(&mock);
    for status in [201, 202, 204, 206, 302, 304, 307] {
        let faults = format!("status={status}");
        let answer = gateway.send(&Request::json(CHAT_PATH, CHAT).mock(&faults));
        assert_eq!(answer.status, status);
    }
}

#[test]
fn huge_heads_of_a_provider_pass_or_are_a_502() {
    let mock = Mock::start();
    let gateway = setup(&mock);
    for faults in [
        "huge-headers=8",
        "huge-headers=64",
        "huge-headers=2000",
        "many-headers=100",
        "many-headers=5000",
    ] {
        let answer = gateway.send(&Request::json(CHAT_PATH, CHAT).mock(faults));
        println!("{faults}: {}", answer.status);
        if answer.status != 200 {
            assert_eq!(answer.refusal(), (502, 9502), "{faults}");
        }
    }
}

#[test]
fn the_description_says_what_is_wrong_and_how_to_mend_it() {
    let mock = Mock::start();
    let gateway = setup(&mock);
    let says = |request: Request| {
        gateway.send(&request).json()["description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let chat = |path: &str| Request::json(path, CHAT);
    assert!(says(chat("/v1/acc/nope/openai/x")).contains("`nope`"));
    assert!(says(chat("/v1/acc/default/nope/x")).contains("`nope`"));
    assert!(says(chat("/v1/acc/locked/openai/x")).contains("cf-aig-authorization"));
    assert!(
        says(chat(CHAT_PATH).field("cf-aig-request-timeout", "soon"))
            .contains("cf-aig-request-timeout")
    );
    assert!(says(Request::json(CHAT_PATH, vec![b' '; 2000])).contains("max_body"));
    assert!(says(chat("/v1/acc/default/mistral/v1/x")).contains("nowhere.invalid"));
}
