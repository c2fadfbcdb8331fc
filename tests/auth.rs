//! Who is let in, and what of a token goes on.
#![cfg(test)]

mod support;

use support::client::Answer;
use support::gateway::Gateway;
use support::mock::shown;
use support::{CHAT, CHAT_PATH, Mock, Request, Setup};

const TOKEN: &str = "tollgate-token-0001";
/// As long as the token, and wrong at its end.
const NEAR: &str = "tollgate-token-0002";
const LOCKED: &str = "gateways: {default: {}, locked: {auth: {required: true, \
     tokens: [{name: app, token: tollgate-token-0001}, {name: ci, token: another-token-77}]}}, \
     named: {auth: {required: false, tokens: [{name: app, token: tollgate-token-0001}]}}}";

fn locked(mock: &Mock) -> Gateway {
    Setup::new(mock)
        .provider("elevenlabs: {base_url: \"http://<mock>\"}")
        .provider("azure-openai: {base_url: \"http://<mock>\"}")
        .provider("deepgram: {base_url: \"http://<mock>\"}")
        .config(LOCKED)
        .start()
}

fn ask(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = Request::json(path, CHAT);
    let request = fields
        .iter()
        .fold(request, |request, (name, value)| request.field(name, value));
    gateway.send(&request.mock("echo"))
}

/// Passes, and the token is in nothing that the provider received.
fn check_passes(gateway: &Gateway, path: &str, fields: &[(&str, &str)], rest: &[(&str, &str)]) {
    let answer = ask(gateway, path, fields);
    assert_eq!(answer.status, 200, "{fields:?}: {}", answer.text());
    let echo = answer.json();
    let headers = echo["headers"].to_string();
    assert!(!headers.contains(TOKEN), "{fields:?}: {headers}");
    for (name, value) in rest {
        assert_eq!(shown(&echo, name), [*value], "{fields:?}: {headers}");
    }
}

fn check_refused(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) {
    let answer = ask(gateway, path, fields);
    assert_eq!(answer.refusal(), (401, 2009), "{fields:?}");
    assert!(!answer.text().contains("token-000"), "{}", answer.text());
}

const OPENAI: &str = "/v1/acc/locked/openai/chat/completions";

#[test]
fn a_request_passes_where_no_token_is_required() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    let own = ("authorization", "Bearer sk-provider");
    check_passes(&gateway, CHAT_PATH, &[], &[]);
    check_passes(&gateway, CHAT_PATH, &[own], &[own]);
    check_passes(
        &gateway,
        CHAT_PATH,
        &[("cf-aig-authorization", "Bearer x")],
        &[],
    );
}

#[test]
fn the_gateways_own_field_takes_the_token_with_or_without_bearer() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    let own = ("authorization", "Bearer sk-provider");
    for value in [
        TOKEN,
        "Bearer tollgate-token-0001",
        "bearer tollgate-token-0001",
        "BEARER   tollgate-token-0001",
        "Bearer another-token-77",
    ] {
        let field = ("cf-aig-authorization", value);
        check_passes(&gateway, OPENAI, &[field], &[]);
        check_passes(&gateway, OPENAI, &[field, own], &[own]);
    }
    check_passes(&gateway, OPENAI, &[("CF-AIG-Authorization", TOKEN)], &[]);
}

#[test]
fn wrong_tokens_are_refused_whatever_their_length() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    let long = TOKEN.repeat(50);
    for value in [
        NEAR,
        "Bearer tollgate-token-0002",
        "Tollgate-token-0001",
        "tollgate-token-000",
        "tollgate-token-00011",
        "Bearer",
        "Bearer ",
        "",
        "Basic tollgate-token-0001",
        "Bearer Bearer tollgate-token-0001",
        "tollgate-token-0001,another-token-77",
        "\u{fc}",
        &long,
    ] {
        check_refused(&gateway, OPENAI, &[("cf-aig-authorization", value)]);
        check_refused(&gateway, OPENAI, &[("authorization", value)]);
    }
    check_refused(&gateway, OPENAI, &[]);
    assert_eq!(mock.count("requests"), 0);
}

#[test]
fn the_providers_own_field_may_hold_the_token_and_is_then_kept_back() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    for (path, name, value) in [
        (
            "openai/chat/completions",
            "authorization",
            "Bearer tollgate-token-0001",
        ),
        ("anthropic/v1/messages", "x-api-key", TOKEN),
        (
            "anthropic/v1/messages",
            "authorization",
            "Bearer tollgate-token-0001",
        ),
        (
            "google-ai-studio/v1beta/models/m:generateContent",
            "x-goog-api-key",
            TOKEN,
        ),
        ("azure-openai/res/dep/chat/completions", "api-key", TOKEN),
        ("elevenlabs/v1/text-to-speech/x", "xi-api-key", TOKEN),
        (
            "deepgram/v1/listen",
            "authorization",
            "Token tollgate-token-0001",
        ),
    ] {
        let path = format!("/v1/acc/locked/{path}");
        check_passes(&gateway, &path, &[(name, value)], &[]);
        check_refused(&gateway, &path, &[(name, NEAR)]);
    }
}

#[test]
fn another_providers_field_does_not_count() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    check_refused(&gateway, OPENAI, &[("x-goog-api-key", TOKEN)]);
    check_refused(&gateway, OPENAI, &[("x-api-token", TOKEN)]);
    check_refused(&gateway, &format!("{OPENAI}?key={TOKEN}"), &[]);
}

#[test]
fn the_gateways_own_field_alone_counts_where_it_is_sent() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    let fields = [("cf-aig-authorization", NEAR), ("authorization", TOKEN)];
    check_refused(&gateway, OPENAI, &fields);
}

#[test]
fn a_token_that_was_sent_twice_reaches_no_provider() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    let own = ("cf-aig-authorization", TOKEN);
    // As proxies and careless clients do: the same key in every field there is.
    check_passes(
        &gateway,
        OPENAI,
        &[own, ("authorization", "Bearer tollgate-token-0001")],
        &[],
    );
    let path = "/v1/acc/locked/anthropic/v1/messages";
    check_passes(
        &gateway,
        path,
        &[("x-api-key", TOKEN), ("authorization", TOKEN)],
        &[],
    );
}

#[test]
fn a_second_field_of_the_same_name_does_not_carry_the_token_on() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    let fields = [("authorization", TOKEN), ("authorization", "Bearer sk-own")];
    let answer = ask(&gateway, OPENAI, &fields);
    assert!(!answer.text().contains(TOKEN), "{}", answer.text());
    let fields = [("authorization", "Bearer sk-own"), ("authorization", TOKEN)];
    let answer = ask(&gateway, OPENAI, &fields);
    assert!(!answer.text().contains(TOKEN), "{}", answer.text());
}

#[test]
fn the_log_names_the_token_that_was_shown() {
    let mock = Mock::start();
    let gateway = locked(&mock);
    ask(&gateway, OPENAI, &[("cf-aig-authorization", TOKEN)]);
    ask(
        &gateway,
        OPENAI,
        &[("authorization", "Bearer another-token-77")],
    );
    ask(&gateway, OPENAI, &[("authorization", "Bearer sk-own")]);
    let named = "/v1/acc/named/openai/chat/completions";
    check_passes(&gateway, named, &[("authorization", TOKEN)], &[]);
    ask(&gateway, named, &[]);
    let lines = gateway.log(5);
    let keys: Vec<_> = lines.iter().map(|line| line["key"].as_str()).collect();
    assert_eq!(keys, [Some("app"), Some("ci"), None, Some("app"), None]);
    let text = gateway.log_text() + &gateway.metrics_text() + &gateway.process.stderr();
    assert!(!text.contains("token-0001") && !text.contains("token-77"));
}
