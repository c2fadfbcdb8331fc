//! What is kept of an answer's head: what describes its body.
//!
//! Nothing of the moment, the connection or the caller that it was for.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use pingora::http::ResponseHeader;

/// Fields whose names begin so are kept: they describe the body, or what it used.
const KEPT_PREFIXES: [&str; 2] = ["content-", "x-amzn-bedrock-"];
const KEPT: [&str; 3] = ["openai-model", "openai-version", "character-cost"];
const FIELDS_MAX: usize = 64;
/// Enough for the fields of nearly all answers, without growing.
const ROOM: usize = 16;

/// The kept fields as bytes: each name and value with its length before it.
pub fn write(head: &ResponseHeader) -> Vec<u8> {
    let is_kept = |name: &HeaderName| {
        let name = name.as_str();
        KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut bytes = Vec::with_capacity(128);
    let fields = head.headers.iter().filter(|(name, _)| is_kept(name));
    for (name, value) in fields.take(FIELDS_MAX) {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// A head with the fields that were written; `None` if the bytes are none.
pub fn read(bytes: Bytes) -> Option<ResponseHeader> {
    let mut parts = Response::new(()).into_parts().0;
    parts.headers = fields(bytes)?;
    Some(parts.into())
}

/// The fields that were written, with room for those of an answer of ours; `None` if the bytes are none.
pub fn fields(mut bytes: Bytes) -> Option<HeaderMap> {
    let mut fields = HeaderMap::with_capacity(ROOM);
    while !bytes.is_empty() {
        let name = HeaderName::from_bytes(&part(&mut bytes)?).ok()?;
        let value = HeaderValue::from_maybe_shared(part(&mut bytes)?).ok()?;
        fields.append(name, value);
    }
    Some(fields)
}

fn part(bytes: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(*bytes.first_chunk::<4>()?);
    let end = usize::try_from(length).ok()?.checked_add(4)?;
    if bytes.len() < end {
        return None;
    }
    Some(bytes.split_to(end).slice(4..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_describes_the_body_is_kept() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("Content-Type", "application/json"),
            ("content-length", "12"),
            ("x-amzn-bedrock-input-token-count", "3"),
            ("date", "now"),
            ("set-cookie", "a=b"),
            ("cf-ray", "1"),
            ("x-request-id", "1"),
            ("x-ratelimit-remaining-requests", "1"),
            ("openai-organization", "somebody"),
            ("connection", "keep-alive"),
            ("etag", "x"),
        ] {
            head.append_header(name, value).unwrap();
        }
        let bytes = Bytes::from(write(&head));
        let kept = read(bytes.clone()).unwrap();
        let mut names: Vec<_> = kept.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "content-length",
                "content-type",
                "x-amzn-bedrock-input-token-count"
            ]
        );
        assert_eq!(
            kept.headers.get("content-type").unwrap(),
            "application/json"
        );
        for cut in 1..bytes.len() {
            let _ = read(bytes.slice(..cut));
        }
        assert!(read(bytes.slice(..3)).is_none());
    }
}
