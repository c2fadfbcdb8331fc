//! Where no provider answers, an answer that has expired may stand in.

use super::caching;
use super::context::Context;
use super::deadline::Lapse;
use super::exchange::Exchange;
use crate::stage::cache::reading::Recalled;
use crate::stage::plan::fault::Fault;
use http::StatusCode;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;

/// Whether an answer that has expired stands in for this failure: only where nothing is left to try,
/// and never for a client that left.
pub fn stands_in(exchange: &mut Exchange, error: &Error) -> bool {
    if *error.esource() == ErrorSource::Downstream && Lapse::of(error).is_none() {
        return false;
    }
    if let ErrorType::HTTPStatus(status) = error.etype() {
        if exchange.would_go_on(Fault::Status(*status)) {
            return false;
        }
        if let Some(attempt) = &mut exchange.attempt {
            attempt.status = Some(*status);
        }
    }
    true
}

/// A provider that answers that it has too much to do has failed as well, where an answer that has
/// expired can stand in. Pingora itself asks for failures of the server only.
///
/// # Errors
/// It did, and one can.
pub fn rather_stale(session: &Session, head: &ResponseHeader) -> Result<()> {
    if head.status == StatusCode::TOO_MANY_REQUESTS && session.cache.can_serve_stale_error() {
        let status = ErrorType::HTTPStatus(head.status.as_u16());
        return Err(Error::new_up(status));
    }
    Ok(())
}

/// What stands in for an answer that broke off before the client got any of it. Pingora looks for such a one only
/// until an answer has begun.
pub async fn find(head: &RequestHeader, context: &mut Context, error: &Error) -> Option<Recalled> {
    let store = context.stages.cache.store;
    let exchange = context.exchange()?;
    let question = exchange.caching.question.clone();
    let question = question.filter(|question| !question.stale.is_zero())?;
    if !stands_in(exchange, error) {
        return None;
    }
    let kept = store.stand_in(&question).await?;
    caching::takes(&head.headers, &kept.fields).then_some(kept)
}
