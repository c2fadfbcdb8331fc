//! The request is answered by the gateway itself: refused, or told what browsers may ask.

use super::context::{Context, Phase};
use super::failure::cause_of;
use super::faults::{BodyFault, HeadFault};
use super::refusal::Refusal;
use super::reply::{self, Stamp};
use super::{arrival, intake};
use crate::stage::journal::record::End;
use http::header::ORIGIN;
use pingora::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;

/// Answers by ourselves. Returns whether the client can still be reached.
pub async fn refuse(session: &mut Session, context: &mut Context, refusal: &Refusal) -> bool {
    let face = refusal.face();
    let gone = matches!(refusal, Refusal::Body(BodyFault::Gone));
    let answerable = !gone && session.response_written().is_none();
    if answerable {
        context.record.answered.refusal = Some(format!("{}:{}", face.stage, face.code));
    }
    if (refusal.breaks_framing() || intake::leaves_too_much(session))
        && let Some(seat) = context.seat()
    {
        seat.close_after();
    }
    if context.exchange().is_none() {
        context.record.end = if gone { End::ClientGone } else { End::Refused };
        context.phase = Phase::Answered;
    }
    if !answerable {
        return false;
    }
    context.record.answered.status = Some(face.status);
    context.record.answered.content_type = Some("application/json".to_owned());
    let stamp = stamp_of(session, context);
    let sent = reply::refuse(session.as_downstream_mut(), refusal, &stamp).await;
    if sent.is_ok()
        && let Some(seat) = context.seat()
    {
        // After an error Pingora would give the session up.
        seat.finish();
    }
    sent.is_ok()
}

/// Answers a browser's preflight.
pub async fn preflight(session: &mut Session, context: &mut Context) {
    arrival::arrive(session, context);
    context.phase = Phase::Answered;
    context.record.answered.status = Some(204);
    let stamp = stamp_of(session, context);
    let sent = reply::preflight(session.as_downstream_mut(), &stamp).await;
    if sent.is_err() {
        context.record.end = End::ClientGone;
    }
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
pub fn stamp_of<'a>(session: &Session, context: &'a Context) -> Stamp<'a> {
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
