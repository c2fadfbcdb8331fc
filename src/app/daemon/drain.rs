//! The end of a process: until when it waits, and for what.

use super::control::{Answer, Order, wire::Wire};
use super::handover::giver::Successor;
use super::live::Live;
use crate::admin::Readiness;
use crate::admin::legacy::Legacy;
use crate::proxy::lifecycle::{Lifecycle, Phase};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(10);
/// How long idle connections are waited for where nobody takes over: long enough for a request that
/// is on its way.
const LINGER: Duration = Duration::from_secs(1);
/// How often a process that drains says what it has counted.
const LEAVING: Duration = Duration::from_secs(1);
/// How long a process that was followed stays at least: whoever asked for the upgrade is answered.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long connections that were told to close may take to do so.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// The signals that a daemon obeys.
pub struct Signals {
    pub term: Signal,
    pub int: Signal,
    pub quit: Signal,
    pub hup: Signal,
}

impl Signals {
    /// Keeps HUP and QUIT, of which a process dies unless it says otherwise, from ending one that is
    /// not ready for them: whoever rotates logs may tell all processes of this name.
    ///
    /// # Errors
    /// The system does not let them be heard.
    pub fn expect() -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let _entered = runtime.enter();
        let _heard = (signal(SignalKind::hangup())?, signal(SignalKind::quit())?);
        Ok(())
    }

    /// # Errors
    /// The system does not let them be heard.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the process.
    pub async fn ending(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

/// How the process ends, and how long it may take.
pub struct Drain {
    pub lifecycle: Arc<Lifecycle>,
    pub readiness: Arc<Readiness>,
    pub live: Arc<Live>,
    /// Where those that follow find what this process has counted.
    pub legacy: Option<Legacy>,
}

impl Drain {
    /// After a signal to stop.
    pub async fn stop(&self, signals: &mut Signals, signal: &str) {
        let within = self.live.stages.load().conduct.drain;
        tracing::info!(running = self.running(), ?within, "{signal}: draining");
        self.begin();
        let mut bounds = Bounds::new(LINGER, within);
        while self.goes_on(&mut bounds) {
            tokio::select! {
                () = sleep(LOOK) => {}
                name = signals.ending() => {
                    tracing::info!("{name} again: ending at once");
                    break;
                }
            }
        }
    }

    /// At once.
    pub fn now(&self) {
        tracing::info!("SIGINT: ending at once");
        self.begin();
    }

    /// After a successor took over: its clients stay until they have what they asked for.
    pub async fn follow(
        &self,
        signals: &mut Signals,
        orders: &mut mpsc::Receiver<Order>,
        successor: Successor,
    ) {
        let (keepalive, drain, within) = {
            let conduct = &self.live.stages.load().conduct;
            (conduct.keepalive, conduct.drain, conduct.upgrade_drain)
        };
        let (running, pid) = (self.running(), successor.pid);
        tracing::info!(running, ?within, successor = %pid, "draining");
        self.begin();
        heed(successor.socket, self.lifecycle.clone());
        // An idle connection is waited for as long as it would be kept anyway.
        let mut bounds = Bounds::new(keepalive, within);
        bounds.at_least(FAREWELL);
        let mut stopping = false;
        let mut left = Instant::now();
        while self.goes_on(&mut bounds) {
            if left.elapsed() >= LEAVING {
                left = Instant::now();
                self.leave();
            }
            let heard = tokio::select! {
                () = sleep(LOOK) => None,
                _ = signals.hup.recv() => None,
                _ = signals.quit.recv() => None,
                _ = signals.term.recv() => Some("SIGTERM"),
                _ = signals.int.recv() => Some("SIGINT"),
                Some(order) = orders.recv() => {
                    decline(order);
                    None
                }
            };
            match heard {
                Some("SIGTERM") if !stopping => {
                    tracing::info!(within = ?drain, "SIGTERM while draining");
                    stopping = true;
                    bounds = Bounds::new(LINGER, drain);
                }
                Some(name) => {
                    tracing::info!("{name}: ending at once");
                    break;
                }
                None => {}
            }
        }
    }

    /// Leaves what this process has counted so far for the one that is asked for it.
    pub fn leave(&self) {
        let Some(legacy) = &self.legacy else { return };
        let page = self.live.metrics.expose(self.live.store);
        let left = page.map_err(anyhow::Error::from);
        if let Err(error) = left.and_then(|page| Ok(legacy.leave(&page)?)) {
            tracing::warn!(%error, "what was counted cannot be left to the successor");
        }
    }

    /// Nobody follows after all.
    pub fn stay(&self) {
        if let Some(legacy) = &self.legacy {
            legacy.take_back();
        }
    }

    fn begin(&self) {
        self.readiness.set(false);
        self.live.stop_watching();
        self.lifecycle.advance(Phase::Draining);
    }

    /// Whether there is still something to wait for, within `bounds`.
    fn goes_on(&self, bounds: &mut Bounds) -> bool {
        let now = Instant::now();
        let (open, running) = (self.lifecycle.connections(), self.running());
        if now >= bounds.close {
            self.lifecycle.advance(Phase::Closing);
        }
        if self.lifecycle.phase() == Phase::Closing {
            let closed = bounds.closed.get_or_insert(now + CLOSING_MAX);
            if running == 0 && now >= *closed {
                return false;
            }
        }
        if now >= bounds.end && running > 0 {
            tracing::warn!(
                running,
                "requests are cut at the end of the drain (server.drain, server.upgrade_drain)"
            );
        }
        now < bounds.end && (open > 0 || running > 0 || now < bounds.least)
    }

    fn running(&self) -> i64 {
        self.live.metrics.in_flight.get()
    }
}

/// Until when a draining process waits.
struct Bounds {
    /// From then on idle connections are closed.
    close: Instant,
    /// When all of them should be; known once the closing has begun.
    closed: Option<Instant>,
    end: Instant,
    /// Not before this, whatever there is to wait for.
    least: Instant,
}

impl Bounds {
    fn new(linger: Duration, max: Duration) -> Self {
        let now = Instant::now();
        Self {
            close: now + linger.min(max),
            closed: None,
            end: now + max,
            least: now,
        }
    }

    fn at_least(&mut self, least: Duration) {
        self.least = Instant::now() + least;
    }
}

/// Whoever talks to a process that was followed has to talk to its successor.
fn decline(order: Order) {
    match order {
        Order::Reload(reply) | Order::Upgrade(reply) => {
            let _ = reply.send(Answer::Busy);
        }
        Order::HandOver(wire) => {
            let _ = wire.say("failed another process has taken over already");
        }
    }
}

/// Listens to what the successors say.
fn heed(socket: UnixStream, lifecycle: Arc<Lifecycle>) {
    thread::spawn(move || {
        let Ok(wire) = Wire::patient(socket) else {
            return;
        };
        while let Ok(word) = wire.hear() {
            if word == "hurry" {
                lifecycle.advance(Phase::Closing);
            }
        }
        // A socket that was closed would look like a process that has ended.
        loop {
            thread::park();
        }
    });
}
