//! How a process that has everything begins to serve.

use super::control::{self, Order};
use super::handover::giver::Giver;
use super::handover::taker::{Taker, Turn};
use super::live::Live;
use super::sockets::Sockets;
use super::systemd;
use crate::admin::Readiness;
use crate::proxy::lifecycle::{Lifecycle, Phase};
use anyhow::Result;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What is left to do when everything is prepared.
pub struct Entrance {
    pub sockets: Arc<Sockets>,
    /// Addresses that were listened on before, and no longer are.
    pub gone: Vec<SocketAddr>,
    pub runtime_dir: Option<PathBuf>,
    pub orders: mpsc::Sender<Order>,
    pub lifecycle: Arc<Lifecycle>,
    pub readiness: Arc<Readiness>,
    pub giver: Arc<Giver>,
    pub live: Arc<Live>,
}

impl Entrance {
    /// Begins to serve, as soon as it is this process's turn after its `predecessor`. Blocks until
    /// then.
    ///
    /// # Errors
    /// It will not be.
    pub fn enter(self, predecessor: Option<Taker>) -> Result<()> {
        let taken_over = match &predecessor {
            Some(predecessor) => {
                self.take_up(predecessor.ready()?);
                true
            }
            None => false,
        };
        self.lifecycle.advance(Phase::Serving);
        self.readiness.set(true);
        predecessor.as_ref().map_or(Ok(()), Taker::serving)?;
        systemd::serving(&self.sockets, &self.gone);
        systemd::keep_watchdog(self.lifecycle);
        if let Some(folder) = self.runtime_dir
            && let Err(error) = control::serve(&folder, self.live.path(), self.orders)
        {
            tracing::warn!(%error, folder = %folder.display(), "there is no control socket");
        }
        self.giver.follow(predecessor.map(Taker::settled));
        tracing::info!(sockets = %self.sockets, taken_over, "serving");
        Ok(())
    }

    /// Goes on where the predecessor stood.
    fn take_up(&self, turn: Turn) {
        match turn {
            Turn::Ours(parting) => parting
                .standing
                .into_iter()
                .for_each(|told| self.live.resume(told)),
            Turn::Alone => tracing::warn!("the process to take over from has died meanwhile"),
        }
        self.live.catch_up();
    }
}
