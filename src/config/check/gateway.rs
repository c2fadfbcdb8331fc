//! Checks each gateway: its id, hosts, tokens and timeouts.

use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::config::{Config, Gateway};
use crate::stage::auth;
use crate::stage::metadata::config::ENTRIES_MAX;
use crate::stage::plan::config::Timeout;
use std::collections::HashMap;

const ID_CHARS_MAX: usize = 64;
/// Each request without a known key is compared with every one of them.
const TOKENS_MAX: usize = 1000;

const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    let path = Path::top().key("gateways");
    for (id, gateway) in &config.gateways {
        let path = path.key(id);
        if !is_id(id) {
            findings.add(
                &path,
                Spot::Key,
                "this cannot be a gateway's id, which is a part of its URL",
                "use 1 to 64 letters, digits, `.`, `_` or `-`",
            );
        }
        check_auth(&gateway.auth, &path.key("auth"), findings);
        check_timeout(&gateway.timeout, &path.key("timeout"), findings);
        if !(1..=ENTRIES_MAX).contains(&gateway.metadata.max_entries) {
            findings.add(
                &path.key("metadata").key("max_entries"),
                Spot::Value,
                "no gateway can keep so many entries of metadata",
                "write a number from 1 to 100",
            );
        }
    }
    check_hosts(&config.gateways, &path, findings);
}

fn is_id(id: &str) -> bool {
    let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(fit) && !matches!(id, "." | "..")
}

fn check_auth(auth: &auth::config::Config, path: &Path, findings: &mut Findings<'_>) {
    let list = path.key("tokens");
    // Where every token was pruned for a fault of its own, this would be an echo.
    let wrote_tokens = findings
        .places
        .find(path)
        .is_some_and(|place| place.has_pruned("tokens"))
        || (auth.tokens.is_empty() && findings.lost_items(&list));
    if auth.required && auth.tokens.is_empty() && !wrote_tokens {
        findings.add(
            &path.key("required"),
            Spot::Value,
            "a token is required but none is listed, so every request would be refused",
            "list one, as in tokens: [\"${env:TOLLGATE_TOKEN}\"], or write required: false",
        );
    }
    if auth.tokens.len() > TOKENS_MAX {
        findings.add(
            &list,
            Spot::Key,
            "these are too many tokens for one gateway",
            "list at most 1000, and give some applications a gateway of their own",
        );
        return;
    }
    let mut names = HashMap::new();
    for (index, token) in auth.tokens.iter().enumerate() {
        let place = list.item(index);
        if let Some(first) = names.insert(token.name.as_str(), index) {
            let (_, first) = findings.places.locate(&list.item(first));
            let name = place.key("name");
            let at = if findings.has(&name) {
                name
            } else {
                place.clone()
            };
            let fix = "give each token a name of its own, so that the log can tell them apart";
            findings.add(
                &at,
                Spot::Value,
                format!("{first} already has this token's name"),
                fix,
            );
        }
        let same = auth
            .tokens
            .iter()
            .take(index)
            .position(|other| other.token == token.token);
        if let Some(first) = same {
            let (_, first) = findings.places.locate(&list.item(first));
            let inner = place.key("token");
            let at = if findings.has(&inner) { inner } else { place };
            findings.add(
                &at,
                Spot::Value,
                format!("{first} is the same token"),
                "remove one of the two",
            );
        }
    }
}

fn check_timeout(timeout: &Timeout, path: &Path, findings: &mut Findings<'_>) {
    let all = [
        ("connect", timeout.connect),
        ("first_byte", timeout.first_byte),
        ("idle", timeout.idle),
        ("total", timeout.total),
    ];
    for (key, period) in all {
        if period.is_zero() {
            let what = format!("`{key}` is zero, so every request would time out");
            findings.add(
                &path.key(key),
                Spot::Value,
                what,
                "write a period such as 30s",
            );
        }
    }
    for (key, period) in [
        ("connect", timeout.connect),
        ("first_byte", timeout.first_byte),
    ] {
        let at = path.key(key);
        // A default gives way to a shorter total by itself.
        if timeout.total.is_zero() || period <= timeout.total || !findings.has(&at) {
            continue;
        }
        let (key_ms, total_ms) = (
            period.duration().as_millis(),
            timeout.total.duration().as_millis(),
        );
        // Both are periods, never secrets: to see the two side by side is half of the mending.
        findings.add(
            &at,
            Spot::Value,
            format!("`{key}` ({key_ms}ms) is longer than `total` ({total_ms}ms)"),
            format!("lower `{key}` or raise `total`"),
        );
    }
}

fn check_hosts(
    gateways: &std::collections::BTreeMap<String, Gateway>,
    path: &Path,
    findings: &mut Findings<'_>,
) {
    let mut owners: HashMap<String, Path> = HashMap::new();
    for (id, gateway) in gateways {
        for (index, host) in gateway.hosts.iter().enumerate() {
            let place = path.key(id).key("hosts").item(index);
            if let Err(what) = check_host(host) {
                findings.add(
                    &place,
                    Spot::Value,
                    what,
                    "write a host name alone, as in ai.example.com",
                );
                continue;
            }
            let (_, here) = findings.places.locate(&place);
            if let Some(first) = owners.insert(host.to_ascii_lowercase(), here) {
                let fix = "a host belongs to one gateway: remove one of the two";
                findings.add(
                    &place,
                    Spot::Value,
                    format!("{first} already claims this host"),
                    fix,
                );
            }
        }
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.contains("://") {
        return Err("a host has no scheme");
    }
    if host.contains('/') {
        return Err("a host has no path");
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    if host.contains(':') {
        return Err("a host has no port");
    }
    if host.contains('*') {
        return Err("a host has no wildcard");
    }
    let fit = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match host.len() <= HOST_BYTES_MAX && host.split('.').all(fit) {
        true => Ok(()),
        false => Err("this is not a host name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fit_into_a_url() {
        assert!(is_id("default") && is_id("Team_1.prod-eu") && is_id(&"a".repeat(64)));
        assert!(
            !is_id("") && !is_id("a b") && !is_id("a/b") && !is_id("..") && !is_id(&"a".repeat(65))
        );
    }

    #[test]
    fn hosts_are_names_alone() {
        for host in [
            "ai.example.com",
            "localhost",
            "AI.example",
            "a_b.internal",
            "10.0.0.1",
            "::1",
        ] {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
        for host in [
            "",
            "a..b",
            "-a.b",
            "a.b:80",
            "http://a.b",
            "a.b/c",
            "*.a.b",
            "a b",
            "ü.de",
        ] {
            assert!(check_host(host).is_err(), "{host}");
        }
    }
}
