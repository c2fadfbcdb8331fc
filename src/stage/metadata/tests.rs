//! Tests of what is kept of metadata and what is said of the rest.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn check(sent: &str, kept: Value, warning: &str) {
    let (metadata, faults) = read(sent.as_bytes(), Config::default());
    assert_eq!(serde_json::to_value(&metadata).unwrap(), kept, "{sent}");
    let said = if faults.is_empty() {
        String::new()
    } else {
        faults.to_string()
    };
    assert_eq!(said.trim_start_matches("cf-aig-metadata: "), warning);
}

#[test]
fn plain_values_are_kept_as_they_are() {
    check(
        r#" {"team":"AI é","user":12345,"beta":true,"share":0.5,"big":18446744073709551615} "#,
        json!({"team": "AI é", "user": 12345, "beta": true, "share": 0.5, "big": u64::MAX}),
        "",
    );
    check("{}", json!({}), "");
}

#[test]
fn what_is_no_object_is_lost_whole() {
    check("", json!({}), "not JSON, nothing kept");
    check(r#"{"a":1"#, json!({}), "not JSON, nothing kept");
    check(r#"{"a":1} x"#, json!({}), "not JSON, nothing kept");
    check(r#"{"a":"#, json!({}), "not JSON, nothing kept");
    check("[1]", json!({}), "not a JSON object, nothing kept");
    check("\"a\"", json!({}), "not a JSON object, nothing kept");
    check("null", json!({}), "not a JSON object, nothing kept");
    let (_, faults) = read(b"{\"a\":\"\xff\"}", Config::default());
    assert_eq!(
        faults.to_string(),
        "cf-aig-metadata: not UTF-8, nothing kept"
    );
}

#[test]
fn a_bad_entry_is_dropped_alone() {
    let value = "a value has to be a string, a number or a boolean";
    check(
        r#"{"a":null,"b":1,"c":{"d":1},"e":[2],"f":1e999,"g":"\ud800"}"#,
        json!({"b": 1}),
        &format!("dropped \"a\" and 4 more, {value}"),
    );
    check(
        r#"{"cf.user_id":"x","cfx":1,"cf.":2}"#,
        json!({"cfx": 1}),
        "dropped \"cf.user_id\" and 1 more, names that begin with cf. are reserved",
    );
    check(
        r#"{"a":1,"a":2,"\u0061":3}"#,
        json!({"a": 1}),
        "dropped \"a\" and 1 more, a name may be given once",
    );
    check(
        &format!("{{\"a\":\"{}\",\"b\":1}}", "x".repeat(4097)),
        json!({"b": 1}),
        "dropped \"a\", a name may have 256 bytes and a string 4096",
    );
}

#[test]
fn the_first_sound_entries_are_kept() {
    check(
        r#"{"a":1,"n":null,"b":2,"cf.x":0,"c":3,"d":4,"e":5,"f":6,"g":7}"#,
        json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}),
        "dropped \"n\", a value has to be a string, a number or a boolean; \
         dropped \"cf.x\", names that begin with cf. are reserved; \
         dropped \"f\" and 1 more, too many entries (gateways.NAME.metadata.max_entries)",
    );
}

#[test]
fn a_name_is_shown_in_visible_characters_only() {
    check(
        r#"{"a\r\nset-cookie: \"é":null}"#,
        json!({}),
        "dropped \"a??set-cookie: ??\", a value has to be a string, a number or a boolean",
    );
}

/// Objects with all that can be wrong, not only noise.
fn object() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-c]",
        "cf\\.[a-z]",
        ".{0,5}",
        proptest::collection::vec("x", 250..260).prop_map(|x| x.concat())
    ];
    let value = proptest::sample::select(vec![
        "1", "-2.5", "\"t\"", "true", "null", "[1]", "{}", "1e999",
    ]);
    proptest::collection::vec((name, value), 0..12).prop_map(|entries| {
        let entries = entries
            .iter()
            .map(|(name, value)| format!("{}:{value}", json!(name)));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
    })
}

fn is_sound(bytes: &[u8], max_entries: usize) -> Result<(), TestCaseError> {
    let (metadata, faults) = read(bytes, Config { max_entries });
    let kept = serde_json::to_value(&metadata).unwrap();
    let kept = kept.as_object().unwrap();
    prop_assert_eq!(kept.len(), metadata.len());
    prop_assert!(metadata.len() <= max_entries);
    // The last of a name stays in a map, the first is kept: look for each in the list.
    let sent = std::str::from_utf8(bytes).ok();
    let sent = sent.and_then(|text| serde_json::from_str::<Entries<'_>>(text).ok());
    let sent = sent.map(|entries| entries.0).unwrap_or_default();
    for (name, value) in kept {
        let is_it = |(own, raw): &&(String, &RawValue)| {
            own == name && serde_json::from_str::<Value>(raw.get()).ok().as_ref() == Some(value)
        };
        prop_assert!(sent.iter().find(is_it).is_some(), "{} was not sent", name);
        prop_assert!(!name.starts_with("cf."));
    }
    let silent = faults.is_empty();
    let whole = !sent.is_empty() || bytes.trim_ascii().starts_with(b"{");
    prop_assert!(!silent || (sent.len() == kept.len() && whole));
    let said = faults.to_string();
    prop_assert!(said.len() <= 1024, "{}", said);
    prop_assert!(said.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        is_sound(&bytes, 5)?;
    }

    #[test]
    fn what_is_kept_was_sent_and_what_is_dropped_is_told(
        object in object(), max_entries in 1..8usize
    ) {
        is_sound(object.as_bytes(), max_entries)?;
    }
}
