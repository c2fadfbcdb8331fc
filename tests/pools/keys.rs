//! Stored keys: sent where the client brings none, to their own provider, and shown nowhere.

use super::provider::{Provider, Seen};
use super::*;
use std::fs;
use support::process::{Process, Scratch};
use support::wait;

/// Provider, path, the field of its key and what stands before the key.
const PROVIDERS: [(&str, &str, &str, &str); 6] = [
    (
        "openai",
        "openai/chat/completions",
        "authorization",
        "Bearer ",
    ),
    ("anthropic", "anthropic/v1/messages", "x-api-key", ""),
    (
        "google-ai-studio",
        "google-ai-studio/v1beta/models/gemini-2.0-flash:generateContent",
        "x-goog-api-key",
        "",
    ),
    (
        "azure-openai",
        "azure-openai/res/dep/chat/completions?api-version=2024-10-21",
        "api-key",
        "",
    ),
    (
        "aws-bedrock",
        "aws-bedrock/bedrock-runtime/us-east-1/model/m/converse",
        "authorization",
        "Bearer ",
    ),
    (
        "custom-own",
        "custom-own/v1/chat/completions",
        "authorization",
        "Bearer ",
    ),
];
/// Every field that a key may stand in.
const FIELDS: [&str; 5] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "cf-aig-authorization",
];
const TOKEN: &str = "tok-of-the-gateway";

fn start(provider: &Provider) -> Gateway {
    let mut setup = Setup::leading_to(provider.address).without_providers();
    for (slug, ..) in PROVIDERS {
        setup = setup.provider(&format!(
            "{slug}: {{base_url: \"http://<mock>\", keys: [zq-{slug}]}}"
        ));
    }
    setup
        .config(&format!(
            "gateways: {{default: {{auth: {{tokens: [{TOKEN}]}}}}}}"
        ))
        .start()
}

/// Every credential that the provider saw, by field.
fn credentials(seen: &Seen) -> Vec<(&'static str, String)> {
    let all = FIELDS.iter().flat_map(|field| {
        let values = seen.all(field).into_iter();
        values.map(move |value| (*field, value.to_owned()))
    });
    all.collect()
}

#[test]
fn a_stored_key_is_sent_only_where_the_client_brings_none() {
    let provider = Provider::well();
    let gateway = start(&provider);
    for (slug, path, field, scheme) in PROVIDERS {
        let request = || Request::json(&format!("/v1/acc/default/{path}"), CHAT);
        let asked = |request: Request| {
            let answer = gateway.send(&request);
            assert_eq!(answer.status, 200, "{slug}: {}", answer.text());
            assert!(!answer.text().contains("zq-"));
            credentials(&provider.take_one())
        };
        let stored = vec![(field, format!("{scheme}zq-{slug}"))];
        assert_eq!(asked(request()), stored, "{slug}");
        let token = format!("{scheme}{TOKEN}");
        assert_eq!(asked(request().field(field, &token)), stored, "{slug}");
        let shown = request().field("cf-aig-authorization", &format!("Bearer {TOKEN}"));
        assert_eq!(asked(shown.clone()), stored, "{slug}");
        // A token for the gateway in the general field, whichever one the provider has.
        let general = request().field("authorization", &format!("Bearer {TOKEN}"));
        assert_eq!(asked(general), stored, "{slug}");
        let own = vec![(field, format!("{scheme}own"))];
        assert_eq!(asked(request().field(field, &own[0].1)), own, "{slug}");
        assert_eq!(asked(shown.field(field, &own[0].1)), own, "{slug}");
    }
}

#[test]
fn a_step_gets_the_stored_key_of_its_provider_or_keeps_its_own() {
    let provider = Provider::start(|_| 409);
    let gateway = start(&provider);
    let step = |slug: &str, headers: &str| {
        format!(
            r#"{{"provider":"{slug}","endpoint":"v1/messages","headers":{{{headers}}},"query":{{}}}}"#
        )
    };
    let body = [
        step("openai", ""),
        step("openai", r#""authorization":"Bearer own""#),
        step("anthropic", ""),
        step("anthropic", r#""x-api-key":"own""#),
        step("anthropic", r#""authorization":"Bearer own""#),
    ]
    .join(",");
    let request = Request::json("/v1/acc/default", format!("[{body}]"));
    for request in [
        request.clone(),
        request
            .clone()
            .field("authorization", &format!("Bearer {TOKEN}")),
        request.field("cf-aig-authorization", &format!("Bearer {TOKEN}")),
    ] {
        let answer = gateway.send(&request);
        assert_eq!(answer.status, 409, "{}", answer.text());
        let seen: Vec<_> = provider.take().iter().map(credentials).collect();
        let pair = |field, value: &str| vec![(field, value.to_owned())];
        let expected = [
            pair("authorization", "Bearer zq-openai"),
            pair("authorization", "Bearer own"),
            pair("x-api-key", "zq-anthropic"),
            pair("x-api-key", "own"),
            pair("authorization", "Bearer own"),
        ];
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_key_in_the_query_is_the_clients_own() {
    let provider = Provider::well();
    let gateway = start(&provider);
    let path = "/v1/acc/default/google-ai-studio/v1beta/models/g:generateContent";
    for (query, own) in [
        ("?key=own", true),
        ("?alt=sse&key=own", true),
        ("?alt=sse", false),
        ("?monkey=1", false),
    ] {
        let answer = gateway.send(&Request::json(&format!("{path}{query}"), "{}"));
        assert_eq!(answer.status, 200);
        let seen = provider.take_one();
        assert!(seen.target().ends_with(query));
        assert_eq!(credentials(&seen).is_empty(), own, "{query}");
    }
}

#[test]
fn no_key_is_ever_shown() {
    let provider = Provider::start(|_| 401);
    let gateway = start(&provider);
    for (_, path, ..) in PROVIDERS {
        let answer = gateway.send(&Request::json(&format!("/v1/acc/default/{path}"), CHAT));
        assert_eq!(answer.status, 401);
        let told = format!("{:?} {}", answer.fields, answer.text());
        assert!(!told.contains("zq-"), "{told}");
    }
    gateway.log(PROVIDERS.len());
    assert_eq!(gateway.metric("tollgate_keys_parked_total"), 6.0);
    for (what, text) in [
        ("log", gateway.log_text()),
        ("metrics", gateway.metrics_text()),
        ("notes", gateway.process.stderr()),
        ("output", gateway.process.stdout()),
    ] {
        assert!(!text.contains("zq-"), "{what}: {text}");
    }
    // The names are what the operator goes by.
    assert!(gateway.process.stderr().contains("key-1"));
    assert!(gateway.metrics_text().contains("key=\"key-1\""));
}

#[test]
fn no_key_is_shown_where_the_provider_cannot_be_reached() {
    let line = "custom-gone: {base_url: \"http://<mock>/v1\", dialect: openai, keys: [zq-gone]}";
    let gateway = only(line).start();
    let answer = gateway.send(&chat("custom-gone"));
    assert_eq!(answer.refusal(), (502, 2005));
    gateway.log(1);
    let told = [
        answer.text(),
        gateway.log_text(),
        gateway.process.stderr(),
        gateway.metrics_text(),
    ];
    assert!(!told.concat().contains("zq-"), "{told:?}");
}

#[test]
fn a_check_shows_no_key_whatever_is_wrong() {
    for keys in [
        "[zq-a, zq-a]",
        "['zq-a zq-b']",
        "[{name: 'zq b', key: zq-a}]",
        "[{name: a, key: zq-a}, {name: a, key: zq-b}]",
        "zq-a",
        "{key: zq-a}",
        "{first: zq-a}",
        "[{first: zq-a}]",
        "[zq-a, [{key: zq-b}]]",
        "[{key: zq-a, weight: 0}]",
        "[{key: zq-a, weight: many}]",
        "[{kee: zq-a}]",
        "[[zq-a]]",
        "[zq-a]",
        "[\"zq-${env:NOT_THERE_AT_ALL}\"]",
    ] {
        let scratch = Scratch::new();
        let path = scratch.join("tollgate.yaml");
        fs::write(&path, format!("providers:\n  openai:\n    keys: {keys}\n")).unwrap();
        let mut process = Process::start(&["check", "--config", path.to_str().unwrap()], scratch);
        wait::until("the check's end", || process.ended());
        let said = process.stdout() + &process.stderr();
        assert!(!said.is_empty());
        assert!(!said.contains("zq-"), "{keys}: {said}");
    }
}
