//! Pingora is known to proxy, admin and app alone.

use crate::fault::{Fault, check, keep};
use crate::mentions::mentions;
use crate::tree::Tree;

/// The rooms built on Pingora; the empty one is lib.rs.
const OPEN: [&str; 5] = ["proxy", "admin", "app", "main", ""];

/// Where cached bytes and counters live, whose types are Pingora's own.
const KEEPERS: [&[&str]; 2] = [&["store"], &["stage", "cache"]];

/// What keepers may name: the two crates, and the words in the signatures of their traits.
const KEPT: [&[&str]; 7] = [
    &["pingora_cache"],
    &["pingora_limits"],
    &["pingora", "Result"],
    &["pingora", "Error"],
    &["pingora", "ErrorType"],
    &["pingora", "OrErr"],
    &["pingora", "http", "ResponseHeader"],
];

fn rule(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.src() {
        let module = source.module();
        if OPEN.contains(&module.first().map_or("", String::as_str)) {
            continue;
        }
        let keeper = KEEPERS.iter().any(|path| starts_with(&module, path));
        for mention in mentions(source) {
            let ours = !mention.path[0].starts_with("pingora");
            if ours || (keeper && KEPT.iter().any(|path| starts_with(&mention.path, path))) {
                continue;
            }
            let what = format!("`{}` is named below proxy", mention.path.join("::"));
            let mend = "let proxy translate: this room speaks of http, bytes and its own types";
            faults.push(Fault {
                file: source.path.clone(),
                line: mention.line,
                what,
                mend,
            });
        }
    }
    faults
}

fn starts_with(path: &[String], start: &[&str]) -> bool {
    path.len() >= start.len() && path.iter().zip(start).all(|(a, b)| a == b)
}

#[test]
fn pingora_is_known_to_proxy_admin_and_app_alone() {
    keep(rule);
}

#[test]
fn pingora_below_proxy_is_refused() {
    check(
        rule,
        &[("src/stage/auth/mod.rs", "use pingora::proxy::Session;")],
        &["src/stage/auth/mod.rs:1: `pingora::proxy::Session` is named below proxy"],
    );
    check(
        rule,
        &[(
            "src/llm/x.rs",
            "fn f() -> ::pingora_core::Result<()> { m!(pingora_limits::rate::Rate) }",
        )],
        &[
            "src/llm/x.rs:1: `pingora_core::Result` is named below proxy",
            "src/llm/x.rs:1: `pingora_limits::rate::Rate` is named below proxy",
        ],
    );
    check(
        rule,
        &[(
            "src/config/mod.rs",
            "use pingora as p;\nfn f(s: p::Server) {}",
        )],
        &[
            "src/config/mod.rs:1: `pingora` is named below proxy",
            "src/config/mod.rs:2: `pingora::Server` is named below proxy",
        ],
    );
}

#[test]
fn keepers_name_the_cache_and_no_session() {
    check(
        rule,
        &[(
            "src/store/disk.rs",
            "use pingora_cache::{CacheKey, storage::Storage}; use pingora::Result;",
        )],
        &[],
    );
    check(
        rule,
        &[("src/stage/cache/x.rs", "use pingora::proxy::Session;")],
        &["src/stage/cache/x.rs:1: `pingora::proxy::Session` is named below proxy"],
    );
}

#[test]
fn proxy_is_built_on_pingora() {
    check(
        rule,
        &[
            ("src/proxy/gateway.rs", "use pingora::proxy::Session;"),
            ("src/app/daemon/run.rs", "use pingora::server::Server;"),
        ],
        &[],
    );
}
