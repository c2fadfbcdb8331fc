//! `tollgate run`: the daemon.

use super::assemble;
use crate::admin::{Admin, Readiness};
use crate::config::Config;
use crate::proxy::caching;
use crate::proxy::config::Listen;
use crate::proxy::door::Door;
use crate::proxy::gateway::Gateway;
use crate::proxy::surroundings::Surroundings;
use crate::stage::Stages;
use crate::stage::cache::keeper;
use crate::stage::journal::metrics::Metrics;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::listeners::tls::TlsSettings;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora::services::listening::Service;
use pingora_proxy::HttpProxy;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Idle connections to providers that are kept, over all providers.
const POOL_MAX: usize = 1024;
/// Times that one request may come back for another peer: addresses of a name and targets of a
/// plan together.
const PEERS_MAX: usize = 4096;
/// How long listening sockets may take to open.
const OPENING_MAX: Duration = Duration::from_secs(5);
/// After the signal to stop, how long answers have to reach their clients at least.
const LINGER: Duration = Duration::from_millis(100);

/// Serves until a signal ends it.
///
/// # Errors
/// A socket, a certificate or the log cannot be opened.
pub fn run(config: &Config) -> Result<()> {
    let metrics = Arc::new(Metrics::new()?);
    let store = keeper::open(&config.cache, caching::has_begun);
    let counters = assemble::counters(config)?;
    let stages = assemble::stages(config, metrics.clone(), counters, store)?;
    let stages = Arc::new(ArcSwap::from_pointee(stages));
    let readiness = Arc::new(Readiness::default());
    probe_addresses(config)?;

    let mut server = Server::new_with_opt_and_conf(None, server_conf(config));
    server.bootstrap();
    server.add_service(public(config, &server, stages.clone())?);
    let admin = Admin {
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        store,
        stages: stages.clone(),
        token: config.server.admin_token.clone(),
    };
    let mut admin = Service::new("admin".to_owned(), admin);
    admin.threads = Some(1);
    admin.add_tcp(&config.server.admin.to_string());
    server.add_service(admin);

    announce(config, readiness.clone());
    let signals = Signals {
        stages: stages.clone(),
        readiness,
        metrics,
        drain: config.server.drain.duration(),
    };
    server.run(RunArgs {
        shutdown_signal: Box::new(signals),
    });
    flush(&stages);
    Ok(())
}

/// Writes out what is kept on disk.
fn flush(stages: &ArcSwap<Stages>) {
    let stages = stages.load();
    stages.limits.counters.flush();
    stages.journal.flush();
}

fn server_conf(config: &Config) -> ServerConf {
    let cores = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
    ServerConf {
        threads: match config.server.threads {
            0 => cores(),
            threads => threads,
        },
        upstream_keepalive_pool_size: POOL_MAX,
        max_retries: PEERS_MAX,
        ca_file: config
            .server
            .ca_file
            .as_ref()
            .map(|path| path.display().to_string()),
        // The signal watch ends the process as soon as nothing runs any more; these are the bounds.
        grace_period_seconds: Some(config.server.drain.duration().as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    }
}

/// The listeners that clients come to.
fn public(config: &Config, server: &Server, stages: Arc<ArcSwap<Stages>>) -> Result<Service<Door>> {
    let gateway = Gateway {
        stages: stages.clone(),
        surroundings: Surroundings::new(&config.server),
    };
    let mut proxy = HttpProxy::new(gateway, server.configuration.clone());
    proxy.handle_init_modules();
    let door = Door::new(proxy, stages, &config.server);
    let mut service = Service::new("gateway".to_owned(), door);
    for Listen { address, tls, .. } in &config.server.listen {
        let Some(tls) = tls else {
            service.add_tcp(&address.to_string());
            continue;
        };
        let (cert, key) = (
            tls.cert.display().to_string(),
            tls.key.display().to_string(),
        );
        let settings = TlsSettings::intermediate(&cert, &key);
        let mut settings = settings.with_context(|| format!("certificate {cert}, key {key}"))?;
        settings.enable_h2();
        service.add_tls_with_settings(&address.to_string(), None, settings);
    }
    Ok(service)
}

/// Sees that every address can be bound, while the error can still be told to the user.
fn probe_addresses(config: &Config) -> Result<()> {
    let listen = config.server.listen.iter();
    let listen = listen.map(|listen| ("server.listen", listen.address));
    for (key, address) in listen.chain([("server.admin", config.server.admin)]) {
        TcpListener::bind(address).with_context(|| format!("{key}: cannot listen on {address}"))?;
    }
    Ok(())
}

/// Says when the daemon serves; ends it where it cannot, because Pingora would go on without the
/// listener.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing was served yet, and a daemon that serves half is worse than none"
)]
fn announce(config: &Config, readiness: Arc<Readiness>) {
    let listen: Vec<_> = config
        .server
        .listen
        .iter()
        .map(|listen| listen.address)
        .collect();
    let admin = config.server.admin;
    thread::spawn(move || {
        let until = Instant::now() + OPENING_MAX;
        let mut waiting = listen.clone();
        waiting.push(admin);
        while !waiting.is_empty() && Instant::now() < until {
            waiting.retain(|address| !is_open(*address));
            if !waiting.is_empty() {
                thread::park_timeout(Duration::from_millis(2));
            }
        }
        if waiting.is_empty() {
            readiness.set(true);
            let listen: Vec<_> = listen.iter().map(SocketAddr::to_string).collect();
            tracing::info!(listen = %listen.join(" "), %admin, "serving");
        } else {
            tracing::error!(?waiting, "not all listeners could be opened: ending");
            std::process::exit(1);
        }
    });
}

/// Whether somebody listens there; the unspecified address is reached on loopback.
fn is_open(address: SocketAddr) -> bool {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Ends the process under Pingora, which would wait out its whole grace period.
#[expect(
    clippy::disallowed_methods,
    reason = "the last request has ended and the log is written: nothing is left to drop"
)]
fn end_process() {
    std::process::exit(0);
}

/// What signals mean: TERM and QUIT drain, INT ends at once, HUP reopens the log.
struct Signals {
    stages: Arc<ArcSwap<Stages>>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    drain: Duration,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let streams = (
            signal(SignalKind::terminate()),
            signal(SignalKind::quit()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        );
        let (Ok(mut term), Ok(mut quit), Ok(mut int), Ok(mut hup)) = streams else {
            tracing::error!("signals cannot be watched");
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                _ = term.recv() => return self.drain("SIGTERM"),
                _ = quit.recv() => return self.drain("SIGQUIT"),
                _ = int.recv() => {
                    tracing::info!("SIGINT: ending at once");
                    self.readiness.set(false);
                    return ShutdownSignal::FastShutdown;
                }
                _ = hup.recv() => {
                    tracing::info!("SIGHUP: the request log is reopened");
                    self.stages.load().journal.reopen();
                }
            }
        }
    }
}

impl Signals {
    /// Stops accepting, and ends the process as soon as the last request has ended.
    fn drain(&self, signal: &str) -> ShutdownSignal {
        let running = self.metrics.in_flight.get();
        tracing::info!(running, within = ?self.drain, "{signal}: draining");
        self.readiness.set(false);
        let (stages, metrics, drain) = (self.stages.clone(), self.metrics.clone(), self.drain);
        thread::spawn(move || {
            thread::park_timeout(LINGER);
            let until = Instant::now() + drain;
            while metrics.in_flight.get() > 0 && Instant::now() < until {
                thread::park_timeout(Duration::from_millis(10));
            }
            let left = metrics.in_flight.get();
            if left > 0 {
                tracing::warn!(
                    left,
                    "requests are cut at the end of the drain (server.drain)"
                );
                // Pingora's own grace is over as well: it drops what runs, which settles it, and
                // the log is flushed after that.
                return;
            }
            flush(&stages);
            end_process();
        });
        ShutdownSignal::GracefulTerminate
    }
}
