//! A load of many kinds of clients that counts every request as failed that a user would notice.
//!
//! A client honours `Connection: close` and GOAWAY, and looks whether a connection was closed before it uses it
//! again. It never tries a request twice: any error, any end too early, any status but 200 and any wrong byte is a
//! failure. Each request bears an event id, by which the gateway's log is compared with what was sent.

mod http1;
mod http2;
pub mod ledger;
mod question;
pub mod tally;
mod wire;

use crate::support::wait;
use question::{Asks, Book};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tally::{Report, Tally};
use tokio::sync::watch;
use wire::Wire;

/// After a failure, so that one that lasts does not fill the report.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// Answers by which a load is under way.
const BEGUN: u64 = 100;

/// How many clients there are of each kind.
#[derive(Clone, Debug)]
pub struct Mix {
    /// One short request after the other, with a little time in between.
    pub keepalive: usize,
    /// A new connection for each.
    pub fresh: usize,
    /// Seconds between two requests, so that their connections are mostly idle.
    pub idle: usize,
    /// As `keepalive`, over TLS.
    pub tls: usize,
    /// As `fresh`, over TLS.
    pub tls_fresh: usize,
    /// Connections of HTTP/2 in plain text.
    pub h2c: usize,
    /// Connections of HTTP/2 over TLS.
    pub h2: usize,
    /// Requests at once on each connection of HTTP/2.
    pub h2_streams: usize,
    /// Long streams over HTTP/1.1, and as many over TLS and over HTTP/2.
    pub streams: usize,
    /// How long a stream takes; some take a half or a quarter of it.
    pub stream_time: Duration,
    /// Bodies that take seconds to send, over HTTP/1.1.
    pub uploads: usize,
}

impl Mix {
    /// What two busy cores carry beside a gateway and a mock of the dev profile.
    pub fn light() -> Self {
        Self {
            keepalive: 6,
            fresh: 2,
            idle: 20,
            tls: 3,
            tls_fresh: 1,
            h2c: 1,
            h2: 1,
            h2_streams: 6,
            streams: 2,
            stream_time: Duration::from_secs(20),
            uploads: 3,
        }
    }

    /// The same with streams that soon end.
    pub fn short() -> Self {
        Self {
            stream_time: Duration::from_secs(6),
            ..Self::light()
        }
    }

    /// The same with streams of a minute.
    pub fn long() -> Self {
        Self {
            stream_time: Duration::from_secs(60),
            ..Self::light()
        }
    }

    fn groups(&self) -> Vec<Group> {
        let group = |kind, workers, wire, asks, think: Range<u64>| Group {
            kind,
            workers,
            wire,
            asks,
            think,
            fresh: false,
            at_once: self.h2_streams,
        };
        let fresh = |kind, workers, wire| Group {
            fresh: true,
            ..group(kind, workers, wire, Asks::Short, 30..90)
        };
        let streams = |kind, wire| Group {
            at_once: self.streams,
            // Over HTTP/2 they share one connection.
            workers: match wire {
                Wire::H2 | Wire::H2c => self.streams.min(1),
                Wire::Plain | Wire::Tls => self.streams,
            },
            ..group(kind, 0, wire, Asks::Stream, 0..500)
        };
        vec![
            group(
                "keep-alive",
                self.keepalive,
                Wire::Plain,
                Asks::Short,
                20..100,
            ),
            fresh("fresh", self.fresh, Wire::Plain),
            group("idle", self.idle, Wire::Plain, Asks::Short, 0..6000),
            group("tls", self.tls, Wire::Tls, Asks::Short, 20..100),
            fresh("tls fresh", self.tls_fresh, Wire::Tls),
            group("h2c", self.h2c, Wire::H2c, Asks::Short, 50..200),
            group("h2", self.h2, Wire::H2, Asks::Short, 50..200),
            streams("stream", Wire::Plain),
            streams("tls stream", Wire::Tls),
            streams("h2c stream", Wire::H2c),
            streams("h2 stream", Wire::H2),
            group("upload", self.uploads, Wire::Plain, Asks::Upload, 0..200),
        ]
    }
}

/// Clients of one kind.
#[derive(Clone, Debug)]
struct Group {
    kind: &'static str,
    workers: usize,
    wire: Wire,
    asks: Asks,
    /// Between two requests, in milliseconds.
    think: Range<u64>,
    /// A new connection for each request.
    fresh: bool,
    /// Requests at once, on one connection of HTTP/2.
    at_once: usize,
}

/// Where the load goes.
#[derive(Clone)]
pub struct Target {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// Trusts the listener's certificate.
    pub http1: Arc<ClientConfig>,
    /// The same, and offers HTTP/2.
    pub http2: Arc<ClientConfig>,
    pub mock: SocketAddr,
}

/// A load that runs until it is stopped.
pub struct Load {
    tally: Arc<Tally>,
    running: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Begins at once, and returns when it is under way.
    pub fn start(target: Target, mix: &Mix) -> Self {
        let (running, watch) = watch::channel(true);
        let groups = mix.groups();
        let tally = Arc::new(Tally::new(groups.iter().map(|group| group.kind)));
        let shared = Arc::new(Shared {
            book: Book::new(target.mock, mix.stream_time),
            target,
            tally: tally.clone(),
            numbers: AtomicU64::new(0),
            running: watch,
        });
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(run(&shared, groups));
        });
        let load = Self {
            tally,
            running,
            thread,
        };
        let begun = || (load.so_far().ok() > BEGUN).then_some(());
        if wait::within(wait::LONG, begun).is_none() {
            panic!("the load does not get under way: {}", load.stop());
        }
        load
    }

    /// What was noticed until now; requests that run are neither well nor failed.
    pub fn so_far(&self) -> Report {
        self.tally.report()
    }

    /// Begins no more requests, and waits until those that run have ended.
    pub fn stop(self) -> Report {
        self.running.send(false).ok();
        self.thread.join().unwrap();
        self.tally.report()
    }
}

/// What all clients share.
struct Shared {
    target: Target,
    book: Book,
    tally: Arc<Tally>,
    numbers: AtomicU64,
    running: watch::Receiver<bool>,
}

impl Shared {
    fn is_running(&self) -> bool {
        *self.running.borrow()
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for about so many milliseconds, and no longer than the load runs.
    async fn think(&self, time: Range<u64>) {
        let time = Duration::from_millis(fastrand::u64(time));
        let mut running = self.running.clone();
        let ended = running.wait_for(|running| !*running);
        tokio::time::timeout(time, ended).await.ok();
    }
}

async fn run(shared: &Arc<Shared>, groups: Vec<Group>) {
    let mut workers = tokio::task::JoinSet::new();
    for group in groups {
        for _ in 0..group.workers {
            let (shared, group) = (shared.clone(), group.clone());
            workers.spawn(async move {
                match group.wire {
                    Wire::Plain | Wire::Tls => http1::work(&shared, &group).await,
                    Wire::H2 | Wire::H2c => http2::work(shared, group).await,
                }
            });
        }
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
}
