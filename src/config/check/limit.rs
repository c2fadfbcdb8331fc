//! Checks each gateway's limits: what they measure, for how long, and what becomes of the rest.

use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::stage::limit::config::{Limit, Over, Wait};
use crate::store::counters::span::Span;
use std::collections::HashMap;
use std::time::Duration;

/// Every request passes all of them.
const LIMITS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 64;
/// The shortest and the longest window.
const SPAN_MS: std::ops::RangeInclusive<u64> = 1_000..=31 * 86_400_000;
const QUEUE_MAX: usize = 10_000;
const WITHIN_MAX: Duration = Duration::from_secs(600);

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    for (id, gateway) in &config.gateways {
        let list = Path::top().key("gateways").key(id).key("limits");
        if gateway.limits.len() > LIMITS_MAX {
            findings.add(
                &list,
                Spot::Key,
                "these are too many limits for one gateway",
                "write at most 100; `by` gives every key a counter of its own under one limit",
            );
            continue;
        }
        let mut names = HashMap::new();
        for (index, limit) in gateway.limits.iter().enumerate() {
            if findings.is_full() {
                return;
            }
            let path = list.item(index);
            check_name(limit, &path, findings);
            if let Some(first) = names.insert(limit.name.as_str(), index) {
                let (_, first) = findings.places.locate(&list.item(first));
                findings.add(
                    &path.key("name"),
                    Spot::Value,
                    format!("{first} already has this limit's name"),
                    "give each limit a name of its own, so that refused clients know which one it was",
                );
            }
            check_measure(limit, &path, findings);
            check_window(limit, &path, findings);
            check_over(limit, &path, findings);
        }
    }
    check_counters(config, findings);
}

fn check_name(limit: &Limit, path: &Path, findings: &mut Findings<'_>) {
    let name = &limit.name;
    let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !(1..=NAME_CHARS_MAX).contains(&name.len()) || !name.bytes().all(fit) {
        findings.add(
            &path.key("name"),
            Spot::Value,
            "this cannot be a limit's name, which is sent in a header",
            "use 1 to 64 letters, digits, `.`, `_` or `-`",
        );
    }
}

fn check_measure(limit: &Limit, path: &Path, findings: &mut Findings<'_>) {
    let amounts = [
        ("requests", limit.requests.map(|count| count.get())),
        ("tokens", limit.tokens.map(|count| count.get())),
        ("cost", limit.cost.map(|cost| cost.nanos())),
        ("concurrent", limit.concurrent.map(|count| count.get())),
    ];
    let written: Vec<_> = amounts
        .iter()
        .filter(|(_, amount)| amount.is_some())
        .collect();
    let place = findings.places.find(path);
    let told = place.is_some_and(|place| place.has_pruned_any());
    match written.as_slice() {
        [] if told => {}
        [] => findings.add(
            path,
            Spot::Key,
            "the limit does not say how much is allowed",
            "add one of requests: 100, tokens: 200k, cost: $20 or concurrent: 10",
        ),
        [(key, amount)] => {
            if *amount == Some(0) {
                findings.add(
                    &path.key(key),
                    Spot::Value,
                    "nothing is allowed, so every request would be refused",
                    "write 1 or more",
                );
            }
        }
        [_, (key, _), ..] => findings.add(
            &path.key(key),
            Spot::Key,
            "the limit says how much is allowed in more than one way",
            "keep one of requests, tokens, cost and concurrent, and write a limit of its own for the other",
        ),
    }
    if limit.count.is_some() && limit.tokens.is_none() && !told {
        findings.add(
            &path.key("count"),
            Spot::Key,
            "`count` says which tokens count, and this limit is not about tokens",
            "remove it, or limit tokens",
        );
    }
}

fn check_window(limit: &Limit, path: &Path, findings: &mut Findings<'_>) {
    let place = findings.places.find(path);
    let told = place.is_some_and(|place| place.has_pruned_any());
    if limit.concurrent.is_some() {
        for (key, written) in [
            ("per", limit.per.is_some()),
            ("technique", limit.technique.is_some()),
        ] {
            if written {
                findings.add(
                    &path.key(key),
                    Spot::Key,
                    format!("what runs at the same time has no window, and so no `{key}`"),
                    "remove it",
                );
            }
        }
        return;
    }
    match limit.per.map(|per| per.0) {
        Some(Span::Month) => {}
        Some(Span::Millis(millis)) if SPAN_MS.contains(&millis) => {}
        Some(_) => findings.add(
            &path.key("per"),
            Spot::Value,
            "a window is from one second to a month long",
            "write a period from 1s to 31d, or month",
        ),
        None if told => {}
        None => findings.add(
            path,
            Spot::Key,
            "the limit does not say for how long it counts",
            "add per: 1m, or another period from 1s to 31d, or month",
        ),
    }
}

fn check_over(limit: &Limit, path: &Path, findings: &mut Findings<'_>) {
    let Over::Wait(Wait { queue, within }) = &limit.over else {
        return;
    };
    let path = path.key("over").key("wait");
    if !(1..=QUEUE_MAX).contains(queue) {
        findings.add(
            &path.key("queue"),
            Spot::Value,
            "so many cannot wait",
            "write a number from 1 to 10000",
        );
    }
    if within.is_zero() || within.duration() > WITHIN_MAX {
        findings.add(
            &path.key("within"),
            Spot::Value,
            "nobody can wait for so long",
            "write a period up to 10m",
        );
    }
}

fn check_counters(config: &Config, findings: &mut Findings<'_>) {
    let memory = config.counters.memory.bytes();
    if !(1 << 20..=64 << 30).contains(&memory) {
        findings.add(
            &Path::top().key("counters").key("memory"),
            Spot::Value,
            "this is no room that counters can use",
            "write a size from 1MiB to 64GiB",
        );
    }
}
