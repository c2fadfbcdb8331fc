//! Where clients come in: a connection's protocol, its requests' heads, and its end.

use super::context::{ADMITTED, Context};
use super::faults::HeadFault;
use super::gateway::Gateway;
use super::lifecycle::{Lifecycle, Phase};
use super::refusal::Refusal;
use super::replay::Replay;
use super::reply::{self, Stamp};
use super::seat::SEAT;
use super::{pipeline, settle};
use crate::stage::Stages;
use crate::stage::journal::record::{End, Record};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::ErrorType;
use pingora::apps::{
    HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp,
};
use pingora::protocols::http::ServerSession;
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use pingora_timeout::timeout;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a client that was refused in the middle of its body may go on sending: an answer on a
/// connection that is closed under unread bytes can be lost (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_secs(5);
/// The longest request target that the `http` crate takes.
const URI_BYTES_MAX: usize = 65_534;
/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Every request has more bytes than these.
const LEAD_BYTES: usize = 4;

/// Takes connections and tells their protocol.
pub struct Door {
    proxy: Arc<HttpProxy<Gateway>>,
    stages: Arc<ArcSwap<Stages>>,
    phases: watch::Receiver<Phase>,
}

impl Door {
    pub fn new(
        proxy: HttpProxy<Gateway>,
        stages: Arc<ArcSwap<Stages>>,
        lifecycle: &Lifecycle,
    ) -> Self {
        Self {
            proxy: Arc::new(proxy),
            stages,
            phases: lifecycle.phases(),
        }
    }

    /// One for each connection: what it goes by may be another with the next one.
    fn porter(&self, h2c: bool) -> Arc<Porter> {
        let mut options = HttpServerOptions::default();
        options.h2c = h2c;
        options.h2_idle_timeout = Some(self.stages.load().conduct.keepalive);
        Arc::new(Porter {
            proxy: self.proxy.clone(),
            stages: self.stages.clone(),
            phases: self.phases.clone(),
            options,
        })
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        // Under TLS the protocol was agreed on in the handshake.
        if stream.get_ssl_digest().is_some() {
            let porter = self.porter(false);
            if stream.selected_alpn_proto() == Some(ALPN::H2) {
                return porter.process_new(stream, shutdown).await;
            }
            porter.serve_http1(stream, shutdown).await;
            return None;
        }
        let head_timeout = self.stages.load().conduct.head_timeout;
        match timeout(head_timeout, is_http2(&mut stream)).await {
            Ok(Ok(true)) => return self.porter(true).process_new(stream, shutdown).await,
            Ok(Ok(false)) => self.porter(false).serve_http1(stream, shutdown).await,
            // Nothing, or too little, was sent.
            Ok(Err(_)) | Err(_) => {}
        }
        None
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// Whether a connection in plain text begins as HTTP/2 does. A whole preface is waited for only where the first
/// bytes are its own: other requests may be shorter.
async fn is_http2(stream: &mut Stream) -> io::Result<bool> {
    let mut lead = [0; LEAD_BYTES];
    if !stream.try_peek(&mut lead).await? || !PREFACE.starts_with(&lead) {
        return Ok(false);
    }
    let mut preface = [0; PREFACE.len()];
    Ok(stream.try_peek(&mut preface).await? && preface == *PREFACE)
}

/// Takes requests from a connection and hands them to the proxy.
struct Porter {
    proxy: Arc<HttpProxy<Gateway>>,
    stages: Arc<ArcSwap<Stages>>,
    phases: watch::Receiver<Phase>,
    options: HttpServerOptions,
}

#[async_trait]
impl HttpServerApp for Porter {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.serve(session, false, shutdown).await
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

impl Porter {
    /// Takes one request after the other from an HTTP/1 connection. Pingora's own loop does the same, with its
    /// state on the heap anew for each request.
    async fn serve_http1(&self, stream: Stream, shutdown: &ShutdownWatch) {
        let mut session = ServerSession::new_http1(stream);
        let mut reused = false;
        while let Some(left) = self.serve(session, reused, shutdown).await {
            let (stream, settings) = left.consume();
            session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
            reused = true;
        }
    }

    /// Takes one request; returns the connection where it can take another.
    async fn serve(
        &self,
        mut session: ServerSession,
        reused: bool,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !self.read_head(&mut session, reused).await {
            return None;
        }
        let stopping = *shutdown.borrow();
        let keepalive = self.stages.load().conduct.keepalive;
        // Reading the head has settled whether the client stays.
        let stays = !stopping && session.get_keepalive().is_some();
        session.set_keepalive(stays.then_some(keepalive.as_secs()));
        session.set_pipelining_enabled(true);
        // Whether an early answer ends the connection is decided where it is given.
        session.set_close_on_response_before_downstream_finish(false);
        session.set_total_drain_timeout(Some(LINGER));
        let mut context = Context::new(self.stages.load_full());
        if let Some(reached) = pipeline::receive(&mut session, &mut context).await {
            settle::settle(&session, &mut context, None);
            let finished = reached && session.finish_body().await.is_ok();
            return if finished { part(session).await } else { None };
        }
        let seat = context.seat()?.clone();
        let replay = ServerSession::new_custom(Box::new(Replay::new(session, seat.clone())));
        let served = self.proxy.process_new_http(replay, shutdown);
        let served = SEAT.scope(seat.clone(), served);
        ADMITTED
            .scope(Cell::new(Some(Box::new(context))), served)
            .await;
        let (session, finished) = seat.take()?;
        if finished { part(session).await } else { None }
    }

    /// Reads a request's head. `false` where there is none to serve: the connection was closed or
    /// idle for too long, or the head was refused.
    async fn read_head(&self, session: &mut ServerSession, reused: bool) -> bool {
        let (within, bytes_max) = {
            let conduct = &self.stages.load().conduct;
            let idle = if reused {
                conduct.keepalive
            } else {
                Duration::ZERO
            };
            (idle + conduct.head_timeout, conduct.head_bytes_max)
        };
        let mut phases = self.phases.clone();
        let read = async {
            tokio::select! {
                biased;
                read = session.read_request() => read,
                // A client that is about to send its next request would lose it, so a draining
                // process waits for that as long as it may.
                _ = phases.wait_for(|phase| *phase >= Phase::Closing), if reused => Ok(false),
            }
        };
        let fault = match timeout(within, read).await {
            Ok(Ok(true)) if session.req_header().method != http::Method::CONNECT => return true,
            Ok(Ok(true)) => HeadFault::Connect,
            Ok(Ok(false)) => return false,
            Ok(Err(error)) if *error.etype() == ErrorType::InvalidHTTPHeader => {
                head_fault(&error, bytes_max)
            }
            Err(_) if !reused => HeadFault::Slow,
            // The client is gone, or an idle connection is over.
            Ok(Err(_)) | Err(_) => return false,
        };
        self.turn_away(session, Refusal::Head(fault)).await;
        false
    }

    /// Answers what never became a request, and writes it down.
    async fn turn_away(&self, session: &mut ServerSession, refusal: Refusal) {
        let face = refusal.face();
        let mut record = Record::begin();
        let address = session.client_addr().and_then(|address| address.as_inet());
        record.received.client = address.map(std::net::SocketAddr::ip);
        record.answered.status = Some(face.status);
        record.answered.refusal = Some(format!("{}:{}", face.stage, face.code));
        record.end = End::Refused;
        let stamp = Stamp {
            id: record.id,
            step: 0,
            attempts: 0,
            event_id: None,
            metadata_faults: None,
            cross_origin: false,
        };
        session.set_keepalive(None);
        if reply::refuse(session, &refusal, &stamp).await.is_err() {
            record.end = End::ClientGone;
        }
        record.duration = record.arrived.elapsed();
        self.stages.load().journal.write(&record);
        session.shutdown().await;
    }
}

/// What the parser found wrong, without the bytes it found it in. Pingora says it in words only.
fn head_fault(error: &pingora::Error, bytes_max: u64) -> HeadFault {
    let cause = error.cause.as_ref().map(ToString::to_string);
    let context = error.context.as_ref();
    let context = context.map_or("", |context| context.as_str());
    match (cause.as_deref(), context) {
        (Some("too many headers"), _) => HeadFault::TooMany,
        (None, text) if text.starts_with("Request header larger") => HeadFault::TooLarge(bytes_max),
        (_, text) if text.starts_with("invalid uri") && text.len() > URI_BYTES_MAX => {
            HeadFault::TooLarge(bytes_max)
        }
        (_, text) if text.starts_with("invalid uri") => {
            HeadFault::Malformed("invalid request target".into())
        }
        (Some(cause), _) => HeadFault::Malformed(cause.to_owned().into()),
        (None, text) => HeadFault::Malformed(text.to_owned().into()),
    }
}

/// Ends a request whose answer went out whole: the connection waits for the next, or is closed once
/// the client has noticed the end.
async fn part(mut session: ServerSession) -> Option<ReusedHttpStream> {
    if session.as_http1().is_some() && session.drain_request_body().await.is_err() {
        session.shutdown().await;
        return None;
    }
    // How long the connection may idle is the porter's own deadline; Pingora need not keep another.
    if session.get_keepalive().is_some() {
        session.set_keepalive(Some(0));
    }
    let settings = HttpPersistentSettings::for_session(&session);
    let stream = session.finish().await.ok().flatten()?;
    Some(ReusedHttpStream::from_reusable_stream(stream, settings))
}
