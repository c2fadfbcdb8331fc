//! Between counters and their journal: what is written down, what is read, and whose rule is not known yet.

use super::account::{Account, Identity};
use super::counter::Counter;
use super::frame::Frame;
use super::journal::{Journal, Line};
use super::room::Rooms;
use super::sheet::Change;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the whole journal is read for the sake of one counter, at most.
const PUZZLED_EVERY: Duration = Duration::from_secs(10);

/// The accounts of all rules that are known, by what makes them the same rule.
pub type Accounts = HashMap<Identity, Arc<Account>>;

pub struct Desk {
    journal: Journal,
    /// Counters of rules that nobody has named since the start: they may come back with a reload.
    strangers: HashMap<u128, Stranger>,
    /// When a change was read last of which nobody knew the counter.
    puzzled: Option<Instant>,
}

struct Stranger {
    account: Identity,
    span_ms: u64,
    label: Box<str>,
    changes: Vec<Change>,
}

impl Desk {
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            strangers: HashMap::new(),
            puzzled: None,
        }
    }

    /// Reads what others wrote, and writes what is new here.
    ///
    /// # Errors
    /// The disk fails; what is new is kept for the next time.
    pub fn visit(&mut self, rooms: &Rooms, accounts: &Accounts) -> io::Result<()> {
        self.journal.enter()?;
        let done = self.exchange(rooms, accounts);
        self.journal.leave();
        done
    }

    fn exchange(&mut self, rooms: &Rooms, accounts: &Accounts) -> io::Result<()> {
        let news = self.journal.listen()?;
        if news.anew {
            self.read_anew(news.frames, rooms, accounts);
        } else {
            self.read_on(news.frames, rooms, accounts);
        }
        let dirty = rooms.take_dirty();
        let news = dirty.iter().filter_map(|counter| {
            let (change, anew) = counter.take_change()?;
            let name = name_of(counter);
            Some(Line { name, change, anew })
        });
        self.journal.say(news)?;
        if self.journal.is_long() {
            self.rewrite(rooms)?;
        }
        Ok(())
    }

    /// Forces what was written to the disk; at most once a second unless `now` is true.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&mut self, now: bool) -> io::Result<()> {
        self.journal.sync(now)
    }

    /// Gives a rule that has become known its counters back.
    pub fn adopt(&mut self, account: &Arc<Account>, rooms: &Rooms) {
        let own = |_: &u128, stranger: &mut Stranger| stranger.account == account.identity;
        for (id, stranger) in self.strangers.extract_if(own) {
            let counter = rooms.of(account).insert(id, account, stranger.label);
            let now = rooms.now();
            for change in stranger.changes {
                counter.recall(now, change);
            }
        }
    }

    fn read_on(&mut self, frames: Vec<Frame>, rooms: &Rooms, accounts: &Accounts) {
        let now = rooms.now();
        for frame in frames {
            match frame {
                Frame::Name {
                    id,
                    account,
                    span_ms,
                    label,
                } => {
                    if rooms.find(id).is_some() {
                        continue;
                    }
                    match accounts.get(&Identity(account)) {
                        Some(account) => drop(rooms.of(account).insert(id, account, label)),
                        None => self.meet(id, account, span_ms, label),
                    }
                }
                Frame::Change { id, change, .. } => match rooms.find(id) {
                    Some(counter) => counter.recall(now, change),
                    None => match self.strangers.get_mut(&id) {
                        Some(stranger) => stranger.changes.push(change),
                        None if change.used > 0 => self.wonder(),
                        None => {}
                    },
                },
            }
        }
    }

    /// A counter was dropped here while others still knew it, as may happen where their clocks and
    /// ours differ a little: who it is stands further up in the journal.
    fn wonder(&mut self) {
        let lately = |since: Instant| since.elapsed() < PUZZLED_EVERY;
        if !self.puzzled.is_some_and(lately) {
            self.puzzled = Some(Instant::now());
            self.journal.forget();
        }
    }

    fn meet(&mut self, id: u128, account: u128, span_ms: u64, label: Box<str>) {
        let account = Identity(account);
        self.strangers.entry(id).or_insert(Stranger {
            account,
            span_ms,
            label,
            changes: Vec::new(),
        });
    }

    /// The journal tells everything from its start: all counters are counted anew, each at one blow.
    fn read_anew(&mut self, frames: Vec<Frame>, rooms: &Rooms, accounts: &Accounts) {
        self.strangers.clear();
        for frame in frames {
            match frame {
                Frame::Name {
                    id,
                    account,
                    span_ms,
                    label,
                } => self.meet(id, account, span_ms, label),
                Frame::Change { id, change, .. } => {
                    if let Some(stranger) = self.strangers.get_mut(&id) {
                        stranger.changes.push(change);
                    }
                }
            }
        }
        let now = rooms.now();
        let known = |_: &u128, stranger: &mut Stranger| accounts.contains_key(&stranger.account);
        let mut told: HashMap<u128, Stranger> = self.strangers.extract_if(known).collect();
        for (id, stranger) in &mut told {
            if let Some(account) = accounts.get(&stranger.account) {
                let label = std::mem::take(&mut stranger.label);
                rooms.of(account).insert(*id, account, label);
            }
        }
        rooms.each(|counter| {
            if counter.account.is_kept() {
                let told = told.get(&counter.id);
                counter.restate(now, told.map_or(&[], |told| told.changes.as_slice()));
            }
        });
    }

    fn rewrite(&mut self, rooms: &Rooms) -> io::Result<()> {
        let now = rooms.now();
        self.strangers.retain(|_, stranger| {
            let forgotten = now.wall_ms.saturating_sub(2 * stranger.span_ms);
            let fresh = |change: &Change| change.held != 0 || change.wall_ms >= forgotten;
            stranger.changes.retain(fresh);
            !stranger.changes.is_empty()
        });
        let mut lines = Vec::new();
        rooms.each(|counter| {
            if counter.account.is_kept()
                && let Some(changes) = counter.take_whole(now)
            {
                lines.push((name_of(counter), changes));
            }
        });
        let strangers = self.strangers.iter().map(|(id, stranger)| {
            let name = Frame::Name {
                id: *id,
                account: stranger.account.0,
                span_ms: stranger.span_ms,
                label: stranger.label.clone(),
            };
            let used = |change: &Change| Change { held: 0, ..*change };
            (name, stranger.changes.iter().map(used).collect())
        });
        lines.extend(strangers);
        self.journal.rewrite(lines.into_iter())
    }
}

fn name_of(counter: &Counter) -> Frame {
    Frame::Name {
        id: counter.id,
        account: counter.account.identity.0,
        span_ms: counter.account.terms().span.millis(),
        label: counter.label.clone(),
    }
}
