//! What in a new configuration cannot be put in force while the process serves.

use crate::config::Config;
use crate::proxy::config::Listen;
use std::net::SocketAddr;

/// The keys that are built once and that the two do not agree on.
pub fn needs_upgrade(old: &Config, new: &Config) -> Vec<&'static str> {
    let (server, cache, counters) = (&old.server, &old.cache, &old.counters);
    let differs = [
        (
            "server.listen",
            sockets(&server.listen) != sockets(&new.server.listen),
        ),
        ("server.admin", server.admin != new.server.admin),
        ("server.threads", server.threads != new.server.threads),
        ("server.ca_file", server.ca_file != new.server.ca_file),
        (
            "server.runtime_dir",
            server.runtime_dir != new.server.runtime_dir,
        ),
        ("cache.memory", cache.memory != new.cache.memory),
        ("cache.directory", cache.directory != new.cache.directory),
        ("cache.disk", cache.disk != new.cache.disk),
        ("cache.entry", cache.entry != new.cache.entry),
        ("counters.memory", counters.memory != new.counters.memory),
        ("counters.folder", counters.folder != new.counters.folder),
    ];
    let differs = differs.into_iter().filter(|(_, differs)| *differs);
    differs.map(|(key, _)| key).collect()
}

/// What is bound, and whether TLS is spoken there. The order does not matter, nor the gateway.
fn sockets(listen: &[Listen]) -> Vec<(SocketAddr, bool)> {
    let sockets = listen.iter();
    let mut sockets: Vec<_> = sockets
        .map(|listen| (listen.address, listen.tls.is_some()))
        .collect();
    sockets.sort_unstable();
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expect: &[&str]) {
        let read = |text| crate::config::parse("a.yaml", text, &|_| None).unwrap();
        assert_eq!(needs_upgrade(&read(old), &read(new)), expect, "{new}");
    }

    #[test]
    fn what_is_bound_or_built_once_needs_an_upgrade() {
        check("", "", &[]);
        let listen = |text: &str| format!("server: {{listen: {text}}}");
        let two = listen("['127.0.0.1:1', '127.0.0.1:2']");
        check(&two, &listen("['127.0.0.1:2', '127.0.0.1:1']"), &[]);
        check(&two, &listen("['127.0.0.1:2']"), &["server.listen"]);
        let bound = listen("['127.0.0.1:2', {address: '127.0.0.1:1', gateway: default}]");
        check(&two, &bound, &[]);
        check(
            "",
            "server: {admin: '127.0.0.1:9', threads: 3}",
            &["server.admin", "server.threads"],
        );
        check(
            "",
            "cache: {memory: 1MiB, entry: 1KiB}\ncounters: {memory: 16MiB}",
            &["cache.memory", "cache.entry", "counters.memory"],
        );
        check(
            "",
            "server: {max_body: 1MiB, max_head: 8KiB, head_timeout: 1s, body_timeout: 1s, keepalive: 1s, drain: 1s, admin_token: t, watch: true}\nlog: stdout\nproviders: {openai: {base_url: 'http://a'}}\ngateways: {a: {limits: [{name: l, requests: 1, per: 1m}]}}",
            &[],
        );
    }
}
