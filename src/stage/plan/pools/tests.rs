//! Tests of pools that take the place of others: in this process, and in a successor.

use super::*;
use crate::llm::operation::Operation;
use crate::stage::plan::fault::Fault;
use crate::stage::plan::pool::{Asked, Outcome, Resort, Tried};
use proptest::prelude::*;

fn parked() -> IntCounterVec {
    IntCounterVec::new(Opts::new("p", "p"), &["provider", "key"]).unwrap()
}

fn build(config: &str, earlier: Option<&Pools>) -> Pools {
    let own: BTreeMap<String, Config> = serde_yaml::from_str(config).unwrap();
    let catalogue = Catalogue::build(&own).unwrap();
    Pools::build(&catalogue, &own, &parked(), earlier).unwrap()
}

/// What a successor makes of what it is told, over the wire.
fn succeed(config: &str, told: &Pools) -> Pools {
    let told = serde_json::to_string(&told.standing().unwrap()).unwrap();
    for secret in ["zq1", "zq2"] {
        assert!(!told.contains(secret), "{told}");
    }
    let new = build(config, None);
    new.resume(&serde_json::from_str(&told).unwrap());
    new
}

/// Sends `count` requests to `custom-x` that end with `fault`.
fn send(config: &str, pools: &Pools, count: usize, fault: Fault, model: &str) {
    let own: BTreeMap<String, Config> = serde_yaml::from_str(config).unwrap();
    let catalogue = Catalogue::build(&own).unwrap();
    let provider = catalogue.provider("custom-x").unwrap();
    let place = provider.place("chat/completions", None).unwrap();
    assert_eq!(place.operation, Operation::Chat);
    let pool = pools.pool("custom-x").unwrap();
    for _ in 0..count {
        let asked = Asked {
            origin: &place.origin,
            model: Some(model),
            affinity: None,
            own_key: false,
        };
        let choice = pool.choose(&asked, &Tried::default(), Resort::LeastBad);
        choice.unwrap().ticket.report(Outcome {
            fault: Some(fault),
            ..Outcome::default()
        });
    }
}

/// The members that rest.
fn open(pools: &Pools) -> Vec<String> {
    let told = pools.conditions().filter(|told| told.state == State::Open);
    let mut told: Vec<_> = told.map(|told| told.member).collect();
    told.sort();
    told
}

const PLAIN: &str =
    "custom-x: {base_url: 'http://a/v1', dialect: openai, keys: [{name: k, key: zq1}]}";
const LISTED: &str = "custom-x: {endpoints: ['http://a/v1', 'http://b/v1'], dialect: openai, keys: [{name: k, key: zq1}, {name: l, key: zq2}]}";

#[test]
fn an_unchanged_pool_is_used_on() {
    let old = build(LISTED, None);
    let same = |new: &Pools| {
        let pool = |pools: &Pools| pools.pool("custom-x").unwrap().clone();
        Arc::ptr_eq(&pool(&old), &pool(new))
    };
    assert!(same(&build(LISTED, Some(&old))));
    // What is no business of the pool's.
    let other = format!("{LISTED}\nopenai: {{base_url: 'http://c'}}");
    assert!(same(&build(&other, Some(&old))));
    let priced = LISTED.replace("dialect", "prices: {m: {input: $1, output: $1}}, dialect");
    assert!(same(&build(&priced, Some(&old))));
    for (from, to) in [
        ("http://b/v1", "http://c/v1"),
        ("zq2", "zq3"),
        ("name: l", "name: m"),
        ("key: zq2}", "key: zq2, weight: 2}"),
        ("dialect", "balance: fastest, dialect"),
        ("dialect", "breaker: {open: 1s}, dialect"),
    ] {
        assert!(!same(&build(&LISTED.replace(from, to), Some(&old))), "{to}");
    }
}

#[test]
fn what_is_known_of_members_that_stay_is_not_forgotten() {
    for config in [PLAIN, LISTED] {
        let old = build(config, None);
        send(config, &old, 9, Fault::Status(404), "gone");
        send(config, &old, 20, Fault::Status(401), "m");
        send(config, &old, 40, Fault::Connect, "m");
        let known = open(&old);
        assert!(known.len() >= 3, "{known:?}");
        let changed = config.replace("dialect", "breaker: {open: 1m}, dialect");
        let other_window = config.replace("dialect", "breaker: {window: 1m}, dialect");
        for config in [config, &changed, &other_window] {
            assert_eq!(open(&build(config, Some(&old))), known, "{config}");
            assert_eq!(open(&succeed(config, &old)), known, "{config}");
        }
        // Another secret under the same name has done nothing yet.
        let renewed = config.replace("zq1", "zq9");
        let fewer: Vec<_> = known
            .iter()
            .filter(|name| *name != "key k")
            .cloned()
            .collect();
        assert_eq!(open(&build(&renewed, Some(&old))), fewer);
        assert_eq!(open(&succeed(&renewed, &old)), fewer);
        // Where breakers are off, none may stand open: nothing would close it.
        let off = config.replace("dialect", "breaker: {enabled: false}, dialect");
        assert_eq!(open(&build(&off, Some(&old))), [] as [String; 0]);
        assert_eq!(open(&succeed(&off, &old)), [] as [String; 0]);
        let gone = build("custom-y: {base_url: 'http://a'}", Some(&old));
        assert_eq!(open(&gone), [] as [String; 0]);
    }
}

#[test]
fn an_endpoint_that_is_gone_takes_what_was_known_with_it() {
    let old = build(LISTED, None);
    send(LISTED, &old, 9, Fault::Status(404), "gone");
    send(LISTED, &old, 40, Fault::Connect, "m");
    let other = LISTED.replace("http://b/v1", "http://c/v1");
    for new in [build(&other, Some(&old)), succeed(&other, &old)] {
        let told = open(&new);
        assert!(
            told.contains(&"endpoint http://a/v1".to_owned()),
            "{told:?}"
        );
        assert!(
            !told
                .iter()
                .any(|name| name.contains("//b") || name.contains("//c"))
        );
        assert_eq!(told.iter().filter(|name| *name == "model gone").count(), 1);
    }
}

#[test]
fn requests_that_run_still_count_where_nothing_changed_about_a_member() {
    let old = build(LISTED, None);
    send(LISTED, &old, 2, Fault::Connect, "m");
    let more = LISTED.replace("'http://b/v1'", "'http://b/v1', 'http://c/v1'");
    let new = build(&more, Some(&old));
    // What the earlier pool's requests come to counts in both.
    send(LISTED, &old, 40, Fault::Connect, "m");
    let shared: Vec<_> = open(&new);
    assert_eq!(shared, ["endpoint http://a/v1", "endpoint http://b/v1"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_that_is_told_stops_a_successor(text in "\\PC{0,60}", rest in any::<u64>(), many in any::<u64>()) {
        let member = serde_json::json!({
            "name": text, "of": text, "forbidden": many, "what": "is this",
            "breaker": {"rest_ms": rest, "window_ms": 30_000, "ends": [{"ago": many, "good": many, "bad": many}, {"good": many, "bad": many}]},
            "speed": {"average_us": many, "ago_ms": rest},
        });
        let mut of_pool = serde_json::json!({"later": 1});
        for kind in ["endpoints", "keys", "hosts", "models"] {
            let mut named = member.clone();
            named["name"] = "http://a/v1".into();
            of_pool[kind] = vec![member.clone(), named].into();
        }
        let told = serde_json::json!({"providers": {"custom-x": of_pool}, "newer": {}});
        for config in [PLAIN, LISTED] {
            let new = build(config, None);
            new.resume(&serde_json::from_value(told.clone()).unwrap());
            send(config, &new, 3, Fault::Connect, "m");
            prop_assert!(new.conditions().count() > 0);
        }
    }
}
