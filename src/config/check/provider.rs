//! Checks `providers`: slugs that exist or are the user's own, base URLs, keys and breakers.

use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::config::typed::did_you_mean;
use crate::provider::config::Config as Provider;
use crate::provider::config::breaker::Breaker;
use crate::provider::config::key::Key;
use crate::stage::plan::pool::MEMBERS_MAX;

const SLUG_BYTES_MAX: usize = 64;
const WEIGHT_MAX: u64 = 1000;
const REQUESTS_MAX: u64 = 1_000_000;

pub fn check(config: &Config, known: &[&str], findings: &mut Findings<'_>) {
    for (slug, provider) in &config.providers {
        if findings.is_full() {
            return;
        }
        let path = Path::top().key("providers").key(slug);
        let own = slug.strip_prefix("custom-");
        match own {
            _ if known.contains(&slug.as_str()) => {}
            Some(name) if is_slug(name) => {}
            Some(_) => findings.add(
                &path,
                Spot::Key,
                "this cannot be a custom provider's slug, which is a part of its URL",
                "write custom- and then lower-case letters, digits or `-`, 64 in all",
            ),
            None => findings.add(
                &path,
                Spot::Key,
                "no built-in provider has this slug",
                format!(
                    "{}a provider of your own begins with custom-, as in custom-{}; built in are {}",
                    did_you_mean(slug, known),
                    if is_slug(slug) { slug } else { "vllm" },
                    known.join(", ")
                ),
            ),
        }
        if provider.dialect.is_some() && known.contains(&slug.as_str()) {
            findings.add(
                &path.key("dialect"),
                Spot::Key,
                "a built-in provider's dialect is known and cannot be set",
                "remove `dialect`, or name the provider custom-... if it speaks another one",
            );
        }
        check_endpoints(provider, own.is_some(), &path, findings);
        check_keys(&provider.keys, &path.key("keys"), findings);
        check_breaker(&provider.breaker, &path.key("breaker"), findings);
    }
}

/// The base URL, or the several in its place.
fn check_endpoints(provider: &Provider, own: bool, path: &Path, findings: &mut Findings<'_>) {
    let list = path.key("endpoints");
    let place = findings.places.find(path);
    let told = place
        .is_some_and(|place| place.has_pruned("base_url") || place.has_pruned("endpoints"))
        || findings.lost_items(&list);
    match &provider.base_url {
        Some(_) if !provider.endpoints.is_empty() => findings.add(
            &list,
            Spot::Key,
            "there is a `base_url` as well as `endpoints`",
            "keep one of the two; `endpoints` is for several base URLs",
        ),
        Some(base_url) => check_base_url(base_url, &path.key("base_url"), findings),
        None if own && provider.endpoints.is_empty() && !told => findings.add(
            path,
            Spot::Key,
            "the key `base_url` is missing here",
            "add `base_url: ...`",
        ),
        None => {}
    }
    check_count(provider.endpoints.len(), &list, findings);
    for (index, endpoint) in provider.endpoints.iter().enumerate() {
        let item = list.item(index);
        let at = inner(&item, "base_url", findings);
        check_base_url(&endpoint.base_url, &at, findings);
        check_weight(endpoint.weight, &item, findings);
        let mut before = provider.endpoints.iter().take(index);
        if let Some(first) = before.position(|other| other.base_url == endpoint.base_url) {
            let (_, first) = findings.places.locate(&list.item(first));
            findings.add(
                &at,
                Spot::Value,
                format!("{first} is the same endpoint"),
                "remove one of the two; a `weight` gives an endpoint a greater share",
            );
        }
    }
}

fn check_base_url(url: &str, at: &Path, findings: &mut Findings<'_>) {
    if let Err(what) = check_url(url) {
        findings.add(
            at,
            Spot::Value,
            what,
            "write http:// or https://, a host, and if need be a port and a path, as in https://api.openai.com/v1",
        );
    }
}

fn check_keys(keys: &[Key], list: &Path, findings: &mut Findings<'_>) {
    check_count(keys.len(), list, findings);
    for (index, key) in keys.iter().enumerate() {
        let item = list.item(index);
        check_weight(key.weight, &item, findings);
        let before = || keys.iter().take(index);
        if let Some(first) = before().position(|other| other.key == key.key) {
            let (_, first) = findings.places.locate(&list.item(first));
            findings.add(
                &inner(&item, "key", findings),
                Spot::Value,
                format!("{first} is the same key"),
                "remove one of the two; a `weight` gives a key a greater share",
            );
        } else if let Some(first) = before().position(|other| other.name == key.name) {
            let (_, first) = findings.places.locate(&list.item(first));
            findings.add(
                &inner(&item, "name", findings),
                Spot::Value,
                format!("{first} already has this key's name"),
                "give each key a name of its own, so that log and metrics can tell them apart",
            );
        }
    }
}

fn check_count(count: usize, list: &Path, findings: &mut Findings<'_>) {
    if count > MEMBERS_MAX {
        findings.add(
            list,
            Spot::Key,
            "these are too many for one provider",
            "list at most 64",
        );
    }
}

fn check_weight(weight: u64, item: &Path, findings: &mut Findings<'_>) {
    if !(1..=WEIGHT_MAX).contains(&weight) {
        findings.add(
            &item.key("weight"),
            Spot::Value,
            "this cannot be a weight",
            "write a number from 1 to 1000, or remove what is to get nothing",
        );
    }
}

fn check_breaker(breaker: &Breaker, path: &Path, findings: &mut Findings<'_>) {
    let numbers = [
        (
            "failure_percent",
            breaker.failure_percent,
            100,
            "a number from 1 to 100",
        ),
        (
            "min_requests",
            breaker.min_requests,
            REQUESTS_MAX,
            "a number from 1 to 1000000",
        ),
    ];
    for (key, number, most, fix) in numbers {
        if !(1..=most).contains(&number) {
            let what = format!("`{key}` is out of its bounds");
            findings.add(&path.key(key), Spot::Value, what, format!("write {fix}"));
        }
    }
    let periods = [
        ("window", breaker.window),
        ("open", breaker.open),
        ("cool_down", breaker.cool_down),
        ("park", breaker.park),
    ];
    for (key, period) in periods {
        if period.is_zero() {
            findings.add(
                &path.key(key),
                Spot::Value,
                format!("`{key}` is zero"),
                "write a period such as 30s, or enabled: false for no breaker at all",
            );
        }
    }
}

/// A member of a list's item, or the item itself where that is a bare text.
fn inner(item: &Path, key: &str, findings: &Findings<'_>) -> Path {
    let inner = item.key(key);
    if findings.has(&inner) {
        inner
    } else {
        item.clone()
    }
}

fn is_slug(name: &str) -> bool {
    let fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=SLUG_BYTES_MAX - "custom-".len()).contains(&name.len()) && name.bytes().all(fit)
}

/// `http(s)://host[:port][/path]`, and nothing else that a URL may hold.
fn check_url(url: &str) -> Result<(), &'static str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        return Err("a base URL begins with http:// or https://");
    };
    if rest.contains('?') {
        return Err("a base URL has no query");
    }
    if rest.contains('#') {
        return Err("a base URL has no fragment");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err("a base URL holds no user name or password; clients send their own keys");
    }
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("a base URL's path has no `.` or `..` in it");
    }
    let uri: http::Uri = url.parse().map_err(|_| "this is not a URL")?;
    let authority = uri.authority().ok_or("a base URL names a host")?;
    let host = authority.host();
    let name = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address = address.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    if host.is_empty() || !(name || address) {
        return Err("a base URL names a host");
    }
    let port = authority.as_str().strip_prefix(host).unwrap_or_default();
    match port.strip_prefix(':').map(str::parse::<u16>) {
        None if port.is_empty() => Ok(()),
        Some(Ok(1..)) => Ok(()),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_hold_a_host_and_no_more_than_a_path() {
        for url in [
            "https://api.openai.com/v1",
            "http://10.0.0.5:8000",
            "http://[::1]:80/a/",
            "http://a_b",
        ] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "api.openai.com",
            "ftp://a",
            "https://",
            "https:///v1",
            "http://:80",
            "http://a:",
            "http://a:0",
            "http://a:99999",
            "http://a?b",
            "http://a#b",
            "http://u@a",
            "http://u:p@a",
            "http://a/../b",
            "http://a b",
            "http://[::zz]",
            "http://ü.de",
            "HTTPS://a",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn slugs_are_lower_case() {
        assert!(is_slug("vllm-2") && !is_slug("") && !is_slug("vLLM") && !is_slug("a_b"));
        assert!(!is_slug(&"a".repeat(58)) && is_slug(&"a".repeat(57)));
    }
}
