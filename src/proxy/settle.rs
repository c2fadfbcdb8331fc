//! The end of a request and of each attempt: billed and written down once, whichever way it came.

use super::context::{Context, Phase};
use super::exchange::Attempt;
use super::failure::{cause_of, end_of};
use crate::stage::journal::record::End;
use http::Method;
use pingora::Error;
use pingora_proxy::Session;

/// Closes the record and hands it to the journal.
pub fn settle(session: &Session, context: &mut Context, error: Option<&Error>) {
    context.record.received.bytes = session.body_bytes_read() as u64;
    context.record.answered.bytes = session.body_bytes_sent() as u64;
    if let Phase::Exchanging(exchange) = &mut context.phase {
        let failure = exchange.failure.take();
        let heard = exchange.attempt.as_mut().is_some_and(Attempt::hear_out);
        let end = match end_of(failure.as_ref(), error, heard) {
            _ if exchange.seat.has_left() => End::ClientGone,
            end => end,
        };
        let cause = match (failure, error) {
            _ if end == End::Complete => None,
            (Some(failure), _) => Some(failure.to_string()),
            // The attempt was not at fault.
            (None, Some(_)) if end == End::ClientGone => None,
            (None, error) => error.map(cause_of),
        };
        context.record.end = end;
        let unawaited = matches!(end, End::ClientGone | End::Timeout);
        conclude(context, error.is_some(), unawaited, cause);
    }
    close(context);
}

/// A request that is dropped in the middle, as all are when the process stops, is settled too.
impl Drop for Context {
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::Settled) {
            self.record.end = End::Error;
            let cause = "the gateway stopped before the answer was complete";
            conclude(self, true, true, Some(cause.to_owned()));
            close(self);
        }
    }
}

/// Bills the attempt that ran and writes it into the record: it `broke` where it ended by an error,
/// and was `unawaited` where that was not the provider's doing.
pub fn conclude(context: &mut Context, broke: bool, unawaited: bool, cause: Option<String>) {
    let Phase::Exchanging(exchange) = &mut context.phase else {
        return;
    };
    exchange.streaming = None;
    let record = &mut context.record;
    let Some(attempt) = &mut exchange.attempt else {
        return;
    };
    attempt.hear_out();
    let posted = record.received.method == Some(Method::POST);
    let course = attempt.course(broke, unawaited && posted);
    let bill = exchange.bill(&context.stages.meter, course);
    if let Some(attempt) = exchange.attempt.take() {
        let arrived = record.arrived.steady;
        record.attempts.push(attempt.record(arrived, cause, bill));
    }
}

fn close(context: &mut Context) {
    context.phase = Phase::Settled;
    let mut record = context.record.take();
    record.duration = record.arrived.elapsed();
    let journal = &context.stages.journal;
    journal.metrics.in_flight.dec();
    journal.write(record);
}
