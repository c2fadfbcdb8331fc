//! What bodies ask for, and that it is what a parser of all JSON makes of them.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

fn check(body: &str, model: Option<&str>, stream: bool) {
    let expect = Call {
        model: model.map(str::to_owned),
        stream,
        output_max: None,
    };
    assert_eq!(read(body.as_bytes()), expect, "{body}");
}

#[test]
fn bodies_say_their_model_and_whether_they_stream() {
    check(
        r#"{"messages":[{"model":"no"}],"model":"gpt","stream":true}"#,
        Some("gpt"),
        true,
    );
    check(r#"{"model":"a\u002db","stream":null}"#, Some("a-b"), false);
    check(r#"{"model_id":"eleven"}"#, Some("eleven"), false);
    check(r#"{"model":"a","model":"b"}"#, Some("b"), false);
    check(r#"{"model":"a","model_id":0}"#, Some("a"), false);
    check(r#"{"model":7}"#, None, false);
    check(r#"["#, None, false);
    check(r#"["gpt",null,true]"#, None, false);
    check("", None, false);
}

#[test]
fn a_body_takes_another_model_and_nothing_else_changes() {
    let check = |body: &str, expect: Option<&str>| {
        let changed = with_model(body.as_bytes(), "b\"2");
        let changed = changed.map(|body| String::from_utf8(body).unwrap());
        assert_eq!(changed.as_deref(), expect, "{body}");
    };
    check(
        r#"{ "messages":[{"model":"a"}], "model" : "a" ,"n":1.0}"#,
        Some(r#"{ "messages":[{"model":"a"}], "model" : "b\"2" ,"n":1.0}"#),
    );
    check(r#"{"model_id":"a"}"#, Some(r#"{"model_id":"b\"2"}"#));
    for body in [
        "{}",
        "[]",
        "",
        r#"{"model":7}"#,
        r#"{"model":"a","model":"b"}"#,
    ] {
        check(body, None);
    }
}

#[test]
fn bodies_say_how_long_their_answer_may_be() {
    for (body, output_max) in [
        (r#"{"max_tokens":100}"#, Some(100)),
        (
            r#"{"max_tokens":100,"max_completion_tokens":200,"n":3}"#,
            Some(600),
        ),
        (r#"{"max_output_tokens":1e2}"#, Some(100)),
        (
            r#"{"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#,
            Some(14),
        ),
        (r#"{"generation_config":{"max_output_tokens":7}}"#, Some(7)),
        (r#"{"inferenceConfig":{"maxTokens":5,"topP":1}}"#, Some(5)),
        (r#"{"options":{"num_predict":9}}"#, Some(9)),
        (r#"{"options":{"num_predict":-1}}"#, None),
        (r#"{"max_tokens":"100"}"#, None),
        (r#"{"max_tokens":null,"n":2}"#, None),
        (r#"{"generationConfig":[1]}"#, None),
        (r#"{"messages":[{"max_tokens":4}]}"#, None),
        (
            r#"{"max_tokens":18446744073709551615,"n":2}"#,
            Some(u64::MAX),
        ),
    ] {
        let call = read(body.replacen('{', "{\"model\":\"m\",", 1).as_bytes());
        assert_eq!(call.output_max, output_max, "{body}");
        assert_eq!(call.model.as_deref(), Some("m"), "{body}");
    }
}

#[test]
fn files_in_base64_are_no_text() {
    assert_eq!(text_bytes(b"{}"), 2);
    let text = "a word and another ".repeat(200);
    let body = format!(r#"{{"content":"{text}"}}"#);
    assert_eq!(text_bytes(body.as_bytes()), body.len() as u64);
    let file = "QUJD".repeat(5000);
    let body = format!(r#"{{"text":"see","url":"data:image/png;base64,{file}"}}"#);
    assert!(
        text_bytes(body.as_bytes()) < 64,
        "{}",
        text_bytes(body.as_bytes())
    );
    assert_eq!(text_bytes(&[b'"'; 5000]), 5000);
}

/// The members as a parser finds them, which skips all others.
#[derive(Default)]
struct Parsed<'a>(Members<'a>);

impl<'de> Deserialize<'de> for Parsed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParsedVisitor)
    }
}

struct ParsedVisitor;

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for ParsedVisitor {
    type Value = Parsed<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed<'de>, A::Error> {
        let mut parsed = Parsed::default();
        while let Some(Name(name)) = map.next_key()? {
            match parsed.0.of_name(name.as_bytes()) {
                Some(member) => *member = Some(map.next_value::<&RawValue>()?.get().as_bytes()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(parsed)
    }
}

/// What a request asks for as a parser reads it.
fn parse(body: &[u8]) -> Option<Call> {
    let members = serde_json::from_slice::<Parsed<'_>>(body).ok()?.0;
    let text = |value: Option<&[u8]>| serde_json::from_slice::<String>(value?).ok();
    Some(Call {
        output_max: members.output_max(),
        model: text(members.model).or_else(|| text(members.model_id)),
        stream: members.stream == Some(b"true"),
    })
}

fn reads_as_parsed(body: &[u8]) {
    let shown = String::from_utf8_lossy(body);
    assert_eq!(read(body), parse(body).unwrap_or_default(), "{shown}");
    let valid = serde_json::from_slice::<Parsed<'_>>(body).is_ok();
    assert_eq!(Members::of_body(body).is_some(), valid, "{shown}");
}

/// Pieces of bodies, good ones and others.
fn made_up() -> impl Strategy<Value = Vec<u8>> {
    let pieces = select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "\n",
        "\u{1}",
        "\u{7f}",
        "é",
        "true",
        "false",
        "null",
        "tru",
        "0",
        "-0",
        "01",
        "-",
        "1.5",
        "1.",
        "1e3",
        "1e",
        "1E+2",
        "-7",
        "12345678901234567890",
        "1e999",
        "0.0",
        "\"model\":",
        "\"m\\u006fdel\":",
        "\"model_id\":",
        "\"stream\":",
        "\"max_tokens\":",
        "\"n\":2",
        "\"gpt\"",
        "\"g\\\"t\"",
        "\"\\ud800\"",
        "\"\\u00e9\"",
        "\"\\u00g9\"",
        "\"\\x\"",
        "\"\"",
        "\"a tab\there\"",
        "\"options\":{\"num_predict\":9}",
        "\"generationConfig\":{\"maxOutputTokens\":5,\"candidateCount\":3}",
        "\"generation_config\":[1,2,3,4]",
        "\"messages\":[{\"role\":\"user\",\"content\":\"hello \\\"you\\\"\\n\"}]",
    ]);
    let piece = prop_oneof![
        12 => pieces.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Values that hold, nested and spaced out.
fn value() -> impl Strategy<Value = String> {
    let plain = select(vec![
        "null",
        "true",
        "false",
        "0",
        "-12.5e-3",
        "1e2",
        "100.0",
        "\"\"",
        "\"a\\\\\"",
        "\"\\u00e9\\/\\b\"",
        "\"Who pays may pass, those who do not \\\"wait\\\".\\n\"",
        "{}",
        "[ ]",
        "7",
    ]);
    plain
        .prop_map(str::to_owned)
        .prop_recursive(5, 40, 5, |inner| {
            let name = select(vec![
                "model",
                "n",
                "stream",
                "m\\u006fdel",
                "max_tokens",
                "options",
                "num_predict",
                "x",
            ]);
            let member =
                (name, inner.clone()).prop_map(|(name, value)| format!("\"{name}\" :{value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..5)
                    .prop_map(|items| format!("[{}]", items.join(" ,"))),
                prop::collection::vec(member, 0..7)
                    .prop_map(|members| format!("{{ {}\n}}", members.join(","))),
            ]
        })
}

proptest! {
    #[test]
    fn what_is_made_up_reads_as_parsed(body in made_up()) {
        reads_as_parsed(&body);
        reads_as_parsed(&[b"{", body.as_slice(), b"}"].concat());
        reads_as_parsed(&[b"{\"model\":\"m\",\"a\":", body.as_slice(), b"}"].concat());
    }

    #[test]
    fn what_holds_reads_as_parsed(body in value(), at in any::<prop::sample::Index>(), damage in any::<u8>()) {
        reads_as_parsed(body.as_bytes());
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        body[at] = damage;
        reads_as_parsed(&body);
        body.truncate(at);
        reads_as_parsed(&body);
    }
}

#[test]
fn depth_costs_nothing_and_brackets_have_to_match() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 200, 100_000] {
        let nest = |open: &str, close: &str| {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            format!("{{\"a\":{open}1{close},\"model\":\"m\"}}")
        };
        for body in [nest("[", "]"), nest("{\"x\":", "}"), nest("[{\"x\":", "}]")] {
            reads_as_parsed(body.as_bytes());
            assert_eq!(read(body.as_bytes()).model.as_deref(), Some("m"));
            reads_as_parsed(body.replacen("1]", "1}", 1).as_bytes());
            reads_as_parsed(body.replacen("1}", "1]", 1).as_bytes());
            reads_as_parsed(body.replacen("]]", "]}", 1).as_bytes());
        }
    }
}

#[test]
fn every_place_in_a_block_is_looked_at() {
    for len in 0..40 {
        for odd in [
            "\\\"", "\\u00e9", "\\\\", "\\u00e", "\\q", "\t", "é", "\"", "\\",
        ] {
            let (lead, tail) = ("x".repeat(len), "y".repeat(40 - len));
            reads_as_parsed(format!("{{\"model\":\"{lead}{odd}{tail}\"}}").as_bytes());
            reads_as_parsed(format!("{{\"{lead}{odd}\":\"\",\"model\":\"{lead}\"}}").as_bytes());
            reads_as_parsed(format!("{{\"a\":\"{lead}{odd}").as_bytes());
        }
    }
}
