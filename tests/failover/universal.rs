//! The universal endpoint: what it takes, and what reaches whom.

use super::shape::{PATH, Shape, chat, with};
use super::support::gateway::Gateway;
use super::support::mock::shown;
use super::support::{Mock, Request, Setup, noise};
use serde_json::{Value, json};

fn universal(steps: &Value) -> Request {
    Request::json(PATH, steps.to_string())
}

/// What the provider received of one step.
fn echo(gateway: &Gateway, step: Value, dress: impl Fn(Request) -> Request) -> Value {
    let answer = gateway.send(&dress(universal(&json!([step]))));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn echoing() -> Value {
    json!({"provider": "custom-echo", "endpoint": "any/thing", "headers": {"x-mock": "echo"}, "query": {"model": "m"}})
}

#[test]
fn one_step_needs_no_array() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    for body in [chat(false, "none"), json!([chat(false, "none")])] {
        for path in [PATH, "/v1/acc/default/"] {
            let answer = gateway.send(&Request::json(path, format!(" \n{body}\n ")));
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.field("cf-aig-step"), Some("0"));
            assert_eq!(answer.field("x-tollgate-attempts"), Some("1"));
        }
    }
}

#[test]
fn the_body_is_the_query_as_it_was_written() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let query = "{ \"model\" : \"m\",\t\"n\":1.0e2, \"t\":\"\\u00e9\", \"model\":\"again\" }";
    let body = format!(
        "[{{\"query\":{query} ,\"endpoint\":\"any/thing\",\"provider\":\"custom-echo\",\
         \"headers\":{{\"x-mock\":\"echo\"}},\"comment\":[1,2]}}]"
    );
    let seen = gateway.send(&Request::json(PATH, body)).json();
    assert_eq!(seen["body_bytes"], query.len());
    assert_eq!(
        seen["body_crc32"],
        format!("{:08x}", crc32fast::hash(query.as_bytes()))
    );
    assert_eq!(shown(&seen, "content-length"), [query.len().to_string()]);
    assert_eq!(shown(&seen, "content-type"), ["application/json"]);
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["path"], "/any/thing");
}

#[test]
fn a_steps_own_headers_reach_its_provider_and_nothing_else_does() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let headers = json!({"x-mock": "echo", "Authorization": "Bearer step", "x-number": 7, "x-flag": true,
        "cf-aig-metadata": "{\"a\":1}", "cf-aig-max-attempts": "2", "Content-Type": "application/json; a=b",
        "host": "evil.test", "content-length": "1", "transfer-encoding": "chunked", "connection": "close"});
    let seen = echo(&gateway, with(echoing(), "headers", headers), |request| {
        request
            .field("authorization", "Bearer client")
            .field("x-api-key", "client")
            .field("cookie", "client=1")
            .field("x-own", "client")
            .field("cf-aig-metadata", "{\"b\":2}")
            .field("cf-ray", "1")
            .field("user-agent", "test/1")
            .field("traceparent", "00-1-2-03")
    });
    assert_eq!(shown(&seen, "authorization"), ["Bearer step"]);
    assert_eq!(shown(&seen, "x-number"), ["7"]);
    assert_eq!(shown(&seen, "x-flag"), ["true"]);
    assert_eq!(shown(&seen, "content-type"), ["application/json; a=b"]);
    assert_eq!(shown(&seen, "user-agent"), ["test/1"]);
    assert_eq!(shown(&seen, "traceparent"), ["00-1-2-03"]);
    assert_eq!(shown(&seen, "host"), [mock.address.to_string()]);
    assert_eq!(
        shown(&seen, "content-length"),
        [r#"{"model":"m"}"#.len().to_string()]
    );
    assert!(!seen.to_string().contains("client"), "{seen}");
    assert!(!seen.to_string().contains("cf-"), "{seen}");
    for name in ["transfer-encoding", "x-own", "cookie", "x-api-key"] {
        assert_eq!(shown(&seen, name), [""; 0], "{name}");
    }
}

#[test]
fn authorization_may_stand_beside_the_headers() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let step = with(echoing(), "authorization", json!("Bearer beside"));
    let seen = echo(&gateway, step, |request| {
        request.field("authorization", "Bearer client")
    });
    assert_eq!(shown(&seen, "authorization"), ["Bearer beside"]);
}

#[test]
fn an_endpoint_may_have_a_query_of_its_own() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let step = with(echoing(), "endpoint", json!("/any/thing?a=1&b=%20?"));
    let body = json!([step]).to_string();
    let answer = gateway.send(&Request::json("/v1/acc/default?client=1", body));
    let seen = answer.json();
    assert_eq!(seen["path"], "/any/thing");
    assert_eq!(seen["query"], "a=1&b=%20?");
}

#[test]
fn binary_answers_pass_untouched() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let speech = |faults: &str| {
        json!({"provider": "openai", "endpoint": "audio/speech", "headers": {"x-mock": faults},
            "query": {"model": "tts-1", "input": "hello", "voice": "alloy"}})
    };
    let direct = Request::json("/v1/audio/speech", speech("none")["query"].to_string());
    let mut client = super::support::client::Client::connect(mock.address);
    client.send(&direct.bytes());
    let direct = client.read_answer(false);
    let answer = gateway.send(&universal(&json!([speech("status=500"), speech("none")])));
    assert_eq!(answer.field("cf-aig-step"), Some("1"));
    assert_eq!(answer.field("content-type"), direct.field("content-type"));
    assert!(!direct.body.is_empty() && answer.body == direct.body);
    let bedrock = universal(&json!([
        Shape::Bedrock.step("m", true, "status=500"),
        Shape::Bedrock.step("m", true, "gzip")
    ]));
    let answer = gateway.send(&bedrock);
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert_eq!(answer.body.get(..2), Some(&[0x1f, 0x8b][..]));
}

#[test]
fn a_listener_of_one_gateway_has_its_steps_at_the_root() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let steps = json!([chat(false, "status=500"), chat(false, "none")]).to_string();
    let mut client = super::support::client::Client::connect(gateway.short);
    client.send(&Request::json("/", steps.clone()).bytes());
    let answer = client.read_answer(false);
    assert_eq!(
        (answer.status, answer.field("cf-aig-step")),
        (200, Some("1"))
    );
    let answer = gateway.send(&Request::json("/", steps));
    assert_eq!(
        answer.refusal(),
        (404, 9404),
        "the other listener has no gateway"
    );
}

#[test]
fn a_gateway_that_wants_a_token_wants_it_here_too() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers()
        .config("gateways: {default: {auth: {required: true, tokens: [{name: ci, token: tg-0123456789}]}}}")
        .start();
    let steps = json!([with(echoing(), "authorization", json!("Bearer provider"))]);
    assert_eq!(gateway.send(&universal(&steps)).refusal(), (401, 2009));
    // A token within a step opens nothing.
    let within = json!([with(
        echoing(),
        "headers",
        json!({"cf-aig-authorization": "Bearer tg-0123456789"})
    )]);
    assert_eq!(gateway.send(&universal(&within)).refusal(), (401, 2009));
    assert_eq!(mock.count("requests"), 0);
    let token = |request: Request| request.field("cf-aig-authorization", "Bearer tg-0123456789");
    let seen = echo(&gateway, steps[0].clone(), token);
    assert_eq!(shown(&seen, "authorization"), ["Bearer provider"]);
    assert!(!seen.to_string().contains("tg-0123456789"));
    let line = gateway.last_log(3);
    assert_eq!(line["key"], "ci");
}

#[test]
fn the_line_and_the_head_tell_of_the_winner() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers()
        .provider("custom-p: {base_url: \"http://<mock>/v1\", dialect: openai, prices: {m: {input: $2, output: $8}}}")
        .start();
    let step = |faults| with(chat(false, faults), "provider", json!("custom-p"));
    let steps = json!([chat(false, "status=500"), step("none")]);
    let request = universal(&steps)
        .field("cf-aig-metadata", "{\"team\":\"a\"}")
        .field("cf-aig-event-id", "event-1");
    let answer = gateway.send(&request);
    assert_eq!(answer.field("cf-aig-event-id"), Some("event-1"));
    assert_eq!(answer.field("cf-aig-cache-status"), Some("MISS"));
    let line = gateway.last_log(1);
    assert_eq!(answer.field("cf-aig-log-id"), line["id"].as_str());
    assert_eq!(line["metadata"], json!({"team": "a"}));
    assert_eq!(line["event_id"], "event-1");
    assert_eq!(
        (&line["provider"], &line["model"]),
        (&json!("custom-p"), &json!("m"))
    );
    assert_eq!(line["path"], PATH);
    let (input, output) = (
        line["tokens_in"].as_u64().unwrap(),
        line["tokens_out"].as_u64().unwrap(),
    );
    let tokens = answer.field("x-tollgate-tokens").unwrap();
    assert_eq!(tokens, (input + output).to_string());
    let cost: f64 = answer.field("x-tollgate-cost").unwrap().parse().unwrap();
    let nanos = input * 2000 + output * 8000;
    assert_eq!((cost * 1e9).round() as u64, nanos);
    assert_eq!(line["attempts"][1]["cost"], line["cost"]);
    // A price of the step's own comes before the request's.
    let mut own = step("none");
    own["headers"]["cf-aig-custom-cost"] = json!("{\"total_cost\":0.5}");
    let request = universal(&json!([own])).field("cf-aig-custom-cost", "{\"total_cost\":0.25}");
    assert_eq!(gateway.send(&request).field("x-tollgate-cost"), Some("0.5"));
}

#[test]
fn unreachable_providers_are_passed_over() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .provider("custom-dead: {base_url: \"http://<dead>\", dialect: openai}")
        .provider("custom-nowhere: {base_url: \"http://nowhere.invalid\", dialect: openai}")
        .start();
    let at = |provider: &str, stream| with(chat(stream, "none"), "provider", json!(provider));
    for (number, stream) in [false, true].into_iter().enumerate() {
        let steps = json!([
            at("custom-dead", stream),
            at("custom-nowhere", stream),
            chat(stream, "none")
        ]);
        let answer = gateway.send(&universal(&steps));
        assert_eq!(
            (answer.status, answer.field("cf-aig-step")),
            (200, Some("2"))
        );
        let line = gateway.last_log(2 * number + 1);
        let sources = line["attempts"].as_array().unwrap().iter();
        let sources: Vec<_> = sources
            .map(|own| own["usage_source"].as_str().unwrap())
            .collect();
        assert_eq!(sources, ["none", "none", "reported"]);
        let answer = gateway.send(&universal(&json!([
            chat(stream, "status=503"),
            at("custom-dead", stream)
        ])));
        assert_eq!(answer.refusal(), (502, 2005));
        assert_eq!(answer.field("cf-aig-step"), Some("1"));
        let line = gateway.last_log(2 * number + 2);
        assert_eq!(line["end"], "error");
    }
}

#[test]
fn long_steps_and_pipelined_requests_pass() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let text: String = noise(3 << 20, 7)
        .iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect();
    let step = |faults: &str| {
        with(
            chat(false, faults),
            "query",
            json!({"model": "m", "messages": text}),
        )
    };
    let body = json!([step("status=500"), step("echo")]).to_string();
    let sizes = super::support::random_sizes(body.len(), 100_000, 3);
    let request = Request::post(PATH)
        .field("content-type", "application/json")
        .chunked(body, sizes);
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send(&request.bytes());
        let answer = client.read_answer(false);
        assert_eq!(
            answer.json()["body_bytes"],
            step("")["query"].to_string().len()
        );
    }
}

#[tokio::test]
async fn steps_come_by_http2_as_well() {
    use super::support::h2;
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let client = h2::Client::connect(gateway.address).await;
    for (stream, end) in [(false, "}"), (true, "[DONE]\n\n")] {
        let steps = json!([chat(stream, "cut-at=0"), chat(stream, "none")]).to_string();
        let answer = client
            .ask(h2::post(PATH).body(()).unwrap(), steps.into_bytes())
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.fields["cf-aig-step"], "1");
        assert!(answer.text().ends_with(end), "{}", answer.text());
    }
    let answer = client
        .ask(h2::post(PATH).body(()).unwrap(), b"[{}]".to_vec())
        .await
        .unwrap();
    assert_eq!(answer.refusal(), (400, 9400));
    let lines = gateway.log(3);
    assert_eq!(lines[0]["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn a_gateways_token_in_a_step_reaches_no_provider() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock)
        .without_breakers()
        .config("gateways: {default: {auth: {required: true, tokens: [gateway-token]}}}")
        .start();
    for field in ["authorization", "Authorization"] {
        let mut step = echoing();
        step["headers"][field] = json!("Bearer gateway-token");
        let open = |request: Request| request.field("cf-aig-authorization", "gateway-token");
        let seen = echo(&gateway, step, open);
        assert_eq!(shown(&seen, "authorization"), [] as [&str; 0]);
        let mut step = echoing();
        step["headers"][field] = json!("Bearer of-the-client");
        let seen = echo(&gateway, step, open);
        assert_eq!(shown(&seen, "authorization"), ["Bearer of-the-client"]);
    }
}

#[test]
fn what_a_step_says_replaces_what_the_client_said() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let mut step = echoing();
    step["headers"]["user-agent"] = json!("the-step");
    step["headers"]["accept"] = json!("application/json");
    let seen = echo(&gateway, step, |request| {
        request
            .field("user-agent", "the-wrapper")
            .field("accept", "*/*")
    });
    assert_eq!(shown(&seen, "user-agent"), ["the-step"]);
    assert_eq!(shown(&seen, "accept"), ["application/json"]);
}

#[test]
fn what_each_attempt_used_is_counted_under_its_own_model() {
    let mock = Mock::start();
    let gateway = Setup::new(&mock).without_breakers().start();
    let step = |model: &str, faults: &str| {
        json!({
            "provider": "openai",
            "endpoint": "chat/completions",
            "headers": {"x-mock": faults},
            "query": {"model": model, "stream": true, "messages": []},
        })
    };
    let steps = json!([step("the-first", "cut-at=40"), step("the-second", "none")]);
    let answer = gateway.send(&universal(&steps));
    assert_eq!(answer.field("cf-aig-step"), Some("1"));
    let line = gateway.last_log(1);
    let metrics = gateway.metrics();
    for (attempt, model) in [(0, "the-first"), (1, "the-second")] {
        let series = format!(
            "tollgate_tokens_total{{gateway=\"default\",kind=\"input\",model=\"{model}\",provider=\"openai\"}}"
        );
        let tokens = line["attempts"][attempt]["tokens_in"].as_f64();
        assert_eq!(metrics.get(&series).copied(), tokens, "{series}: {line}");
    }
}
