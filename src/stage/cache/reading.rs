//! Reading an answer out of the cache: a kept one at once, one on its way as it arrives.

use super::fill::{Fill, Next};
use super::question::Limits;
use crate::base::money::NanoUsd;
use crate::store::entry::Entry;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::{Error, ErrorType, Result};
use pingora_cache::CacheKey;
use pingora_cache::storage::{HandleHit, Storage};
use pingora_cache::trace::SpanHandle;
use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::Sleep;

/// A kept answer with all that giving it takes.
pub struct Recalled {
    pub entry: Entry,
    /// What was kept of its head.
    pub fields: HeaderMap,
    pub age: Duration,
    /// What asking for it cost.
    pub cost: Option<NanoUsd>,
}

impl Recalled {
    pub fn is_fresh(&self) -> bool {
        self.age < self.entry.fresh
    }
}

/// An answer that is there as a whole.
pub struct Kept {
    pub entry: Entry,
    taken: bool,
}

impl Kept {
    pub const fn new(entry: Entry) -> Self {
        Self {
            entry,
            taken: false,
        }
    }
}

#[async_trait]
impl HandleHit for Kept {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        let taken = std::mem::replace(&mut self.taken, true);
        let body = (!taken).then(|| self.entry.body.clone());
        Ok(body.filter(|body| !body.is_empty()))
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

/// An answer on its way.
pub struct Follow {
    pub fill: Arc<Fill>,
    seat: usize,
    changed: watch::Receiver<()>,
    limits: Limits,
    last: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Follow {
    /// `None` where the beginning is gone.
    pub fn join(fill: Arc<Fill>, limits: Limits) -> Option<Self> {
        let (seat, changed) = fill.sit()?;
        Some(Self {
            fill,
            seat,
            changed,
            limits,
            last: Instant::now(),
            alarm: None,
        })
    }

    /// Waits for a change, at most as long as the asker is willing to.
    async fn wait(&mut self) -> Result<()> {
        let (at, lapsed) = self.limits.next(self.last);
        let deadline = at.into();
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if deadline < alarm.deadline() || alarm.is_elapsed() {
            alarm.as_mut().reset(deadline);
        }
        tokio::select! {
            biased;
            changed = self.changed.changed() => changed.map_err(|_| broken()),
            () = alarm.as_mut() => {
                // The alarm may be that of an earlier piece.
                if Instant::now() >= at { Err((self.limits.lapse)(lapsed)) } else { Ok(()) }
            }
        }
    }
}

#[async_trait]
impl HandleHit for Follow {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.fill.next(self.seat) {
                Next::Piece(piece) => {
                    self.last = Instant::now();
                    return Ok(Some(piece));
                }
                Next::End => return Ok(None),
                Next::Broken => return Err(broken()),
                Next::Wait => self.wait().await?,
            }
        }
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.fill.leave(self.seat);
    }
}

/// The request that asked the provider has lost the answer.
fn broken() -> Box<Error> {
    let why = "the request that it was shared with lost it";
    Error::explain(ErrorType::ConnectionClosed, why).into_up()
}
