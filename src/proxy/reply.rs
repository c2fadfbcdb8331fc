//! Answers of the gateway's own: refusals in Cloudflare's envelope, and CORS preflights.

use super::fields::{EVENT_ID, Put};
use super::limit;
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
use http::{HeaderName, Method};
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
    send(session, head, Bytes::from(body), stamp).await
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
    send(session, head, Bytes::new(), stamp).await
}

/// Whether this is such a question (Fetch standard, CORS-preflight request).
pub fn is_preflight(head: &RequestHeader) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Puts the gateway's own fields on an answer.
///
/// # Errors
/// A value cannot be a header field's.
pub fn stamp(head: &mut impl Put, stamp: &Stamp<'_>) -> Result<()> {
    let id = HeaderValue::from_bytes(&stamp.id.text()).map_err(|_| invalid())?;
    head.put(EVENT_ID, event_id(stamp, &id))?;
    head.put(REQUEST_ID, id.clone())?;
    head.put(LOG_ID, id)?;
    head.put(STEP, HeaderValue::from(stamp.step))?;
    if stamp.attempts > 0 {
        head.put(ATTEMPTS, HeaderValue::from(stamp.attempts))?;
    }
    head.put(CACHE_STATUS, HeaderValue::from_static("MISS"))?;
    if let Some(faults) = stamp.metadata_faults.filter(|faults| !faults.is_empty()) {
        let faults = HeaderValue::try_from(faults.to_string()).map_err(|_| invalid())?;
        head.add(WARNING, faults)?;
    }
    if stamp.cross_origin && !head.fields().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        let any = HeaderValue::from_static("*");
        head.put(ACCESS_CONTROL_ALLOW_ORIGIN, any.clone())?;
        head.put(ACCESS_CONTROL_EXPOSE_HEADERS, any)?;
    }
    Ok(())
}

fn event_id(stamp: &Stamp<'_>, id: &HeaderValue) -> HeaderValue {
    let own = stamp.event_id.map(HeaderValue::from_str);
    let own = own.and_then(std::result::Result::ok);
    own.unwrap_or_else(|| id.clone())
}

fn invalid() -> Box<pingora::Error> {
    pingora::Error::new(pingora::ErrorType::InternalError)
}

async fn send(
    session: &mut ServerSession,
    mut head: ResponseHeader,
    body: Bytes,
    own: &Stamp<'_>,
) -> Result<()> {
    stamp(&mut head, own)?;
    if head.status != http::StatusCode::NO_CONTENT {
        head.insert_header(CONTENT_LENGTH, body.len())?;
    }
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(body, true).await
}
