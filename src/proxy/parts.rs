//! Header fields as mere parts of a head, without how their names were spelled.

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Response, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

/// Changes the parts of a head. Pingora's own way keeps how each name was spelled, which costs more than all
/// else at a field, and which nobody may rely on (RFC 9110, 5.1). What the provider calls its status stays.
pub fn amend(head: &mut ResponseHeader, change: impl FnOnce(&mut Parts)) {
    let usual = head.status.canonical_reason();
    let reason = head
        .get_reason_phrase()
        .filter(|reason| Some(*reason) != usual);
    let reason = reason.map(str::to_owned);
    let blank = ResponseHeader::from(Response::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(head, blank));
    change(&mut parts);
    *head = parts.into();
    if let Some(reason) = reason {
        // It always takes one.
        let _ = head.set_reason_phrase(Some(&reason));
    }
}

/// An HTTP/1.0 client cannot read chunks (RFC 9112, 6.1): the end of the connection tells it the answer's end.
pub fn fit(head: &mut ResponseHeader, session: &mut ServerSession) {
    if session.req_header().version == Version::HTTP_10 {
        head.remove_header(&TRANSFER_ENCODING);
        if !head.headers.contains_key(CONTENT_LENGTH) {
            session.set_keepalive(None);
        }
    }
}

/// A whole number as a field's value.
pub fn number(number: u64) -> HeaderValue {
    HeaderValue::from_str(itoa::Buffer::new().format(number))
        .unwrap_or_else(|_| HeaderValue::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn an_amended_head_says_what_it_said() {
        let mut head = ResponseHeader::build(529, None).unwrap();
        head.set_reason_phrase(Some("Site Overloaded")).unwrap();
        for (name, value) in [("X-Own", "1"), ("Set-Cookie", "a"), ("Set-Cookie", "b")] {
            head.append_header(name, value).unwrap();
        }
        let tokens = HeaderName::from_static("x-tollgate-tokens");
        amend(&mut head, |parts| {
            parts.headers.insert(tokens, number(7));
        });
        assert_eq!(head.status.as_u16(), 529);
        assert_eq!(head.get_reason_phrase(), Some("Site Overloaded"));
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        let wire = String::from_utf8(wire).unwrap();
        let mut lines: Vec<_> = wire.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "Set-Cookie: a",
                "Set-Cookie: b",
                "x-own: 1",
                "x-tollgate-tokens: 7"
            ]
        );
    }
}
