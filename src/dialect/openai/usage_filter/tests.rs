//! Tests of what goes and what stays, at any split.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

const USAGE: &str = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
const DELTA: &str = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}"#;

fn pass(pieces: &[&[u8]]) -> Vec<u8> {
    let mut filter = UsageFilter::default();
    let mut out = Vec::new();
    for piece in pieces {
        let piece = Bytes::copy_from_slice(piece);
        out.extend(filter.pass(Some(piece), false).unwrap_or_default());
    }
    out.extend(filter.pass(None, true).unwrap_or_default());
    out
}

fn check(stream: &str, expect: &str) {
    let bytes = stream.as_bytes();
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(show(&pass(&[bytes])), expect, "{stream:?}");
    for at in 0..=bytes.len() {
        let (lead, tail) = bytes.split_at(at);
        assert_eq!(show(&pass(&[lead, tail])), expect, "{stream:?} cut at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(show(&pass(&single)), expect, "{stream:?} byte by byte");
}

#[test]
fn the_usage_event_goes_and_its_neighbours_stay() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!("data: {DELTA}\n\ndata: {USAGE}\n\n: ping\n\ndata: [DONE]\n\n");
        let rest = format!("data: {DELTA}\n\n: ping\n\ndata: [DONE]\n\n");
        check(&text.replace('\n', end), &rest.replace('\n', end));
    }
    check(&format!("data: {USAGE}\n\n"), "");
    check(&format!("data:{USAGE}\n\n\ndata: x\n\n"), "\ndata: x\n\n");
    check(
        &format!("id: 1\nevent: chunk\ndata: {USAGE}\nretry: 5\n\nid: 2\n\n"),
        "id: 2\n\n",
    );
    check(&format!(": a\n:b\ndata: {USAGE}\n\n"), ": a\n:b\n");
    let lines = USAGE.replace(',', ",\ndata: ").replace("[]", "[\ndata:]");
    check(&format!("data: {lines}\n\ndata: y\n\n"), "data: y\n\n");
    check(&format!("data:\ndata: {USAGE}\n\n"), "");
    let nested = r#"{"x":"choices","choices": [ ],"usage":{"choices":[1]}}"#;
    check(&format!("data: {nested}\n\n"), "");
    check(r#"data: {"ch\u006fices":[],"usage":{}}"#, "");
    // Cut from its empty line by the stream's end.
    check(&format!("data: y\n\ndata: {USAGE}\n"), "data: y\n\n");
}

#[test]
fn whatever_is_not_that_event_stays() {
    for data in [
        DELTA,
        // Azure's first chunk.
        r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}],"usage":null}"#,
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        r#"{"choices":[{"delta":{}}],"x_groq":{"usage":{"prompt_tokens":1}}}"#,
        r#"{"choices":[{"delta":{"content":"\"choices\":[],\"usage\":{}"}}],"usage":{"a":1}}"#,
        r#"{"choices":null,"usage":{"a":1}}"#,
        r#"{"usage":{"a":1}}"#,
        r#"{"choices":[],"usage":7}"#,
        r#"{"choices":[],"usage":{"a":1}"#,
        r#"{"error":{"message":"no \"choices\""}}"#,
        r#"[[],{}]"#,
        // Names and arrays that only the whole event tells.
        r#"{"cho\u0069ces":[{}],"usage":{"a":1}}"#,
        "{\"choices\":\ndata: [{}],\"usage\":{\"a\":1}}",
        "{\"choices\":[\ndata: {}],\"usage\":{\"a\":1}}",
        "[DONE]",
        "",
    ] {
        check(&format!("data: {data}\n\n"), &format!("data: {data}\n\n"));
        check(&format!("data: {data}"), &format!("data: {data}"));
    }
    let other = format!("datum: {USAGE}\n\n{USAGE}\n\n:{USAGE}\n\n\r\n\r\n");
    check(&other, &other);
}

#[test]
fn what_cannot_be_the_event_is_not_held_back() {
    let mut filter = UsageFilter::default();
    let mut pass = |piece: &str| {
        let piece = Bytes::copy_from_slice(piece.as_bytes());
        let passed = filter.pass(Some(piece), false).unwrap_or_default();
        String::from_utf8_lossy(&passed).into_owned()
    };
    assert_eq!(pass("data: {\"id\":1,\"choi"), "");
    assert_eq!(pass("ces\": [{\"x"), "data: {\"id\":1,\"choices\": [{\"x");
    assert_eq!(pass("\":1"), "\":1");
    assert_eq!(pass("}]}\n"), "}]}\n");
    assert_eq!(pass("\n: pi"), "\n: pi");
    assert_eq!(pass("ng\ndata: [D"), "ng\ndata: [D");
    // Too long to be held.
    let long = format!("\n\ndata: {{\"id\":\"{}", "x".repeat(HELD_BYTES_MAX));
    assert_eq!(pass(&long), long);
    let rest = "\",\"choices\":[],\"usage\":{}}\n\n";
    assert_eq!(pass(rest), rest);
}

#[test]
fn a_piece_that_passes_whole_is_not_copied() {
    let piece = Bytes::from(format!("data: {DELTA}\n\ndata: {{\"choices\":[{{").into_bytes());
    let passed = UsageFilter::default().pass(Some(piece.clone()), false);
    assert_eq!(passed.unwrap().as_ptr(), piece.as_ptr());
    let piece = Bytes::from(format!("data: {USAGE}\n\ndata: [DONE]\n\n"));
    let passed = UsageFilter::default().pass(Some(piece.clone()), false);
    let tail = &piece[piece.len() - 14..];
    assert_eq!(passed.unwrap().as_ptr(), tail.as_ptr());
}

/// The same by other means: lines with their ends, gathered into events, judged as trees.
fn reckon(stream: &str) -> String {
    let (mut out, mut event, mut data) = (String::new(), String::new(), Vec::new());
    let mut rest = stream;
    while !rest.is_empty() {
        let at = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(at);
        let width = if tail.starts_with("\r\n") {
            2
        } else {
            tail.len().min(1)
        };
        let (end, after) = tail.split_at(width);
        rest = after;
        let whole = format!("{line}{end}");
        if event.is_empty() && line.starts_with(':') {
            out += &whole;
            continue;
        }
        event += &whole;
        data.extend(line.strip_prefix("data:").map(str::to_owned));
        if line.is_empty() || rest.is_empty() {
            let tree = serde_json::from_str::<Value>(&data.join("\n")).unwrap_or_default();
            let goes =
                tree["choices"].as_array().is_some_and(Vec::is_empty) && tree["usage"].is_object();
            if !goes {
                out += &event;
            }
            event.clear();
            data.clear();
        }
    }
    out
}

proptest! {
    #[test]
    fn any_split_gives_what_the_events_say(
        lines in proptest::collection::vec(proptest::sample::select(vec![
            "data: <usage>", "data:<usage>", "data: <delta>", "data: <delta>", ": c", "event: e", "data: [DONE]", "", "", "",
            "data: {\"choices\":[],", "data: \"usage\":{}}", "data", "x",
        ]), 0..20),
        ends in proptest::collection::vec(proptest::sample::select(vec!["\n", "\r\n", "\r"]), 20),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        open in any::<bool>(),
    ) {
        let lines = lines.iter().zip(&ends);
        let text = lines.map(|(line, end)| format!("{line}{end}")).collect::<String>();
        let mut text = text.replace("<usage>", USAGE).replace("<delta>", DELTA);
        if open {
            text += "data: [";
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]);
        let passed = pass(&pieces.collect::<Vec<_>>());
        prop_assert_eq!(String::from_utf8_lossy(&passed), reckon(&text));
    }

    #[test]
    fn any_bytes_pass_in_their_order(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8)
    ) {
        let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(pass(&slices), pieces.concat());
    }
}
