//! `tollgate run`: the daemon.

use super::control::{Order, place};
use super::drain::{Drain, Signals};
use super::entrance::Entrance;
use super::handover::giver::Giver;
use super::handover::launch::Binary;
use super::handover::taker::{Inheritance, Taker};
use super::live::{Inputs, Live};
use super::sockets::Sockets;
use super::supervisor::{Supervisor, order_reload, order_upgrade};
use super::systemd;
use crate::admin::legacy::Legacy;
use crate::admin::{Admin, Readiness};
use crate::app::exit::Failure;
use crate::config::Config;
use crate::proxy::config::Listen;
use crate::proxy::door::Door;
use crate::proxy::gateway::Gateway;
use crate::proxy::lifecycle::Lifecycle;
use crate::proxy::listener::{Audience, Endpoint, Listener};
use crate::proxy::surroundings::Surroundings;
use anyhow::{Context, Result};
use pingora::listeners::tls::Acceptor;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora_proxy::HttpProxy;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Idle connections to providers that are kept, over all providers.
const POOL_MAX: usize = 1024;
/// Times that one request may come back for another peer: addresses of a name and targets of a
/// plan together.
const PEERS_MAX: usize = 4096;
/// Orders that wait.
const ORDERS_MAX: usize = 16;
/// How long requests that were cut at the end may take to be settled.
const SETTLING_MAX: Duration = Duration::from_secs(1);

/// Serves until a signal ends it, or another process has taken over.
///
/// # Errors
/// The configuration is at fault; a socket, a certificate or the log cannot be opened; or, with
/// `upgrade`, no running process hands over.
pub fn run(path: Option<&Path>, upgrade: bool) -> Result<(), Failure> {
    Signals::expect().context("signals cannot be watched")?;
    // Whoever follows is started by this path, so it is read before anything can replace the file.
    let binary = Binary::own().context("the path of this program cannot be told")?;
    let loaded = Inputs::load(path);
    let predecessor = upgrade
        .then(|| Taker::connect(loaded.as_ref().ok().map(|(config, _)| config)))
        .transpose()?;
    let told = |failure: Failure| {
        if let Some(predecessor) = &predecessor {
            predecessor.fail(&failure.to_string());
        }
        failure
    };
    let (config, inputs) = loaded.map_err(Failure::from).map_err(told)?;
    let inherited = match &predecessor {
        Some(predecessor) => predecessor.receive()?,
        None => Inheritance {
            sockets: Sockets::inherited(systemd::kept()),
            drainers: Vec::new(),
            legacy: None,
        },
    };
    let origin = Origin {
        runtime_dir: place::claim(&config, upgrade),
        path: path.map(Path::to_owned),
        config,
        inputs,
        binary,
    };
    let (orders, received) = mpsc::channel(ORDERS_MAX);
    let process = Process::prepare(origin, inherited, orders);
    let process = process.map_err(Failure::from).map_err(told)?;
    Ok(process.run(predecessor, received)?)
}

/// What the process is started with.
struct Origin {
    binary: Binary,
    /// The configuration's file.
    path: Option<PathBuf>,
    config: Config,
    inputs: Inputs,
    runtime_dir: Option<PathBuf>,
}

/// Everything that the daemon consists of.
struct Process {
    server: Server,
    live: Arc<Live>,
    legacy: Option<Legacy>,
    entrance: Entrance,
}

impl Process {
    /// Opens and builds everything, and accepts nothing yet.
    fn prepare(
        origin: Origin,
        inherited: Inheritance,
        orders: mpsc::Sender<Order>,
    ) -> Result<Self> {
        let Origin {
            binary,
            path,
            config,
            inputs,
            runtime_dir,
        } = origin;
        let (sockets, gone) = inherited.sockets.claim(&wanted(&config))?;
        let live = Live::new(path.clone(), (config.clone(), inputs), runtime_dir.clone())?;
        let legacy = match inherited.legacy {
            Some(folder) => Some(Legacy::join(folder)),
            None => runtime_dir.as_deref().and_then(begin_legacy),
        };
        let (lifecycle, readiness) = (Arc::<Lifecycle>::default(), Arc::<Readiness>::default());

        let mut server = Server::new_with_opt_and_conf(None, server_conf(&config));
        server.bootstrap();
        let gateway = Gateway {
            stages: live.stages.clone(),
            surroundings: Surroundings::default(),
        };
        let mut proxy = HttpProxy::new(gateway, server.configuration.clone());
        proxy.handle_init_modules();
        let door = Door::new(proxy, live.stages.clone(), &lifecycle);
        let endpoints = endpoints(&config, &sockets, &live)?;
        let clients = Audience::Clients;
        server.add_service(Listener::new(clients, endpoints, door, lifecycle.clone()));
        let admin = operators(&live, readiness.clone(), legacy.clone(), orders.clone());
        let endpoint = Endpoint {
            socket: sockets.socket(config.server.admin)?,
            tls: None,
        };
        let operator = Audience::Operator;
        server.add_service(Listener::new(
            operator,
            vec![endpoint],
            admin,
            lifecycle.clone(),
        ));

        let sockets = Arc::new(sockets);
        let giver = Giver::new(binary, path, sockets.clone(), inherited.drainers);
        let entrance = Entrance {
            sockets,
            gone,
            runtime_dir,
            orders,
            lifecycle,
            readiness,
            giver: Arc::new(giver),
            live: live.clone(),
        };
        Ok(Self {
            server,
            live,
            legacy,
            entrance,
        })
    }

    /// Serves, until the process is to end.
    fn run(self, predecessor: Option<Taker>, received: mpsc::Receiver<Order>) -> Result<()> {
        let live = self.live;
        live.watch(order_upgrade(self.entrance.orders.clone()));
        let drain = Drain {
            lifecycle: self.entrance.lifecycle.clone(),
            readiness: self.entrance.readiness.clone(),
            live: live.clone(),
            legacy: self.legacy,
        };
        let supervisor = Supervisor::new(self.entrance, predecessor, received, drain);
        let failure = supervisor.failure();
        let drain = supervisor.drain();
        self.server.run(RunArgs {
            shutdown_signal: Box::new(supervisor),
        });
        // Pingora has dropped what still ran, which settles it.
        let until = Instant::now() + SETTLING_MAX;
        while live.metrics.in_flight.get() > 0 && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(1));
        }
        live.flush();
        drain.leave();
        let failure = failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        failure.map_or(Ok(()), Err)
    }
}

/// The pages of the operator.
fn operators(
    live: &Live,
    readiness: Arc<Readiness>,
    legacy: Option<Legacy>,
    orders: mpsc::Sender<Order>,
) -> Admin {
    Admin {
        metrics: live.metrics.clone(),
        readiness,
        store: live.store,
        stages: live.stages.clone(),
        legacy,
        reload: order_reload(orders),
    }
}

/// The folder of what is counted, for the processes that will follow.
fn begin_legacy(runtime_dir: &Path) -> Option<Legacy> {
    let begun = Legacy::begin(runtime_dir);
    begun
        .inspect_err(|error| tracing::warn!(%error, "metrics will begin anew with an upgrade"))
        .ok()
}

/// The addresses to listen on, each with the key that names it.
fn wanted(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let listen = config.server.listen.iter();
    let listen = listen.map(|listen| ("server.listen", listen.address));
    listen
        .chain([("server.admin", config.server.admin)])
        .collect()
}

/// The sockets that clients come to.
fn endpoints(config: &Config, sockets: &Sockets, live: &Live) -> Result<Vec<Endpoint>> {
    let endpoint = |Listen { address, .. }: &Listen| {
        let tls = live.certificate(*address);
        let tls = tls.map(|certificate| certificate.server_config());
        Ok(Endpoint {
            socket: sockets.socket(*address)?,
            tls: tls
                .transpose()?
                .map(Acceptor::from_server_config)
                .map(Arc::new),
        })
    };
    config.server.listen.iter().map(endpoint).collect()
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
        ..ServerConf::default()
    }
}
