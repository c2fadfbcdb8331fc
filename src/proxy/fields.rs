//! Header fields on their way: what goes on to a provider, and what comes back to the client.

use super::exchange::{Attempt, Exchange};
use super::gate::HELD_BYTES_MAX;
use super::intake;
use super::parts::number;
use crate::stage::meter::{Bill, UsageSource};
use crate::stage::plan::target::{Fields, Target};
use http::header::{
    ACCEPT_ENCODING, ALT_SVC, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue,
    RETRY_AFTER, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use pingora::Result;
use pingora::http::RequestHeader;
use std::time::Duration;

/// Names that begin so are meant for the gateway or were put on by an edge before it.
pub const OWN_PREFIX: &str = "cf-";
/// The client's own id for the event.
pub const EVENT_ID: HeaderName = HeaderName::from_static("cf-aig-event-id");
/// What a step without its own keeps of the client's fields.
const KEPT: [&str; 6] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "traceparent",
    "tracestate",
    "user-agent",
];
/// What the gateway says by itself of a step's message (RFC 9110, 7.6.1).
const FRAMING: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What some servers say of their own connection beside `connection`.
static OWN_CONNECTION: [HeaderName; 2] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
const COST: HeaderName = HeaderName::from_static("x-tollgate-cost");
const TOKENS: HeaderName = HeaderName::from_static("x-tollgate-tokens");

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
    let Target { own, .. } = &*attempt.target;
    let place = attempt.place();
    match own.as_ref().map(|own| &own.fields) {
        Some(Fields::Step(fields)) => replace_fields(head, fields)?,
        Some(Fields::Client { without }) => {
            for name in without {
                head.remove_header(name);
            }
        }
        None => {}
    }
    if let Some(key) = &attempt.chosen.key {
        head.insert_header(key.field.clone(), key.value.clone())?;
    }
    let query = own.as_ref().map_or(&exchange.query, |own| &own.query);
    if query.is_empty() {
        head.set_raw_path(place.path.as_bytes())?;
    } else {
        let target = [place.path.as_str(), query.as_str()].concat();
        head.set_raw_path(target.as_bytes())?;
    }
    head.insert_header(HOST, place.origin.authority().clone())?;
    if attempt.usage_filter.is_some() {
        // What is packed cannot be taken apart.
        head.insert_header(ACCEPT_ENCODING, "identity")?;
    }
    let own = attempt.own_body();
    if let Some(body) = own.or(exchange.seat.body())
        && (!body.is_empty() || head.headers.contains_key(CONTENT_LENGTH))
    {
        head.remove_header(&TRANSFER_ENCODING);
        head.insert_header(CONTENT_LENGTH, body.len())?;
    }
    Ok(())
}

/// Puts a step's own fields in the place of the client's, of which those stay that tell of the client
/// and of the trace it is in.
fn replace_fields(head: &mut RequestHeader, own: &HeaderMap) -> Result<()> {
    let foreign: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| !KEPT.contains(&name.as_str()))
        .cloned()
        .collect();
    for name in &foreign {
        head.remove_header(name);
    }
    for name in own.keys() {
        head.remove_header(name);
    }
    for (name, value) in own {
        if !name.as_str().starts_with(OWN_PREFIX) && !FRAMING.contains(name) {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    Ok(())
}

/// Takes off what a provider says about its own host and its own connection (RFC 9110, 7.6.1), which
/// would be wrong about ours.
pub fn to_client(head: &mut Parts) {
    let fields = &mut head.headers;
    fields.remove(ALT_SVC);
    fields.remove(STRICT_TRANSPORT_SECURITY);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let nominated: Vec<HeaderName> = fields
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // What frames the body is still read by others.
        .filter(|name| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING)
        .collect();
    for name in nominated.iter().chain(&OWN_CONNECTION) {
        fields.remove(name);
    }
}

/// When a provider wants to be asked again, from now on (RFC 9110, 10.2.3); dates are ignored, as
/// clocks differ.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds: f64 = value.trim().parse().ok()?;
    (0.0..=86_400.0)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

/// Whether an answer with these fields may wait for its end: JSON, and short as far as they say.
pub fn may_be_held(headers: &HeaderMap) -> bool {
    if !intake::is_json(headers) {
        return false;
    }
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    length.is_none_or(|length| length <= HELD_BYTES_MAX)
}

/// What an answer used and costs, as its head says it: all tokens in one number, and dollars.
pub fn bill(bill: Option<&Bill>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(bill) = bill.filter(|bill| bill.usage_source == UsageSource::Reported) else {
        return Vec::new();
    };
    let mut fields = vec![(TOKENS, number(bill.tokens()))];
    let cost = bill.cost.map(|cost| HeaderValue::try_from(cost.show()));
    fields.extend(
        cost.and_then(std::result::Result::ok)
            .map(|cost| (COST, cost)),
    );
    fields
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
