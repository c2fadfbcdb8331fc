//! What a failed attempt leads to: the next one, or the end.

use super::context::Context;
use super::deadline::Lapse;
use super::exchange::Verdict;
use super::failure::{Failure, cause_of};
use super::settle::conclude;
use crate::stage::plan::fault::Fault;
use crate::stage::plan::pool::Tried;
use pingora::{Error, ErrorSource, ErrorType};
use std::time::Instant;

/// No connection came about: the name's next address is tried within the same attempt.
pub fn dial(context: &mut Context, error: &Error) -> Verdict {
    let Some(exchange) = context.exchange() else {
        return Verdict::GiveUp;
    };
    let Some(attempt) = &mut exchange.attempt else {
        return Verdict::GiveUp;
    };
    let passed = exchange.seat.deadlines.passed(Instant::now());
    if passed.is_none() && attempt.addresses.advance() {
        return Verdict::TryNext;
    }
    let origin = attempt.place().origin.to_string();
    let failure = match passed {
        Some(lapse) => Failure::lapsed(lapse, origin, exchange.patience()),
        None => Failure::Connect {
            origin,
            cause: cause_of(error),
        },
    };
    fail(context, failure.fault(), Some(failure))
}

/// The connection failed, before or after the answer began. A pooled connection that the provider
/// had closed meanwhile (`stale`) is tried again, as long as nothing came back; another attempt is
/// made as long as the client got nothing (`untouched`).
pub fn error(context: &mut Context, error: &Error, stale: bool, untouched: bool) -> Verdict {
    let Some(exchange) = context.exchange() else {
        return Verdict::GiveUp;
    };
    let Some(attempt) = &exchange.attempt else {
        return Verdict::GiveUp;
    };
    let begun = attempt.status.is_some();
    if stale && !begun {
        return Verdict::TryNext;
    }
    let origin = attempt.place().origin.to_string();
    if let Some(fault) = exchange.fault.take() {
        let told = match fault {
            Fault::Status(status) => Failure::Refused { origin, status },
            _ => Failure::Reported { origin },
        };
        return fail(context, fault, Some(told));
    }
    // An answer out of the cache stands in for this one.
    if matches!(error.etype(), ErrorType::HTTPStatus(_)) {
        return Verdict::GiveUp;
    }
    if *error.esource() == ErrorSource::Downstream && Lapse::of(error).is_none() {
        return Verdict::GiveUp;
    }
    let failure = Failure::of(error, origin, exchange.patience(), begun);
    // Those who share its answer have had a part of it.
    if untouched && !exchange.caching.is_shared() {
        return fail(context, failure.fault(), Some(failure));
    }
    exchange.failure = Some(failure);
    Verdict::GiveUp
}

/// The running attempt failed: another one follows, or the failure stands. What failed and is
/// followed by another is settled here; the last one is with the request.
pub fn fail(context: &mut Context, fault: Fault, failure: Option<Failure>) -> Verdict {
    let arrived = context.record.arrived;
    let Some(exchange) = context.exchange() else {
        return Verdict::GiveUp;
    };
    let retry_after = exchange
        .attempt
        .as_ref()
        .and_then(|attempt| attempt.retry_after);
    let left = exchange.patience().total.saturating_sub(arrived.elapsed());
    let elsewhere = exchange.has_another(fault) && !left.is_zero();
    let step = exchange.plan.step();
    if let Some(attempt) = &exchange.attempt {
        exchange.tried.note(&attempt.chosen.ticket, fault);
    }
    if elsewhere {
        exchange.plan.repeat_step();
    } else if !exchange.plan.fail(fault, retry_after, left) {
        exchange.failure = failure;
        return Verdict::GiveUp;
    }
    if exchange.plan.step() != step {
        exchange.tried = Tried::default();
    }
    exchange.seat.gate.reset();
    exchange.seat.deadlines.rest();
    // A status speaks for itself.
    let told = failure.filter(|failure| !matches!(failure, Failure::Refused { .. }));
    let cause = told.map(|failure| failure.to_string());
    conclude(context, Some(fault), cause);
    let answered = &mut context.record.answered;
    (answered.first_byte, answered.first_token) = (None, None);
    Verdict::TryNext
}
