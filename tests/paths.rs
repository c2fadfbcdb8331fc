//! Methods, paths and queries on their way to the provider.
#![cfg(test)]

mod support;

use support::{CHAT, CHAT_PATH, ECHO_PATH, Mock, Request, Setup, echo};

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
        let line = format!("{ECHO_PATH}?{query}");
        let sent = echo(&gateway, Request::get(&line));
        assert_eq!(sent["query"].as_str().unwrap_or(""), query);
        let last = mock.last();
        assert_eq!(last["path"], "/anything");
    }
    let sent = echo(&gateway, Request::get(ECHO_PATH));
    println!(
        "without a query: {}; with an empty one: {}",
        sent["query"],
        echo(&gateway, Request::get(&format!("{ECHO_PATH}?")))["query"]
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
        let sent = echo(&gateway, Request::new(method, ECHO_PATH));
        assert_eq!(sent["method"], method);
        let sent = echo(
            &gateway,
            Request::new(method, ECHO_PATH)
                .field("content-type", "application/json")
                .body(CHAT),
        );
        assert_eq!(sent["method"], method);
        assert_eq!(sent["body"], CHAT, "{method}");
    }
    let answer = gateway.send(&Request::new("HEAD", ECHO_PATH));
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
