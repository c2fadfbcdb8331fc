//! Header fields on their way, to the provider and back.
#![cfg(test)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use support::mock::shown;
use support::{CHAT, CHAT_PATH, ECHO_PATH, Mock, Request, Setup, echo};

#[test]
fn the_gateways_own_and_hop_by_hop_fields_stay_behind() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let behind = [
        ("cf-aig-authorization", "Bearer x"),
        ("cf-aig-metadata", "{\"a\":1}"),
        ("cf-aig-cache-ttl", "60"),
        ("cf-aig-event-id", "e1"),
        ("cf-aig-not-known-yet", "1"),
        ("CF-AIG-Upper", "1"),
        ("cf-ray", "8a1b"),
        ("CF-Connecting-IP", "1.2.3.4"),
        ("cf-ipcountry", "DE"),
        ("cf-access-token", "jwt"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("proxy-authenticate", "Basic"),
        ("x-nominated", "1"),
        ("expect", "100-continue"),
    ];
    let pass = [
        ("user-agent", "OpenAI/Python 1.2.3"),
        ("cookie", "a=b; c=d"),
        ("x-unknown", "\"quoted\"  two spaces"),
        ("x-stainless-lang", "python"),
        ("anthropic-version", "2023-06-01"),
        ("openai-organization", "org-1"),
        ("accept", "text/event-stream, */*;q=0.1"),
        ("accept-encoding", "gzip, br;q=0.5"),
        ("referer", "https://app.test/"),
        ("cfx-other", "1"),
        ("x-empty", ""),
    ];
    let request = Request::json(ECHO_PATH, CHAT).field("connection", "keep-alive, X-Nominated");
    let request = behind
        .iter()
        .chain(&pass)
        .fold(request, |request, (name, value)| request.field(name, value));
    let sent = echo(&gateway, request);
    let left: Vec<_> = behind
        .iter()
        .filter(|(name, _)| !shown(&sent, name).is_empty())
        .collect();
    assert!(left.is_empty(), "went on: {left:?}");
    for (name, value) in pass {
        assert_eq!(shown(&sent, name), [value], "{name}");
    }
    assert_eq!(shown(&sent, "host"), [mock.address.to_string()]);
    assert_eq!(shown(&sent, "content-length"), [CHAT.len().to_string()]);
    assert_eq!(sent["body"], CHAT);
}

#[test]
fn nothing_is_added_that_the_client_did_not_send() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let sent = echo(&gateway, Request::get(ECHO_PATH).field("x-a", "1"));
    let names = sent["headers"].as_array().unwrap().iter();
    let mut names: Vec<_> = names
        .map(|pair| pair[0].as_str().unwrap().to_ascii_lowercase())
        .collect();
    names.sort();
    assert_eq!(names, ["host", "x-a", "x-mock"]);
}

#[test]
fn fields_that_come_twice_stay_two_and_in_their_order() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let request = Request::get(ECHO_PATH)
        .field("x-two", "b")
        .field("cookie", "1=1");
    let sent = echo(&gateway, request.field("x-two", "a").field("cookie", "2=2"));
    assert_eq!(shown(&sent, "x-two"), ["b", "a"]);
    assert_eq!(shown(&sent, "cookie"), ["1=1", "2=2"]);
}

#[test]
fn field_values_pass_byte_for_byte() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let long = "v".repeat(16_000);
    for value in [
        "naïve",
        "a,b , c",
        "\"\\\"\"",
        "tab\tin",
        "=?utf-8?q?x?=",
        &long,
    ] {
        let sent = echo(&gateway, Request::get(ECHO_PATH).field("x-value", value));
        assert_eq!(shown(&sent, "x-value"), [value]);
    }
}

#[test]
fn providers_keys_pass_in_the_style_they_came() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for (name, value) in [
        ("authorization", "Bearer sk-1"),
        ("authorization", "Token dg-1"),
        ("authorization", "Key fal-1"),
        ("authorization", "sk-without-scheme"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00",
        ),
        ("x-api-key", "sk-ant-1"),
        ("x-goog-api-key", "AIza1"),
        ("api-key", "az-1"),
        ("xi-api-key", "el-1"),
    ] {
        let sent = echo(&gateway, Request::json(ECHO_PATH, CHAT).field(name, value));
        assert_eq!(shown(&sent, name), [value]);
    }
}

fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes[14] == b'7'
        && matches!(bytes[19], b'8' | b'9' | b'a' | b'b')
        && text.chars().enumerate().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_digit() || ('a'..='f').contains(&letter),
        })
}

#[test]
fn every_answer_carries_the_gateways_ids() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let mut ids = Vec::new();
    for request in [
        Request::json(CHAT_PATH, CHAT),
        Request::json(CHAT_PATH, support::CHAT_STREAM),
        Request::json(CHAT_PATH, CHAT).mock("status=500"),
        Request::json(CHAT_PATH, CHAT).mock("close"),
        Request::get("/v1/acc/nope/openai/x"),
        Request::get("/"),
        Request::new("OPTIONS", CHAT_PATH)
            .field("origin", "https://a.test")
            .field("access-control-request-method", "POST"),
    ] {
        for event in [None, Some("my event 1")] {
            let request = match event {
                Some(id) => request.clone().field("cf-aig-event-id", id),
                None => request.clone(),
            };
            let answer = gateway.send(&request);
            let id = answer.field("cf-aig-log-id").unwrap().to_owned();
            assert!(is_id(&id), "{id}");
            assert_eq!(answer.field("cf-aig-request-id"), Some(id.as_str()));
            assert_eq!(answer.field("cf-aig-event-id"), Some(event.unwrap_or(&id)));
            assert_eq!(answer.field("cf-aig-step"), Some("0"));
            assert_eq!(answer.field("cf-aig-cache-status"), Some("MISS"));
            ids.push(id);
        }
    }
    let lines = gateway.log(ids.len());
    let logged: Vec<_> = lines
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert_eq!(logged, ids);
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted, ids, "ids are unique and rise with time");
}

#[test]
fn a_browsers_preflight_is_answered_without_the_provider_and_without_a_token() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .config("gateways: {default: {auth: {required: true, tokens: [secret-token-1]}}}")
        .start();
    let request = Request::new("OPTIONS", CHAT_PATH)
        .field("origin", "https://app.test")
        .field("access-control-request-method", "POST")
        .field(
            "access-control-request-headers",
            "authorization,x-stainless-os",
        );
    let mut client = gateway.connect();
    for count in 1..3 {
        client.send(&request.bytes());
        let answer = client.read_answer(false);
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
        let methods = answer.field("access-control-allow-methods").unwrap();
        assert!(
            methods.contains("POST") && methods.contains("DELETE"),
            "{methods}"
        );
        let headers = answer.field("access-control-allow-headers");
        assert_eq!(headers, Some("authorization,x-stainless-os"));
        assert!(
            answer
                .field("content-length")
                .is_none_or(|length| length == "0")
        );
        assert_eq!(gateway.log(count).len(), count);
    }
    assert_eq!(mock.count("requests"), 0);
    let refused = gateway.send(&Request::json(CHAT_PATH, CHAT).field("origin", "https://app.test"));
    assert_eq!(refused.status, 401);
    assert_eq!(refused.field("access-control-allow-origin"), Some("*"));
}

#[test]
fn a_page_may_read_the_answer_and_its_fields() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    let answer = gateway.send(&Request::json(CHAT_PATH, CHAT).field("origin", "https://app.test"));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.field("access-control-expose-headers"), Some("*"));
    let answer = gateway.send(&Request::json(CHAT_PATH, CHAT));
    assert_eq!(answer.field("access-control-allow-origin"), None);
}

/// A provider that gives the same bytes as answer to every connection's request.
fn serve_raw(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap();
            assert!(read > 0);
            stream.write_all(answer).unwrap();
        }
    });
    address
}

#[test]
fn what_a_provider_says_about_its_own_host_and_connection_stays_behind() {
    let raw = serve_raw(
        b"HTTP/1.1 200 Fine\r\nalt-svc: h3=\":443\"\r\nstrict-transport-security: max-age=9\r\n\
          connection: keep-alive, x-hop\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\nset-cookie: a=1\r\n\
          set-cookie: b=2\r\nx-request-id: r1\r\nserver: nginx\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
          cf-aig-log-id: theirs\r\ncf-aig-cache-status: HIT\r\ncf-ray: 1-FRA\r\n\
          content-type: text/plain\r\ncontent-length: 2\r\n\r\nok",
    );
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .provider(&format!("custom-raw: {{base_url: \"http://{raw}\"}}"))
        .start();
    let answer = gateway.send(&Request::get("/v1/acc/default/custom-raw/x"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "ok");
    for name in [
        "alt-svc",
        "strict-transport-security",
        "keep-alive",
        "x-hop",
    ] {
        assert_eq!(answer.field(name), None, "{name}");
    }
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.field("x-request-id"), Some("r1"));
    assert_eq!(answer.field("server"), Some("nginx"));
    assert_eq!(answer.field("cf-ray"), Some("1-FRA"));
    assert_eq!(answer.all("date").len(), 1);
    assert!(is_id(answer.field("cf-aig-log-id").unwrap()));
    assert_eq!(answer.field("cf-aig-cache-status"), Some("MISS"));
}
