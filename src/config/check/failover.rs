//! Checks how each gateway tries again and what stands in: bounds, and providers that must exist.

use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::stage::plan::config::Fallback;
use crate::stage::plan::retry::{ATTEMPTS_MAX, DELAY_MAX, Retry};

/// Each of them is prepared with every request.
const FALLBACKS_MAX: usize = 10;

pub fn check(config: &Config, known_providers: &[&str], findings: &mut Findings<'_>) {
    for (id, gateway) in &config.gateways {
        let path = Path::top().key("gateways").key(id);
        check_retry(gateway.retry, &path.key("retry"), findings);
        let list = path.key("fallback");
        if gateway.fallback.len() > FALLBACKS_MAX {
            findings.add(
                &list,
                Spot::Key,
                "these are too many fallbacks for one gateway",
                "list at most 10",
            );
        }
        for (index, fallback) in gateway.fallback.iter().enumerate() {
            let slug = fallback.provider.as_str();
            let exists = known_providers.contains(&slug) || config.providers.contains_key(slug);
            check_fallback(fallback, exists, &list.item(index), findings);
        }
    }
}

fn check_retry(retry: Retry, path: &Path, findings: &mut Findings<'_>) {
    if !(1..=ATTEMPTS_MAX).contains(&retry.attempts) {
        findings.add(
            &path.key("attempts"),
            Spot::Value,
            "a target cannot be tried so often",
            "write a number from 1 to 5; 1 means that nothing is tried again",
        );
    }
    if retry.delay.duration() > DELAY_MAX {
        findings.add(
            &path.key("delay"),
            Spot::Value,
            "this is too long a pause between two tries",
            "write at most 60s",
        );
    }
}

fn check_fallback(fallback: &Fallback, exists: bool, path: &Path, findings: &mut Findings<'_>) {
    if !exists {
        findings.add(
            &path.key("provider"),
            Spot::Value,
            "no such provider",
            "use a slug of the catalogue, or a custom-NAME of `providers`",
        );
    }
    let empty = |text: &Option<String>| text.as_deref().is_some_and(str::is_empty);
    for (key, text) in [("model", &fallback.model), ("endpoint", &fallback.endpoint)] {
        if empty(text) {
            findings.add(
                &path.key(key),
                Spot::Value,
                format!("`{key}` is empty"),
                "leave it away to keep what the client asked for",
            );
        }
    }
}
