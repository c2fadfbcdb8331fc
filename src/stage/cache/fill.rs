//! An answer on its way into the cache, read by those who asked the same while it arrives.

use super::label::Label;
use super::question::Question;
use crate::base::clock::Moment;
use crate::base::money::NanoUsd;
use crate::store::entry::{Draft, Entry};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Readers that lag get what gathered in pieces of at most this size.
const JOINED_BYTES_MAX: usize = 64 << 10;
/// What may wait for the client of an answer that is too long to be kept.
const BACKLOG_BYTES_MAX: usize = 64 << 20;
/// The seat of the request that asks the provider.
pub const LEADER: usize = 0;

/// What all answers on their way may take together, and one alone.
#[derive(Debug)]
pub struct Bounds {
    pub entry_bytes_max: usize,
    pub filling_bytes_max: u64,
    pub filling_bytes: AtomicU64,
}

/// What became of an answer, as far as its reader can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub keep: bool,
    pub cost: Option<NanoUsd>,
}

/// One answer. Its bytes are held until it ends; one that grows too long is passed on only.
pub struct Fill {
    pub tag: [u8; 8],
    pub question: Arc<Question>,
    /// What is kept of its head.
    pub head: Bytes,
    shared: AtomicBool,
    begun: Moment,
    bounds: Arc<Bounds>,
    progress: Mutex<Progress>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Progress {
    pieces: VecDeque<Bytes>,
    /// The number of the first piece that is still held.
    first: usize,
    bytes: usize,
    held: usize,
    /// The next piece of each reader; `None` where it has left, or was left behind.
    seats: Vec<Option<usize>>,
    too_long: bool,
    verdict: Option<Verdict>,
    end: Option<End>,
    /// What was kept of it.
    entry: Option<Entry>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

/// What a reader finds.
pub enum Next {
    Piece(Bytes),
    Wait,
    End,
    Broken,
}

/// The answer grew beyond every bound while nobody took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swamped;

impl Fill {
    pub fn new(number: u64, question: Arc<Question>, head: Vec<u8>, bounds: Arc<Bounds>) -> Self {
        Self {
            tag: number.to_be_bytes(),
            question,
            head: head.into(),
            shared: AtomicBool::new(false),
            begun: Moment::now(),
            bounds,
            progress: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it may be read while it arrives: it is worth having piece by piece, and will not be
    /// given up for another one.
    pub fn share(&self) {
        if !self.shared.swap(true, Ordering::AcqRel) {
            self.changed.send_replace(());
        }
    }

    pub fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Acquire)
    }

    /// Says what is to become of the answer. Only the last word before its end counts.
    pub fn judge(&self, verdict: Verdict) {
        self.progress().verdict = Some(verdict);
    }

    /// What the answer cost, once that is known.
    pub fn cost(&self) -> Option<NanoUsd> {
        self.progress().verdict?.cost
    }

    /// A seat for a reader that begins at the beginning; `None` once that is gone.
    pub fn sit(&self) -> Option<(usize, watch::Receiver<()>)> {
        let changed = self.changed.subscribe();
        let mut progress = self.progress();
        if progress.first > 0 {
            return None;
        }
        progress.seats.push(Some(0));
        Some((progress.seats.len() - 1, changed))
    }

    pub fn leave(&self, seat: usize) {
        let mut progress = self.progress();
        if let Some(seat) = progress.seats.get_mut(seat) {
            *seat = None;
        }
        self.drop_read(&mut progress);
    }

    /// What comes next for the reader in this seat.
    pub fn next(&self, seat: usize) -> Next {
        let mut progress = self.progress();
        let Some(Some(at)) = progress.seats.get(seat).copied() else {
            return Next::Broken;
        };
        let mut ahead = progress.pieces.range(at.saturating_sub(progress.first)..);
        let Some(piece) = ahead.next().cloned() else {
            return match progress.end {
                None => Next::Wait,
                Some(End::Whole) => Next::End,
                Some(End::Broken) => Next::Broken,
            };
        };
        let mut joined = piece.len();
        let fits = |next: &&Bytes| {
            joined += next.len();
            joined <= JOINED_BYTES_MAX
        };
        let more: Vec<Bytes> = ahead.take_while(fits).cloned().collect();
        if let Some(seat) = progress.seats.get_mut(seat) {
            *seat = Some(at + 1 + more.len());
        }
        self.drop_read(&mut progress);
        drop(progress);
        if more.is_empty() {
            return Next::Piece(piece);
        }
        let mut whole = BytesMut::from(piece);
        more.iter().for_each(|piece| whole.extend_from_slice(piece));
        Next::Piece(whole.freeze())
    }

    /// Takes the answer's next piece. Returns whether the answer may still be kept.
    ///
    /// # Errors
    /// It cannot even be passed on.
    pub fn push(&self, piece: Bytes) -> Result<bool, Swamped> {
        let mut progress = self.progress();
        progress.bytes += piece.len();
        progress.held += piece.len();
        let length = piece.len() as u64;
        let filling = self
            .bounds
            .filling_bytes
            .fetch_add(length, Ordering::Relaxed)
            + length;
        progress.pieces.push_back(piece);
        progress.too_long |=
            progress.bytes > self.bounds.entry_bytes_max || filling > self.bounds.filling_bytes_max;
        self.drop_read(&mut progress);
        while progress.too_long && progress.held > BACKLOG_BYTES_MAX {
            let last = progress
                .seats
                .iter()
                .enumerate()
                .filter_map(|(seat, at)| Some((seat, (*at)?)));
            match last.min_by_key(|(_, at)| *at) {
                Some((LEADER, _)) | None => return Err(Swamped),
                Some((seat, _)) => {
                    if let Some(seat) = progress.seats.get_mut(seat) {
                        *seat = None;
                    }
                }
            }
            self.drop_read(&mut progress);
        }
        let may_be_kept = !progress.too_long;
        drop(progress);
        self.changed.send_replace(());
        Ok(may_be_kept)
    }

    /// Forgets what everybody has read of an answer that will not be kept.
    fn drop_read(&self, progress: &mut Progress) {
        if !progress.too_long {
            return;
        }
        let end = progress.first + progress.pieces.len();
        let read = progress
            .seats
            .iter()
            .flatten()
            .min()
            .copied()
            .unwrap_or(end);
        while progress.first < read
            && let Some(piece) = progress.pieces.pop_front()
        {
            progress.first += 1;
            progress.held -= piece.len();
            self.bounds
                .filling_bytes
                .fetch_sub(piece.len() as u64, Ordering::Relaxed);
        }
    }

    /// Makes the entry of an answer that came whole, if it is to be kept.
    pub fn entry(&self) -> Option<Entry> {
        let progress = self.progress();
        let verdict = progress.verdict.filter(|verdict| verdict.keep)?;
        if progress.too_long {
            return None;
        }
        let question = &self.question;
        let label = Label {
            gateway: &question.gateway,
            provider: &question.provider,
            model: question.model.as_deref().unwrap_or_default(),
            name: question.name.as_deref(),
            cost: verdict.cost,
        };
        let pieces: Vec<Bytes> = progress.pieces.iter().cloned().collect();
        drop(progress);
        let draft = Draft {
            key: question.key,
            generation: question.generation,
            created: self.begun.wall,
            fresh: question.ttl,
            useful: question.ttl.saturating_add(question.stale),
            label: &label.write(),
            head: &self.head,
            body: &pieces,
        };
        Some(Entry::make(&draft, self.begun))
    }

    /// Ends the answer for all who read it.
    pub fn end(&self, whole: bool, entry: Option<Entry>) {
        let mut progress = self.progress();
        progress.end = Some(if whole { End::Whole } else { End::Broken });
        progress.entry = entry;
        drop(progress);
        self.changed.send_replace(());
    }

    /// What there is for those who wait for all of it: `None` while it is open, and nothing inside
    /// where it was not kept.
    pub fn outcome(&self) -> Option<Option<Entry>> {
        let progress = self.progress();
        let settled = progress.end.is_some() || progress.too_long;
        settled.then(|| progress.entry.clone())
    }

    /// Tells of every change from now on.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        let held = self.progress().held as u64;
        self.bounds.filling_bytes.fetch_sub(held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
