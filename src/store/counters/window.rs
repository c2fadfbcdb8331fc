//! What was used within a window, and when there is room again: fixed, sliding, or a bucket that drains.

use super::clock::Now;
use super::span::Span;
use std::collections::VecDeque;

/// A sliding window is kept in this many parts, so its length is exact within one of them: 1 %.
const PARTS: u64 = 100;

/// How a window moves with the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Technique {
    /// From one hour, day or month of the clock to the next.
    Fixed,
    /// The time that has just passed.
    Sliding,
    /// A bucket that holds the limit and drains evenly, one limit each window.
    Burst,
    /// No window: only what runs at the moment counts.
    Running,
}

/// By what rules a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub technique: Technique,
    pub span: Span,
    /// In requests, tokens or nano-dollars.
    pub limit: u64,
}

/// Amounts used, in requests, tokens or nano-dollars.
#[derive(Debug)]
pub enum State {
    Running,
    Fixed {
        start_ms: u64,
        end_ms: u64,
        used: u64,
        /// Counts the windows that have begun.
        turn: u64,
    },
    /// Parts of the window on the even clock, oldest first, each with what was used in it.
    Sliding {
        parts: VecDeque<(u64, u64)>,
        sum: u64,
    },
    /// How full the bucket was at a moment: whole units, and a rest in `1 / span` of a unit.
    Burst {
        at_ms: u64,
        units: u64,
        rest: u64,
    },
}

impl State {
    pub fn new(technique: Technique) -> Self {
        match technique {
            Technique::Running => Self::Running,
            Technique::Fixed => Self::Fixed {
                start_ms: 0,
                end_ms: 0,
                used: 0,
                turn: 0,
            },
            Technique::Sliding => Self::Sliding {
                parts: VecDeque::new(),
                sum: 0,
            },
            Technique::Burst => Self::Burst {
                at_ms: 0,
                units: 0,
                rest: 0,
            },
        }
    }

    /// What counts against the limit at this moment; the rest is forgotten.
    pub fn used(&mut self, terms: &Terms, now: Now) -> u64 {
        match self {
            Self::Running => 0,
            Self::Fixed {
                start_ms,
                end_ms,
                used,
                turn,
            } => {
                let set_back = start_ms.saturating_sub(now.wall_ms);
                if now.wall_ms >= *end_ms {
                    *used = 0;
                    *turn += 1;
                    (*start_ms, *end_ms) = terms.span.window(now.wall_ms);
                } else if set_back > terms.span.millis() {
                    // A clock that was set back gives nothing back, and the window that had begun
                    // goes on; but it does not go on for ever.
                    (*start_ms, *end_ms) = terms.span.window(now.wall_ms);
                }
                *used
            }
            Self::Sliding { parts, sum } => {
                let oldest = oldest_part(terms, now);
                while let Some((_, amount)) = parts.pop_front_if(|(part, _)| *part < oldest) {
                    *sum = sum.saturating_sub(amount);
                }
                if parts.is_empty() && parts.capacity() > 0 {
                    *parts = VecDeque::new();
                }
                *sum
            }
            Self::Burst { at_ms, units, rest } => {
                let span = terms.span.millis();
                let passed = now.steady_ms.saturating_sub(*at_ms);
                let level = u128::from(*units) * u128::from(span) + u128::from(*rest);
                let drained = u128::from(passed) * u128::from(terms.limit);
                let level = level.saturating_sub(drained);
                *at_ms = now.steady_ms.max(*at_ms);
                *units = u64::try_from(level / u128::from(span)).unwrap_or(u64::MAX);
                *rest = u64::try_from(level % u128::from(span)).unwrap_or(0);
                units.saturating_add(u64::from(*rest > 0))
            }
        }
    }

    /// What stood at the last look: what has passed since is not forgotten yet.
    pub fn standing(&self) -> u64 {
        match self {
            Self::Running => 0,
            Self::Fixed { used, .. } => *used,
            Self::Sliding { sum, .. } => *sum,
            Self::Burst { units, rest, .. } => units.saturating_add(u64::from(*rest > 0)),
        }
    }

    /// Counts what was used; answers where, for [`State::refund`].
    pub fn charge(&mut self, terms: &Terms, now: Now, amount: u64) -> u64 {
        self.used(terms, now);
        match self {
            Self::Running => 0,
            Self::Fixed { used, turn, .. } => {
                *used = used.saturating_add(amount);
                *turn
            }
            Self::Sliding { .. } => {
                self.add_part(terms, now.steady_ms, amount);
                part_of(terms, now.steady_ms)
            }
            Self::Burst { units, .. } => {
                *units = units.saturating_add(amount);
                0
            }
        }
    }

    /// Takes back what was charged and not used after all.
    pub fn refund(&mut self, terms: &Terms, now: Now, charged: u64, amount: u64) {
        self.used(terms, now);
        match self {
            Self::Running => {}
            Self::Fixed { used, turn, .. } => {
                if *turn == charged {
                    *used = used.saturating_sub(amount);
                }
            }
            Self::Sliding { parts, sum } => {
                if let Some((_, used)) = parts.iter_mut().find(|(part, _)| *part == charged) {
                    let amount = amount.min(*used);
                    *used -= amount;
                    *sum = sum.saturating_sub(amount);
                }
            }
            Self::Burst { units, rest, .. } => {
                if *units < amount {
                    *rest = 0;
                }
                *units = units.saturating_sub(amount);
            }
        }
    }

    /// Where an amount was charged at a moment of the past, if that still counts.
    pub fn charged_at(&mut self, terms: &Terms, now: Now, wall_ms: u64) -> Option<u64> {
        self.used(terms, now);
        match self {
            Self::Running | Self::Burst { .. } => Some(0),
            Self::Fixed { start_ms, turn, .. } => (wall_ms >= *start_ms).then_some(*turn),
            Self::Sliding { .. } => Some(part_of(terms, now.steady_of(wall_ms))),
        }
    }

    /// Counts what was used at a moment of the past, as another process or an earlier one wrote it.
    pub fn recall(&mut self, terms: &Terms, now: Now, wall_ms: u64, amount: u64) {
        let then = now.steady_of(wall_ms);
        self.used(terms, now);
        match self {
            Self::Running => {}
            Self::Fixed { start_ms, used, .. } => {
                if wall_ms >= *start_ms {
                    *used = used.saturating_add(amount);
                }
            }
            Self::Sliding { .. } => {
                if part_of(terms, then) >= oldest_part(terms, now) {
                    self.add_part(terms, then, amount);
                }
            }
            Self::Burst { units, rest, .. } => {
                // What drained since is a part of the bucket's whole drain only where it was empty.
                let drained = now.steady_ms.saturating_sub(then);
                let drained =
                    u128::from(drained) * u128::from(terms.limit) / u128::from(terms.span.millis());
                let empty = *units == 0 && *rest == 0;
                let drained = if empty { drained } else { 0 };
                let drained = u64::try_from(drained).unwrap_or(u64::MAX);
                *units = units.saturating_add(amount.saturating_sub(drained));
            }
        }
    }

    /// The time until `amount` more than what is used fits, in milliseconds, if nothing else happens
    /// meanwhile. `None`: not by waiting alone.
    pub fn room_in(&mut self, terms: &Terms, now: Now, amount: u64) -> Option<u64> {
        let used = self.used(terms, now);
        let over = used.saturating_add(amount).saturating_sub(terms.limit);
        if over == 0 {
            return Some(0);
        }
        if over > used {
            return None;
        }
        match self {
            Self::Running => None,
            Self::Fixed { end_ms, .. } => Some(end_ms.saturating_sub(now.wall_ms)),
            Self::Sliding { parts, .. } => {
                let mut freed = 0_u64;
                let last = parts.iter().find(|(_, amount)| {
                    freed = freed.saturating_add(*amount);
                    freed >= over
                });
                let (part, _) = last?;
                Some(leaves_at(terms, *part).saturating_sub(now.steady_ms))
            }
            Self::Burst { units, rest, .. } => {
                let span = terms.span.millis();
                let level = u128::from(*units) * u128::from(span) + u128::from(*rest);
                let wanted = u128::from(terms.limit.saturating_sub(amount)) * u128::from(span);
                let over = level.saturating_sub(wanted);
                let wait = over.div_ceil(u128::from(terms.limit.max(1)));
                u64::try_from(wait).ok()
            }
        }
    }

    /// The time until nothing of what is used counts any more, in milliseconds.
    pub fn resets_in(&mut self, terms: &Terms, now: Now) -> u64 {
        self.used(terms, now);
        match self {
            Self::Running => 0,
            Self::Fixed { end_ms, .. } => end_ms.saturating_sub(now.wall_ms),
            Self::Sliding { parts, .. } => {
                let last = parts.back().map(|(part, _)| leaves_at(terms, *part));
                last.unwrap_or(0).saturating_sub(now.steady_ms)
            }
            Self::Burst { .. } => self.room_in(terms, now, terms.limit).unwrap_or(0),
        }
    }

    /// What was used, by moments of the wall clock: enough to be recalled.
    pub fn entries(&mut self, terms: &Terms, now: Now) -> Vec<(u64, u64)> {
        let used = self.used(terms, now);
        match self {
            _ if used == 0 => Vec::new(),
            Self::Running => Vec::new(),
            Self::Fixed { .. } | Self::Burst { .. } => vec![(now.wall_ms, used)],
            Self::Sliding { parts, .. } => {
                let width = part_ms(terms);
                let end = |part: u64| part.saturating_add(1).saturating_mul(width) - 1;
                let entry = |(part, amount): &(u64, u64)| {
                    (now.wall_of(end(*part).min(now.steady_ms)), *amount)
                };
                parts.iter().map(entry).collect()
            }
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Sliding { parts, .. } => parts.capacity() * size_of::<(u64, u64)>(),
            Self::Running | Self::Fixed { .. } | Self::Burst { .. } => 0,
        }
    }

    fn add_part(&mut self, terms: &Terms, steady_ms: u64, amount: u64) {
        let Self::Sliding { parts, sum } = self else {
            return;
        };
        let own = part_of(terms, steady_ms);
        *sum = sum.saturating_add(amount);
        // Nearly always the last, or one after it.
        let at = parts.iter().rposition(|(part, _)| *part <= own);
        match at.and_then(|at| parts.get_mut(at)) {
            Some((part, used)) if *part == own => *used = used.saturating_add(amount),
            _ => parts.insert(at.map_or(0, |at| at + 1), (own, amount)),
        }
    }
}

/// The width of a part.
fn part_ms(terms: &Terms) -> u64 {
    terms.span.millis().div_ceil(PARTS).max(1)
}

fn part_of(terms: &Terms, steady_ms: u64) -> u64 {
    steady_ms / part_ms(terms)
}

/// The oldest part that may still reach into the window.
fn oldest_part(terms: &Terms, now: Now) -> u64 {
    let width = part_ms(terms);
    part_of(terms, now.steady_ms).saturating_sub(terms.span.millis().div_ceil(width))
}

/// When a part no longer counts, on the even clock.
fn leaves_at(terms: &Terms, part: u64) -> u64 {
    let width = part_ms(terms);
    let parts = terms.span.millis().div_ceil(width);
    part.saturating_add(parts + 1).saturating_mul(width)
}
