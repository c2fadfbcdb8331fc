//! The head of a request, read in one pass and borrowed from the bytes received.

use memchr::memmem;
use thiserror::Error;

/// A request head may be this long, in bytes.
pub const HEAD_BYTES_MAX: usize = 256 << 10;

/// What the request line and the headers say.
#[derive(Debug)]
pub struct Head<'a> {
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub http10: bool,
    pub framing: Framing,
    pub expects_continue: bool,
    pub closes: bool,
    /// Every `x-mock` header.
    pub mock: Vec<&'a str>,
    lines: &'a [u8],
}

/// How the end of a request body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

/// Why a head was not understood.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HeadError {
    #[error("the request line is not `METHOD target HTTP/1.x`")]
    RequestLine,
    #[error("header line {0} is malformed")]
    Header(usize),
    #[error("content-length is not one number")]
    ContentLength,
    #[error("transfer-encoding is not `chunked` alone")]
    TransferEncoding,
    #[error("content-length and transfer-encoding both")]
    TwoFramings,
}

/// The length of the first head in `bytes`, its blank line included, once it is complete.
pub fn find_end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

impl<'a> Head<'a> {
    /// Reads a whole head, as `find_end` measured it.
    pub fn parse(raw: &'a [u8]) -> Result<Self, HeadError> {
        let end = memmem::find(raw, b"\r\n").ok_or(HeadError::RequestLine)?;
        let (line, lines) = raw.split_at(end);
        let mut head = Self::parse_line(line).ok_or(HeadError::RequestLine)?;
        head.lines = lines.get(2..).unwrap_or_default();
        let mut length = None;
        let mut chunked = false;
        for (index, header) in split_lines(head.lines).enumerate() {
            let (name, value) = header.ok_or(HeadError::Header(index + 1))?;
            match name.len() {
                6 if name.eq_ignore_ascii_case(b"x-mock") => {
                    let value = std::str::from_utf8(value);
                    head.mock
                        .push(value.map_err(|_| HeadError::Header(index + 1))?);
                }
                6 if name.eq_ignore_ascii_case(b"expect") => {
                    head.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                }
                10 if name.eq_ignore_ascii_case(b"connection") => {
                    head.closes |= value.eq_ignore_ascii_case(b"close");
                }
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    let bytes = parse_length(value).ok_or(HeadError::ContentLength)?;
                    if length.replace(bytes).is_some_and(|former| former != bytes) {
                        return Err(HeadError::ContentLength);
                    }
                }
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(HeadError::TransferEncoding);
                    }
                    chunked = true;
                }
                _ => {}
            }
        }
        head.framing = match (length, chunked) {
            (Some(_), true) => return Err(HeadError::TwoFramings),
            (None, true) => Framing::Chunked,
            (length, false) => Framing::Length(length.unwrap_or(0)),
        };
        Ok(head)
    }

    fn parse_line(line: &'a [u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let http10 = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return None,
        };
        if method.is_empty() || target.is_empty() || words.next().is_some() {
            return None;
        }
        let target = match target.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?']) => rest
                .find('/')
                .and_then(|slash| rest.get(slash..))
                .unwrap_or("/"),
            _ => target,
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Some(Self {
            method,
            path,
            query,
            http10,
            framing: Framing::Length(0),
            expects_continue: false,
            closes: http10,
            mock: Vec::new(),
            lines: &[],
        })
    }

    /// Every header in the order and the spelling received.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        split_lines(self.lines).flatten()
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers()
            .find(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|pair| pair.1)
    }
}

fn split_lines(lines: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    lines.split(|byte| *byte == b'\n').map_while(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let colon = memchr::memchr(b':', line).filter(|colon| *colon > 0);
        Some(colon.and_then(|colon| {
            let (name, value) = line.split_at(colon);
            let named = !name
                .iter()
                .any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
            named.then(|| (name, value.get(1..).unwrap_or_default().trim_ascii()))
        }))
    })
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_with_its_target_split() {
        let raw = b"POST http://h/v1/x?a=b HTTP/1.1\r\nHost: h\r\nX-Mock: gzip\r\nContent-Length: 12\r\n\r\n";
        let head = Head::parse(raw).unwrap();
        assert_eq!(
            (head.method, head.path, head.query),
            ("POST", "/v1/x", Some("a=b"))
        );
        assert_eq!(head.framing, Framing::Length(12));
        assert_eq!(head.mock, ["gzip"]);
        assert_eq!(head.headers().count(), 3);
        assert_eq!(head.header("host"), Some(&b"h"[..]));
        assert_eq!(find_end(raw), Some(raw.len()));
    }

    #[test]
    fn smuggling_shapes_are_refused() {
        let check = |lines: &str, error: HeadError| {
            let raw = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
            assert_eq!(Head::parse(raw.as_bytes()).unwrap_err(), error, "{lines}");
        };
        check(
            "content-length: 1\r\ntransfer-encoding: chunked",
            HeadError::TwoFramings,
        );
        check(
            "content-length: 1\r\ncontent-length: 2",
            HeadError::ContentLength,
        );
        check("content-length: +1", HeadError::ContentLength);
        check(
            "transfer-encoding: gzip, chunked",
            HeadError::TransferEncoding,
        );
        check("a: b\r\nno colon", HeadError::Header(2));
        check("content-length : 1", HeadError::Header(1));
        assert_eq!(
            Head::parse(b"GET /\r\n\r\n").unwrap_err(),
            HeadError::RequestLine
        );
    }
}
