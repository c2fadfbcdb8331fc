//! The path of a request, top to bottom: admit, attempt, judge, answer, settle.

use super::arrival;
use super::context::{Context, Phase};
use super::deadline::Lapse;
use super::exchange::{Attempt, Exchange, OpenStream, Verdict};
use super::failure::{Failure, cause_of, end_of};
use super::refusal::{BodyFault, HeadFault, Refusal};
use super::reply::{self, Stamp};
use super::surroundings::Surroundings;
use super::{fields, intake, peer, text};
use crate::dialect;
use crate::llm::operation::Operation;
use crate::stage::journal::record::End;
use crate::stage::meter;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;
use std::time::{Duration, Instant};

const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
/// A client that takes nothing for this long is gone.
const CLIENT_STALL: Duration = Duration::from_secs(60);

// ---- admit: once, before any provider is asked ----

/// Decides whether and where the request goes; afterwards it is exchanging.
///
/// # Errors
/// What a stage found wrong, to be answered by the gateway.
pub async fn admit(
    session: &mut Session,
    context: &mut Context,
    surroundings: &Surroundings,
) -> Result<(), Refusal> {
    arrive(session, context);
    let downstream = session.as_downstream_mut();
    downstream.set_read_timeout(Some(surroundings.pause_max));
    arrival::check(session, surroundings.head_bytes_max)?;
    let stages = context.stages.clone();
    let asked = &mut context.record.asked;

    let (target, query) = arrival::target(session);
    let query = query.to_owned();
    let found = stages.routes.find(target);
    let gateway = match &found {
        Ok(route) => Some(&route.gateway),
        Err(lost) => lost.gateway.as_ref(),
    };
    let headers = &session.req_header().headers;
    (asked.metadata, asked.metadata_faults) = stages.metadata.read(gateway, headers);
    let mut route = found.map_err(|lost| {
        asked.account = lost.account;
        asked.gateway = lost.gateway.map(|gateway| gateway.name);
        Refusal::Route(lost.error)
    })?;
    asked.account = route.account.take();
    asked.gateway = Some(route.gateway.name.clone());
    asked.provider = Some(route.provider.slug.clone());
    asked.operation = Some(route.place.operation);
    asked.model = route.place.model.as_deref().map(text::plain);
    asked.stream = route.place.streams;

    let key_fields = &route.provider.key_fields;
    let caller = stages
        .auth
        .authenticate(&route.gateway, headers, key_fields)?;
    asked.key = caller.key().cloned();
    let timeout = fields::request_timeout(headers)?;
    let custom_cost = fields::custom_cost(headers)?;

    let Phase::Arrived(seat) = &context.phase else {
        return Err(Refusal::Internal("a request was admitted twice".to_owned()));
    };
    let seat = seat.clone();
    if route.place.operation != Operation::Files && intake::is_json(headers) {
        let began = Instant::now();
        let body = intake::read_body(session, surroundings.body_bytes_max, surroundings.pause_max);
        let body = body.await;
        context.record.received.waited = began.elapsed();
        let body = body?;
        let call = dialect::call::read(&body);
        let model = call.model.as_deref().map(text::plain);
        asked.model = asked.model.take().or(model);
        asked.stream |= call.stream;
        seat.hold(body);
    } else {
        intake::give_leave(session).await?;
    }

    let plan = stages.plans.plan(route, timeout);
    let arrived = context.record.arrived.steady;
    seat.deadlines.end_by(arrived + plan.patience.total);
    let mut exchange = Exchange::begin(plan, seat, query, caller);
    exchange.custom_cost = custom_cost;
    context.phase = Phase::Exchanging(Box::new(exchange));
    Ok(())
}

fn arrive(session: &mut Session, context: &mut Context) {
    let downstream = session.as_downstream_mut();
    downstream.set_write_timeout(Some(CLIENT_STALL));
    let record = &mut context.record;
    arrival::note(session, &mut record.received, &mut record.asked);
}

// ---- attempt: per attempt ----

/// The peer to dial now: the running attempt's next address, or the next target's first.
///
/// # Errors
/// Nothing is left to try; the failure is kept in the exchange.
pub async fn attempt(
    context: &mut Context,
    surroundings: &Surroundings,
    client_is_sending: bool,
) -> Result<Box<HttpPeer>, Box<Error>> {
    let Some(exchange) = context.exchange() else {
        return Err(Error::new(ErrorType::InternalError));
    };
    if exchange.attempt.is_none() {
        let Some(target) = exchange.plan.next_target() else {
            return Err(Error::new(ErrorType::new("NoTargetLeft")));
        };
        let connect = exchange.patience().connect;
        let attempt = exchange.attempt.insert(Attempt::begin(target));
        let origin = &attempt.target.place.origin;
        match surroundings.resolver.resolve(origin, connect).await {
            Ok(addresses) => attempt.addresses = addresses,
            Err(cause) => {
                let host = origin.host.clone();
                exchange.failure = Some(Failure::Resolve { host, cause });
                return Err(Error::new(ErrorType::ConnectNoRoute));
            }
        }
    }
    let patience = exchange.patience();
    let deadlines = &exchange.seat.deadlines;
    deadlines.await_first_byte(patience.first_byte, client_is_sending);
    let Some(attempt) = &exchange.attempt else {
        return Err(Error::new(ErrorType::InternalError));
    };
    let Some(address) = attempt.addresses.current() else {
        return Err(Error::new(ErrorType::ConnectNoRoute));
    };
    let origin = &attempt.target.place.origin;
    Ok(Box::new(peer::peer(origin, address, &patience)))
}

/// Turns the client's request head into the attempt's.
///
/// # Errors
/// The head cannot be written for this provider.
pub fn dress(context: &mut Context, head: &mut RequestHeader) -> Result<(), Box<Error>> {
    let Some(exchange) = context.exchange() else {
        return Err(Error::new(ErrorType::InternalError));
    };
    match &exchange.attempt {
        Some(attempt) => fields::to_provider(head, exchange, attempt),
        None => Err(Error::new(ErrorType::InternalError)),
    }
}

// ---- judge: per attempt, at its answer's head or its error ----

/// The attempt's answer has begun.
pub fn accept(method: &Method, context: &mut Context, head: &ResponseHeader) {
    // An interim answer (103) says nothing yet.
    if head.status.is_informational() && head.status != 101 {
        return;
    }
    let gauge = &context.stages.journal.metrics.streams_open;
    if let Phase::Exchanging(exchange) = &mut context.phase {
        let content_type = head.headers.get(CONTENT_TYPE);
        if content_type.is_some_and(|value| fields::is_stream(value.as_bytes())) {
            context.record.asked.stream = true;
            exchange.streaming = Some(OpenStream::new(gauge));
        }
        let idle = exchange.patience().idle;
        exchange.seat.deadlines.first_byte_came(idle);
        if let Some(attempt) = &mut exchange.attempt {
            let status = head.status.as_u16();
            attempt.status = Some(status);
            let reader = meter::open(&attempt.target.place, method, status, &head.headers);
            attempt.reader = reader.map(Box::new);
        }
    }
}

/// No connection came about: the name's next address is tried within the same attempt.
pub fn judge_dial(context: &mut Context, error: &Error) -> Verdict {
    let Some(exchange) = context.exchange() else {
        return Verdict::GiveUp;
    };
    let Some(attempt) = &mut exchange.attempt else {
        return Verdict::GiveUp;
    };
    if attempt.addresses.advance() {
        return Verdict::TryNext;
    }
    let origin = attempt.target.place.origin.to_string();
    let cause = cause_of(error);
    exchange.failure = Some(Failure::Connect { origin, cause });
    Verdict::GiveUp
}

/// The connection failed, before or after the answer began. A pooled connection that the provider
/// had closed meanwhile (`stale`) is tried again, as long as nothing came back.
pub fn judge_error(context: &mut Context, error: &Error, stale: bool) -> Verdict {
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
    if *error.esource() == ErrorSource::Downstream && Lapse::of(error).is_none() {
        return Verdict::GiveUp;
    }
    let origin = attempt.target.place.origin.to_string();
    exchange.failure = Some(Failure::of(error, origin, exchange.patience(), begun));
    Verdict::GiveUp
}

// ---- answer: to the client ----

/// Makes the provider's answer head the client's.
///
/// # Errors
/// A field cannot be written.
pub fn answer_head(
    session: &Session,
    context: &mut Context,
    head: &mut ResponseHeader,
) -> Result<(), Box<Error>> {
    if head.status.is_informational() && head.status != 101 {
        return Ok(());
    }
    fields::to_client(head);
    reply::stamp(head, &stamp_of(session, context))?;
    let attempts = context.record.attempts.len() + 1;
    head.insert_header(ATTEMPTS, HeaderValue::from(attempts))?;
    let answered = &mut context.record.answered;
    answered.status = Some(head.status.as_u16());
    answered.content_type = text::field(&head.headers, &CONTENT_TYPE);
    Ok(())
}

/// A piece of the provider's answer passes; `last` where it is the end.
pub fn answer_body(context: &mut Context, piece: &[u8], last: bool) {
    let answered = &mut context.record.answered;
    if answered.first_byte.is_none() && !piece.is_empty() {
        answered.first_byte = Some(context.record.arrived.elapsed());
    }
    let Phase::Exchanging(exchange) = &mut context.phase else {
        return;
    };
    if let Some(attempt) = &mut exchange.attempt {
        if let Some(reader) = &mut attempt.reader {
            reader.read(piece);
        }
        if last {
            attempt.ended = Some(Instant::now());
        }
    }
}

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
    arrive(session, context);
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

fn stamp_of<'a>(session: &Session, context: &'a Context) -> Stamp<'a> {
    let asked = &context.record.asked;
    Stamp {
        id: context.record.id,
        event_id: asked.event_id.as_deref(),
        metadata_faults: Some(&asked.metadata_faults),
        cross_origin: session.req_header().headers.contains_key(ORIGIN),
    }
}

// ---- settle: once, whichever way the request ended ----

/// Closes the record and hands it to the journal.
pub fn settle(session: &Session, context: &mut Context, error: Option<&Error>) {
    let mut record = context.record.take();
    let arrived = record.arrived.steady;
    if let Phase::Exchanging(exchange) = &mut context.phase {
        let failure = exchange.failure.take();
        exchange.streaming = None;
        let mut attempt = exchange.attempt.take();
        let reader = attempt.as_mut().and_then(|attempt| attempt.reader.take());
        let reading = reader.map(|reader| reader.finish()).unwrap_or_default();
        record.end = end_of(failure.as_ref(), error, reading.complete);
        let cause = match (failure, error) {
            _ if record.end == End::Complete => None,
            (Some(failure), _) => Some(failure.to_string()),
            // The attempt was not at fault.
            (None, Some(_)) if record.end == End::ClientGone => None,
            (None, error) => error.map(cause_of),
        };
        let model = record.asked.model.as_deref();
        if let Some(attempt) = attempt {
            let (target, custom) = (&attempt.target, exchange.custom_cost.as_ref());
            let meter = &context.stages.meter;
            let bill = meter.bill(&target.provider, &target.place, model, &reading, custom);
            record
                .attempts
                .push(attempt.record(arrived, model, cause, bill));
        }
    }
    record.received.bytes = session.body_bytes_read() as u64;
    record.answered.bytes = session.body_bytes_sent() as u64;
    record.duration = record.arrived.elapsed();
    let journal = &context.stages.journal;
    journal.metrics.in_flight.dec();
    journal.write(record);
}
