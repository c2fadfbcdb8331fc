//! Pingora's cache storage over our shelf, and over the answers on their way.

use super::archive::CacheStore;
use super::fill::Fill;
use super::head;
use super::label::Label;
use super::question::{Asker, Question};
use super::reading::{Follow, Kept, Recalled};
use crate::base::clock::Moment;
use crate::base::money::NanoUsd;
use crate::store::entry::{Entry, Key};
use async_trait::async_trait;
use bytes::Bytes;
use pingora::{Error, ErrorType, Result};
use pingora_cache::key::CompactCacheKey;
use pingora_cache::storage::{
    HandleMiss, HitHandler, MissFinishType, MissHandler, PurgeOutcome, PurgeTarget, PurgeType,
    Storage,
};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheKey, CacheMeta};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[async_trait]
impl Storage for CacheStore {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let Some(asker) = key.extensions.get::<Arc<Asker>>() else {
            return Ok(None);
        };
        let question = &asker.question;
        let is_valid = |fill: &Fill| fill.question.generation >= question.generation;
        if let Some(fill) = self.fills.find(&question.key, is_valid) {
            asker.join();
            if let Some(found) = self.join(fill, asker).await {
                return Ok(Some(found));
            }
        }
        let Some(entry) = self.shelf.find(&question.key).await else {
            return Ok(None);
        };
        Ok(self.serve(entry, question.stale))
    }

    /// The request that asks reads its own answer.
    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        tag: Option<&[u8]>,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let asker = key.extensions.get::<Arc<Asker>>();
        let found = asker.zip(tag).and_then(|(asker, tag)| {
            let fill = self
                .fills
                .find(&asker.question.key, |fill| fill.tag == tag)?;
            let meta = meta_of(&fill)?;
            Some((
                meta,
                Box::new(Follow::join(fill, asker.limits)?) as HitHandler,
            ))
        });
        Ok(found)
    }

    async fn get_miss_handler(
        &'static self,
        _key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<MissHandler> {
        let fill = meta.extensions().get::<Arc<Fill>>().cloned();
        let fill = fill.ok_or_else(|| Error::new(ErrorType::InternalError))?;
        self.fills.add(fill.clone());
        Ok(Box::new(Writer {
            store: self,
            fill,
            ended: false,
        }))
    }

    async fn purge(
        &'static self,
        target: PurgeTarget<'_>,
        _why: PurgeType,
        _trace: &SpanHandle,
    ) -> Result<PurgeOutcome> {
        // Purges are counted; Pingora's own key is too short to tell ours.
        let _: &CompactCacheKey = target.key();
        Ok(PurgeOutcome::NotFound)
    }

    async fn update_meta(
        &'static self,
        _key: &CacheKey,
        _meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<bool> {
        // Answers to questions are never revalidated: they have no validators.
        Ok(false)
    }

    fn support_streaming_partial_write(&self) -> bool {
        (self.has_begun)()
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

impl CacheStore {
    /// An answer on its way: one that is shared is read as it arrives; any other is waited for, so that
    /// one that fails can be asked for again, but not beyond the asker's time to the first byte.
    async fn join(
        &'static self,
        fill: Arc<Fill>,
        asker: &Asker,
    ) -> Option<(CacheMeta, HitHandler)> {
        let mut changed = fill.watch();
        let ready = async {
            loop {
                let outcome = fill.outcome();
                if outcome.is_some() || fill.is_shared() || changed.changed().await.is_err() {
                    return outcome;
                }
            }
        };
        let begin_by = asker.limits.begin_by.into();
        match tokio::time::timeout_at(begin_by, ready).await {
            Ok(Some(outcome)) => self.serve(outcome?, Duration::ZERO),
            Ok(None) | Err(_) => {
                let meta = meta_of(&fill)?;
                let follow = Follow::join(fill, asker.limits)?;
                Some((meta, Box::new(follow)))
            }
        }
    }

    /// The answer to a question that is in memory, its own or the system's, and fresh. What has to be waited for,
    /// or is no longer fresh, takes Pingora's lookup.
    pub fn at_once(&self, key: &Key) -> Option<Recalled> {
        let entry = self.shelf.find_now(key)?;
        self.read(entry, Duration::ZERO)
    }

    /// An answer that may stand in where asking failed: it has not expired for longer than the question says.
    pub async fn stand_in(&self, question: &Question) -> Option<Recalled> {
        let entry = self.shelf.find(&question.key).await?;
        self.read(entry, question.stale)
    }

    fn read(&self, entry: Entry, stale: Duration) -> Option<Recalled> {
        let (age, cost) = self.usable(&entry)?;
        let fields = head::fields(entry.head.clone())?;
        (age < entry.fresh.saturating_add(stale)).then_some(Recalled {
            entry,
            fields,
            age,
            cost,
        })
    }

    /// The age of an entry that was not purged and is not too old, and what its answer cost.
    fn usable(&self, entry: &Entry) -> Option<(Duration, Option<NanoUsd>)> {
        let label = Label::read(&entry.label)?;
        if !self.purges.load().allow(entry.generation, &label) {
            return None;
        }
        let age = entry.age(Moment::now())?;
        (age < entry.useful).then_some((age, label.cost))
    }

    /// A kept answer, unless it was purged or is too old: then it is removed.
    fn serve(&self, entry: Entry, stale: Duration) -> Option<(CacheMeta, HitHandler)> {
        let Some((age, _)) = self.usable(&entry) else {
            self.shelf.remove(&entry.key);
            return None;
        };
        if age >= entry.fresh.saturating_add(stale) {
            return None;
        }
        let now = SystemTime::now();
        let stale = u32::try_from(stale.as_secs()).unwrap_or(u32::MAX);
        // As Pingora would see it, had no clock ever jumped.
        let created = now.checked_sub(age).unwrap_or(now);
        let fresh_until = created.checked_add(entry.fresh).unwrap_or(now);
        let head = head::read(entry.head.clone())?;
        let meta = CacheMeta::new(fresh_until, created, 0, stale, head);
        Some((meta, Box::new(Kept::new(entry))))
    }
}

fn meta_of(fill: &Fill) -> Option<CacheMeta> {
    let now = SystemTime::now();
    let fresh_until = now.checked_add(fill.question.ttl)?;
    let head = head::read(fill.head.clone())?;
    Some(CacheMeta::new(fresh_until, now, 0, 0, head))
}

/// Takes an answer in.
struct Writer {
    store: &'static CacheStore,
    fill: Arc<Fill>,
    ended: bool,
}

#[async_trait]
impl HandleMiss for Writer {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        match self.fill.push(data) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.store.fills.remove(&self.fill);
                Ok(())
            }
            Err(_) => Error::e_explain(
                ErrorType::InternalError,
                "the client takes an answer too slowly that is too long to be kept",
            ),
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<MissFinishType> {
        self.ended = true;
        let entry = self.fill.entry();
        let bytes = entry.as_ref().map_or(0, Entry::bytes);
        if let Some(entry) = &entry {
            self.store.shelf.put(entry.clone());
        }
        self.fill.end(true, entry);
        self.store.fills.remove(&self.fill);
        Ok(MissFinishType::Created(bytes))
    }

    fn streaming_write_tag(&self) -> Option<&[u8]> {
        Some(&self.fill.tag)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended {
            self.fill.end(false, None);
            self.store.fills.remove(&self.fill);
        }
    }
}
