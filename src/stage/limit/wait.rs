//! The line before a counter without room: bounded, and fair to every key.

use crate::store::counters::account::Account;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Those who wait for the counters of one rule. Each counter has a queue of its own, and in it each
/// key has a lane: the lanes are served in turn, so a key with many requests waits for itself.
#[derive(Debug)]
pub struct Line {
    account: Arc<Account>,
    waiting_max: usize,
    queues: Mutex<HashMap<u128, Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whose turn it is.
    head: Option<Arc<Waiter>>,
    lanes: VecDeque<Lane>,
    waiting: usize,
}

#[derive(Debug)]
struct Lane {
    key: String,
    waiters: VecDeque<Arc<Waiter>>,
}

#[derive(Debug, Default)]
struct Waiter {
    has_turn: AtomicBool,
    is_sent_away: AtomicBool,
    told: Notify,
}

impl Waiter {
    fn tell(&self, what: &AtomicBool) {
        what.store(true, Ordering::Release);
        self.told.notify_one();
    }
}

/// A place in the line, given up when it is dropped.
pub struct Ticket {
    line: Arc<Line>,
    counter: u128,
    waiter: Arc<Waiter>,
}

/// The line is full, and this key has its share of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Line {
    /// At most `waiting_max` wait for one counter.
    pub fn new(account: Arc<Account>, waiting_max: usize) -> Self {
        Self {
            account,
            waiting_max,
            queues: Mutex::default(),
        }
    }

    /// Whether both are for the same counters, and of the same length.
    pub fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.account, &other.account) && self.waiting_max == other.waiting_max
    }

    /// Whether somebody waits for this counter: whoever comes later does not pass by.
    pub fn has_waiters(&self, counter: u128) -> bool {
        self.account.freed.waiting.load(Ordering::Acquire) > 0
            && self.queues().contains_key(&counter)
    }

    /// Takes a place. In a full line it is that of the last one of the longest lane, if that lane is
    /// longer than this key's would be.
    ///
    /// # Errors
    /// There is no place.
    pub fn join(self: &Arc<Self>, counter: u128, key: String) -> Result<Ticket, Full> {
        let waiter = Arc::new(Waiter::default());
        let mut queues = self.queues();
        let queue = queues.entry(counter).or_default();
        let joined = queue.join(&waiter, key, self.waiting_max);
        if queue.waiting == 0 {
            queues.remove(&counter);
        }
        drop(queues);
        joined?;
        self.account.freed.waiting.fetch_add(1, Ordering::AcqRel);
        Ok(Ticket {
            line: self.clone(),
            counter,
            waiter,
        })
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<u128, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn join(&mut self, waiter: &Arc<Waiter>, key: String, waiting_max: usize) -> Result<(), Full> {
        if self.waiting >= waiting_max {
            let own = self.lanes.iter().find(|lane| lane.key == key);
            let own = own.map_or(0, |lane| lane.waiters.len());
            let longest = self.lanes.iter_mut().max_by_key(|lane| lane.waiters.len());
            let longest = longest
                .filter(|lane| lane.waiters.len() > own + 1)
                .ok_or(Full)?;
            if let Some(last) = longest.waiters.pop_back() {
                last.tell(&last.is_sent_away);
                self.waiting -= 1;
            }
        }
        self.waiting += 1;
        match self.lanes.iter_mut().find(|lane| lane.key == key) {
            Some(lane) => lane.waiters.push_back(waiter.clone()),
            None => self.lanes.push_back(Lane {
                key,
                waiters: VecDeque::from([waiter.clone()]),
            }),
        }
        self.promote();
        Ok(())
    }

    /// Gives the turn to the first of the next lane, if nobody has it.
    fn promote(&mut self) {
        while self.head.is_none()
            && let Some(mut lane) = self.lanes.pop_front()
        {
            if let Some(next) = lane.waiters.pop_front() {
                next.tell(&next.has_turn);
                self.head = Some(next);
            }
            if !lane.waiters.is_empty() {
                self.lanes.push_back(lane);
            }
        }
    }

    fn leave(&mut self, waiter: &Arc<Waiter>) {
        let is_own = |other: &Arc<Waiter>| Arc::ptr_eq(other, waiter);
        if self.head.as_ref().is_some_and(is_own) {
            self.head = None;
            self.waiting -= 1;
        } else {
            for lane in &mut self.lanes {
                let before = lane.waiters.len();
                lane.waiters.retain(|other| !is_own(other));
                self.waiting -= before - lane.waiters.len();
            }
            self.lanes.retain(|lane| !lane.waiters.is_empty());
        }
        self.promote();
    }
}

impl Ticket {
    /// Waits for its turn; `false` where its place went to another key.
    pub async fn turn(&self) -> bool {
        loop {
            if self.waiter.is_sent_away.load(Ordering::Acquire) {
                return false;
            }
            if self.waiter.has_turn.load(Ordering::Acquire) {
                return true;
            }
            self.waiter.told.notified().await;
        }
    }

    pub fn account(&self) -> Arc<Account> {
        self.line.account.clone()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut queues = self.line.queues();
        if let Some(queue) = queues.get_mut(&self.counter) {
            queue.leave(&self.waiter);
            if queue.waiting == 0 {
                queues.remove(&self.counter);
            }
        }
        self.line
            .account
            .freed
            .waiting
            .fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::counters::account::{Identity, Kind};
    use crate::store::counters::span::Span;
    use crate::store::counters::window::{Technique, Terms};

    fn line(waiting_max: usize) -> Arc<Line> {
        let terms = Terms {
            technique: Technique::Running,
            span: Span::Millis(1),
            limit: 1,
        };
        let account = Account::new(Identity(1), Kind::Rate, terms);
        Arc::new(Line::new(Arc::new(account), waiting_max))
    }

    fn has_turn(ticket: &Ticket) -> bool {
        ticket.waiter.has_turn.load(Ordering::Acquire)
    }

    #[test]
    fn keys_are_served_in_turn() {
        let line = line(10);
        let mut waiting: Vec<_> = [1, 1, 1, 1, 2, 3, 3]
            .into_iter()
            .map(|key| (key, line.join(7, format!("{key}")).unwrap()))
            .collect();
        let mut served = Vec::new();
        while let Some(at) = waiting.iter().position(|(_, ticket)| has_turn(ticket)) {
            served.push(waiting.remove(at).0);
        }
        assert_eq!(served, [1, 1, 2, 3, 1, 3, 1]);
        assert!(!line.has_waiters(7) && line.queues().is_empty());
    }

    #[test]
    fn a_full_line_has_room_for_a_key_with_less_than_its_share() {
        let line = line(4);
        let many: Vec<_> = (0..4)
            .map(|_| line.join(7, "1".to_owned()).unwrap())
            .collect();
        assert_eq!(line.join(7, "1".to_owned()).err(), Some(Full));
        let other = line.join(7, "2".to_owned()).unwrap();
        assert!(many[3].waiter.is_sent_away.load(Ordering::Acquire));
        // Two waited in the longest lane, and one is this key's share.
        let third = line.join(7, "3".to_owned()).unwrap();
        assert_eq!(line.join(7, "4".to_owned()).err(), Some(Full));
        drop((many, other, third));
        assert!(!line.has_waiters(7));
        // Another counter has a line of its own.
        assert!(line.join(8, "1".to_owned()).is_ok());
    }

    #[tokio::test]
    async fn who_is_sent_away_hears_of_it() {
        let line = line(3);
        let _first = line.join(7, "1".to_owned()).unwrap();
        let _second = line.join(7, "1".to_owned()).unwrap();
        let third = line.join(7, "1".to_owned()).unwrap();
        let newcomer = line.join(7, "2".to_owned());
        assert!(newcomer.is_ok());
        assert!(!third.turn().await);
    }
}
