//! Reads the client's body whole, within its bounds.

use super::faults::BodyFault;
use super::seat::Seat;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, StatusCode};
use pingora::ErrorType;
use pingora::protocols::http::ServerSession;
use std::time::Duration;

/// Room that is made at once for a body of announced length; what is longer grows as it comes, so
/// that an announcement alone cannot claim memory.
const ROOM_MAX: usize = 1 << 20;

/// What is read and thrown away for the sake of a connection that can be used again.
const DISCARD_MAX: u64 = 64 << 10;

/// Whether a body of this type is read before it is sent on: JSON is; uploads, audio and whatever
/// else stream through.
pub fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let Some(value) = value else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or(value).trim();
    media_type.eq_ignore_ascii_case("application/json")
        || media_type
            .get(media_type.len().saturating_sub(5)..)
            .is_some_and(|tail| tail.eq_ignore_ascii_case("+json"))
}

/// Whether the client waits for leave to send its body (RFC 9110, 10.1.1).
fn expects_continue(headers: &HeaderMap) -> bool {
    let value = headers.get(EXPECT);
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether a request that is answered now leaves so much of its body unsent that the connection has
/// to end with the answer.
pub fn leaves_too_much(session: &mut ServerSession) -> bool {
    if session.is_body_done() {
        return false;
    }
    let headers = &session.req_header().headers;
    expects_continue(headers) || announced_length(headers).is_none_or(|rest| rest > DISCARD_MAX)
}

/// Whether the client has got something of an answer. Leave to send its body is none yet (RFC 9110, 15.2).
pub fn has_answer_begun(session: &ServerSession) -> bool {
    session.response_written().is_some_and(|head| {
        !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS
    })
}

/// Whether another connection can get the same request: its body is held, or it has none.
pub fn can_send_again(session: &mut ServerSession, seat: &Seat) -> bool {
    seat.body().is_some() || session.is_body_empty()
}

/// Lets time pass before the next attempt, unless the client leaves or the request's time is over.
///
/// # Errors
/// Either of these.
pub async fn wait(session: &mut ServerSession, pause: Duration) -> pingora::Result<()> {
    let idle = session.read_body_or_idle(true);
    match pingora_timeout::timeout(pause, idle).await {
        Ok(Err(error)) => Err(error.into_down()),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Reads the body to its end.
///
/// # Errors
/// It is longer than `bytes_max`, pauses for longer than `pause_max`, is framed wrongly, or the
/// client leaves.
pub async fn read_body(
    session: &mut ServerSession,
    bytes_max: u64,
    pause_max: Duration,
) -> Result<Bytes, BodyFault> {
    let announced = announced_length(&session.req_header().headers);
    if announced.is_some_and(|length| length > bytes_max) {
        return Err(BodyFault::TooLarge(bytes_max));
    }
    give_leave(session).await?;
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    while let Some(piece) = read_piece(session, pause_max).await? {
        let length = first.as_ref().map_or(0, Bytes::len) + whole.len() + piece.len();
        if length as u64 > bytes_max {
            return Err(BodyFault::TooLarge(bytes_max));
        }
        if first.is_none() && whole.is_empty() {
            // Most bodies come in one piece, which then is the body, uncopied.
            first = Some(piece);
            continue;
        }
        if let Some(first) = first.take() {
            let room = announced.map_or(0, |length| usize::try_from(length).unwrap_or(ROOM_MAX));
            whole.reserve(room.clamp(length, ROOM_MAX.max(length)));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// Lets a client that waits for it send its body.
///
/// # Errors
/// The client is gone.
pub async fn give_leave(session: &mut ServerSession) -> Result<(), BodyFault> {
    if !expects_continue(&session.req_header().headers) {
        return Ok(());
    }
    let given = session.write_continue_response().await;
    given.map_err(|_| BodyFault::Gone)
}

async fn read_piece(
    session: &mut ServerSession,
    pause_max: Duration,
) -> Result<Option<Bytes>, BodyFault> {
    let read = session.read_request_body();
    let read = pingora_timeout::timeout(pause_max, read).await;
    let read = read.map_err(|_| BodyFault::Slow)?;
    read.map_err(|fault| match fault.etype() {
        ErrorType::ReadTimedout => BodyFault::Slow,
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::H2Error => BodyFault::Gone,
        other => BodyFault::Malformed(other.as_str().to_owned()),
    })
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_media_type() {
        let check = |value: &str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(is_json(&headers), expect, "{value}");
        };
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/vnd.api+json", true);
        check("multipart/form-data; boundary=x", false);
        check("audio/wav", false);
        check("json", false);
        assert!(!is_json(&HeaderMap::new()));
    }
}
