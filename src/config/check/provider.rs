//! Checks `providers`: slugs that exist or are the user's own, and base URLs.

use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::config::typed::did_you_mean;

const SLUG_BYTES_MAX: usize = 64;

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
        let Some(base_url) = &provider.base_url else {
            let place = findings.places.find(&path);
            let told = place.is_some_and(|place| place.has_pruned("base_url"));
            if own.is_some() && !told {
                findings.add(
                    &path,
                    Spot::Key,
                    "the key `base_url` is missing here",
                    "add `base_url: ...`",
                );
            }
            continue;
        };
        if let Err(what) = check_url(base_url) {
            findings.add(
                &path.key("base_url"),
                Spot::Value,
                what,
                "write http:// or https://, a host, and if need be a port and a path, as in https://api.openai.com/v1",
            );
        }
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
