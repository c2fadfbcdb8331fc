//! What the operator purges is gone at once, and nobody else purges anything.

use crate::support::client::{Answer, Client};
use crate::support::gateway::Gateway;
use crate::support::{CHAT, CHAT_PATH, Request};
use crate::{chat, hits, start};

const OPEN: &str = "gateways: {default: {cache: {ttl: 1h}}, other: {cache: {ttl: 1h}}}";

fn with_token(config: &str) -> (crate::support::Mock, Gateway) {
    let mock = crate::support::Mock::start();
    let setup = crate::support::Setup::new(&mock).server("admin_token: operators-token");
    let gateway = setup.config(config).start();
    (mock, gateway)
}

pub fn purge(gateway: &Gateway, query: &str) -> Answer {
    ask(gateway, "POST", query, Some("Bearer operators-token"))
}

fn ask(gateway: &Gateway, method: &str, query: &str, token: Option<&str>) -> Answer {
    let mut client = Client::connect(gateway.admin);
    let mut request = Request::new(method, &format!("/cache/purge{query}"));
    if let Some(token) = token {
        request = request.field("authorization", token);
    }
    client.send(&request.bytes());
    client.read_answer(false)
}

#[test]
fn each_scope_purges_its_own_and_nothing_else() {
    let (_mock, gateway) = with_token(OPEN);
    let model = |name: &str| {
        let body = format!("{{\"model\":\"{name}\",\"messages\":[]}}");
        Request::json(CHAT_PATH, body)
    };
    let requests = || {
        [
            model("gpt-4o"),
            model("gpt-4o-mini"),
            Request::json("/v1/acc/other/openai/chat/completions", CHAT),
            Request::json("/v1/acc/default/anthropic/v1/messages", CHAT),
            chat().field("cf-aig-cache-key", "a name"),
        ]
    };
    assert_eq!(hits(&gateway, requests()), [false; 5]);
    for (query, left) in [
        ("?model=gpt-4o", [false, true, true, true, true]),
        ("?gateway=other", [true, true, false, true, true]),
        ("?provider=anthropic", [true, true, true, false, true]),
        ("?key=a+name", [true, true, true, true, false]),
        ("?model=none", [true; 5]),
        ("?all", [false; 5]),
    ] {
        assert_eq!(hits(&gateway, requests()), [true; 5], "before {query}");
        let answer = purge(&gateway, query);
        assert_eq!((answer.status, answer.text().trim()), (200, "purged"));
        assert_eq!(hits(&gateway, requests()), left, "{query}");
    }
}

#[test]
fn a_purge_needs_the_admin_token_and_a_scope() {
    let (_mock, gateway) = with_token(OPEN);
    assert_eq!(hits(&gateway, [chat()]), [false]);
    assert_eq!(ask(&gateway, "POST", "?all", None).status, 401);
    assert_eq!(
        ask(&gateway, "POST", "?all", Some("Bearer operators-toke")).status,
        401
    );
    assert_eq!(
        ask(&gateway, "POST", "?all", Some("operators-token")).status,
        401
    );
    let get = ask(&gateway, "GET", "?all", Some("Bearer operators-token"));
    assert_eq!((get.status, get.field("allow")), (405, Some("POST")));
    for query in ["", "?everything", "?model=", "?model=a&gateway=b"] {
        let answer = purge(&gateway, query);
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains("?gateway=NAME"), "{}", answer.text());
    }
    assert_eq!(hits(&gateway, [chat()]), [true]);
}

#[test]
fn without_a_token_in_the_configuration_nobody_purges() {
    let (_mock, gateway) = start(OPEN);
    let answer = purge(&gateway, "?all");
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("server.admin_token"),
        "{}",
        answer.text()
    );
}

#[test]
fn an_answer_that_was_on_its_way_when_it_was_purged_is_not_kept() {
    let (mock, gateway) = with_token(OPEN);
    let ask = || chat().mock("delay=400");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| gateway.send(&ask()));
        crate::support::wait::until("the question", || {
            (mock.count("requests") == 1).then_some(())
        });
        assert_eq!(purge(&gateway, "?all").status, 200);
        assert_eq!(asked.join().unwrap().status, 200);
    });
    assert_eq!(hits(&gateway, [ask(), ask()]), [false, true]);
}
