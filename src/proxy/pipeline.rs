//! The path of a request, top to bottom: admit, attempt, judge, answer, settle.

use super::arrival;
use super::caching::{Advice, Inquiry};
use super::context::{Context, Phase};
use super::exchange::{Exchange, Metering, OpenStream, Verdict};
use super::failure::Failure;
use super::intent::{self, Intent, Terms};
use super::refusal::Refusal;
use super::seat::Seat;
use super::surroundings::Surroundings;
use super::{
    caching, choose, fields, intake, judge, limit, own_answer, parts, peer, reply, text, wishes,
};
use crate::stage::cache::reading::Recalled;
use crate::stage::meter;
use crate::stage::plan::Patience;
use crate::stage::plan::config::OnClientGone;
use crate::stage::plan::fault::Fault;
use crate::stage::plan::pool::Tried;
use crate::stage::route::Found;
use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an attempt to connect gets where hardly any time is left.
const CONNECT_MIN: Duration = Duration::from_millis(1);
/// A stream whose first token takes longer is passed on as it is.
const COMMIT_MAX: Duration = Duration::from_secs(10);

// ---- admit: once, before any provider is asked ----

/// Answers what the gateway answers by itself; returns whether its client can still be reached. `None` where
/// a provider has to be asked.
pub async fn receive(session: &mut ServerSession, context: &mut Context) -> Option<bool> {
    if reply::is_preflight(session.req_header()) {
        return Some(own_answer::preflight(session, context).await);
    }
    match admit(session, context).await {
        Ok(None) => None,
        Ok(Some(kept)) => Some(own_answer::give(session, context, kept).await),
        Err(refusal) => Some(own_answer::refuse(session, context, &refusal).await),
    }
}

/// Decides whether and where the request goes. Afterwards it is exchanging, unless there is an answer that can
/// be given at once.
///
/// # Errors
/// What a stage found wrong, to be answered by the gateway.
async fn admit(
    session: &mut ServerSession,
    context: &mut Context,
) -> Result<Option<Recalled>, Refusal> {
    arrival::arrive(session, context);
    let stages = context.stages.clone();
    session.set_read_timeout(Some(stages.conduct.pause_max));
    arrival::check(session, stages.conduct.head_bytes_max)?;
    let (found, query) = arrival::locate(session, &stages, &mut context.record.asked)?;

    let headers = &session.req_header().headers;
    let (gateway, key_fields) = match &found {
        Found::Place(route) => (&route.gateway, route.provider.key_fields.as_slice()),
        Found::Universal(trunk) => (&trunk.gateway, [].as_slice()),
    };
    let caller = stages.auth.authenticate(gateway, headers, key_fields)?;
    context.record.asked.key = caller.key().cloned();
    let mut wishes = wishes::read(headers)?;
    let cache = std::mem::take(&mut wishes.cache);

    let terms = Terms {
        query: &query,
        wishes: &wishes,
    };
    let intent = intent::read(session, context, found, &terms).await?;
    let Intent {
        gateway,
        mut steps,
        mut body,
    } = intent;
    let record = &mut context.record;

    let call = (steps.as_mut_slice(), &mut body);
    let admission = limit::admit(&stages, &gateway, session, call, record).await?;
    if admission.model.is_some() {
        // Who is over the limit gets the model that it names, and no dearer one.
        steps.truncate(1);
    }
    let head = session.req_header();
    let inquiry = Inquiry {
        gateway: &gateway,
        query: &query,
        body: body.as_ref(),
        steps: &steps,
        wishes: cache,
    };
    let caching = match caching::consult(head, context, inquiry)? {
        Advice::Ask(caching) => caching,
        Advice::AtOnce(kept) => {
            context.phase = Phase::Answered(admission);
            return Ok(Some(kept));
        }
    };
    let seat = Arc::new(Seat::default());
    if let Some(body) = body {
        seat.hold(body);
    }
    let plan = stages.plans.plan(&gateway, steps);
    let arrived = context.record.arrived.steady;
    seat.deadlines.end_by(arrived + plan.patience().total);
    if plan.on_client_gone == OnClientGone::Drain && session.req_header().method == Method::POST {
        seat.drain();
    }
    let mut exchange = Exchange::begin(plan, seat, query, caller);
    exchange.caching = caching;
    exchange.admission = admission;
    context.phase = Phase::Exchanging(Box::new(exchange));
    Ok(None)
}

// ---- attempt: per attempt ----

/// The peer to dial now: the running attempt's next address, or the next target's first.
///
/// # Errors
/// Nothing is left to try; the failure is kept in the exchange.
pub async fn attempt(
    session: &mut ServerSession,
    context: &mut Context,
    surroundings: &Surroundings,
) -> Result<Box<HttpPeer>, Box<Error>> {
    let internal = || Error::new(ErrorType::InternalError);
    if context.exchange().ok_or_else(internal)?.attempt.is_none() {
        begin_attempt(session, context, surroundings).await?;
    }
    let exchange = context.exchange().ok_or_else(internal)?;
    let mut patience = exchange.patience();
    let left = exchange.seat.deadlines.left(Instant::now());
    patience.connect = patience.connect.min(left).max(CONNECT_MIN);
    let attempt = exchange.attempt.as_ref().ok_or_else(internal)?;
    let Some(address) = attempt.addresses.current() else {
        return Err(Error::new(ErrorType::ConnectNoRoute));
    };
    let origin = &attempt.place().origin;
    Ok(Box::new(peer::peer(origin, address, &patience)))
}

async fn begin_attempt(
    session: &mut ServerSession,
    context: &mut Context,
    surroundings: &Surroundings,
) -> Result<(), Box<Error>> {
    let Phase::Exchanging(exchange) = &mut context.phase else {
        return Err(Error::new(ErrorType::InternalError));
    };
    let stages = &context.stages;
    let asked = &mut context.record.asked;
    let (target, choice) = loop {
        let Some((target, pause)) = exchange.plan.next_target() else {
            return Err(Error::new(ErrorType::new("NoTargetLeft")));
        };
        if !pause.is_zero() {
            intake::wait(session, pause).await?;
        }
        if exchange.seat.has_left() {
            // What runs is drained; nothing more is begun for nobody.
            return Err(Error::new_down(ErrorType::ConnectionClosed));
        }
        match choose::choose(session, exchange, &target, stages, &asked.metadata) {
            Ok(choice) => break (target, choice),
            // Another step may do what this one cannot.
            Err(_) if exchange.plan.skip_step() => exchange.tried = Tried::default(),
            Err(unfit) => {
                let provider = target.provider.slug.clone();
                exchange.failure = Some(Failure::Unfit { provider, unfit });
                return Err(Error::new(ErrorType::new("NoTargetFit")));
            }
        }
    };
    if target.own.is_some() {
        let model = target.model.as_deref();
        arrival::note_target(asked, &target.provider, &target.place, model);
        asked.stream = target.streams;
    }
    context.record.answered.step = target.step;
    let Patience {
        connect,
        first_byte,
        ..
    } = exchange.patience();
    let client_is_sending = !session.is_body_done();
    let deadlines = &exchange.seat.deadlines;
    deadlines.await_first_byte(first_byte, client_is_sending);
    let attempt = exchange.begin_attempt(target, choice);
    let origin = &attempt.place().origin;
    match surroundings.resolver.resolve(origin, connect).await {
        Ok(addresses) => attempt.addresses = addresses,
        Err(cause) => {
            let host = origin.host.clone();
            let mut error = Error::new(ErrorType::ConnectNoRoute);
            let failure = Failure::Resolve { host, cause };
            let verdict = judge::fail(context, Fault::Resolve, Some(failure));
            error.set_retry(verdict == Verdict::TryNext);
            return Err(error);
        }
    }
    Ok(())
}

/// Turns the client's request head into the attempt's.
///
/// # Errors
/// The head cannot be written for this provider.
pub fn dress(context: &mut Context, head: &mut RequestHeader) -> Result<(), Box<Error>> {
    let Some(exchange) = context.exchange() else {
        return Err(Error::new(ErrorType::InternalError));
    };
    let Some(attempt) = &mut exchange.attempt else {
        return Err(Error::new(ErrorType::InternalError));
    };
    attempt.sent = true;
    match &exchange.attempt {
        Some(attempt) => fields::to_provider(head, exchange, attempt),
        None => Err(Error::new(ErrorType::InternalError)),
    }
}

// ---- judge: per attempt, at its answer's head or its error ----

/// The attempt's answer has begun.
///
/// # Errors
/// It is one that another attempt may better.
pub fn accept(
    method: &Method,
    context: &mut Context,
    head: &mut ResponseHeader,
) -> Result<(), Box<Error>> {
    // An interim answer (103) says nothing yet.
    if head.status.is_informational() && head.status != 101 {
        return Ok(());
    }
    let Phase::Exchanging(exchange) = &mut context.phase else {
        return Ok(());
    };
    let status = head.status.as_u16();
    let retry_after = fields::retry_after(&head.headers);
    if let Some(attempt) = &mut exchange.attempt {
        attempt.status = Some(status);
        attempt.retry_after = retry_after;
    }
    let elapsed = context.record.arrived.elapsed();
    let left = exchange.patience().total.saturating_sub(elapsed);
    exchange.plan.heed(retry_after, left);
    if exchange.would_go_on(Fault::Status(status)) {
        return Err(exchange.give_up_on(Fault::Status(status)));
    }
    let record = &mut context.record;
    let content_type = head.headers.get(CONTENT_TYPE);
    if content_type.is_some_and(|value| fields::is_stream(value.as_bytes())) {
        record.asked.stream = true;
        let gauge = &context.stages.journal.metrics.streams_open;
        exchange.streaming = Some(OpenStream::new(gauge));
    }
    let idle = exchange.patience().idle;
    exchange.seat.deadlines.first_byte_came(idle);
    let may_go_on = exchange.would_go_on(Fault::Cut);
    let Some(attempt) = &mut exchange.attempt else {
        return Ok(());
    };
    attempt.fit_filter(head);
    if let Some(reader) = meter::open(attempt.place(), method, status, &head.headers) {
        attempt.metering = Metering::Listening(Box::new(reader));
        if status < 300 && record.asked.stream && may_go_on {
            // Until the first token another target may still take over.
            exchange.seat.gate.shut(Some(COMMIT_MAX));
        } else if status < 300 && !record.asked.stream && fields::may_be_held(&head.headers) {
            // What a plain answer used will stand in its head.
            exchange.seat.gate.shut(None);
        }
    }
    Ok(())
}

// ---- answer: to the client ----

/// Makes the provider's answer head the client's.
pub fn answer_head(session: &Session, context: &mut Context, head: &mut ResponseHeader) {
    if head.status.is_informational() && head.status != 101 {
        return;
    }
    parts::amend(head, |parts| {
        if !caching::is_kept(session) {
            fields::to_client(parts);
        }
        let own = &mut parts.headers;
        reply::stamp(own, &own_answer::stamp_of(session, context));
        if let Some(exchange) = context.exchange() {
            caching::mark(session, exchange, own);
            limit::tell(&exchange.admission, own);
        }
    });
    let answered = &mut context.record.answered;
    answered.status = Some(head.status.as_u16());
    answered.content_type = text::field(&head.headers, &CONTENT_TYPE);
}

/// A piece of the provider's answer passes; `last` where it is the end.
///
/// # Errors
/// It tells of a failure that another attempt may better.
pub fn answer_body(
    context: &mut Context,
    body: &mut Option<Bytes>,
    last: bool,
) -> Result<(), Box<Error>> {
    let piece = body.as_deref().unwrap_or_default();
    let answered = &mut context.record.answered;
    if answered.first_byte.is_none() && !piece.is_empty() {
        answered.first_byte = Some(context.record.arrived.elapsed());
    }
    let Phase::Exchanging(exchange) = &mut context.phase else {
        return Ok(());
    };
    let Some(attempt) = &mut exchange.attempt else {
        return Ok(());
    };
    let shut = exchange.seat.gate.is_shut();
    let mut failed = false;
    if let Metering::Listening(reader) = &mut attempt.metering {
        reader.read(piece);
        failed = reader.failed();
        if answered.first_token.is_none() && reader.first_token() {
            answered.first_token = Some(context.record.arrived.elapsed());
            attempt.report(None);
            if context.record.asked.stream && shut {
                exchange.seat.gate.open(Vec::new());
            }
        }
    }
    let token = answered.first_token.is_some();
    if context.record.asked.stream && (token || !shut) {
        // What has gone out, with a token or without, is not replaced any more.
        exchange.caching.share();
    }
    if failed && shut && !token && exchange.would_go_on(Fault::Failed) {
        return Err(exchange.give_up_on(Fault::Failed));
    }
    let Some(attempt) = &mut exchange.attempt else {
        return Ok(());
    };
    if let Some(filter) = &mut attempt.usage_filter {
        *body = filter.pass(body.take(), last);
    }
    if last {
        attempt.ended = Some(Instant::now());
        let held = shut && !context.record.asked.stream;
        if held || exchange.caching.is_filling() {
            attempt.hear_out();
            let keep = caching::is_whole(exchange);
            let bill = exchange.bill(&context.stages.meter, None);
            caching::judge(exchange, keep, bill.and_then(|bill| bill.cost));
            if held {
                exchange.seat.gate.open(fields::bill(bill.as_ref()));
            }
        }
    }
    Ok(())
}
