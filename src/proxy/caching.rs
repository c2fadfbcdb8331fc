//! The cache on a request's path: what becomes of a request at it, told to Pingora and to the client.

use super::context::Context;
use super::deadline::Lapse;
use super::dealings::{Dealings, Source};
use super::exchange::{Exchange, Metering, Verdict};
use super::failure::Failure;
use super::faults::FieldFault;
use super::parts::number;
use super::reply::CACHE_STATUS;
use super::seat::SEAT;
use super::{fields, judge, wishes};
use crate::base::money::NanoUsd;
use crate::stage::cache::archive::CacheStore;
use crate::stage::cache::control::{Policy, Wishes};
use crate::stage::cache::fill;
use crate::stage::cache::key::Parts;
use crate::stage::cache::question::{Asker, Lapsed, Limits, Question};
use crate::stage::cache::reading::{Follow, Kept, Recalled};
use crate::stage::cache::whole::{self, Matter};
use crate::stage::cache::{self, Outcome, label::Label};
use crate::stage::plan::fault::Fault;
use crate::stage::plan::target::Step;
use crate::stage::route::Gateway;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use pingora_cache::RespCacheable::{self, Cacheable, Uncacheable};
use pingora_cache::lock::{CacheKeyLock, Locked};
use pingora_cache::{
    CacheKey, CacheMeta, CacheOptionOverrides, CachePhase, ForcedFreshness, HitHandler,
    NoCacheReason,
};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// For how many seconds the answer is fresh, in all.
const TTL: HeaderName = HeaderName::from_static("x-tollgate-cache-ttl");
/// An answer that has expired stands in, because no provider answered.
const STALE: HeaderName = HeaderName::from_static("x-tollgate-cache-stale");

/// Whether the answer to the request that runs here has begun to be kept.
pub fn has_begun() -> bool {
    SEAT.try_with(|seat| seat.is_filling()).unwrap_or(true)
}

/// What a request asks, as far as the cache is concerned.
pub struct Inquiry<'a> {
    pub gateway: &'a Gateway,
    pub query: &'a str,
    /// Where it was read.
    pub body: Option<&'a Bytes>,
    /// The first that will be tried names the question.
    pub steps: &'a [Step],
    /// The request's own.
    pub wishes: Wishes,
}

/// What the cache has to say to a request.
#[expect(
    clippy::large_enum_variant,
    reason = "it is used up where it is made; a box would cost every hit an allocation"
)]
pub enum Advice {
    /// The answer is in memory, fresh, and readable for this client.
    AtOnce(Recalled),
    /// Asked by a question, it may be answered from elsewhere in the cache.
    Ask(Dealings),
}

/// What a request is to the cache.
///
/// # Errors
/// A step's own field has no meaning.
pub fn consult(
    head: &RequestHeader,
    context: &Context,
    inquiry: Inquiry<'_>,
) -> Result<Advice, FieldFault> {
    let without = |outcome| Ok(Advice::Ask(Dealings::new(outcome, None)));
    let Some(Step { target, .. }) = inquiry.steps.first() else {
        return without(Outcome::Off);
    };
    let own = target.written_fields();
    let wishes = match own {
        Some(own) => wishes::cache(own)?.over(inquiry.wishes),
        None => inquiry.wishes,
    };
    let cache = &context.stages.cache;
    let asked = &context.record.asked;
    let ttl = match cache.decide(inquiry.gateway, &wishes) {
        Policy::Off => return without(Outcome::Off),
        Policy::Bypass => return without(Outcome::Bypass),
        Policy::Use { ttl } => ttl,
    };
    let is_question = whole::is_question(&head.method, target.place.operation);
    let Some(body) = inquiry.body.filter(|_| is_question) else {
        return without(Outcome::Bypass);
    };
    let parts = Parts {
        account: asked.account.as_deref().unwrap_or_default(),
        gateway: &inquiry.gateway.name,
        provider: &target.provider.slug,
        place: &target.place,
        query: target.own.as_ref().map_or(inquiry.query, |own| &own.query),
        model: target.model.as_deref(),
        stream: target.streams,
        headers: [Some(&head.headers), own],
        key_fields: &target.provider.key_fields,
        metadata: &asked.metadata,
        body,
    };
    let gateway = inquiry.gateway;
    let Some(key) = cache.key(gateway, &wishes, &parts) else {
        return without(Outcome::Bypass);
    };
    let kept = cache.store.at_once(&key);
    if let Some(kept) = kept.filter(|kept| takes(&head.headers, &kept.fields)) {
        return Ok(Advice::AtOnce(kept));
    }
    let question = cache.question(gateway, (key, wishes), ttl, &parts);
    Ok(Advice::Ask(Dealings::new(Outcome::Miss, question)))
}

/// Opens the cache for a request that uses it.
pub fn enable(session: &mut Session, exchange: &Exchange, store: &'static CacheStore) {
    if exchange.caching.question.is_none() {
        return;
    }
    let mut overrides = CacheOptionOverrides::default();
    overrides.wait_timeout = Some(exchange.patience().first_byte);
    // Each time, one of those who wait becomes the one who asks.
    overrides.max_lock_retries = Some(usize::MAX);
    let lock = Some(&store.lock as _);
    session
        .cache
        .enable(store, None, None, lock, Some(overrides));
}

/// The question's key, with its asker.
///
/// # Errors
/// There is no question.
pub fn key(exchange: &Exchange) -> Result<CacheKey> {
    let question = exchange.caching.question.clone();
    let question = question.ok_or_else(|| Error::new(ErrorType::InternalError))?;
    let patience = exchange.patience();
    let now = Instant::now();
    let limits = Limits {
        begin_by: now + patience.first_byte,
        idle: patience.idle,
        end_by: exchange
            .seat
            .deadlines
            .end()
            .unwrap_or(now + patience.total),
        lapse: |lapsed| match lapsed {
            Lapsed::Idle => Lapse::Idle.error(),
            Lapsed::Total => Lapse::Total.error(),
        },
    };
    let digest = question.key.0;
    let mut key = CacheKey::new(digest.to_vec(), "");
    if let Some(short) = digest.first_chunk() {
        key.set_primary_bin_override(*short);
    }
    key.extensions
        .insert(Arc::new(Asker::new(question, limits)));
    Ok(key)
}

/// An answer was found. One in a coding that this client does not take is none.
pub fn found(
    session: &Session,
    exchange: &mut Exchange,
    meta: &CacheMeta,
    handler: &HitHandler,
) -> Option<ForcedFreshness> {
    if !takes(&session.req_header().headers, meta.headers()) {
        return Some(ForcedFreshness::ForceMiss);
    }
    let handler = handler.as_any();
    if let Some(follow) = handler.downcast_ref::<Follow>() {
        exchange.caching.source = Source::Following(follow.fill.clone());
    } else if let Some(Kept { entry, .. }) = handler.downcast_ref() {
        exchange.caching.source = Source::Kept {
            fresh: entry.fresh,
            cost: Label::read(&entry.label).and_then(|label| label.cost),
        };
    }
    None
}

/// Whether a client with these fields can read an answer with those (RFC 9110, 12.5.3). What it says
/// of quality is heard only where it refuses.
pub fn takes(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let Some(coding) = answer.get(CONTENT_ENCODING) else {
        return true;
    };
    let coding = String::from_utf8_lossy(coding.as_bytes()).to_ascii_lowercase();
    let accepted = request.get_all(ACCEPT_ENCODING).iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let mut offers = accepted.flat_map(|value| value.split(',')).map(|offer| {
        let (name, quality) = offer.split_once(';').unwrap_or((offer, ""));
        let quality = quality.trim().trim_start_matches("q=");
        let refused = quality.parse() == Ok(0.0);
        (name.trim().to_ascii_lowercase(), !refused)
    });
    offers.any(|(name, accepted)| name == coding && accepted) || coding == "identity"
}

/// The wait for somebody else's answer took all the time that there was for a first byte: as if the
/// first attempt had.
///
/// # Errors
/// It did.
pub fn check_wait(session: &Session, context: &mut Context) -> Result<()> {
    let timed_out = CachePhase::Disabled(NoCacheReason::CacheLockTimeout);
    let Some(exchange) = context.exchange() else {
        return Ok(());
    };
    if session.cache.phase() != timed_out || exchange.caching.has_waited {
        return Ok(());
    }
    exchange.caching.has_waited = true;
    let Some((target, _)) = exchange.plan.next_target() else {
        return Ok(());
    };
    let failure = Failure::FirstByte {
        origin: target.place.origin.to_string(),
        within: exchange.patience().first_byte,
    };
    let mut error = Lapse::FirstByte.error();
    let verdict = judge::fail(context, Fault::Timeout, Some(failure));
    error.set_retry(verdict == Verdict::TryNext);
    Err(error)
}

/// Decides by its head whether an answer may be kept. Those who wait for one that failed ask again,
/// one after the other; those who wait for what is never kept all go their way.
pub fn admit(exchange: &mut Exchange, store: &CacheStore, head: &ResponseHeader) -> RespCacheable {
    let (Some(question), Some(matter)) = (&exchange.caching.question, whole::matter(head)) else {
        let status = head.status;
        let passing = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
        return Uncacheable(
            match status.is_server_error() || passing.contains(&status) {
                true => NoCacheReason::UpstreamError,
                false => NoCacheReason::OriginNotCache,
            },
        );
    };
    let content_type = head.headers.get(CONTENT_TYPE);
    let streams = content_type.is_some_and(|value| fields::is_stream(value.as_bytes()));
    let now = SystemTime::now();
    let fresh_until = now.checked_add(question.ttl).unwrap_or(now);
    let mut question = Question::clone(question);
    if let Some(attempt) = &exchange.attempt {
        // Whoever answers in the end.
        question.provider = attempt.target.provider.slug.clone();
        question.model.clone_from(&attempt.target.model);
    }
    let fill = store.begin(Arc::new(question), cache::head::write(head));
    if streams && !exchange.would_go_on(Fault::Cut) {
        fill.share();
    }
    // The client of this request gets the whole head; the others get what is kept of it.
    let mut meta = CacheMeta::new(fresh_until, now, 0, 0, head.clone());
    meta.extensions_mut().insert(fill.clone());
    exchange.caching.source = Source::Filling(fill, matter);
    exchange.seat.fill();
    Cacheable(meta)
}

/// Says whether the answer that has just ended is kept. To be called between its hearing and its bill.
pub fn is_whole(exchange: &Exchange) -> bool {
    let (Source::Filling(_, matter), Some(attempt)) = (&exchange.caching.source, &exchange.attempt)
    else {
        return false;
    };
    let Metering::Heard(reading) = &attempt.metering else {
        return *matter == Matter::Image;
    };
    whole::is_whole(*matter, attempt.target.place.operation, reading)
}

/// Passes the judgement on.
pub fn judge(exchange: &Exchange, keep: bool, cost: Option<NanoUsd>) {
    if let Source::Filling(fill, _) = &exchange.caching.source {
        fill.judge(fill::Verdict { keep, cost });
    }
}

/// The attempt was given up after its answer had begun to be kept, and another one follows: those who
/// share it go on waiting, and what is kept begins anew.
pub fn start_over(session: &mut Session, exchange: &mut Exchange, store: &'static CacheStore) {
    let key = session.cache.maybe_cache_key().cloned();
    let Some(key) = key.filter(|_| exchange.caching.is_filling() && session.cache.enabled()) else {
        return;
    };
    exchange.caching.source = Source::Provider;
    exchange.seat.unfill();
    // Before the answer is dropped, so that nobody else becomes the one who asks.
    let lock = store.lock.lock(&key, false);
    session.cache.disable(NoCacheReason::Deferred);
    enable(session, exchange, store);
    session.cache.set_cache_key(key);
    session.cache.cache_miss();
    if let Locked::Write(permit) = lock {
        session.cache.set_write_lock(permit);
    }
}

/// Whether the answer comes out of the cache, with a head of our own making.
pub fn is_kept(session: &Session) -> bool {
    matches!(
        session.cache.phase(),
        CachePhase::Hit | CachePhase::Stale | CachePhase::StaleUpdating
    )
}

/// Notes what became of the request as its answer begins, and tells the client.
pub fn mark(session: &Session, exchange: &mut Exchange, head: &mut HeaderMap) {
    let caching = &mut exchange.caching;
    let Some(question) = &caching.question else {
        return;
    };
    let asker = session.cache.maybe_cache_key().map(|key| &key.extensions);
    let asker = asker.and_then(|extensions| extensions.get::<Arc<Asker>>());
    let waited = session.cache.lock_duration().is_some();
    let shared = waited || asker.is_some_and(|asker| asker.has_joined());
    caching.outcome = match session.cache.phase() {
        CachePhase::Hit if shared => Outcome::Coalesced,
        CachePhase::Hit => Outcome::Hit,
        CachePhase::Stale => Outcome::Stale,
        _ => Outcome::Miss,
    };
    let fresh = match &caching.source {
        Source::Kept { fresh, .. } if caching.outcome.is_cached() => Some(*fresh),
        Source::Following(fill) if caching.outcome.is_cached() => Some(fill.question.ttl),
        Source::Filling(..) => Some(question.ttl),
        _ => None,
    };
    tell(caching.outcome, fresh, head);
}

/// Lets an answer say what became of its request at the cache, and for how long it is `fresh` in all.
pub fn tell(outcome: Outcome, fresh: Option<Duration>, head: &mut HeaderMap) {
    if let Some(fresh) = fresh {
        head.insert(TTL, number(fresh.as_secs()));
    }
    if outcome == Outcome::Stale {
        head.insert(STALE, HeaderValue::from_static("true"));
    }
    if outcome.is_cached() {
        head.insert(CACHE_STATUS, HeaderValue::from_static("HIT"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(coding: Option<&str>, accepted: Option<&str>, expect: bool) {
        let of = |name: HeaderName, value: Option<&str>| {
            let value = value.map(|value| (name, value.parse().unwrap()));
            value.into_iter().collect::<HeaderMap>()
        };
        let (request, answer) = (of(ACCEPT_ENCODING, accepted), of(CONTENT_ENCODING, coding));
        assert_eq!(takes(&request, &answer), expect, "{coding:?} {accepted:?}");
    }

    #[test]
    fn a_coded_answer_is_for_clients_that_take_the_coding() {
        check(None, None, true);
        check(Some("identity"), None, true);
        check(Some("gzip"), None, false);
        check(Some("gzip"), Some("br, GZip;q=0.5"), true);
        check(Some("GZIP"), Some("gzip"), true);
        check(Some("gzip"), Some("gzip;q=0, br"), false);
        check(Some("gzip"), Some("*"), false);
    }
}
