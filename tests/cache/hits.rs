//! A repeated question costs nothing, and its answer is the same.

use crate::support::wait::until;
use crate::support::{CHAT, CHAT_PATH, CHAT_STREAM, Request, h2};
use crate::{ON, chat, hits, is_hit, outcomes, start};

#[test]
fn a_repeated_question_is_answered_without_the_provider() {
    let (mock, gateway) = start(ON);
    let miss = gateway.send(&chat());
    assert!(!is_hit(&miss));
    assert_eq!(miss.field("age"), None);
    let hit = gateway.send(&chat());
    assert!(is_hit(&hit));
    assert_eq!(hit.body, miss.body);
    assert_eq!(hit.field("content-type"), miss.field("content-type"));
    let age: u64 = hit.field("age").unwrap().parse().unwrap();
    assert!(age < 30);
    for answer in [&miss, &hit] {
        assert_eq!(answer.field("x-tollgate-cache-ttl"), Some("3600"));
    }
    assert_eq!(hit.field("x-tollgate-attempts"), None);
    assert_ne!(hit.field("cf-aig-log-id"), miss.field("cf-aig-log-id"));
    assert_eq!(mock.count("requests"), 1);
}

#[test]
fn a_hit_is_free_and_says_what_it_saved() {
    let (_mock, gateway) = start(ON);
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, true]);
    let log = gateway.log(2);
    let (miss, hit) = (&log[0], &log[1]);
    assert_eq!(outcomes(&gateway, 2), ["miss", "hit"]);
    assert_eq!(
        (&miss["cached"], &hit["cached"]),
        (&false.into(), &true.into())
    );
    assert!(miss["cost"].as_f64().unwrap() > 0.0, "{miss}");
    assert_eq!(hit["saved"], miss["cost"]);
    assert!(miss["saved"].is_null());
    assert_eq!(hit["cost"].as_f64(), Some(0.0));
    assert_eq!(
        (&hit["tokens_in"], &hit["tokens_out"]),
        (&0.into(), &0.into())
    );
    assert_eq!(hit["success"], true);
    assert_eq!(hit["end"], "complete");
    assert_eq!(hit["attempts"].as_array().map(Vec::len), Some(0));
    let metrics = gateway.metrics();
    let of = |series: &str| metrics.get(series).copied();
    let result = |name| {
        of(&format!(
            "tollgate_cache_requests_total{{gateway=\"default\",result=\"{name}\"}}"
        ))
    };
    assert_eq!((result("hit"), result("miss")), (Some(1.0), Some(1.0)));
    let saved = gateway.metric("tollgate_saved_usd_total");
    assert!((saved - hit["saved"].as_f64().unwrap()).abs() < 1e-12);
    assert_eq!(
        gateway.metric("tollgate_cost_usd_total"),
        miss["cost"].as_f64().unwrap()
    );
    assert_eq!(of("tollgate_cache_entries{tier=\"memory\"}"), Some(1.0));
    assert!(of("tollgate_cache_bytes{tier=\"memory\"}").unwrap() > 100.0);
}

#[test]
fn what_tells_two_answers_apart_makes_another_question() {
    let (mock, gateway) = start(ON);
    let with = |name: &str, value: &str| chat().field(name, value);
    let requests = [
        chat(),
        Request::json(&format!("{CHAT_PATH}?a=1"), CHAT),
        Request::json("/v1/other/default/openai/chat/completions", CHAT),
        Request::json("/v1/acc/other/openai/chat/completions", CHAT),
        Request::json("/v1/acc/default/openai/completions", CHAT),
        Request::json(CHAT_PATH, CHAT_STREAM),
        Request::json(CHAT_PATH, format!("{CHAT} ")),
        with("authorization", "Bearer one"),
        with("authorization", "Bearer two"),
        with("openai-organization", "one"),
    ];
    let count = requests.len() as u64;
    for request in &requests {
        assert!(!is_hit(&gateway.send(request)));
    }
    assert_eq!(mock.count("requests"), count);
    for request in &requests {
        assert!(is_hit(&gateway.send(request)));
    }
    let about = [
        with("cf-aig-metadata", "{\"a\":1}"),
        with("x-stainless-retry-count", "1"),
    ];
    assert_eq!(
        hits(&gateway, about),
        [true; 2],
        "what says nothing of the answer"
    );
    assert_eq!(mock.count("requests"), count);
}

#[test]
fn a_gateway_may_share_among_its_callers() {
    let (_mock, gateway) = start(
        "gateways: {default: {cache: {ttl: 1h, partition: gateway}}, \
         teams: {cache: {ttl: 1h, partition: {metadata: team}}}}",
    );
    let by = |key: &str| chat().field("authorization", key);
    assert_eq!(hits(&gateway, [by("one"), by("two")]), [false, true]);
    let of = |key: &str, team: &str| {
        Request::json("/v1/acc/teams/openai/chat/completions", CHAT)
            .field("authorization", key)
            .field("cf-aig-metadata", team)
    };
    let (red, blue) = ("{\"team\":\"red\"}", "{\"team\":\"blue\"}");
    let requests = [
        of("one", red),
        of("two", red),
        of("one", blue),
        of("one", "{}"),
        of("two", "{}"),
    ];
    assert_eq!(hits(&gateway, requests), [false, true, false, false, false]);
}

#[test]
fn a_canonical_body_is_known_in_any_order() {
    let (_mock, gateway) =
        start("gateways: {default: {cache: {ttl: 1h, canonical: true, ignore: [user, metadata]}}}");
    let ask = |body: &str| Request::json(CHAT_PATH, body);
    let requests = [
        ask(r#"{"model":"gpt-4o-mini","n":1,"messages":[{"role":"user","content":"a"}]}"#),
        ask(
            r#"{ "n": 1, "user": "x", "messages": [{"content":"a","role":"user"}], "model":"gpt-4o-mini" }"#,
        ),
        ask(r#"{"n":2,"model":"gpt-4o-mini","messages":[{"role":"user","content":"a"}]}"#),
        ask(
            r#"{"model":"gpt-4o-mini","n":1,"stream":true,"messages":[{"role":"user","content":"a"}]}"#,
        ),
    ];
    assert_eq!(hits(&gateway, requests), [false, true, false, false]);
}

#[test]
fn what_is_the_moments_or_the_callers_is_not_kept() {
    let (_mock, gateway) = start(ON);
    let miss = gateway.send(&chat());
    let hit = gateway.send(&chat());
    assert!(is_hit(&hit));
    // The mock sends an id of its own with every answer, as providers do.
    assert!(miss.field("x-request-id").is_some());
    assert_eq!(hit.field("x-request-id"), None);
    assert_eq!(hit.field("set-cookie"), None);
}

#[test]
fn an_answer_lasts_as_long_as_it_should() {
    let (mock, gateway) = start("gateways: {default: {cache: {ttl: 4s}}}");
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, true]);
    std::thread::park_timeout(std::time::Duration::from_millis(4100));
    assert_eq!(hits(&gateway, [chat(), chat()]), [false, true]);
    assert_eq!(mock.count("requests"), 2);
}

#[test]
fn a_part_or_a_condition_is_not_served() {
    let (mock, gateway) = start(ON);
    let whole = gateway.send(&chat());
    for (name, value) in [
        ("range", "bytes=0-3"),
        ("if-none-match", "*"),
        ("if-modified-since", "Sat, 01 Jan 2050 00:00:00 GMT"),
    ] {
        let hit = gateway.send(&chat().field(name, value));
        assert!(is_hit(&hit), "{name}");
        assert_eq!(hit.body, whole.body, "{name}");
    }
    let fresh =
        |name: &str, value: &str| chat().field("cf-aig-cache-key", name).field("range", value);
    let miss = gateway.send(&fresh("k", "bytes=0-3"));
    assert!(!is_hit(&miss));
    assert_eq!(miss.body.len(), whole.body.len());
    assert_eq!(mock.count("requests"), 2);
}

#[test]
fn a_packed_answer_is_for_clients_that_unpack_it() {
    let (mock, gateway) = start(ON);
    let packed = chat().field("accept-encoding", "gzip").mock("gzip");
    assert!(!is_hit(&gateway.send(&packed)));
    let hit = gateway.send(&packed);
    assert!(is_hit(&hit));
    assert_eq!(hit.field("content-encoding"), Some("gzip"));
    let plain = gateway.send(&chat());
    assert!(!is_hit(&plain));
    assert_eq!(plain.field("content-encoding"), None);
    // What everybody can read has taken its place.
    assert!(is_hit(&gateway.send(&packed)));
    assert_eq!(mock.count("requests"), 2);
}

#[test]
fn large_answers_are_kept_up_to_the_bound() {
    let (mock, gateway) = start("cache: {entry: 2MiB}\ngateways: {default: {cache: {ttl: 1h}}}");
    let of = |size: usize, key: &str| {
        chat()
            .field("cf-aig-cache-key", key)
            .mock(&format!("size={size}"))
    };
    let miss = gateway.send(&of(1 << 20, "fits"));
    let hit = gateway.send(&of(1 << 20, "fits"));
    assert!(is_hit(&hit));
    assert_eq!(hit.body, miss.body);
    let chunked = of(4 << 20, "long").mock("size=4194304,chunked");
    let announced = of(4 << 20, "announced").mock("size=4194304,length");
    for request in [chunked, announced] {
        for _ in 0..2 {
            let answer = gateway.send(&request);
            assert!(!is_hit(&answer));
            assert!(answer.body.len() > 4 << 20);
        }
    }
    assert_eq!(mock.count("requests"), 5);
}

#[test]
fn http2_clients_share_with_others() {
    let (mock, gateway) = start(ON);
    assert!(!is_hit(&gateway.send(&chat())));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = runtime.block_on(async {
        let client = h2::Client::connect(gateway.address).await;
        let request = h2::post(CHAT_PATH).body(()).unwrap();
        client.ask(request, CHAT.into()).await.unwrap()
    });
    assert_eq!(answer.fields.get("cf-aig-cache-status").unwrap(), "HIT");
    assert_eq!(mock.count("requests"), 1);
}

#[test]
fn a_key_in_the_query_parts_its_callers_under_one_name_too() {
    let (mock, gateway) = start(ON);
    let ask = |key: &str| {
        let path =
            "/v1/acc/default/google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent";
        let body = r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#;
        let request = Request::json(&format!("{path}?key={key}"), body);
        gateway.send(&request.field("cf-aig-cache-key", "summary"))
    };
    assert!(!is_hit(&ask("AAA")));
    assert!(!is_hit(&ask("BBB")));
    assert!(is_hit(&ask("AAA")));
    assert_eq!(mock.count("requests"), 2);
}

#[test]
fn a_client_that_leaves_a_kept_answer_is_noted() {
    let (mock, gateway) = start(ON);
    let long = chat().mock("size=20971520");
    assert!(!is_hit(&gateway.send(&long)));
    let mut client = gateway.connect();
    client.send(&long.bytes());
    let head = client.read_head(false);
    assert_eq!(head.field("cf-aig-cache-status"), Some("HIT"));
    let mut read = 0;
    while read < 4 << 20 {
        read += client.next_piece().unwrap().unwrap().len();
    }
    drop(client);
    let line = gateway.last_log(2);
    assert_eq!(line["cache"], "hit", "{line}");
    assert_eq!(line["end"], "client_gone", "{line}");
    let sent = line["bytes_out"].as_u64().unwrap();
    assert!(0 < sent && sent < 20 << 20, "{line}");
    until("nothing in flight", || {
        (gateway.metric("tollgate_in_flight") == 0.0).then_some(())
    });
    // The room and the connection of others are as before.
    assert!(is_hit(&gateway.send(&long)));
    assert_eq!(mock.count("requests"), 1);
}
