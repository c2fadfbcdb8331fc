//! Request lines, header fields and hosts that are wrong, and heads that are too large.

use super::case::Expect::{Closes, Passes, Refuses, Survives};
use super::case::{Case, chat_with, line};
use crate::support::{CHAT, CHAT_PATH};

pub fn request_lines() -> Vec<Case> {
    let get = |target: &str, version: &str| line(format!("GET {target} {version}"));
    let absolute = |host: &str| {
        let target = format!("http://{host}{CHAT_PATH}");
        let length = CHAT.len();
        format!(
            "POST {target} HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: {length}\r\n\
             content-type: application/json\r\n\r\n{CHAT}"
        )
    };
    vec![
        Case::new("no HTTP at all", b"\xff\xfe\xfd\r\n\r\n", Closes(400)),
        Case::new("a TLS hello", client_hello(), Closes(400)),
        Case::new("one word", "GET\r\n\r\n", Closes(400)),
        Case::new("HTTP/0.9", "GET /\r\n\r\n", Closes(400)),
        Case::new("a space first", line(" GET / HTTP/1.1"), Closes(400)),
        Case::new("tabs for spaces", line("GET\t/\tHTTP/1.1"), Closes(400)),
        Case::new("a method with @", line("G@T / HTTP/1.1"), Closes(400)),
        Case::new("a method with NUL", line("G\0T / HTTP/1.1"), Closes(400)),
        Case::new("four words", line("GET / HTTP/1.1 HTTP/1.1"), Closes(400)),
        Case::new("HTTP/1.2", get("/", "HTTP/1.2"), Closes(400)),
        Case::new("HTTP/2.0 in plain text", get("/", "HTTP/2.0"), Closes(400)),
        Case::new("HTTP/3.0", get("/", "HTTP/3.0"), Closes(400)),
        Case::new("HTTX/1.1", get("/", "HTTX/1.1"), Closes(400)),
        Case::new("http/1.1", get("/", "http/1.1"), Closes(400)),
        Case::new(
            "CONNECT",
            "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
            Closes(405),
        ),
        Case::new("the asterisk", line("OPTIONS * HTTP/1.1"), Refuses(400)),
        Case::new("no slash", get("v1/acc", "HTTP/1.1"), Refuses(400)),
        Case::new(
            "another scheme",
            get("ftp://gateway.test/x", "HTTP/1.1"),
            Refuses(400),
        ),
        Case::new("an absolute target", absolute("gateway.test"), Passes(200)),
        Case::new(
            "another's absolute target",
            absolute("evil.test"),
            Closes(400),
        ),
        Case::new(
            "a broken preface",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            Closes(400),
        ),
        Case::new("garbage after the preface", preface_garbage(), Survives),
        Case::new(
            "a short verb that begins as a preface",
            line("PRI / HTTP/1.1"),
            Refuses(404),
        ),
    ]
}

fn client_hello() -> Vec<u8> {
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.resize(517, 0xaa);
    hello
}

fn preface_garbage() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.resize(2000, 0xff);
    bytes
}

pub fn fields() -> Vec<Case> {
    vec![
        Case::new("NUL in a value", chat_with(b"x-a: a\0b"), Closes(400)),
        Case::new("NUL in a name", chat_with(b"x\0a: b"), Closes(400)),
        Case::new("a bare CR", chat_with(b"x-a: a\rx-b: b"), Closes(400)),
        Case::new(
            "a bare CR before a framing",
            chat_with(b"x-a: a\rtransfer-encoding: chunked"),
            Closes(400),
        ),
        Case::new("a folded line", chat_with(b"x-a: a\r\n b"), Closes(400)),
        Case::new("no colon", chat_with(b"x-a"), Closes(400)),
        Case::new(
            "a space before the colon",
            chat_with(b"x-a : b"),
            Closes(400),
        ),
        Case::new("no name", chat_with(b": b"), Closes(400)),
        Case::new("a name with a bracket", chat_with(b"x(a: b"), Closes(400)),
        Case::new(
            "a name that is not ASCII",
            chat_with(b"x-\xe9: b"),
            Closes(400),
        ),
        Case::new(
            "control characters",
            chat_with(b"x-a: \x01\x1b"),
            Closes(400),
        ),
        Case::new("DEL", chat_with(b"x-a: \x7f"), Closes(400)),
        Case::new(
            "a value that is not UTF-8",
            chat_with(b"x-a: \xe9\xff"),
            Passes(200),
        ),
        Case::new(
            "a time-out that is no number",
            chat_with(b"cf-aig-request-timeout: soon\xff"),
            Refuses(400),
        ),
        Case::new(
            "a time-out below zero",
            chat_with(b"cf-aig-request-timeout: -1"),
            Refuses(400),
        ),
        Case::new(
            "a time-out beyond all numbers",
            chat_with(b"cf-aig-request-timeout: 99999999999999999999999"),
            Refuses(400),
        ),
        Case::new(
            "an event id that is not UTF-8",
            chat_with(b"cf-aig-event-id: \xff\xfe"),
            Passes(200),
        ),
        Case::new(
            "framing named hop-by-hop",
            chat_with(b"connection: host, content-length, authorization"),
            Refuses(400),
        ),
        Case::new("bare LF for CRLF", bare_lf(), Passes(200)),
    ]
}

fn bare_lf() -> Vec<u8> {
    let request = String::from_utf8(chat_with(b"x-a: b")).unwrap();
    request.replace("\r\n", "\n").into_bytes()
}

pub fn hosts() -> Vec<Case> {
    let host = |lines: &[u8]| {
        let start = format!("POST {CHAT_PATH} HTTP/1.1\r\n");
        let end = format!(
            "content-type: application/json\r\ncontent-length: {}\r\n\r\n{CHAT}",
            CHAT.len()
        );
        [start.as_bytes(), lines, end.as_bytes()].concat()
    };
    vec![
        Case::new("no host", host(b""), Closes(400)),
        Case::new("two hosts", host(b"host: a\r\nhost: b\r\n"), Closes(400)),
        Case::new(
            "the same host twice",
            host(b"host: a\r\nhost: a\r\n"),
            Closes(400),
        ),
        Case::new("an empty host", host(b"host:\r\n"), Passes(200)),
        Case::new("a host with a path", host(b"host: a/b\r\n"), Closes(400)),
        Case::new("a host with a user", host(b"host: u@a\r\n"), Closes(400)),
        Case::new("a host with a space", host(b"host: a b\r\n"), Closes(400)),
        Case::new("a list of hosts", host(b"host: a, b\r\n"), Closes(400)),
        Case::new(
            "a host with a port too far",
            host(b"host: a:99999\r\n"),
            Closes(400),
        ),
        Case::new(
            "a host that is not ASCII",
            host(b"host: \xff\r\n"),
            Closes(400),
        ),
    ]
}

pub fn sizes() -> Vec<Case> {
    let long = |count: usize| line(format!("GET /{} HTTP/1.1", "a".repeat(count)));
    let value = |count: usize| chat_with(format!("x-a: {}", "a".repeat(count)).as_bytes());
    let many = |count: usize| {
        let lines: Vec<_> = (0..count).map(|n| format!("x-{n}: a")).collect();
        chat_with(lines.join("\r\n").as_bytes())
    };
    vec![
        Case::new("a target of 8 KiB", long(8 << 10), Refuses(404)),
        Case::new("a target beyond the limit", long(65 << 10), Closes(431)),
        Case::new("a value of 60 000 bytes", value(60_000), Passes(200)),
        Case::new("a value beyond the limit", value(64 << 10), Closes(431)),
        Case::new("a head beyond a megabyte", value(1_100_000), Closes(431)),
        Case::new("a target beyond a megabyte", long(1_100_000), Closes(431)),
        Case::new("200 fields", many(200), Passes(200)),
        Case::new("300 fields", many(300), Closes(431)),
        Case::new("10 000 fields", many(10_000), Closes(431)),
        Case::new(
            "a method of 5000 letters",
            line(format!("{} {CHAT_PATH} HTTP/1.1", "A".repeat(5000))),
            Survives,
        ),
        Case::new("nothing but line ends", "\r\n".repeat(40), Closes(408)),
    ]
}
