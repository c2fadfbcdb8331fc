//! Between counters and their journal: what is written down, what is read, and whose rule is not known yet.

use super::account::{Account, Identity};
use super::counter::Counter;
use super::frame::Frame;
use super::journal::Journal;
use super::room::Room;
use super::sheet::Change;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// The accounts of all rules that are known, by what makes them the same rule.
pub type Accounts = HashMap<Identity, Arc<Account>>;

pub struct Desk {
    journal: Journal,
    /// Counters of rules that nobody has named since the start: they may come back with a reload.
    strangers: HashMap<u128, Stranger>,
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
        }
    }

    /// Reads what others wrote, and writes what is new here.
    ///
    /// # Errors
    /// The disk fails; what is new is kept for the next time.
    pub fn visit(&mut self, room: &Room, accounts: &Accounts) -> io::Result<()> {
        self.journal.enter()?;
        let done = self.exchange(room, accounts);
        self.journal.leave();
        done
    }

    fn exchange(&mut self, room: &Room, accounts: &Accounts) -> io::Result<()> {
        let news = self.journal.listen()?;
        if news.anew {
            self.read_anew(news.frames, room, accounts);
        } else {
            self.read_on(news.frames, room, accounts);
        }
        let dirty = room.yard.dirty.as_ref().map(|dirty| dirty.take());
        let dirty = dirty.unwrap_or_default();
        let changes: Vec<_> = dirty
            .iter()
            .filter_map(|counter| Some((name_of(counter), counter.take_change()?)))
            .collect();
        let changes = changes.iter().map(|(name, change)| (name.clone(), change));
        self.journal.say(changes)?;
        if self.journal.is_long() {
            self.rewrite(room)?;
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
    pub fn adopt(&mut self, account: &Arc<Account>, room: &Room) {
        let own = |_: &u128, stranger: &mut Stranger| stranger.account == account.identity;
        for (id, stranger) in self.strangers.extract_if(own) {
            let counter = room.insert(id, account, stranger.label);
            let now = room.yard.clock.now();
            for change in stranger.changes {
                counter.recall(now, change);
            }
        }
    }

    fn read_on(&mut self, frames: Vec<Frame>, room: &Room, accounts: &Accounts) {
        let now = room.yard.clock.now();
        for frame in frames {
            match frame {
                Frame::Name {
                    id,
                    account,
                    span_ms,
                    label,
                } => {
                    if room.find(id).is_some() {
                        continue;
                    }
                    match accounts.get(&Identity(account)) {
                        Some(account) => drop(room.insert(id, account, label)),
                        None => self.meet(id, account, span_ms, label),
                    }
                }
                Frame::Change { id, change, .. } => match room.find(id) {
                    Some(counter) => counter.recall(now, change),
                    None => {
                        if let Some(stranger) = self.strangers.get_mut(&id) {
                            stranger.changes.push(change);
                        }
                    }
                },
            }
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
    fn read_anew(&mut self, frames: Vec<Frame>, room: &Room, accounts: &Accounts) {
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
        let now = room.yard.clock.now();
        let known = |_: &u128, stranger: &mut Stranger| accounts.contains_key(&stranger.account);
        let mut told: HashMap<u128, Stranger> = self.strangers.extract_if(known).collect();
        for (id, stranger) in &mut told {
            if let Some(account) = accounts.get(&stranger.account) {
                room.insert(*id, account, std::mem::take(&mut stranger.label));
            }
        }
        room.each(|counter| {
            if counter.account.is_kept() {
                let told = told.get(&counter.id);
                counter.restate(now, told.map_or(&[], |told| told.changes.as_slice()));
            }
        });
    }

    fn rewrite(&mut self, room: &Room) -> io::Result<()> {
        let now = room.yard.clock.now();
        self.strangers.retain(|_, stranger| {
            let forgotten = now.wall_ms.saturating_sub(2 * stranger.span_ms);
            let fresh = |change: &Change| change.held != 0 || change.wall_ms >= forgotten;
            stranger.changes.retain(fresh);
            !stranger.changes.is_empty()
        });
        let mut lines = Vec::new();
        room.each(|counter| {
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
