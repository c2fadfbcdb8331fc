//! Whose counter a request counts on, to which requests a limit applies, and what an answer says.

use super::*;

#[test]
fn whoever_differs_has_a_counter_of_their_own() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limit = |by: &str| format!("limits: [{{name: l, requests: 1, per: 1d, by: [{by}]}}]");
    let gateways = [
        format!("  team: {{{}}}\n", limit("metadata.team")),
        format!("  user: {{{}}}\n", limit("\"header:x-user\"")),
        format!("  model: {{{}}}\n", limit("model")),
        format!("  both: {{{}}}\n", limit("model, metadata.team")),
        format!("  client: {{{}}}\n", limit("client")),
        format!(
            "  key: {{auth: {{tokens: [{{name: a, token: token-number-a}}, {{name: b, token: token-number-b}}]}}, {}}}\n",
            limit("key")
        ),
    ]
    .concat();
    let gateway = setup(&mock, &folder, &gateways).start();
    let pass = |gateway_name: &str, model: &str, field: (&str, &str)| {
        let request = chat(gateway_name, model, 5).field(field.0, field.1);
        gateway.send(&request).status == 200
    };
    let team = |team: &'static str| ("cf-aig-metadata", team);
    let (red, blue) = (team(r#"{"team":"red"}"#), team(r#"{"team":"blue"}"#));
    let none = ("x-none", "1");
    let checks = [
        ("team", [("m", red), ("m", blue)]),
        ("user", [("m", ("x-user", "ann")), ("m", ("x-user", "bob"))]),
        ("model", [("m1", none), ("m2", none)]),
        ("both", [("m1", red), ("m1", blue)]),
        (
            "key",
            [
                ("m", ("cf-aig-authorization", "token-number-a")),
                ("m", ("cf-aig-authorization", "token-number-b")),
            ],
        ),
    ];
    for (name, subjects) in checks {
        for (model, field) in subjects {
            assert!(pass(name, model, field), "{name} {field:?}");
            assert!(!pass(name, model, field), "{name} {field:?}");
        }
    }
    assert!(pass("both", "m2", red) && !pass("both", "m2", red));
    assert!(pass("client", "m", none) && !pass("client", "m2", red));
    let labels: Vec<_> = counters(&gateway)
        .iter()
        .map(|row| row["by"].as_str().unwrap().to_owned())
        .collect();
    for label in [
        "metadata.team=red",
        "header:x-user=bob",
        "model=m1 metadata.team=blue",
        "key=b",
        "client=127.0.0.1",
    ] {
        assert!(labels.contains(&label.to_owned()), "{label}: {labels:?}");
    }
}

#[test]
fn a_limit_applies_only_where_its_conditions_hold() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a: {limits: [{name: l, requests: 1, per: 1d, when: {model: 'gpt-4*', metadata: {plan: [free, trial]}}}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let ask = |model: &str, plan: &str| {
        let metadata = format!(r#"{{"plan":"{plan}"}}"#);
        let request = chat("a", model, 5).field("cf-aig-metadata", &metadata);
        gateway.send(&request).status
    };
    assert_eq!(ask("gpt-4o", "free"), 200);
    assert_eq!(ask("gpt-4o", "trial"), 429);
    assert_eq!(ask("gpt-4o", "paid"), 200);
    assert_eq!(ask("o3", "free"), 200);
    assert_eq!(gateway.send(&chat("a", "gpt-4o", 5)).status, 200);
}

#[test]
fn answers_say_what_is_left_where_they_are_told_to() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a:\n    limits:\n      - {name: many, requests: 100, per: 1d, expose: true}\n      - {name: few, requests: 2, per: 1h, expose: true}\n      - {name: hidden, requests: 1000, per: 1d}\n  b: {limits: [{name: money, cost: $1, per: 1d, expose: true}]}\n  c: {limits: [{name: hidden, requests: 1, per: 1d}]}\n";
    let gateway = setup(&mock, &folder, limits).start();
    let shown = |answer: &Answer| {
        let reset = answer
            .field("x-ratelimit-reset")
            .map(|text| text.parse().unwrap());
        assert!(reset.is_none_or(|seconds: u64| (1..=86_400).contains(&seconds)));
        let text = |name| answer.field(name).map(str::to_owned);
        (text("x-ratelimit-limit"), text("x-ratelimit-remaining"))
    };
    let few = |left: &str| (Some("2".to_owned()), Some(left.to_owned()));
    assert_eq!(shown(&gateway.send(&chat("a", "m", 5))), few("1"));
    assert_eq!(shown(&gateway.send(&chat("a", "m", 5))), few("0"));
    let refused = gateway.send(&chat("a", "m", 5));
    check_refused(&refused, "few", 2003);
    assert_eq!(shown(&refused), few("0"));
    let (limit, left) = shown(&gateway.send(&chat("b", "m", 5)));
    assert_eq!(limit.as_deref(), Some("1"));
    let left: f64 = left.unwrap().parse().unwrap();
    assert!(left > 0.9 && left < 1.0, "{left}");
    assert_eq!(shown(&gateway.send(&chat("c", "m", 5))), (None, None));
    assert_eq!(shown(&gateway.send(&chat("c", "m", 5))), (None, None));
}

#[test]
fn the_refusal_comes_from_the_limit_that_lasts_longest() {
    let (mock, folder) = (Mock::start(), Scratch::new());
    let limits = "  a:\n    limits:\n      - {name: minute, requests: 1, per: 1m, technique: sliding}\n      - {name: hour, requests: 1, per: 1h, technique: sliding}\n";
    let gateway = setup(&mock, &folder, limits).start();
    assert_eq!(gateway.send(&chat("a", "m", 5)).status, 200);
    let refused = gateway.send(&chat("a", "m", 5));
    check_refused(&refused, "hour", 2003);
    let seconds: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((3_000..=3_640).contains(&seconds), "{seconds}");
}

#[test]
fn what_a_secret_header_holds_is_shown_to_nobody() {
    let mock = Mock::start();
    let rules = "  a:\n    limits:\n      - {name: own, requests: 5, per: 1h, by: [\"header:authorization\", \"header:x-team\"]}\n";
    let gateway = setup(&mock, &Scratch::new(), rules).start();
    let request = chat("a", "m", 10)
        .field("authorization", "Bearer sk-secret-of-a-client")
        .field("x-team", "red");
    assert_eq!(gateway.send(&request).status, 200);
    let shown = counters(&gateway)[0]["by"].as_str().unwrap().to_owned();
    assert!(shown.contains("header:x-team=red"), "{shown}");
    assert!(shown.contains("header:authorization=#"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_limit_on_a_model_holds_for_later_steps_and_repeated_members() {
    let mock = Mock::start();
    let rules =
        "  a:\n    limits:\n      - {name: dear, requests: 1, per: 1h, when: {model: \"o1*\"}}\n";
    let gateway = setup(&mock, &Scratch::new(), rules).start();
    let step = |model: &str| {
        format!(
            r#"{{"provider":"openai","endpoint":"chat/completions","query":{{"model":"{model}","messages":[]}}}}"#
        )
    };
    let both = format!("[{},{}]", step("cheap"), step("o1-pro"));
    let ask = |path: &str, body: &str| gateway.send(&Request::json(path, body)).status;
    assert_eq!(ask("/v1/acc/a", &both), 200);
    assert_eq!(ask("/v1/acc/a", &both), 429);
    let twice = r#"{"model":"cheap","model":"o1-pro","messages":[]}"#;
    assert_eq!(ask("/v1/acc/a/openai/chat/completions", twice), 429);
    assert_eq!(
        ask(
            "/v1/acc/a/openai/chat/completions",
            r#"{"model":"cheap","messages":[]}"#
        ),
        200
    );
}
