//! Requests whose end two servers could see in different places.

use super::case::Expect::{Closes, Passes, Survives};
use super::case::{Case, Expect, SMUGGLED, Step, chat};
use crate::support::{CHAT, CHAT_PATH};

const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n";

pub fn lengths() -> Vec<Case> {
    let length = CHAT.len();
    let of = |value: &str| {
        let line = format!("content-length: {value}\r\n");
        chat(line.as_bytes(), CHAT.as_bytes())
    };
    let two = |second: usize| {
        let lines = format!("content-length: {length}\r\ncontent-length: {second}\r\n");
        chat(lines.as_bytes(), CHAT.as_bytes())
    };
    // What streams through keeps the client's framing, so that must be sound as well.
    let upload = |lines: &str| {
        let head = format!("POST {CHAT_PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: audio/wav\r\n");
        format!("{head}{lines}\r\n{CHAT}")
    };
    let list = format!("{length}, {length}");
    let twice = format!("content-length: {length}\r\ncontent-length: {length}\r\n");
    vec![
        Case::new("two lengths", two(5), Closes(400)),
        Case::new("the same length twice", two(length), Closes(400)),
        Case::new("a list of lengths", of(&list), Closes(400)),
        Case::new(
            "an upload's list",
            upload(&format!("content-length: {list}\r\n")),
            Closes(400),
        ),
        Case::new("an upload's same length twice", upload(&twice), Closes(400)),
        Case::new("a negative length", of("-1"), Closes(400)),
        Case::new(
            "a length with a plus",
            of(&format!("+{length}")),
            Closes(400),
        ),
        Case::new("a hexadecimal length", of("0x10"), Closes(400)),
        Case::new("a length with a point", of("5.0"), Closes(400)),
        Case::new("two numbers in a length", of("5 5"), Closes(400)),
        Case::new("a length in letters", of("five"), Closes(400)),
        Case::new("an empty length", of(""), Closes(400)),
        Case::new(
            "a length beyond 64 bits",
            of("99999999999999999999999"),
            Closes(400),
        ),
        Case::new(
            "the largest 64-bit length",
            of("18446744073709551615"),
            Closes(413),
        ),
        Case::new("a length beyond the limit", of("12582913"), Closes(413)),
        Case::new(
            "a length with zeros before",
            of(&format!("000{length}")),
            Survives,
        ),
        Case::new(
            "a colon after a space",
            chat(b"content-length : 5\r\n", b"hello"),
            Closes(400),
        ),
        Case::new("no framing at all", chat(b"", b""), Passes(400)),
    ]
}

pub fn codings() -> Vec<Case> {
    let body = [b"0\r\n\r\n", SMUGGLED].concat();
    let of = |value: &[u8]| {
        let line = [b"transfer-encoding: ", value, b"\r\n"].concat();
        chat(&line, &body)
    };
    let both = |lines: &[u8]| chat(lines, &body);
    let old = String::from_utf8(chat(CHUNKED, &body)).unwrap();
    let old = old.replacen("HTTP/1.1", "HTTP/1.0", 1);
    vec![
        Case::new(
            "length, then chunked",
            both(b"content-length: 5\r\ntransfer-encoding: chunked\r\n"),
            Closes(400),
        ),
        Case::new(
            "chunked, then length",
            both(b"transfer-encoding: chunked\r\ncontent-length: 5\r\n"),
            Closes(400),
        ),
        Case::new(
            "chunked twice",
            both(&[CHUNKED, CHUNKED].concat()),
            Closes(400),
        ),
        Case::new(
            "chunked twice in a list",
            of(b"chunked, chunked"),
            Closes(400),
        ),
        Case::new("gzip and chunked", of(b"gzip, chunked"), Closes(400)),
        Case::new("chunked and gzip", of(b"chunked, gzip"), Closes(400)),
        Case::new("gzip", of(b"gzip"), Closes(400)),
        Case::new("identity", of(b"identity"), Closes(400)),
        Case::new("xchunked", of(b"xchunked"), Closes(400)),
        Case::new("chunked in quotes", of(b"\"chunked\""), Closes(400)),
        Case::new("chunked with a parameter", of(b"chunked;a=b"), Closes(400)),
        Case::new("chunked and a comma", of(b"chunked,"), Closes(400)),
        Case::new("no coding", of(b""), Closes(400)),
        Case::new("a vertical tab", of(b"\x0bchunked"), Closes(400)),
        Case::new(
            "a space before the colon",
            both(b"transfer-encoding : chunked\r\n"),
            Closes(400),
        ),
        Case::new("chunked in HTTP/1.0", old, Closes(400)),
        Case::new(
            "a tab before chunked",
            chunked_chat(b"transfer-encoding:\tchunked\r\n"),
            Passes(200),
        ),
        Case::new(
            "CHUNKED",
            chunked_chat(b"transfer-encoding: CHUNKED\r\n"),
            Passes(200),
        ),
    ]
}

fn chunked_chat(line: &[u8]) -> Vec<u8> {
    chat(line, &whole())
}

/// The chat request in one sound chunk.
fn whole() -> Vec<u8> {
    format!("{:x}\r\n{CHAT}\r\n0\r\n\r\n", CHAT.len()).into_bytes()
}

pub fn chunks() -> Vec<Case> {
    let extension = |count: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(count));
    let trailer = |count: usize| format!("0\r\nx-a: {}\r\n\r\n", "a".repeat(count));
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("letters for a size", b"zz\r\n".to_vec()),
        ("a negative size", b"-5\r\nhello\r\n0\r\n\r\n".to_vec()),
        ("a size with a plus", b"+5\r\nhello\r\n0\r\n\r\n".to_vec()),
        ("a size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n".to_vec()),
        (
            "a space before the size",
            b" 5\r\nhello\r\n0\r\n\r\n".to_vec(),
        ),
        ("a size beyond 64 bits", b"fffffffffffffffff\r\n".to_vec()),
        ("the largest 64-bit size", b"ffffffffffffffff\r\n".to_vec()),
        (
            "no line end after the data",
            b"5\r\nhello0\r\n\r\n".to_vec(),
        ),
        (
            "data longer than its size",
            b"5\r\nhelloXX\r\n0\r\n\r\n".to_vec(),
        ),
        ("LF for CRLF", b"5\nhello\n0\n\n".to_vec()),
        (
            "a thousand zeros",
            [&[b'0'; 1000][..], b"5\r\nhello\r\n0\r\n\r\n"].concat(),
        ),
        ("an extension of 100 kB", extension(100_000).into_bytes()),
        ("a trailer of 100 kB", trailer(100_000).into_bytes()),
    ];
    let mut cases = Vec::new();
    for (name, bytes) in bad {
        let json = chat(CHUNKED, &bytes);
        cases.push(split(name, json, Closes(400)));
    }
    cases.extend([
        Case::new("a short extension", sound_with(b";a=b\r\n"), Passes(200)),
        Case::new(
            "a trailer that would be framing",
            with_trailer(b"content-length: 5"),
            Passes(200),
        ),
        Case::new("a chunk a byte", chat(CHUNKED, &bytewise()), Passes(200)),
        Case::new(
            "a body beyond the limit",
            chat(CHUNKED, &too_long()),
            Closes(413),
        ),
        Case::new("garbage after the end", garbage_after(), Passes(200)),
        upload("an upload's letters for a size", b"zz\r\n"),
        upload(
            "an upload's data longer than its size",
            b"5\r\nhelloXX\r\n0\r\n\r\n",
        ),
        // Pingora takes it for a zero, and what follows for trailers.
        Case::new(
            "no size",
            chat(CHUNKED, b"\r\nhello\r\n0\r\n\r\n"),
            Survives,
        ),
        Case::new("a GET with chunks", ask_in_chunks(), Survives),
    ]);
    cases
}

/// The bad part and what must not become a request, in reads of their own.
fn split(name: &str, bytes: Vec<u8>, expect: Expect) -> Case {
    let script = vec![Step::Send(bytes), Step::Send(SMUGGLED.to_vec())];
    Case::script(name, script, expect)
}

/// The provider has seen the head of what streams through, so its count of requests tells nothing.
fn upload(name: &str, body: &[u8]) -> Case {
    let head = format!("POST {CHAT_PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: audio/wav\r\n");
    let bytes = [head.as_bytes(), CHUNKED, b"\r\n", body].concat();
    split(name, bytes, Expect::Streams(400))
}

fn sound_with(extension: &[u8]) -> Vec<u8> {
    let size = format!("{:x}", CHAT.len());
    let rest = format!("{CHAT}\r\n0\r\n\r\n");
    chat(
        CHUNKED,
        &[size.as_bytes(), extension, rest.as_bytes()].concat(),
    )
}

fn with_trailer(line: &[u8]) -> Vec<u8> {
    let mut body = whole();
    body.truncate(body.len() - 2);
    chat(CHUNKED, &[&body, line, b"\r\n\r\n"].concat())
}

fn bytewise() -> Vec<u8> {
    let chunk = |byte: u8| [b"1\r\n", &[byte][..], b"\r\n"].concat();
    let chunks: Vec<_> = CHAT.bytes().map(chunk).collect();
    [chunks.concat(), b"0\r\n\r\n".to_vec()].concat()
}

fn too_long() -> Vec<u8> {
    let chunk = [b"100000\r\n", vec![b' '; 1 << 20].as_slice(), b"\r\n"].concat();
    [chunk.repeat(13), b"0\r\n\r\n".to_vec(), SMUGGLED.to_vec()].concat()
}

fn garbage_after() -> Vec<u8> {
    let mut request = chunked_chat(CHUNKED);
    request.extend_from_slice(b"GARBAGE\r\n\r\n");
    request
}

fn ask_in_chunks() -> Vec<u8> {
    let head = format!("GET {CHAT_PATH} HTTP/1.1\r\nhost: a\r\n");
    [head.as_bytes(), CHUNKED, b"\r\n", &whole()].concat()
}
