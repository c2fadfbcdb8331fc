//! Accepts connections on sockets that are open already, and serves each until it ends.

use super::buffered::Buffered;
use super::lifecycle::{Lifecycle, Phase};
use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::Stream;
use pingora::protocols::l4::listener::Listener as Socket;
use pingora::protocols::l4::stream::Stream as Transport;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use pingora_timeout::timeout;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take to agree on TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(60);
/// How often workers show that they run.
const BEAT: Duration = Duration::from_millis(500);
/// The pause after a connection could not be accepted, as where no file descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket to accept from.
pub struct Endpoint {
    /// Listens already, and does not block.
    pub socket: TcpListener,
    pub tls: Option<Arc<Acceptor>>,
}

/// The service behind one or several sockets. Pingora's own opens its sockets by itself, begins to
/// accept at once and ends idle connections the moment that it is told to stop; a process that takes
/// over from another must do neither.
pub struct Listener<A> {
    endpoints: Vec<Endpoint>,
    app: Arc<A>,
    lifecycle: Arc<Lifecycle>,
    audience: Audience,
}

/// Whom a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Clients: the process does not end before they have gone.
    Clients,
    /// The operator, on one thread of its own.
    Operator,
}

impl<A: ServerApp + Send + Sync + 'static> Listener<A> {
    pub fn new(
        audience: Audience,
        endpoints: Vec<Endpoint>,
        app: A,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        Self {
            endpoints,
            app: Arc::new(app),
            lifecycle,
            audience,
        }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> Service for Listener<A> {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let mut phases = self.lifecycle.phases();
        // The lifecycle outlives every listener.
        let phase = phases.wait_for(|phase| *phase >= Phase::Serving).await;
        if phase.is_ok_and(|phase| *phase > Phase::Serving) {
            return; // It was told to end before it served.
        }
        if self.audience == Audience::Clients {
            tokio::spawn(beat(self.lifecycle.clone()));
        }
        let accepting = self.endpoints.drain(..).map(|endpoint| {
            let lifecycle = self.lifecycle.clone();
            // Counts as a connection, because one may be just about to be accepted.
            let guard = self.lifecycle.connected();
            let accepting = accept(endpoint, self.app.clone(), lifecycle, self.audience);
            tokio::spawn(async move {
                accepting.await;
                drop(guard);
            })
        });
        for accepting in accepting.collect::<Vec<_>>() {
            let _ = accepting.await;
        }
        self.app.cleanup().await;
    }

    fn name(&self) -> &str {
        match self.audience {
            Audience::Clients => "gateway",
            Audience::Operator => "admin",
        }
    }

    fn threads(&self) -> Option<usize> {
        (self.audience == Audience::Operator).then_some(1)
    }
}

/// Shows, for as long as these workers run, that they do.
async fn beat(lifecycle: Arc<Lifecycle>) {
    loop {
        lifecycle.beat();
        tokio::time::sleep(BEAT).await;
    }
}

/// Accepts until the process drains.
async fn accept<A>(endpoint: Endpoint, app: Arc<A>, lifecycle: Arc<Lifecycle>, to: Audience)
where
    A: ServerApp + Send + Sync + 'static,
{
    let socket = match tokio::net::TcpListener::from_std(endpoint.socket) {
        Ok(socket) => Socket::from(socket),
        Err(error) => {
            tracing::error!(%error, "a listener cannot be served");
            return;
        }
    };
    let mut phases = lifecycle.phases();
    let shutdown = lifecycle.shutdown();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = phases.wait_for(|phase| *phase >= Phase::Draining) => return,
        };
        match accepted {
            Ok(mut transport) => {
                // Pieces of a stream leave at once.
                let _ = transport.set_nodelay();
                let connected = (to == Audience::Clients).then(|| lifecycle.connected());
                let (app, tls, shutdown) = (app.clone(), endpoint.tls.clone(), shutdown.clone());
                tokio::spawn(async move {
                    serve(transport, tls, app, shutdown).await;
                    drop(connected);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One connection, from its handshake to its end.
async fn serve<A>(
    transport: Transport,
    tls: Option<Arc<Acceptor>>,
    app: Arc<A>,
    shutdown: ShutdownWatch,
) where
    A: ServerApp + Send + Sync + 'static,
{
    let stream: Stream = match tls {
        None => Box::new(transport),
        Some(tls) => match timeout(HANDSHAKE_MAX, tls.tls_handshake(transport)).await {
            Ok(Ok(stream)) => Box::new(stream),
            // Any stranger can bring this about, so it is no note of its own.
            Ok(Err(error)) => return tracing::debug!(%error, "no TLS could be agreed on"),
            Err(_) => return tracing::debug!("no TLS was agreed on in time"),
        },
    };
    let stream: Stream = Box::new(Buffered::new(stream));
    let mut next = app.process_new(stream, &shutdown).await;
    while let Some(stream) = next {
        next = app.process_new(stream, &shutdown).await;
    }
}
