//! Which of several members a request gets, among those that may be chosen.

use super::member::Member;
use crate::provider::config::balance::Balance;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most members that one row can have: sets of them are bits of one number.
pub const MEMBERS_MAX: usize = 64;

/// A set of members by their index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(u64);

impl Set {
    pub fn add(&mut self, index: usize) {
        if index < MEMBERS_MAX {
            self.0 |= 1 << index;
        }
    }

    pub fn remove(&mut self, index: usize) {
        if index < MEMBERS_MAX {
            self.0 &= !(1 << index);
        }
    }

    pub const fn has(self, index: usize) -> bool {
        index < MEMBERS_MAX && self.0 >> index & 1 == 1
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn len(self) -> u64 {
        self.0.count_ones() as u64
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<I: IntoIterator<Item = usize>>(indexes: I) -> Self {
        let mut set = Self::default();
        indexes.into_iter().for_each(|index| set.add(index));
        set
    }
}

/// Numbers that nobody foresees well enough to gain by it; no lock, no allocation.
#[derive(Debug)]
pub struct Dice(AtomicU64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// From 0 to `below`, which itself is never thrown.
    pub fn throw(&self, below: u64) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let state = self.0.fetch_add(STEP, Ordering::Relaxed);
        mix(state.wrapping_add(STEP)) % below.max(1)
    }
}

/// SplitMix64's last step (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// What a choice is made by, beside the members.
#[derive(Clone, Copy)]
pub struct By<'a> {
    pub balance: &'a Balance,
    pub affinity: Option<u64>,
    pub dice: &'a Dice,
    pub now_ms: u64,
}

/// One of `among`; `None` where that is empty.
pub fn pick(members: &[Arc<Member>], among: Set, by: By<'_>) -> Option<usize> {
    match (by.balance, by.affinity) {
        (Balance::LeastBusy, _) => least_busy(members, among, by.dice),
        (Balance::Fastest, _) => fastest(members, among, by),
        (Balance::Sticky(_), Some(affinity)) => sticky(members, among, affinity),
        (Balance::Weighted | Balance::Sticky(_), _) => weighted(members, among, by.dice),
    }
}

/// The members of `among` with their index.
fn those(members: &[Arc<Member>], among: Set) -> impl Iterator<Item = (usize, &Arc<Member>)> {
    let members = members.iter().enumerate();
    members.filter(move |(index, _)| among.has(*index))
}

fn weighted(members: &[Arc<Member>], among: Set, dice: &Dice) -> Option<usize> {
    let whole = those(members, among).map(|(_, member)| member.weight).sum();
    let mut left = dice.throw(whole);
    for (index, member) in those(members, among) {
        match left.checked_sub(member.weight) {
            Some(rest) => left = rest,
            None => return Some(index),
        }
    }
    None
}

fn least_busy(members: &[Arc<Member>], among: Set, dice: &Dice) -> Option<usize> {
    let mut best: Option<(usize, u128)> = None;
    let mut ties = 1;
    for (index, member) in those(members, among) {
        // Comparable across weights up to a millionth of a request.
        let load = u128::from(member.running() + 1) * 1_000_000 / u128::from(member.weight);
        match best {
            Some((_, least)) if load > least => {}
            Some((_, least)) if load == least => {
                ties += 1;
                if dice.throw(ties) == 0 {
                    best = Some((index, load));
                }
            }
            _ => {
                ties = 1;
                best = Some((index, load));
            }
        }
    }
    best.map(|(index, _)| index)
}

/// Power of two choices: the better of two by chance, so that not all run to one at a time
/// (Mitzenmacher, 2001). A member of unknown speed gets one request at once, to know it.
fn fastest(members: &[Arc<Member>], among: Set, by: By<'_>) -> Option<usize> {
    let count = among.len();
    let first = by.dice.throw(count);
    let second = match count {
        0 | 1 => first,
        _ => (first + 1 + by.dice.throw(count - 1)) % count,
    };
    let nth = |at: u64| those(members, among).nth(usize::try_from(at).unwrap_or(0));
    let (first, second) = (nth(first)?, nth(second)?);
    let cost = |member: &Member| match member.average_us(by.now_ms) {
        Some(average) => {
            let waiting = u128::from(member.running() + 1);
            (
                0,
                u128::from(average) * waiting * 1_000 / u128::from(member.weight),
            )
        }
        None if member.running() == 0 => (0, 0),
        None => (1, u128::from(member.running())),
    };
    let better = if cost(second.1) < cost(first.1) {
        second
    } else {
        first
    };
    Some(better.0)
}

/// Rendezvous hashing with weights (Thaler, Ravishankar 1998): each member throws its own dice for
/// this affinity, and the best throw wins. Where one is lost, only its own requests move.
fn sticky(members: &[Arc<Member>], among: Set, affinity: u64) -> Option<usize> {
    let score = |member: &Member| {
        let throw = mix(mix(member.spread) ^ affinity) >> 11;
        // From above 0 to 1: 53 bits, as many as a float holds exactly.
        let chance = (throw as f64 + 1.0) / (1u64 << 53) as f64;
        -chance.ln() / member.weight as f64
    };
    let scored = those(members, among).map(|(index, member)| (index, score(member)));
    let best = scored.min_by(|one, other| one.1.total_cmp(&other.1));
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests;
