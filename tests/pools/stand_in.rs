//! The configured stand-ins of a request: who may take over, with what, and who is told to have answered.

use super::provider::{Provider, Reply, Seen};
use super::*;
use support::client::End;
use support::wait;

const PRICED: &str =
    "prices: {main: {input: $1000, output: $1000}, spare: {input: $1, output: $1}}";

/// A provider that answers so wherever the request names `main`, in path or body, and well otherwise.
fn failing(status: u16) -> Provider {
    Provider::start(move |seen| if names_main(seen) { status } else { 200 })
}

fn names_main(seen: &Seen) -> bool {
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    seen.target().contains("main") || body.contains("\"main\"")
}

/// A gateway with these stand-ins, and three custom providers: `one`, with the stored key `zq-one`
/// and so on.
fn start(one: &Provider, other: &Provider, fallback: &str) -> Gateway {
    let mut setup = Setup::leading_to(one.address).without_providers();
    for (slug, address, settings) in [
        ("openai", one.address, PRICED),
        ("google-ai-studio", one.address, ""),
        ("aws-bedrock", one.address, ""),
        ("anthropic", other.address, "keys: [zq-anthropic]"),
        ("google-vertex-ai", other.address, "keys: [zq-vertex]"),
        ("groq", other.address, "keys: [zq-groq]"),
        ("custom-bare", other.address, "dialect: openai"),
    ] {
        let base = format!("base_url: \"http://{address}\"");
        setup = setup.provider(&format!("{slug}: {{{base}, {settings}}}"));
    }
    let fallback = format!("gateways: {{default: {{fallback: [{fallback}]}}}}");
    setup.config(&fallback).start()
}

fn body(model: &str) -> String {
    // White space, order and an odd number are to stay as they are.
    format!(
        "{{ \"temperature\":1.0e0 ,\n \"model\" :\"{model}\", \"messages\":[{{\"role\":\"user\",\"content\":\"na\\u00efve main 東京\"}}]}}"
    )
}

fn ask(path: &str) -> Request {
    Request::json(&format!("/v1/acc/default/{path}"), body("main"))
}

fn check_step(answer: &support::client::Answer, step: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("cf-aig-step"), Some(step));
}

#[test]
fn another_model_of_the_same_provider_is_put_into_the_body_and_nothing_else_changes() {
    let (one, other) = (failing(500), Provider::well());
    let gateway = start(&one, &other, "{provider: openai, model: spare}");
    let request = ask("openai/chat/completions?a=b").field("authorization", "Bearer own");
    let answer = gateway.send(&request);
    check_step(&answer, "1");
    assert_eq!(answer.field("x-tollgate-attempts"), Some("2"));
    let seen = one.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, body("main").as_bytes());
    assert_eq!(seen[1].body, body("spare").as_bytes());
    for request in &seen {
        assert_eq!(request.key(), Some("own"));
        assert_eq!(request.target(), "/chat/completions?a=b");
    }
    // The winner's name and price.
    let line = gateway.last_log(1);
    assert_eq!(
        (&line["provider"], &line["model"]),
        (&"openai".into(), &"spare".into())
    );
    let told: Vec<_> = attempts(&line)
        .iter()
        .map(|one| {
            (
                one["model"].as_str().unwrap(),
                one["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("main", 500), ("spare", 200)]);
    // Ten tokens at a dollar a million.
    assert_eq!(answer.field("x-tollgate-cost"), Some("0.00001"));
    assert_eq!(line["cost"].to_string(), "0.00001");
}

#[test]
fn a_model_in_the_path_is_replaced_there() {
    let (one, other) = (failing(503), Provider::well());
    let fallback =
        "{provider: google-ai-studio, model: spare}, {provider: aws-bedrock, model: spare}";
    let gateway = start(&one, &other, fallback);
    for (path, target) in [
        (
            "google-ai-studio/v1beta/models/main:generateContent?key=own",
            "/v1beta/models/spare:generateContent?key=own",
        ),
        (
            "google-ai-studio/v1beta/models/main:streamGenerateContent?alt=sse",
            "/v1beta/models/spare:streamGenerateContent?alt=sse",
        ),
        (
            "aws-bedrock/bedrock-runtime/us-east-1/model/main/converse",
            "/model/spare/converse",
        ),
        (
            "aws-bedrock/bedrock-runtime/us-east-1/model/main/converse-stream",
            "/model/spare/converse-stream",
        ),
        (
            "aws-bedrock/bedrock-runtime/us-east-1/model/main-v1%3A0/converse",
            "/model/spare/converse",
        ),
        (
            "aws-bedrock/bedrock-runtime/us-east-1/model/main-v1:0/converse",
            "/model/spare/converse",
        ),
    ] {
        let request = Request::json(&format!("/v1/acc/default/{path}"), "{\"contents\":[]}");
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let seen = one.take();
        assert_eq!(seen.len(), 2, "{path}");
        assert_eq!(seen[1].target(), target);
        assert_eq!(seen[1].body, seen[0].body);
    }
}

#[test]
fn a_model_in_the_path_is_replaced_at_every_endpoint() {
    let provider = failing(503);
    let endpoints = format!("endpoints: [\"http://{}/base\"]", provider.address);
    let breaker = "breaker: {enabled: false}";
    let gateway = Setup::leading_to(dead("127.0.0.1:0"))
        .without_providers()
        .provider(&format!("google-ai-studio: {{{endpoints}, {breaker}}}"))
        .provider(&format!("azure-openai: {{{endpoints}, {breaker}}}"))
        .provider(&format!("aws-bedrock: {{{endpoints}, {breaker}}}"))
        .config(
            "gateways: {default: {fallback: [{provider: google-ai-studio, model: spare}, \
             {provider: azure-openai, model: spare}, {provider: aws-bedrock, model: 'arn:a/b'}]}}",
        )
        .start();
    for (path, target) in [
        (
            "google-ai-studio/v1beta/models/main:generateContent",
            "/base/v1beta/models/spare:generateContent",
        ),
        (
            "azure-openai/res/main/chat/completions?api-version=1",
            "/base/openai/deployments/spare/chat/completions?api-version=1",
        ),
        (
            "aws-bedrock/bedrock-runtime/us-east-1/model/main-v1%3A0/converse",
            "/base/model/arn:a%2Fb/converse",
        ),
    ] {
        let request = Request::json(&format!("/v1/acc/default/{path}"), "{\"contents\":[]}");
        let answer = gateway.send(&request);
        let seen = provider.take();
        assert_eq!(answer.status, 200, "{path}: {} {seen:?}", answer.text());
        assert_eq!(seen[1].target(), target);
    }
}

#[test]
fn another_provider_gets_its_own_key_and_not_the_clients() {
    let (one, other) = (failing(500), Provider::well());
    for (slug, key) in [("groq", Some("zq-groq")), ("custom-bare", None)] {
        let gateway = start(&one, &other, &format!("{{provider: {slug}}}"));
        for own in [true, false] {
            let mut request = ask("openai/chat/completions?key=own&x=own");
            if own {
                request = request.field("authorization", "Bearer own");
            }
            check_step(&gateway.send(&request), "1");
            let seen = other.take_one();
            assert_eq!(seen.key(), key);
            let told = format!("{}{}", seen.head, String::from_utf8_lossy(&seen.body));
            assert!(!told.contains("own"), "{told}");
            assert_eq!(seen.body, body("main").as_bytes());
            assert_eq!(one.take_one().key(), own.then_some("own"));
            let line = gateway.last_log(1 + usize::from(!own));
            assert_eq!(line["provider"], slug);
        }
    }
}

#[test]
fn a_query_that_says_how_to_answer_goes_on_to_another_provider() {
    let (one, other) = (failing(500), Provider::well());
    let gateway = start(
        &one,
        &other,
        "{provider: google-vertex-ai, endpoint: 'v1/projects/p/locations/l/publishers/google/models/spare:streamGenerateContent'}",
    );
    let path = "/v1/acc/default/google-ai-studio/v1beta/models/main:streamGenerateContent";
    let request = Request::json(&format!("{path}?alt=sse&key=own"), "{\"contents\":[]}");
    check_step(&gateway.send(&request), "1");
    let target = other.take_one().target().to_owned();
    assert!(
        target.ends_with(":streamGenerateContent?alt=sse"),
        "{target}"
    );
}

#[test]
fn an_endpoint_of_its_own_brings_its_own_query() {
    let (one, other) = (failing(500), Provider::well());
    let fallback = "{provider: openai, model: spare, endpoint: 'v9/chat/completions?version=2'}, \
        {provider: custom-bare, endpoint: 'v8/chat/completions?x=y'}";
    let gateway = start(&one, &other, fallback);
    check_step(&gateway.send(&ask("openai/chat/completions?a=b")), "1");
    assert_eq!(one.take()[1].target(), "/v9/chat/completions?version=2");
    let gone = Provider::start(|_| 500);
    let gateway = start(&gone, &other, fallback);
    check_step(&gateway.send(&ask("openai/chat/completions?a=b")), "2");
    assert_eq!(other.take_one().target(), "/v8/chat/completions?x=y");
}

#[test]
fn another_format_or_purpose_is_passed_over() {
    let (one, other) = (failing(500), Provider::well());
    let fallback = "{provider: anthropic, endpoint: v1/messages}, \
        {provider: groq, endpoint: embeddings}, {provider: groq}";
    let gateway = start(&one, &other, fallback);
    // What does not fit is no step.
    check_step(&gateway.send(&ask("openai/chat/completions")), "1");
    assert_eq!(other.take_one().key(), Some("zq-groq"));
    assert_eq!(attempts(&gateway.last_log(1)).len(), 2);
    // Where none fits, the request's own answer stands.
    let gateway = start(&one, &other, "{provider: anthropic, endpoint: v1/messages}");
    let answer = gateway.send(&ask("openai/chat/completions"));
    assert_eq!(
        (answer.status, answer.field("cf-aig-step")),
        (500, Some("0"))
    );
    assert_eq!(other.take().len(), 0);
}

#[test]
fn a_wrong_request_does_not_move_on_and_whatever_else_fails_does() {
    for status in [400, 413, 422] {
        let (one, other) = (failing(status), Provider::well());
        let gateway = start(&one, &other, "{provider: groq}");
        let answer = gateway.send(&ask("openai/chat/completions"));
        assert_eq!(answer.status, status);
        assert_eq!((one.take().len(), other.take().len()), (1, 0), "{status}");
    }
    for status in [401, 402, 403, 404, 408, 429, 500, 502, 503, 529] {
        let (one, other) = (failing(status), Provider::well());
        let gateway = start(&one, &other, "{provider: groq}");
        check_step(&gateway.send(&ask("openai/chat/completions")), "1");
        assert_eq!((one.take().len(), other.take().len()), (1, 1), "{status}");
    }
}

#[test]
fn streams_and_plain_answers_move_on_whatever_fails() {
    let mock = Mock::start();
    // The stand-in has its own mock: the fields that ask for faults go to both.
    let spare = Provider::well();
    let setup = only(&format!(
        "openai: {{base_url: \"http://{}/v1\", breaker: {{enabled: false}}}}",
        mock.address
    ));
    let gateway = setup
        .provider(&format!(
            "groq: {{base_url: \"http://{}\", keys: [zq-groq]}}",
            spare.address
        ))
        .provider("custom-gone: {base_url: \"http://<mock>/v1\", dialect: openai}")
        .config("gateways: {default: {timeout: {first_byte: 3s}, fallback: [{provider: groq}]}}")
        .start();
    let mut sent = 0;
    let mut check = |request: Request, what: &str| {
        let answer = gateway.send(&request);
        sent += 1;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert_eq!(answer.field("cf-aig-step"), Some("1"), "{what}");
        assert_eq!(answer.end, End::Whole, "{what}");
        let line = gateway.last_log(sent);
        assert_eq!(attempts(&line).len(), 2, "{what}: {line}");
        assert_eq!(line["provider"], "groq");
        spare.take_one();
        mock.reset();
    };
    for fault in [
        "status=500",
        "close",
        "garbage-head",
        "hang",
        "overloaded",
        "status=404",
    ] {
        check(chat("openai").mock(fault), fault);
        check(chat_of("openai", CHAT_STREAM).mock(fault), fault);
    }
    for fault in ["error-event", "cut-at=0", "reset-at=0"] {
        check(chat_of("openai", CHAT_STREAM).mock(fault), fault);
    }
    check(chat("custom-gone"), "connect");
    check(chat_of("custom-gone", CHAT_STREAM), "connect");
}

#[test]
fn where_all_fail_the_last_answer_is_told() {
    let (one, other) = (
        Provider::start(|_| 500),
        Provider::start(|_| Reply::from(503)),
    );
    let gateway = start(
        &one,
        &other,
        "{provider: openai, model: spare}, {provider: groq}",
    );
    let answer = gateway.send(&ask("openai/chat/completions"));
    assert_eq!(
        (answer.status, answer.field("cf-aig-step")),
        (503, Some("2"))
    );
    assert_eq!((one.take().len(), other.take().len()), (2, 1));
}

#[test]
fn who_rests_is_passed_over_for_a_stand_in() {
    let (one, other) = (Provider::start(|_| 500), Provider::well());
    let endpoint = url(one.address);
    let gateway = only(&pool(&[endpoint], "breaker: {min_requests: 1, open: 1h}"))
        .provider(&format!("groq: {{base_url: \"http://{}\"}}", other.address))
        .config("gateways: {default: {fallback: [{provider: groq}]}}")
        .start();
    for _ in 0..5 {
        check_step(&gateway.send(&chat("custom-pool")), "1");
    }
    assert_eq!((one.take().len(), other.take().len()), (1, 5));
}

#[test]
fn who_is_over_a_limit_gets_no_dearer_stand_in() {
    let (one, other) = (
        Provider::start(|seen| {
            if seen.body.windows(7).any(|part| part == b"\"cheap\"") {
                500
            } else {
                200
            }
        }),
        Provider::well(),
    );
    let setup = Setup::leading_to(one.address).without_providers();
    let gateway = setup
        .provider(&format!("openai: {{base_url: \"http://<mock>\", {PRICED}}}"))
        .provider(&format!("groq: {{base_url: \"http://{}\"}}", other.address))
        .config(
            "counters: {folder: \"<dir>/counters\"}\ngateways: {default: {fallback: [{provider: groq}], \
             limits: [{name: one, requests: 1, per: 1d, over: {model: cheap}}]}}",
        )
        .start();
    assert_eq!(gateway.send(&ask("openai/chat/completions")).status, 200);
    assert_eq!(gateway.send(&ask("openai/chat/completions")).status, 500);
    assert_eq!((one.take().len(), other.take().len()), (2, 0));
}

#[test]
fn a_stand_ins_answer_is_kept_for_the_question() {
    let (one, other) = (failing(500), Provider::well());
    let gateway = start(&one, &other, "{provider: groq}");
    let request = ask("openai/chat/completions").field("cf-aig-cache-ttl", "600");
    let first = gateway.send(&request);
    check_step(&first, "1");
    assert_eq!(first.field("cf-aig-cache-status"), Some("MISS"));
    let again = wait::until("a hit", || {
        let again = gateway.send(&request);
        (again.field("cf-aig-cache-status") == Some("HIT")).then_some(again)
    });
    assert_eq!(again.body, first.body);
    assert_eq!((one.take().len(), other.take().len()), (1, 1));
}
