//! Header fields on their way: what goes on to a provider, and what comes back to the client.

use super::exchange::{Attempt, Exchange};
use super::refusal::FieldFault;
use super::text;
use crate::provider::prices::custom::CustomCost;
use http::HeaderMap;
use http::header::{
    ALT_SVC, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, STRICT_TRANSPORT_SECURITY,
    TRANSFER_ENCODING,
};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use std::time::Duration;

/// Names that begin so are meant for the gateway or were put on by an edge before it.
const OWN_PREFIX: &str = "cf-";
/// The client's time to the first byte, in milliseconds.
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("cf-aig-request-timeout");
/// What the client says the request costs, as JSON.
const CUSTOM_COST: HeaderName = HeaderName::from_static("cf-aig-custom-cost");
/// The client's own id for the event.
pub const EVENT_ID: HeaderName = HeaderName::from_static("cf-aig-event-id");
/// Bounds of [`REQUEST_TIMEOUT`]: a day, beyond which it is surely another unit.
const REQUEST_TIMEOUT_MS_MAX: u64 = 86_400_000;

/// Makes the client's request head the provider's. Pingora has taken the hop-by-hop fields off
/// (RFC 9110, 7.6.1).
///
/// # Errors
/// The target cannot be written as a request target.
pub fn to_provider(head: &mut RequestHeader, exchange: &Exchange, attempt: &Attempt) -> Result<()> {
    let own: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with(OWN_PREFIX))
        .cloned()
        .collect();
    for name in &own {
        head.remove_header(name);
    }
    for spent in exchange.caller.spent() {
        head.remove_header(spent);
    }
    // The gateway has answered the expectation by itself.
    head.remove_header(&EXPECT);
    let place = &attempt.target.place;
    if exchange.query.is_empty() {
        head.set_raw_path(place.path.as_bytes())?;
    } else {
        let target = [place.path.as_str(), exchange.query.as_str()].concat();
        head.set_raw_path(target.as_bytes())?;
    }
    head.insert_header(HOST, place.origin.authority().clone())?;
    if let Some(body) = exchange.seat.body()
        && (!body.is_empty() || head.headers.contains_key(CONTENT_LENGTH))
    {
        let chunked = head.remove_header(&TRANSFER_ENCODING).is_some();
        if chunked || !head.headers.contains_key(CONTENT_LENGTH) {
            head.insert_header(CONTENT_LENGTH, body.len())?;
        }
    }
    Ok(())
}

/// Takes off what a provider says about its own host and its own connection (RFC 9110, 7.6.1), which
/// would be wrong about ours.
pub fn to_client(head: &mut ResponseHeader) {
    head.remove_header(&ALT_SVC);
    head.remove_header(&STRICT_TRANSPORT_SECURITY);
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let nominated: Vec<HeaderName> = head
        .headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // What frames the body is still read by others.
        .filter(|name| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING)
        .collect();
    for name in &nominated {
        head.remove_header(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        head.remove_header(name);
    }
}

/// The client's own time to the first byte.
///
/// # Errors
/// The text is no such time.
pub fn request_timeout(headers: &HeaderMap) -> Result<Option<Duration>, FieldFault> {
    let Some(value) = headers.get(REQUEST_TIMEOUT) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
    match text.parse() {
        Ok(ms) if (1..=REQUEST_TIMEOUT_MS_MAX).contains(&ms) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(FieldFault {
            field: "cf-aig-request-timeout",
            value: text.chars().take(64).collect(),
            expected: "has to be a number of milliseconds from 1 to 86400000",
        }),
    }
}

/// What the client says the request costs.
///
/// # Errors
/// The text is no such price.
pub fn custom_cost(headers: &HeaderMap) -> Result<Option<CustomCost>, FieldFault> {
    let Some(value) = headers.get(CUSTOM_COST) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    match text.parse() {
        Ok(cost) => Ok(Some(cost)),
        Err(_) => Err(FieldFault {
            field: "cf-aig-custom-cost",
            value: text::cut(&text, 128),
            expected: "has to be JSON with total_cost, or with per_token_in and per_token_out",
        }),
    }
}

/// Whether a body of this type comes in pieces.
pub fn is_stream(content_type: &[u8]) -> bool {
    let forms: [&[u8]; 3] = [
        b"text/event-stream",
        b"application/vnd.amazon.eventstream",
        b"application/x-ndjson",
    ];
    forms.iter().any(|form| {
        let lead = content_type.get(..form.len());
        lead.is_some_and(|lead| lead.eq_ignore_ascii_case(form))
    })
}
