//! The request is answered by the gateway itself: refused, or told what browsers may ask.

use super::context::{Context, Phase};
use super::failure::cause_of;
use super::faults::{BodyFault, HeadFault};
use super::parts::{self, number};
use super::refusal::Refusal;
use super::reply::{self, Stamp};
use super::{arrival, caching, intake, limit, text};
use crate::stage::cache::Outcome;
use crate::stage::cache::reading::Recalled;
use crate::stage::journal::record::{End, Shared};
use crate::stage::limit::Admission;
use http::Response;
use http::header::{AGE, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, ORIGIN, TRANSFER_ENCODING};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource, ErrorType, Result};

/// Answers by ourselves. Returns whether the client can still be reached.
pub async fn refuse(session: &mut ServerSession, context: &mut Context, refusal: &Refusal) -> bool {
    let face = refusal.face();
    let gone = matches!(refusal, Refusal::Body(BodyFault::Gone));
    let answerable = !gone && !intake::has_answer_begun(session);
    if answerable {
        context.record.answered.refusal = Some(format!("{}:{}", face.stage, face.code));
    }
    if refusal.breaks_framing() || intake::leaves_too_much(session) {
        session.set_keepalive(None);
        if let Some(seat) = context.seat() {
            // The session in disguise hears of it in this way alone.
            seat.close_after();
        }
    }
    if context.exchange().is_none() {
        context.record.end = if gone { End::ClientGone } else { End::Refused };
        context.phase = Phase::Answered(Admission::default());
    }
    if !answerable {
        return false;
    }
    context.record.answered.status = Some(face.status);
    context.record.answered.content_type = Some("application/json".to_owned());
    let stamp = stamp_of(session, context);
    let sent = reply::refuse(session, refusal, &stamp).await;
    if sent.is_ok()
        && let Some(seat) = context.seat()
    {
        // After an error Pingora would give the session up.
        seat.finish();
    }
    sent.is_ok()
}

/// Answers a browser's preflight. Returns whether the client can still be reached.
pub async fn preflight(session: &mut ServerSession, context: &mut Context) -> bool {
    arrival::arrive(session, context);
    context.phase = Phase::Answered(Admission::default());
    context.record.answered.status = Some(204);
    let stamp = stamp_of(session, context);
    let sent = reply::preflight(session, &stamp).await;
    if sent.is_err() {
        context.record.end = End::ClientGone;
    }
    sent.is_ok()
}

/// Gives an answer out of memory. Returns whether the client can still be reached.
pub async fn give(session: &mut ServerSession, context: &mut Context, kept: Recalled) -> bool {
    context.record.cache = Shared {
        outcome: Outcome::Hit,
        saved: kept.cost,
    };
    let sent = send(session, context, Outcome::Hit, kept).await;
    if sent.is_err() {
        context.record.end = End::ClientGone;
    }
    sent.is_ok()
}

/// Gives a kept answer in the place of one that failed. Returns whether the client can still be reached.
pub async fn stand_in(session: &mut ServerSession, context: &mut Context, kept: Recalled) -> bool {
    // Somebody else may have asked meanwhile.
    let outcome = if kept.is_fresh() {
        Outcome::Hit
    } else {
        Outcome::Stale
    };
    if let Some(exchange) = context.exchange() {
        exchange.caching.stand_in(outcome, &kept);
    }
    // Those of the one that failed.
    let answered = &mut context.record.answered;
    (answered.first_byte, answered.first_token) = (None, None);
    let sent = send(session, context, outcome, kept).await;
    if let Some(seat) = context.seat() {
        match sent {
            // After an error Pingora would give the session up.
            Ok(()) => seat.finish(),
            Err(_) => seat.leave(),
        }
    }
    sent.is_ok()
}

async fn send(
    session: &mut ServerSession,
    context: &mut Context,
    outcome: Outcome,
    kept: Recalled,
) -> Result<()> {
    let body = kept.entry.body.clone();
    let mut head = head_of(session, context, outcome, kept);
    parts::fit(&mut head, session);
    let answered = &mut context.record.answered;
    answered.status = Some(head.status.as_u16());
    answered.content_type = text::field(&head.headers, &CONTENT_TYPE);
    reply::send(session, head, body).await
}

/// What was kept of an answer's head, and what this answer has of its own.
fn head_of(
    session: &ServerSession,
    context: &Context,
    outcome: Outcome,
    kept: Recalled,
) -> ResponseHeader {
    let mut fields = kept.fields;
    fields.insert(AGE, number(kept.age.as_secs()));
    if !fields.contains_key(CONTENT_LENGTH) {
        fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    reply::stamp(&mut fields, &stamp_of(session, context));
    caching::tell(outcome, Some(kept.entry.fresh), &mut fields);
    match &context.phase {
        Phase::Answered(admission) => limit::tell(admission, &mut fields),
        Phase::Exchanging(exchange) => limit::tell(&exchange.admission, &mut fields),
        Phase::Arrived | Phase::Settled => {}
    }
    let mut parts = Response::new(()).into_parts().0;
    parts.headers = fields;
    parts.into()
}

/// The refusal that stands for an error which ended the exchange.
pub fn refusal_of(context: &mut Context, error: &Error) -> Refusal {
    let failure = context
        .exchange()
        .and_then(|exchange| exchange.failure.clone());
    match failure {
        Some(failure) => Refusal::Upstream(failure),
        None if *error.esource() == ErrorSource::Downstream => match error.etype() {
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error => {
                Refusal::Head(HeadFault::Malformed(cause_of(error).into()))
            }
            ErrorType::ReadTimedout => Refusal::Body(BodyFault::Slow),
            // The reader's own faults (`InvalidChunk`): the client is there to hear of them.
            ErrorType::Custom(fault) => Refusal::Body(BodyFault::Malformed((*fault).to_owned())),
            _ => Refusal::Body(BodyFault::Gone),
        },
        None => Refusal::Internal(error.etype().as_str().to_owned()),
    }
}

/// What an answer to this request carries.
pub fn stamp_of<'a>(session: &ServerSession, context: &'a Context) -> Stamp<'a> {
    let asked = &context.record.asked;
    let running = match &context.phase {
        Phase::Exchanging(exchange) => exchange.attempt.is_some(),
        _ => false,
    };
    Stamp {
        id: context.record.id,
        step: context.record.answered.step,
        attempts: context.record.attempts.len() + usize::from(running),
        event_id: asked.event_id.as_deref(),
        metadata_faults: Some(&asked.metadata_faults),
        cross_origin: session.req_header().headers.contains_key(ORIGIN),
    }
}
