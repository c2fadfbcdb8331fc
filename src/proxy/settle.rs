//! The end of a request and of each attempt: billed and written down once, whichever way it came.

use super::context::{Context, Phase};
use super::exchange::{Attempt, Exchange};
use super::failure::{Failure, cause_of, end_of};
use super::limit;
use crate::stage::journal::record::End;
use crate::stage::limit::Admission;
use crate::stage::plan::fault::Fault;
use http::Method;
use pingora::Error;
use pingora::protocols::http::ServerSession;

/// Closes the record and hands it to the journal.
pub fn settle(session: &ServerSession, context: &mut Context, error: Option<&Error>) {
    context.record.received.bytes = session.body_bytes_read() as u64;
    context.record.answered.bytes = session.body_bytes_sent() as u64;
    if let Phase::Exchanging(exchange) = &mut context.phase {
        let failure = exchange.failure.take();
        // Its client got an answer all the same.
        let error = error.filter(|_| !exchange.caching.has_stood_in);
        let failure = failure.or_else(|| exchange.caching.failure(error, exchange.patience()));
        let heard = exchange.attempt.as_mut().is_some_and(Attempt::hear_out);
        let end = match end_of(failure.as_ref(), error, heard) {
            _ if exchange.seat.has_left() => End::ClientGone,
            end => end,
        };
        let fault = fault_of(exchange, end, failure.as_ref());
        let cause = match (failure, error) {
            (None, _) if end == End::Complete => None,
            (Some(failure), _) => Some(failure.to_string()),
            // The attempt was not at fault.
            (None, Some(_)) if end == End::ClientGone => None,
            (None, error) => error.map(cause_of),
        };
        context.record.end = end;
        conclude(context, fault, cause);
    }
    close(context);
}

/// A request that is dropped in the middle, as all are when the process stops, is settled too.
impl Drop for Context {
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::Settled) {
            self.record.end = End::Error;
            let cause = "the gateway stopped before the answer was complete";
            conclude(self, Some(Fault::ClientGone), Some(cause.to_owned()));
            close(self);
        }
    }
}

/// What went wrong with the last attempt of a request that ended so.
fn fault_of(exchange: &Exchange, end: End, failure: Option<&Failure>) -> Option<Fault> {
    let status = exchange.attempt.as_ref().and_then(|attempt| attempt.status);
    match (end, failure) {
        (End::ClientGone, _) => Some(Fault::ClientGone),
        (End::Complete, None) => status.filter(|status| *status >= 400).map(Fault::Status),
        // With a complete answer as well, which then stood in for the one that failed.
        (_, Some(failure)) => Some(failure.fault()),
        (_, None) => Some(Fault::Closed),
    }
}

/// Ends the attempt that ran: tells those who chose its endpoint and key, bills it, and writes it
/// into the record. `fault` is what went wrong, and `cause` says it in words.
pub fn conclude(context: &mut Context, fault: Option<Fault>, cause: Option<String>) {
    let Phase::Exchanging(exchange) = &mut context.phase else {
        return;
    };
    exchange.streaming = None;
    let record = &mut context.record;
    record.cache = exchange.caching.record();
    let Some(attempt) = &mut exchange.attempt else {
        return;
    };
    attempt.hear_out();
    if !fault.is_some_and(|fault| attempt.hurry.excuses(fault)) {
        attempt.report(fault);
    }
    let posted = record.received.method == Some(Method::POST);
    let bill = exchange.bill(&context.stages.meter, fault.filter(|_| posted));
    if let Some(attempt) = exchange.attempt.take() {
        let arrived = record.arrived.steady;
        record.attempts.push(attempt.record(arrived, cause, bill));
    }
}

fn close(context: &mut Context) {
    let admission = match std::mem::replace(&mut context.phase, Phase::Settled) {
        Phase::Exchanging(exchange) => exchange.admission,
        Phase::Answered(admission) => admission,
        Phase::Arrived | Phase::Settled => Admission::default(),
    };
    limit::settle(&context.stages.limits, admission.permit, &context.record);
    let record = &mut context.record;
    record.duration = record.arrived.elapsed();
    let journal = &context.stages.journal;
    // Whoever waits for the last request to end then finds its record written.
    journal.write(record);
    journal.metrics.in_flight.dec();
}
