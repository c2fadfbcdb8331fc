//! The keeper's window: metrics and health, on a listener of its own.

use crate::stage::journal::metrics::Metrics;
use async_trait::async_trait;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
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
}

const TEXT: &str = "text/plain; charset=utf-8";
/// The text exposition format's own media type.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        if head.method != Method::GET && head.method != Method::HEAD {
            let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "use GET\n".to_owned());
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        match head.uri.path() {
            "/metrics" => match self.metrics.expose() {
                Ok(text) => page(StatusCode::OK, EXPOSITION, text),
                Err(fault) => page(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    TEXT,
                    format!("{fault}\n"),
                ),
            },
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
                let known = "not found; there are /metrics, /healthz and /readyz\n";
                page(StatusCode::NOT_FOUND, TEXT, known.to_owned())
            }
        }
    }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Vec<u8>> {
    let length = HeaderValue::from(text.len());
    let mut page = Response::new(text.into_bytes());
    page.headers_mut().insert(CONTENT_LENGTH, length);
    *page.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    page.headers_mut().insert(CONTENT_TYPE, content_type);
    page
}
