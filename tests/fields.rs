//! Heads on their way: paths, queries and fields, to the provider and back.
#![cfg(test)]

mod support;

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use support::gateway::Gateway;
use support::mock::shown;
use support::{CHAT, CHAT_PATH, Mock, Request, Setup};

const ECHO: &str = "/v1/acc/default/custom-echo/anything";

/// What the provider received.
fn echo(gateway: &Gateway, request: Request) -> Value {
    let what = String::from_utf8_lossy(&request.head()).into_owned();
    let answer = gateway.send(&request.mock("echo"));
    assert_eq!(answer.status, 200, "{what}{}", answer.text());
    answer.json()
}

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
    let request = Request::json(ECHO, CHAT).field("connection", "keep-alive, X-Nominated");
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
    let sent = echo(&gateway, Request::get(ECHO).field("x-a", "1"));
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
    let request = Request::get(ECHO)
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
        let sent = echo(&gateway, Request::get(ECHO).field("x-value", value));
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
        let sent = echo(&gateway, Request::json(ECHO, CHAT).field(name, value));
        assert_eq!(shown(&sent, name), [value]);
    }
}

#[test]
fn the_query_passes_byte_for_byte() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for query in [
        "a=1",
        "key=AIza-secret&alt=sse",
        "a=%20%2f%2F+%zz",
        "a[]=1&a[]=2",
        "",
        "?",
        "a=b?c=d",
        "%",
        "q=%E6%9D%B1",
        "a=1;b=2",
        "a='|{}^`\\",
        "&&==",
        "api-version=2024-02-01&x=%00",
        "q=..%2f..",
    ] {
        let line = format!("{ECHO}?{query}");
        let sent = echo(&gateway, Request::get(&line));
        assert_eq!(sent["query"].as_str().unwrap_or(""), query);
        let last = mock.last();
        assert_eq!(last["path"], "/anything");
    }
    let sent = echo(&gateway, Request::get(ECHO));
    println!(
        "without a query: {}; with an empty one: {}",
        sent["query"],
        echo(&gateway, Request::get(&format!("{ECHO}?")))["query"]
    );
}

#[test]
fn the_path_behind_the_provider_passes_byte_for_byte() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for path in [
        "a/b/c",
        "a//b",
        "a/",
        "a%2Fb",
        "a%2fb",
        "%7Euser",
        "a:b@c",
        "a,b;c=d",
        "naïve",
        "a b".replace(' ', "%20").as_str(),
        "...",
        "a/.hidden",
        "a/..b",
        "%41",
        "a(b)'*!",
        "@cf/meta/llama",
        "v1/v1",
        "a|b",
        "a\\b",
        "a\"b",
        "{x}",
    ] {
        let line = format!("/v1/acc/default/custom-echo/{path}");
        let sent = echo(&gateway, Request::get(&line));
        assert_eq!(sent["path"], format!("/{path}"));
    }
}

#[test]
fn any_method_passes() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).start();
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "X-ODD", "get",
    ] {
        let sent = echo(&gateway, Request::new(method, ECHO));
        assert_eq!(sent["method"], method);
        let sent = echo(
            &gateway,
            Request::new(method, ECHO)
                .field("content-type", "application/json")
                .body(CHAT),
        );
        assert_eq!(sent["method"], method);
        assert_eq!(sent["body"], CHAT, "{method}");
    }
    let answer = gateway.send(&Request::new("HEAD", ECHO));
    assert_eq!(answer.status, 200);
    assert_eq!(mock.last()["method"], "HEAD");
    assert!(answer.field("content-length").is_some());
}

#[test]
fn all_providers_are_reached_at_their_paths() {
    let mock = Mock::start();
    // Where the built-in base has a path, the override keeps it.
    let bases = [
        ("openai", "/v1"),
        ("anthropic", ""),
        ("google-ai-studio", ""),
        ("google-vertex-ai", ""),
        ("azure-openai", ""),
        ("aws-bedrock", ""),
        ("workers-ai", ""),
        ("groq", "/openai/v1"),
        ("mistral", ""),
        ("cohere", ""),
        ("perplexity-ai", ""),
        ("replicate", "/v1"),
        ("huggingface", ""),
        ("grok", ""),
        ("deepseek", ""),
        ("cerebras", "/v1"),
        ("openrouter", "/api/v1"),
        ("baseten", ""),
        ("parallel", ""),
        ("cartesia", ""),
        ("elevenlabs", ""),
        ("deepgram", ""),
        ("fal", ""),
        ("ideogram", ""),
        ("fireworks", "/inference/v1"),
        ("adobe-firefly", ""),
        ("custom-vllm", "/base/v1"),
    ];
    let set = bases
        .iter()
        .skip(3)
        .fold(Setup::new(&mock), |setup, (slug, base)| match *slug {
            "aws-bedrock" => setup,
            _ => setup.provider(&format!("{slug}: {{base_url: \"http://<mock>{base}\"}}")),
        });
    let gateway = set.start();
    let mut wrong = Vec::new();
    for (path, expect) in [
        ("openai/chat/completions", "/v1/chat/completions"),
        ("openai/v1/chat/completions", "/v1/chat/completions"),
        ("openai/v1/v1/chat/completions", "/v1/v1/chat/completions"),
        ("openai/responses", "/v1/responses"),
        ("openai/v1/files/file-1/content", "/v1/files/file-1/content"),
        ("anthropic/v1/messages", "/v1/messages"),
        ("anthropic/messages", "/v1/messages"),
        (
            "google-ai-studio/v1beta/models/m:generateContent",
            "/v1beta/models/m:generateContent",
        ),
        (
            "google-ai-studio/v1/models/m:generateContent",
            "/v1/models/m:generateContent",
        ),
        (
            "google-ai-studio/v1beta/openai/chat/completions",
            "/v1beta/openai/chat/completions",
        ),
        (
            "google-vertex-ai/v1/projects/p/locations/us-east1/publishers/google/models/m:generateContent",
            "/v1/projects/p/locations/us-east1/publishers/google/models/m:generateContent",
        ),
        (
            "azure-openai/res/dep/chat/completions",
            "/openai/deployments/dep/chat/completions",
        ),
        (
            "aws-bedrock/bedrock-runtime/us-east-1/model/m%3A0/converse",
            "/model/m%3A0/converse",
        ),
        (
            "workers-ai/@cf/meta/llama-3",
            "/client/v4/accounts/acc/ai/run/@cf/meta/llama-3",
        ),
        (
            "workers-ai/run/@cf/meta/llama-3",
            "/client/v4/accounts/acc/ai/run/@cf/meta/llama-3",
        ),
        ("groq/chat/completions", "/openai/v1/chat/completions"),
        (
            "groq/openai/v1/chat/completions",
            "/openai/v1/chat/completions",
        ),
        ("mistral/v1/chat/completions", "/v1/chat/completions"),
        ("mistral/chat/completions", "/v1/chat/completions"),
        ("cohere/v2/chat", "/v2/chat"),
        ("cohere/v1/chat", "/v1/chat"),
        ("cohere/chat", "/v2/chat"),
        ("perplexity-ai/chat/completions", "/chat/completions"),
        ("replicate/predictions", "/v1/predictions"),
        ("replicate/v1/predictions", "/v1/predictions"),
        ("huggingface/models/org/m", "/hf-inference/models/org/m"),
        ("grok/v1/chat/completions", "/v1/chat/completions"),
        ("grok/chat/completions", "/v1/chat/completions"),
        ("deepseek/chat/completions", "/chat/completions"),
        ("deepseek/v1/chat/completions", "/v1/chat/completions"),
        ("cerebras/chat/completions", "/v1/chat/completions"),
        ("cerebras/v1/chat/completions", "/v1/chat/completions"),
        ("openrouter/chat/completions", "/api/v1/chat/completions"),
        ("openrouter/v1/chat/completions", "/api/v1/chat/completions"),
        (
            "openrouter/api/v1/chat/completions",
            "/api/v1/chat/completions",
        ),
        ("baseten/v1/chat/completions", "/v1/chat/completions"),
        ("parallel/v1/tasks/runs", "/v1/tasks/runs"),
        ("cartesia/tts/bytes", "/tts/bytes"),
        ("elevenlabs/v1/text-to-speech/v", "/v1/text-to-speech/v"),
        ("deepgram/v1/listen", "/v1/listen"),
        ("fal/fal-ai/flux", "/fal-ai/flux"),
        ("ideogram/generate", "/generate"),
        (
            "fireworks/chat/completions",
            "/inference/v1/chat/completions",
        ),
        (
            "fireworks/inference/v1/chat/completions",
            "/inference/v1/chat/completions",
        ),
        ("adobe-firefly/v3/images/generate", "/v3/images/generate"),
        ("custom-vllm/chat/completions", "/base/v1/chat/completions"),
        (
            "custom-vllm/v1/chat/completions",
            "/base/v1/chat/completions",
        ),
    ] {
        let request = Request::post(&format!("/v1/acc/default/{path}")).body("x");
        let sent = echo(&gateway, request)["path"].as_str().unwrap().to_owned();
        if sent != expect {
            wrong.push(format!("{path}: {sent} instead of {expect}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

#[test]
fn short_paths_are_served_where_a_listener_or_a_host_is_bound() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .config("gateways: {default: {}, team: {hosts: [ai.example.com]}}")
        .start();
    let short = "/openai/v1/chat/completions";
    let refused = gateway.send(&Request::json(short, CHAT));
    assert_eq!(refused.refusal(), (404, 9404));

    let mut client = support::client::Client::connect(gateway.short);
    client.send(&Request::json(short, CHAT).bytes());
    assert_eq!(client.read_answer(false).status, 200);
    client.send(&Request::json(CHAT_PATH, CHAT).bytes());
    assert_eq!(
        client.read_answer(false).status,
        200,
        "the long form there too"
    );
    assert_eq!(mock.last()["path"], "/v1/chat/completions");

    for host in ["ai.example.com", "AI.Example.COM", "ai.example.com:8787"] {
        let answer = gateway.send(&Request::json(short, CHAT).field("host", host));
        assert_eq!(answer.status, 200, "{host}");
    }
    let other = gateway.send(&Request::json(short, CHAT).field("host", "ai.example.com.evil.test"));
    assert_eq!(other.refusal(), (404, 9404));
    let lines = gateway.log(7);
    let gateways: Vec<_> = lines.iter().map(|line| line["gateway"].as_str()).collect();
    let expect = [
        None,
        Some("default"),
        Some("default"),
        Some("team"),
        Some("team"),
        Some("team"),
        None,
    ];
    assert_eq!(gateways, expect);
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
