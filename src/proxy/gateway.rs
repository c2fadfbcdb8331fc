//! Pingora's callbacks, each handed on to the pipeline; no decision is made here.

use super::context::{ADMITTED, Context};
use super::exchange::Verdict;
use super::surroundings::Surroundings;
use super::{caching, intake, judge, own_answer, pipeline, settle, stale};
use crate::stage::Stages;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_cache::{CacheKey, CacheMeta, ForcedFreshness, HitHandler, RespCacheable};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, RangeType, Session};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// The proxy as Pingora sees it.
pub struct Gateway {
    pub stages: Arc<ArcSwap<Stages>>,
    pub surroundings: Surroundings,
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Box<Context>;

    /// The door has admitted the request already.
    fn new_ctx(&self) -> Box<Context> {
        let admitted = ADMITTED.try_with(Cell::take).ok().flatten();
        admitted.unwrap_or_else(|| Box::new(Context::new(self.stages.load_full())))
    }

    /// None: bodies pass as they are, and event streams must never wait in a compressor.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Box<Context>,
    ) -> Result<Box<HttpPeer>> {
        caching::check_wait(session, context)?;
        pipeline::attempt(session.as_downstream_mut(), context, &self.surroundings).await
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        pipeline::dress(context, head)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _last: bool,
        context: &mut Box<Context>,
    ) -> Result<()> {
        if let Some(exchange) = context.exchange() {
            exchange.dress_body(body);
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        pipeline::accept(&session.req_header().method, context, head)?;
        stale::rather_stale(session, head)
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        piece: &mut Option<Bytes>,
        last: bool,
        context: &mut Box<Context>,
    ) -> Result<Option<Duration>> {
        pipeline::answer_body(context, piece, last)?;
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        pipeline::answer_head(session, context, head);
        Ok(())
    }

    // The cache, which Pingora runs on these answers.

    fn request_cache_filter(
        &self,
        session: &mut Session,
        context: &mut Box<Context>,
    ) -> Result<()> {
        let store = context.stages.cache.store;
        if let Some(exchange) = context.exchange() {
            caching::enable(session, exchange, store);
        }
        Ok(())
    }

    fn cache_key_callback(
        &self,
        _session: &Session,
        context: &mut Box<Context>,
    ) -> Result<CacheKey> {
        let exchange = context.exchange();
        let exchange = exchange.ok_or_else(|| Error::new(ErrorType::InternalError))?;
        caching::key(exchange)
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        meta: &CacheMeta,
        handler: &mut HitHandler,
        _is_fresh: bool,
        context: &mut Box<Context>,
    ) -> Result<Option<ForcedFreshness>> {
        let exchange = context.exchange();
        Ok(exchange.and_then(|exchange| caching::found(session, exchange, meta, handler)))
    }

    fn response_cache_filter(
        &self,
        _session: &Session,
        head: &ResponseHeader,
        context: &mut Box<Context>,
    ) -> Result<RespCacheable> {
        let store = context.stages.cache.store;
        let exchange = context.exchange();
        let exchange = exchange.ok_or_else(|| Error::new(ErrorType::InternalError))?;
        Ok(caching::admit(exchange, store, head))
    }

    fn should_serve_stale(
        &self,
        _session: &mut Session,
        context: &mut Box<Context>,
        error: Option<&Error>,
    ) -> bool {
        let failed = error.zip(context.exchange());
        failed.is_some_and(|(error, exchange)| stale::stands_in(exchange, error))
    }

    /// Never: whoever asks a question wants the answer.
    fn cache_not_modified_filter(
        &self,
        _session: &Session,
        _head: &ResponseHeader,
        _context: &mut Box<Context>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Never a part of it either.
    fn range_header_filter(
        &self,
        _session: &mut Session,
        _head: &mut ResponseHeader,
        _context: &mut Box<Context>,
    ) -> RangeType {
        RangeType::None
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Box<Context>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let verdict = judge::dial(context, &error);
        error.set_retry(verdict == Verdict::TryNext);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        context: &mut Box<Context>,
        client_reused: bool,
    ) -> Box<Error> {
        error.retry.decide_reuse(client_reused);
        let again = context.seat().cloned();
        let again =
            again.is_some_and(|seat| intake::can_send_again(session.as_downstream_mut(), &seat));
        let stale = client_reused && error.retry() && again;
        let untouched = !intake::has_answer_begun(session.as_downstream());
        let verdict = judge::error(context, &error, stale, untouched);
        error.set_retry(verdict == Verdict::TryNext);
        if let (Verdict::TryNext, store) = (verdict, context.stages.cache.store)
            && let Some(exchange) = context.exchange()
        {
            caching::start_over(session, exchange, store);
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Box<Context>,
    ) -> FailToProxy {
        let session = session.as_downstream_mut();
        if !intake::has_answer_begun(session)
            && let Some(kept) = stale::find(session.req_header(), context, error).await
        {
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: own_answer::stand_in(session, context, kept).await,
            };
        }
        let refusal = own_answer::refusal_of(context, error);
        let answered = own_answer::refuse(session, context, &refusal).await;
        FailToProxy {
            error_code: refusal.face().status,
            can_reuse_downstream: answered,
        }
    }

    async fn logging(
        &self,
        session: &mut Session,
        error: Option<&Error>,
        context: &mut Box<Context>,
    ) {
        settle::settle(session.as_downstream(), context, error);
    }

    // What went wrong stands in the request log; Pingora need not say it again.

    fn suppress_error_log(
        &self,
        _session: &Session,
        _context: &Box<Context>,
        _error: &Error,
    ) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _context: &Box<Context>,
        _error: &Error,
        _when: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
