//! Signals and orders, from when the process could serve until it ends.

use super::control::{Answer, Order, wire::Wire};
use super::drain::{Drain, Signals};
use super::entrance::Entrance;
use super::handover::Parting;
use super::handover::giver::{GiveError, Giver, Hand, Successor};
use super::handover::taker::Taker;
use super::live::{Live, Outcome};
use super::systemd;
use crate::admin::legacy::Legacy;
use crate::admin::reload::{Reload, Reloaded};
use anyhow::{Error, anyhow};
use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use rustix::process::kill_process;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Obeys signals and orders.
pub struct Supervisor {
    start: Mutex<Option<Start>>,
    giver: Arc<Giver>,
    live: Arc<Live>,
    drain: Arc<Drain>,
    /// Why the process ended before it served.
    failure: Arc<Mutex<Option<Error>>>,
}

/// What is used up by beginning.
struct Start {
    entrance: Entrance,
    predecessor: Option<Taker>,
    orders: mpsc::Receiver<Order>,
}

/// An upgrade under way, and who waits for it.
struct Upgrade {
    task: JoinHandle<Result<Successor, GiveError>>,
    replies: Vec<oneshot::Sender<Answer>>,
    /// A signal asked for a reload meanwhile.
    reload_wanted: bool,
    why: String,
}

impl Supervisor {
    pub fn new(
        entrance: Entrance,
        predecessor: Option<Taker>,
        orders: mpsc::Receiver<Order>,
        drain: Drain,
    ) -> Self {
        let giver = entrance.giver.clone();
        let start = Start {
            entrance,
            predecessor,
            orders,
        };
        Self {
            giver,
            start: Mutex::new(Some(start)),
            live: drain.live.clone(),
            drain: Arc::new(drain),
            failure: Arc::default(),
        }
    }

    /// How the process ends.
    pub fn drain(&self) -> Arc<Drain> {
        self.drain.clone()
    }

    /// Where it is said why the process ended before it served.
    pub fn failure(&self) -> Arc<Mutex<Option<Error>>> {
        self.failure.clone()
    }

    /// Everything that the process goes through, until it may end.
    async fn watch(&self) -> Result<(), Error> {
        let start = self
            .start
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Start {
            entrance,
            predecessor,
            mut orders,
        }) = start
        else {
            return Err(anyhow!("a process is watched over once"));
        };
        let mut signals = Signals::new()?;
        let mut upgrade = None;
        let (end, entered) = match enter(entrance, predecessor, &mut signals).await {
            Ok(None) => {
                let end = self.serve(&mut signals, &mut orders, &mut upgrade).await;
                (end, Ok(()))
            }
            Ok(Some(signal)) => (End::Stop(signal), Ok(())),
            // What it has accepted by then is not to suffer.
            Err(error) => (End::Stop("the hand-over failed"), Err(error)),
        };
        self.giver.close();
        match end {
            End::Stop(why) => {
                systemd::stopping();
                self.drain.stop(&mut signals, why).await;
                give_up(upgrade).await;
            }
            End::Now => {
                systemd::stopping();
                self.drain.now();
                give_up(upgrade).await;
            }
            End::Followed(successor) => {
                self.drain
                    .follow(&mut signals, &mut orders, successor)
                    .await;
            }
        }
        entered
    }

    /// Until something ends it.
    async fn serve(
        &self,
        signals: &mut Signals,
        orders: &mut mpsc::Receiver<Order>,
        upgrade: &mut Option<Upgrade>,
    ) -> End {
        loop {
            let end = tokio::select! {
                _ = signals.term.recv() => Some(End::Stop("SIGTERM")),
                _ = signals.int.recv() => Some(End::Now),
                _ = signals.quit.recv() => {
                    self.upgrade(upgrade, None, "SIGQUIT");
                    None
                }
                _ = signals.hup.recv() => {
                    self.reload(upgrade, None).await;
                    None
                }
                Some(order) = orders.recv() => {
                    self.obey(upgrade, order).await;
                    None
                }
                ended = ended(upgrade) => self.conclude(upgrade, ended).await,
            };
            if let Some(end) = end {
                if !matches!(end, End::Followed(_)) {
                    self.giver.abandon();
                }
                return end;
            }
        }
    }

    async fn obey(&self, upgrade: &mut Option<Upgrade>, order: Order) {
        match order {
            Order::Upgrade(reply) => self.upgrade(upgrade, Some(reply), "tollgate upgrade"),
            Order::Reload(reply) if upgrade.is_none() && self.giver.binary().is_replaced() => {
                self.upgrade(upgrade, Some(reply), "the binary is another one");
            }
            Order::Reload(reply) => self.reload(upgrade, Some(reply)).await,
            Order::HandOver(wire) => self.hand_over(upgrade, wire),
        }
    }

    /// Reads the configuration anew.
    async fn reload(&self, upgrade: &mut Option<Upgrade>, reply: Option<oneshot::Sender<Answer>>) {
        // A successor has read the file already, perhaps before it was changed: it is asked next.
        if let Some(upgrade) = upgrade {
            match reply {
                Some(reply) => drop(reply.send(Answer::Busy)),
                None => upgrade.reload_wanted = true,
            }
            return;
        }
        let live = self.live.clone();
        let answer = match spawn_blocking(move || live.reload()).await {
            Ok(Ok(Outcome::Swapped)) => Answer::Done("reloaded".to_owned()),
            Ok(Ok(Outcome::NeedsUpgrade(keys))) => {
                let why = format!("what changed needs it ({})", keys.join(", "));
                return self.upgrade(upgrade, reply, &why);
            }
            Ok(Err(error)) => Answer::Failed(error.to_string()),
            Err(error) => Answer::Failed(format!("the reload broke off: {error}")),
        };
        let _ = reply.map(|reply| reply.send(answer));
    }

    /// Begins an upgrade, or waits for the one that is under way.
    fn upgrade(
        &self,
        upgrade: &mut Option<Upgrade>,
        reply: Option<oneshot::Sender<Answer>>,
        why: &str,
    ) {
        let upgrade = upgrade.get_or_insert_with(|| {
            tracing::info!(binary = %self.giver.binary().path().display(), "{why}: upgrading");
            self.give(why, |giver, hand| giver.start(hand))
        });
        upgrade.replies.extend(reply);
    }

    /// Hands over to a process that asks for it.
    fn hand_over(&self, upgrade: &mut Option<Upgrade>, wire: Wire) {
        if upgrade.is_some() {
            let _ = wire.say("failed an upgrade is under way");
            return;
        }
        tracing::info!("a process asks to take over");
        *upgrade = Some(self.give("a process took over", |giver, hand| {
            let greeting = wire.hear()?;
            giver.give(wire, &greeting, hand)
        }));
    }

    /// Tells everybody how an upgrade ended.
    async fn conclude(
        &self,
        upgrade: &mut Option<Upgrade>,
        ended: Result<Result<Successor, GiveError>, JoinError>,
    ) -> Option<End> {
        let Upgrade {
            replies,
            reload_wanted,
            why,
            ..
        } = upgrade.take()?;
        let tell = |answer: Answer| {
            for reply in replies {
                let _ = reply.send(answer.clone());
            }
        };
        let error = match ended {
            Ok(Ok(successor)) => {
                let Successor { pid, version, .. } = &successor;
                tracing::info!(%pid, version, "{why}: upgraded");
                tell(Answer::Done(format!(
                    "upgraded to process {pid}, version {version} ({why})"
                )));
                if reload_wanted {
                    // It has read the files already, perhaps before they were changed.
                    let _ = kill_process(*pid, rustix::process::Signal::HUP);
                }
                return Some(End::Followed(successor));
            }
            Ok(Err(error @ GiveError::Lost)) => {
                tell(Answer::Failed(error.to_string()));
                // systemd may take either for the main process; when this one ends it starts another.
                return Some(End::Stop("the successor ended just after it took over"));
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!("{why}: not upgraded, serving on: {error}");
        tell(Answer::Failed(error));
        self.drain.stay();
        if reload_wanted {
            self.reload(upgrade, None).await;
        }
        None
    }

    fn give<G>(&self, why: &str, give: G) -> Upgrade
    where
        G: FnOnce(&Giver, &Hand<'_>) -> Result<Successor, GiveError> + Send + 'static,
    {
        let (giver, drain) = (self.giver.clone(), self.drain.clone());
        let task = spawn_blocking(move || {
            let hand = Hand {
                legacy: drain.legacy.as_ref().map(Legacy::folder),
                part: &|| {
                    drain.leave();
                    drain.live.write_down();
                    Parting {
                        standing: drain.live.standing(),
                    }
                },
            };
            give(&giver, &hand)
        });
        Upgrade {
            task,
            replies: Vec::new(),
            reload_wanted: false,
            why: why.to_owned(),
        }
    }
}

/// What ends the process.
enum End {
    /// It is told to stop, by this signal.
    Stop(&'static str),
    Now,
    Followed(Successor),
}

/// Waits for the upgrade under way; for ever where there is none.
async fn ended(upgrade: &mut Option<Upgrade>) -> Result<Result<Successor, GiveError>, JoinError> {
    match upgrade {
        Some(upgrade) => (&mut upgrade.task).await,
        None => std::future::pending().await,
    }
}

/// Begins to serve. What comes back is a signal that told the process to end meanwhile.
///
/// # Errors
/// It is not to serve, or not any more.
async fn enter(
    entrance: Entrance,
    predecessor: Option<Taker>,
    signals: &mut Signals,
) -> Result<Option<&'static str>, Error> {
    let breaker = predecessor.as_ref().map(Taker::breaker).transpose()?;
    let mut entering = spawn_blocking(|| entrance.enter(predecessor));
    tokio::select! {
        entered = &mut entering => entered?.map(|()| None),
        name = signals.ending() => {
            // The thread waits for the predecessor's word, and the process cannot end before it does.
            if let Some(socket) = breaker {
                let _ = socket.shutdown(Shutdown::Both);
            }
            entering.await??;
            Ok(Some(name))
        }
    }
}

/// Waits for the end of an upgrade that was given up. Who has become the successor by then is told to
/// stop, too.
async fn give_up(upgrade: Option<Upgrade>) {
    let Some(upgrade) = upgrade else { return };
    if let Ok(Ok(successor)) = upgrade.task.await {
        let _ = kill_process(successor.pid, rustix::process::Signal::TERM);
    }
}

#[async_trait]
impl ShutdownSignalWatch for Supervisor {
    /// Pingora's own way to end sleeps out a grace period and hears no second signal. So it is told
    /// only when nothing runs any more, or is not to.
    async fn recv(&self) -> ShutdownSignal {
        if let Err(error) = self.watch().await {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        ShutdownSignal::FastShutdown
    }
}

/// A reload for whoever asks in another way than by a signal or the control socket; it blocks.
pub fn order_reload(orders: mpsc::Sender<Order>) -> Reload {
    Arc::new(move || {
        let (reply, answer) = oneshot::channel();
        let sent = orders.blocking_send(Order::Reload(reply));
        match sent.map(|()| answer.blocking_recv()) {
            Ok(Ok(Answer::Done(what))) => Reloaded::Done(what + "\n"),
            Ok(Ok(Answer::Failed(why))) => Reloaded::Refused(why + "\n"),
            _ => Reloaded::Busy("an upgrade is under way; try again\n".to_owned()),
        }
    })
}

/// An upgrade for a changed file that needs one.
pub fn order_upgrade(orders: mpsc::Sender<Order>) -> Box<dyn Fn(Vec<&'static str>) + Send + Sync> {
    Box::new(move |_keys| {
        // What comes of it stands in the notes.
        let (reply, _) = oneshot::channel();
        let _ = orders.blocking_send(Order::Upgrade(reply));
    })
}
