//! The keeper's window: metrics, health and limits, on a listener of its own.

pub mod legacy;
mod page;
mod limits;
mod purge;
pub mod reload;

use crate::stage::Stages;
use crate::stage::cache::archive::CacheStore;
use crate::stage::journal::metrics::Metrics;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::header::{ALLOW, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use legacy::Legacy;
use page::{TEXT, page};
use pingora::apps::http_app::ServeHttp;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use reload::Reload;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the daemon takes new work: from its start until it begins to drain.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The pages of the admin listener.
pub struct Admin {
    pub metrics: Arc<Metrics>,
    pub readiness: Arc<Readiness>,
    pub stages: Arc<ArcSwap<Stages>>,
    pub store: &'static CacheStore,
    /// What earlier processes have counted.
    pub legacy: Option<Legacy>,
    pub reload: Reload,
}

/// The text exposition format's own media type.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        if head.uri.path() == "/cache/purge" {
            return self.purge(head).await;
        }
        if head.uri.path() == "/reload" {
            return self.reload(head).await;
        }
        if let Some(id) = head.uri.path().strip_prefix("/limits/")
            && (head.method == Method::DELETE || head.method == Method::POST)
        {
            return match self.authorize(&head.headers) {
                Ok(()) => limits::reset(&self.stages.load().limits, id),
                Err(refused) => *refused,
            };
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            let use_get = "use GET; only DELETE /limits/ID changes anything\n".to_owned();
            let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, use_get);
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        match head.uri.path() {
            "/metrics" => self.metrics(),
            "/limits" => limits::list(&self.stages.load().limits),
            "/healthz" => page(StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" if self.readiness.is_ready() => {
                page(StatusCode::OK, TEXT, "ready\n".to_owned())
            }
            "/readyz" => page(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "not ready\n".to_owned(),
            ),
            _ => {
                let known = "not found; there are /metrics, /healthz, /readyz, /limits, /cache/purge and /reload\n";
                page(StatusCode::NOT_FOUND, TEXT, known.to_owned())
            }
        }
    }
}

impl Admin {
    async fn purge(&self, head: &RequestHeader) -> Response<Vec<u8>> {
        if let Err(refused) = self.authorize_post(head) {
            return *refused;
        }
        let query = head.uri.query().unwrap_or_default();
        match purge::purge(self.store, query).await {
            Ok(()) => page(StatusCode::OK, TEXT, "purged\n".to_owned()),
            Err(fault) => page(fault.status(), TEXT, format!("{fault}\n")),
        }
    }

    async fn reload(&self, head: &RequestHeader) -> Response<Vec<u8>> {
        match self.authorize_post(head) {
            Ok(()) => reload::reload(&self.reload).await,
            Err(refused) => *refused,
        }
    }

    fn metrics(&self) -> Response<Vec<u8>> {
        for (rule, ratio) in self.stages.load().limits.budgets() {
            self.metrics.set_budget(&rule.gateway, &rule.name, ratio);
        }
        match self.metrics.expose(self.store) {
            Ok(text) => {
                let text = match &self.legacy {
                    Some(legacy) => legacy.add_to(&text),
                    None => text,
                };
                page(StatusCode::OK, EXPOSITION, text)
            }
            Err(fault) => page(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                format!("{fault}\n"),
            ),
        }
    }

    /// Whether a request is a POST that may change things.
    ///
    /// # Errors
    /// The answer that says why not.
    fn authorize_post(&self, head: &RequestHeader) -> Result<(), Box<Response<Vec<u8>>>> {
        if head.method == Method::POST {
            return self.authorize(&head.headers);
        }
        let wrong = StatusCode::METHOD_NOT_ALLOWED;
        let mut refused = page(wrong, TEXT, "use POST\n".to_owned());
        let allowed = HeaderValue::from_static("POST");
        refused.headers_mut().insert(ALLOW, allowed);
        Err(Box::new(refused))
    }

    /// Whether a request may change things.
    ///
    /// # Errors
    /// The answer that says why not.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), Box<Response<Vec<u8>>>> {
        let stages = self.stages.load();
        let Some(token) = &stages.conduct.admin_token else {
            let mend = "nothing can be changed here; set server.admin_token in the configuration\n";
            return Err(Box::new(page(StatusCode::FORBIDDEN, TEXT, mend.to_owned())));
        };
        let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = shown.and_then(|value| value.strip_prefix(b"Bearer "));
        if shown.is_some_and(|shown| token.is(shown.trim_ascii())) {
            return Ok(());
        }
        let mend = "show server.admin_token as `authorization: Bearer TOKEN`\n";
        Err(Box::new(page(
            StatusCode::UNAUTHORIZED,
            TEXT,
            mend.to_owned(),
        )))
    }
}
