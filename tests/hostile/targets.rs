//! Paths and queries that try to lead elsewhere, to be something else, or to be very long.

use super::case::Expect::{Closes, Passes, Refuses};
use super::case::{Case, Expect, line};

const BASE: &str = "/v1/acc/default/openai";

fn below_base(name: &str, rest: &str, expect: Expect) -> Case {
    let request = line(format!("GET {BASE}{rest} HTTP/1.1"));
    Case::new(name, request, expect)
}

pub fn traversals() -> Vec<Case> {
    let get = below_base;
    vec![
        get("broken percent-encoding", "/%zz%", Passes(200)),
        get("two dots", "/../x", Refuses(400)),
        get("two dots at the end", "/x/..", Refuses(400)),
        get("two dots before a query", "/..?a", Refuses(400)),
        get("one dot", "/./x", Refuses(400)),
        get("encoded dots", "/%2e%2E/x", Refuses(400)),
        get("half-encoded dots", "/.%2e/x", Refuses(400)),
        get("dots and an encoded slash", "/..%2fx", Refuses(400)),
        get("dots, all encoded", "/%2e%2e%2Fx", Refuses(400)),
        get("dots and a backslash", "/..\\x", Refuses(400)),
        get("dots and an encoded backslash", "/..%5cx", Refuses(400)),
        get("dots and a parameter", "/..;a/x", Refuses(400)),
    ]
}

pub fn paths() -> Vec<Case> {
    let get = below_base;
    let whole = |name: &str, target: &str, expect| {
        Case::new(name, line(format!("GET {target} HTTP/1.1")), expect)
    };
    let long = |text: &str| text.repeat(3000);
    vec![
        get("dots in a query", "/x?/../..", Passes(200)),
        get("dots encoded twice", "/%252e%252e/x", Passes(200)),
        get("an encoded line end", "/x%0d%0ax-evil:%201", Passes(200)),
        get(
            "an encoded line end in a query",
            "/x?a=%0d%0ahost:%20evil",
            Passes(200),
        ),
        get("an encoded NUL", "/x%00", Passes(200)),
        get("10 000 segments", &"/a".repeat(10_000), Passes(200)),
        get(
            "a query of 12 kB",
            &format!("/x?{}", "a=b&".repeat(3000)),
            Passes(200),
        ),
        get("a fragment", "/x#y", Passes(200)),
        get("letters beyond ASCII", "/é", Passes(200)),
        get("brackets and quotes", "/\"<>^`{|}", Closes(400)),
        Case::new(
            "a path that is not UTF-8",
            line([BASE.as_bytes(), b"/\xff\xfe"].concat().as_slice()),
            Closes(400),
        ),
        whole("5000 slashes", &"/".repeat(5000), Refuses(404)),
        whole(
            "another authority",
            "//evil.test/v1/acc/default/openai/x",
            Refuses(404),
        ),
        whole(
            "a long provider",
            &format!("/v1/acc/default/{}/x", long("s")),
            Refuses(400),
        ),
        whole(
            "a long gateway",
            &format!("/v1/acc/{}/openai/x", long("g")),
            Refuses(400),
        ),
        whole(
            "a long account",
            &format!("/v1/{}/default/openai/x", long("a")),
            Refuses(404),
        ),
        whole(
            "an account of control characters",
            "/v1/%00%0a/default/openai/x",
            Passes(200),
        ),
        whole("a gateway of dots", "/v1/acc/../openai/x", Refuses(400)),
    ]
}
