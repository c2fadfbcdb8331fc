//! A usage object that is read as it stands is read as a parser does.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

/// Whether it was read as it stands; if so, the parser agrees.
fn is_plain(raw: &[u8]) -> bool {
    let Some(wire) = plain::read::<Wire>(raw) else {
        return false;
    };
    let parsed: Wire = serde_json::from_slice(raw).unwrap();
    assert_eq!(
        wire.usage(),
        parsed.usage(),
        "{}",
        String::from_utf8_lossy(raw)
    );
    true
}

const NAMES: [&str; 31] = [
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "output_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "prompt_audio_seconds",
    "seconds",
    "num_search_queries",
    "search_units",
    "cost",
    "cost_in_usd_ticks",
    "cache_write_tokens",
    "cache_creation_tokens",
    "cached_creation_tokens",
    "audio_tokens",
    "image_tokens",
    "text_tokens",
    "prompt\\u005ftokens",
    "n\u{e9}",
    "",
];

fn value() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "null",
        "1.0",
        "-1",
        "\"7\"",
        "01",
        "1e2",
        "[1,2]",
        "{}",
        "true",
        "0.5",
        "-0",
        "",
        "18446744073709551615",
        "18446744073709551616",
        "\"\\ud800\"",
        "{\"total_cost\":0.1}",
    ]);
    prop_oneof![
        6 => (0..1000_u64).prop_map(|number| number.to_string()),
        2 => odd.prop_map(str::to_owned),
    ]
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (select(NAMES.to_vec()), value);
    let member = member.prop_map(|(name, value)| format!("\"{name}\": {value}"));
    let members = prop::collection::vec(member, 0..8);
    members.prop_map(|members| format!("{{{}}}", members.join(" ,")))
}

proptest! {
    #[test]
    fn what_is_read_as_it_stands_is_read_as_parsed(
        text in object(prop_oneof![3 => value(), 2 => object(value())]),
        at in any::<prop::sample::Index>(),
        damage in any::<u8>(),
    ) {
        is_plain(text.as_bytes());
        let mut raw = text.into_bytes();
        let at = at.index(raw.len());
        raw[at] = damage;
        is_plain(&raw);
    }
}

#[test]
fn every_two_members_are_read_as_parsed() {
    for one in NAMES {
        for two in NAMES {
            is_plain(format!("{{\"{one}\":7,\"{two}\":9}}").as_bytes());
            is_plain(format!("{{\"{one}\":{{\"{two}\":5}},\"total_tokens\":9}}").as_bytes());
        }
    }
}

#[test]
fn usual_objects_are_read_as_they_stand() {
    let usual = r#"{"prompt_tokens":120,"completion_tokens":256,"total_tokens":376,
        "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0,"text_tokens":[1]},
        "completion_tokens_details":null, "queue_time" : 0.02 }"#;
    assert!(is_plain(usual.as_bytes()));
    for (from, to) in [
        ("120", "120.0"),
        ("120", "\"120\""),
        ("120", "0120"),
        ("completion_tokens\":256", "prompt_tokens\":256"),
        ("audio_tokens", "cached_tokens"),
        ("completion_tokens_details", "prompt_tokens_details"),
        ("queue_time", "queue\\time"),
        ("null", "nul"),
        ("0.02 }", "0.02 }}"),
        ("64,", "64 "),
    ] {
        assert!(!is_plain(usual.replacen(from, to, 1).as_bytes()), "{to}");
    }
}
