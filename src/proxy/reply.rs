//! Answers of the gateway's own: refusals in Cloudflare's envelope, and CORS preflights.

use super::fields::EVENT_ID;
use super::limit;
use super::parts::{self, number};
use super::refusal::Refusal;
use crate::base::id::RequestId;
use crate::stage::metadata::faults::Faults;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
    ORIGIN, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, Method};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use serde::Serialize;

const REQUEST_ID: HeaderName = HeaderName::from_static("cf-aig-request-id");
const LOG_ID: HeaderName = HeaderName::from_static("cf-aig-log-id");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
const STEP: HeaderName = HeaderName::from_static("cf-aig-step");
/// What was wrong with the request, though it was served.
const WARNING: HeaderName = HeaderName::from_static("x-tollgate-warning");
/// What is written at once of an answer of ours. A client that takes less in [`CLIENT_STALL`] is gone.
///
/// [`CLIENT_STALL`]: super::buffered::CLIENT_STALL
const PIECE_BYTES: usize = 1 << 20;
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cf-aig-cache-status");

/// What every answer of ours carries beside its body.
pub struct Stamp<'a> {
    pub id: RequestId,
    /// The position of the step that answered, from 0.
    pub step: usize,
    /// Tries at providers so far, that which runs included.
    pub attempts: usize,
    /// The client's own id for the event, where it sent one.
    pub event_id: Option<&'a str>,
    pub metadata_faults: Option<&'a Faults>,
    /// Whether a browser page asked.
    pub cross_origin: bool,
}

/// Cloudflare's error envelope, member by member; clients read `success` and `error[0].code`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    success: bool,
    result: [(); 0],
    messages: [(); 0],
    error: [EnvelopeError<'a>; 1],
    name: &'static str,
    http_code: u16,
    internal_code: u16,
    message: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct EnvelopeError<'a> {
    code: u16,
    message: &'a str,
}

/// Writes a refusal to the client.
///
/// # Errors
/// The client is gone.
pub async fn refuse(
    session: &mut ServerSession,
    refusal: &Refusal,
    stamp: &Stamp<'_>,
) -> Result<()> {
    let face = refusal.face();
    let description = match refusal.hint() {
        Some(hint) => format!("{refusal}; {hint}"),
        None => refusal.to_string(),
    };
    let envelope = Envelope {
        success: false,
        result: [],
        messages: [],
        error: [EnvelopeError {
            code: face.code,
            message: &face.message,
        }],
        name: "AiGatewayError",
        http_code: face.status,
        internal_code: face.code,
        message: &face.message,
        description: &description,
    };
    let body = serde_json::to_vec(&envelope).unwrap_or_default();
    let mut head = ResponseHeader::build(face.status, Some(12))?;
    head.insert_header(CONTENT_TYPE, "application/json")?;
    head.insert_header(CACHE_CONTROL, "no-store")?;
    if let Some(within) = refusal.retry_after() {
        // Whole seconds, of which none is too early (RFC 9110, 10.2.3).
        let seconds = within.as_secs() + u64::from(within.subsec_nanos() > 0);
        head.insert_header(RETRY_AFTER, seconds.max(1))?;
    }
    if let Refusal::Limit(exceeded) = refusal {
        for (name, value) in limit::fields_of_refusal(exceeded) {
            head.insert_header(name, value)?;
        }
    }
    finish(session, head, Bytes::from(body), stamp).await
}

/// Answers a browser's question whether a page may call the gateway: any page may, the keys decide.
///
/// # Errors
/// The client is gone.
pub async fn preflight(session: &mut ServerSession, stamp: &Stamp<'_>) -> Result<()> {
    let mut head = ResponseHeader::build(204, Some(10))?;
    let wanted = session.get_header(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let any = || HeaderValue::from_static("*");
    head.insert_header(ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or_else(any))?;
    let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    head.insert_header(ACCESS_CONTROL_ALLOW_METHODS, methods)?;
    head.insert_header(ACCESS_CONTROL_MAX_AGE, "86400")?;
    finish(session, head, Bytes::new(), stamp).await
}

/// Whether this is such a question (Fetch standard, CORS-preflight request).
pub fn is_preflight(head: &RequestHeader) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Puts the gateway's own fields on an answer.
pub fn stamp(head: &mut HeaderMap, stamp: &Stamp<'_>) {
    let own = stamp.event_id.map(HeaderValue::from_str);
    let own = own.and_then(std::result::Result::ok);
    // Digits and dashes are always a field's value.
    if let Ok(id) = HeaderValue::from_bytes(&stamp.id.text()) {
        head.insert(EVENT_ID, own.unwrap_or_else(|| id.clone()));
        head.insert(REQUEST_ID, id.clone());
        head.insert(LOG_ID, id);
    }
    head.insert(STEP, number(stamp.step as u64));
    if stamp.attempts > 0 {
        head.insert(ATTEMPTS, number(stamp.attempts as u64));
    }
    head.insert(CACHE_STATUS, HeaderValue::from_static("MISS"));
    let faults = stamp.metadata_faults.filter(|faults| !faults.is_empty());
    if let Some(Ok(faults)) = faults.map(|faults| HeaderValue::try_from(faults.to_string())) {
        head.append(WARNING, faults);
    }
    if stamp.cross_origin && !head.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        let any = HeaderValue::from_static("*");
        head.insert(ACCESS_CONTROL_ALLOW_ORIGIN, any.clone());
        head.insert(ACCESS_CONTROL_EXPOSE_HEADERS, any);
    }
}

async fn finish(
    session: &mut ServerSession,
    mut head: ResponseHeader,
    body: Bytes,
    own: &Stamp<'_>,
) -> Result<()> {
    parts::amend(&mut head, |parts| stamp(&mut parts.headers, own));
    if head.status != http::StatusCode::NO_CONTENT {
        head.insert_header(CONTENT_LENGTH, body.len())?;
    }
    send(session, head, body).await
}

/// Writes an answer to the client, a long one in pieces: each has as long as a client may stall.
///
/// # Errors
/// The client is gone.
pub async fn send(
    session: &mut ServerSession,
    head: ResponseHeader,
    mut body: Bytes,
) -> Result<()> {
    session.write_response_header(Box::new(head)).await?;
    while body.len() > PIECE_BYTES {
        let piece = body.split_to(PIECE_BYTES);
        session.write_response_body(piece, false).await?;
    }
    session.write_response_body(body, true).await
}
