//! Asks for a stream's usage in a request's body, every other byte of which stays as it is.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::ops::Range;

const MEMBER: &[u8] = br#""stream_options":{"include_usage":true}"#;
const OPTIONS: &[u8] = br#"{"include_usage":true}"#;
const OPTION: &[u8] = br#""include_usage":true"#;

/// The members that decide; any of them given twice is a fault.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    /// Azure's chat over data of one's own, which refuses the option.
    #[serde(alias = "dataSources")]
    data_sources: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Options<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

/// A value that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The body that asks for usage as well. `None` where this one asks already, or cannot be told to:
/// it is no JSON object, names a member twice, or spells the option in a way of its own.
pub fn ask(body: &[u8]) -> Option<Vec<u8>> {
    let inside = after_brace(body)?;
    let members: Members<'_> = serde_json::from_slice(body).ok()?;
    if members.data_sources.is_some() {
        return None;
    }
    let Some(options) = members.stream_options.map(RawValue::get) else {
        return insert(body, inside, MEMBER);
    };
    if options == "null" {
        return splice(body, place(body, options)?, &[OPTIONS]);
    }
    let within = after_brace(options.as_bytes())?;
    let asked = serde_json::from_str::<Options<'_>>(options).ok()?;
    match asked.include_usage.map(RawValue::get) {
        None => insert(body, place(body, options)?.start + within, OPTION),
        Some(value @ ("false" | "null")) => splice(body, place(body, value)?, &[b"true"]),
        Some(_) => None,
    }
}

/// Where the inside of an object begins.
fn after_brace(json: &[u8]) -> Option<usize> {
    let start = json.iter().position(|byte| !is_space(*byte))?;
    (json.get(start) == Some(&b'{')).then_some(start + 1)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Puts a member before the others of the object whose inside begins at `at`.
fn insert(body: &[u8], at: usize, member: &[u8]) -> Option<Vec<u8>> {
    let mut rest = body.get(at..)?.iter();
    let alone = rest.find(|byte| !is_space(**byte)) == Some(&b'}');
    let comma: &[u8] = if alone { b"" } else { b"," };
    splice(body, at..at, &[member, comma])
}

/// Where a part that was borrowed from `body` stands in it.
fn place(body: &[u8], part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    Some(start..start + part.len())
}

fn splice(body: &[u8], place: Range<usize>, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let (lead, tail) = (body.get(..place.start)?, body.get(place.end..)?);
    let added: usize = parts.iter().map(|part| part.len()).sum();
    let mut whole = Vec::with_capacity(lead.len() + added + tail.len());
    whole.extend_from_slice(lead);
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole.extend_from_slice(tail);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn check(body: &str, expect: Option<&str>) {
        let edited = ask(body.as_bytes()).map(|body| String::from_utf8(body).unwrap());
        assert_eq!(edited.as_deref(), expect, "{body}");
    }

    #[test]
    fn the_option_is_added_or_set_and_nothing_else_moves() {
        check(
            r#" { "stream" :true}"#,
            Some(r#" {"stream_options":{"include_usage":true}, "stream" :true}"#),
        );
        check("{ }", Some(r#"{"stream_options":{"include_usage":true} }"#));
        check(
            r#"{"a":"é","stream_options": null ,"b":[1.0]}"#,
            Some(r#"{"a":"é","stream_options": {"include_usage":true} ,"b":[1.0]}"#),
        );
        check(
            r#"{"stream_options":{ }}"#,
            Some(r#"{"stream_options":{"include_usage":true }}"#),
        );
        check(
            r#"{"stream\u005foptions":{"include_obfuscation":false}}"#,
            Some(r#"{"stream\u005foptions":{"include_usage":true,"include_obfuscation":false}}"#),
        );
        check(
            r#"{"stream_options":{"x":1,"include_usage" : false }}"#,
            Some(r#"{"stream_options":{"x":1,"include_usage" : true }}"#),
        );
        check(
            r#"{"stream_options":{"include_usage":null}}"#,
            Some(r#"{"stream_options":{"include_usage":true}}"#),
        );
        // The same words elsewhere are no option.
        check(
            r#"{"messages":[{"stream_options":{"include_usage":true}}]}"#,
            Some(
                r#"{"stream_options":{"include_usage":true},"messages":[{"stream_options":{"include_usage":true}}]}"#,
            ),
        );
    }

    #[test]
    fn what_asks_already_or_cannot_be_told_to_stays() {
        for body in [
            r#"{"stream_options":{"include_usage":true}}"#,
            r#"{"stream_options":{"include_usage":"yes"}}"#,
            r#"{"stream_options":[false]}"#,
            r#"{"stream_options":true}"#,
            r#"{"stream_options":{},"stream_options":{}}"#,
            r#"{"stream_options":{"include_usage":false,"include_usage":false}}"#,
            r#"{"data_sources":[{"type":"azure_search"}]}"#,
            r#"[{"include_usage":false},null]"#,
            r#"{"stream":true"#,
            r#"{"stream":true}}"#,
            r#"{"a":nope}"#,
            "null",
            "",
        ] {
            check(body, None);
        }
    }

    /// JSON of some depth, in which the words that matter are common.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((name(), inner), 0..5)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("stream_options".to_owned()),
            Just("include_usage".to_owned()),
            Just("stream".to_owned()),
            ".{0,4}",
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            ask(&bytes);
        }

        #[test]
        fn an_edited_body_says_the_same_and_the_option(
            members in proptest::collection::vec((name(), value()), 0..6), pretty in any::<bool>()
        ) {
            let mut value: Value = members.into_iter().collect();
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            let edited = ask(text.as_bytes());
            let options = value.get("stream_options").cloned().unwrap_or_default();
            let told = options.get("include_usage").cloned().unwrap_or_default();
            let tellable = (options.is_null() || options.is_object())
                && (told.is_null() || told == false);
            prop_assert_eq!(edited.is_some(), tellable);
            if let Some(edited) = edited {
                if options.is_null() {
                    value["stream_options"] = json!({});
                }
                value["stream_options"]["include_usage"] = true.into();
                prop_assert_eq!(serde_json::from_slice::<Value>(&edited).unwrap(), value);
                // What was added stands in one place: the lead and the tail are the client's own.
                let same = |a: &mut dyn Iterator<Item = (&u8, &u8)>| a.take_while(|(a, b)| a == b).count();
                let lead = same(&mut edited.iter().zip(text.as_bytes()));
                let tail = same(&mut edited.iter().rev().zip(text.as_bytes().iter().rev()));
                // What is replaced is `null` or `false`, at most.
                prop_assert!(lead + tail + 5 >= text.len(), "{}", text);
            }
        }
    }
}
