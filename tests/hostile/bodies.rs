//! Bodies that are hard to read, and requests that ask for more than HTTP.

use super::case::Expect::{Passes, Survives};
use super::case::{Case, chat, chat_with};
use crate::support::{CHAT, CHAT_PATH};

/// None of these is the gateway's to refuse: the provider says what it thinks of them.
pub fn json() -> Vec<Case> {
    let of = |name: &str, body: &[u8], status| {
        let length = format!("content-length: {}\r\n", body.len());
        Case::new(name, chat(length.as_bytes(), body), Passes(status))
    };
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let objects = [
        r#"{"a":"#.repeat(100_000),
        "1".to_owned(),
        "}".repeat(100_000),
    ]
    .concat();
    let digits = format!(
        r#"{{"model":{},"stream":1e999999999}}"#,
        "9".repeat(100_000)
    );
    let string = format!(
        r#"{{"x":"{}","model":"m","messages":[]}}"#,
        "a".repeat(10_000_000)
    );
    vec![
        of("no JSON", b"hello", 400),
        of("nothing", b"", 400),
        of("100 000 lists deep", &deep, 400),
        of("100 000 objects deep", objects.as_bytes(), 200),
        of(
            "a member twice",
            br#"{"model":"a","model":"b","messages":[]}"#,
            400,
        ),
        of("bytes that are not UTF-8", b"{\"model\":\"\xff\xfe\"}", 400),
        of(
            "a byte-order mark",
            &[b"\xef\xbb\xbf", CHAT.as_bytes()].concat(),
            400,
        ),
        of("a number of 100 000 digits", digits.as_bytes(), 400),
        of("a string of 10 MB", string.as_bytes(), 200),
        of("half a surrogate", br#"{"model":"\ud800"}"#, 400),
        of("an open string", br#"{"model":""#, 400),
        of(
            "types that are wrong",
            br#"{"model":["x"],"stream":"true"}"#,
            400,
        ),
        of(
            "control characters",
            br#"{"model":"a\u0000\n","messages":[]}"#,
            200,
        ),
    ]
}

pub fn protocols() -> Vec<Case> {
    let old = |lines: &[u8]| {
        let request = String::from_utf8(chat_with(lines)).unwrap();
        request.replacen("HTTP/1.1", "HTTP/1.0", 1)
    };
    let socket = format!(
        "GET {CHAT_PATH} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03garbage";
    let length = format!(
        "content-encoding: gzip\r\ncontent-length: {}\r\n",
        gzip.len()
    );
    vec![
        Case::new(
            "HTTP/1.0 with keep-alive",
            old(b"connection: keep-alive"),
            Passes(200),
        ),
        Case::new("HTTP/1.0", old(b"x-a: b"), Passes(200)),
        Case::new("a web socket that is refused", socket, Survives),
        Case::new(
            "an upgrade to HTTP/2",
            chat_with(
                b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk",
            ),
            Passes(200),
        ),
        Case::new(
            "an unknown upgrade",
            chat_with(b"connection: upgrade\r\nupgrade: x"),
            Passes(200),
        ),
        Case::new(
            "an unknown expectation",
            chat_with(b"expect: miracles"),
            Passes(200),
        ),
        Case::new("a range", chat_with(b"range: bytes=0-0,-1,5-"), Passes(200)),
        Case::new(
            "a compressed body that is none",
            chat(length.as_bytes(), gzip),
            Passes(400),
        ),
        Case::new(
            "TRACE",
            format!("TRACE {CHAT_PATH} HTTP/1.1\r\nhost: a\r\n\r\n"),
            Survives,
        ),
        Case::new(
            "a body with HEAD",
            format!("HEAD {CHAT_PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
            Survives,
        ),
        Case::new(
            "a body with DELETE",
            format!("DELETE {CHAT_PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
            Survives,
        ),
    ]
}
