//! A million random keys take no more memory than the counters were given.
#![cfg(test)]

use std::fs;
use tollgate::store::counters::account::{Identity, Kind};
use tollgate::store::counters::hold::Charge;
use tollgate::store::counters::span::Span;
use tollgate::store::counters::window::{Technique, Terms};
use tollgate::store::counters::{Counters, Want};

const KEYS: u32 = 1_000_000;
const GIVEN: usize = 32 << 20;
/// What a room cannot count: the growing of its tables, and the sketch for newcomers.
const ALLOWANCE: usize = 16 << 20;

/// The process's memory in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

fn flood(technique: Technique, kind: Kind) {
    let counters = Counters::open(GIVEN, None).unwrap();
    let terms = Terms {
        technique,
        span: Span::Millis(86_400_000),
        limit: 100,
    };
    let rule = counters.rule(Identity(1), kind, terms);
    let take = |id: u128, amount: u64| {
        let want = Want {
            rule: &rule,
            id,
            label: &|| format!("client={id:x}"),
            amount,
            charge: Charge::AtEnd,
        };
        let grants = counters.take(&[want]).ok()?;
        grants
            .into_iter()
            .for_each(|grant| grant.settle(counters.now(), amount));
        Some(())
    };
    // One that is there before the others come.
    let live = counters.hash(b"live");
    assert!(take(live, 60).is_some());
    let before = resident();
    for key in 0..KEYS {
        take(counters.hash(&key.to_le_bytes()), 1);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < GIVEN + ALLOWANCE, "{technique:?} {kind:?}: {grown}");
    // It was not forgotten, and still has its own.
    assert!(take(live, 41).is_none());
    assert!(take(live, 40).is_some());
}

/// One after the other, so that what is measured is the one's own.
#[test]
fn a_million_random_keys_stay_within_their_room() {
    flood(Technique::Sliding, Kind::Rate);
    flood(Technique::Fixed, Kind::Budget);
    flood(Technique::Burst, Kind::Budget);
}
