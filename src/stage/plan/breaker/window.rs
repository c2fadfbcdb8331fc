//! Good and bad ends of the last seconds, in ten slots that time overtakes.

use crate::stage::plan::standing::Ends;

const SLOTS: u64 = 10;
/// What one slot can be told to hold: no process counts so far in a tenth of a window.
const ENDS_MAX: u64 = 1 << 32;

/// Counts over a sliding window.
#[derive(Debug, Default)]
pub struct Window {
    slots: [Slot; SLOTS as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which tenth of a window, counted from the clock's beginning.
    tenth: u64,
    good: u64,
    bad: u64,
}

impl Window {
    pub fn count(&mut self, good: bool, window_ms: u64, now_ms: u64) {
        let tenth = tenth(window_ms, now_ms);
        let Some(slot) = self.slots.get_mut((tenth % SLOTS) as usize) else {
            return;
        };
        if slot.tenth != tenth {
            *slot = Slot {
                tenth,
                ..Slot::default()
            };
        }
        match good {
            true => slot.good += 1,
            false => slot.bad += 1,
        }
    }

    /// Takes back the latest good end.
    pub fn uncount(&mut self) {
        let slots = self.slots.iter_mut().filter(|slot| slot.good > 0);
        if let Some(latest) = slots.max_by_key(|slot| slot.tenth) {
            latest.good -= 1;
        }
    }

    /// Good and bad ends within the window.
    pub fn sum(&self, window_ms: u64, now_ms: u64) -> (u64, u64) {
        let now = tenth(window_ms, now_ms);
        let live = self.slots.iter().filter(|slot| slot.tenth + SLOTS > now);
        live.fold((0, 0), |(good, bad), slot| {
            (good + slot.good, bad + slot.bad)
        })
    }

    /// What stands in the window, oldest first.
    pub fn standing(&self, window_ms: u64, now_ms: u64) -> Vec<Ends> {
        let now = tenth(window_ms, now_ms);
        let slots = self.slots.iter();
        let live = slots.filter(|slot| slot.tenth + SLOTS > now && slot.good + slot.bad > 0);
        let mut ends: Vec<_> = live
            .map(|slot| Ends {
                ago: now.saturating_sub(slot.tenth),
                good: slot.good,
                bad: slot.bad,
            })
            .collect();
        ends.sort_unstable_by_key(|ends| std::cmp::Reverse(ends.ago));
        ends
    }

    /// Takes that over into an empty window.
    pub fn resume(&mut self, told: &[Ends], window_ms: u64, now_ms: u64) {
        let now = tenth(window_ms, now_ms);
        for ends in told.iter().filter(|ends| ends.ago < SLOTS) {
            let Some(tenth) = now.checked_sub(ends.ago) else {
                continue;
            };
            if let Some(slot) = self.slots.get_mut((tenth % SLOTS) as usize) {
                *slot = Slot {
                    tenth,
                    good: ends.good.min(ENDS_MAX),
                    bad: ends.bad.min(ENDS_MAX),
                };
            }
        }
    }
}

fn tenth(window_ms: u64, now_ms: u64) -> u64 {
    now_ms / (window_ms / SLOTS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::default();
        window.count(true, 1000, 50);
        window.count(false, 1000, 990);
        assert_eq!(window.sum(1000, 999), (1, 1));
        assert_eq!(window.sum(1000, 1000), (0, 1));
        window.count(false, 1000, 1050);
        assert_eq!(window.sum(1000, 1050), (0, 2));
        assert_eq!(window.sum(1000, 5000), (0, 0));
    }

    #[test]
    fn the_latest_good_end_is_taken_back() {
        let mut window = Window::default();
        window.uncount();
        window.count(true, 1000, 50);
        window.count(true, 1000, 550);
        window.uncount();
        assert_eq!(window.sum(1000, 999), (1, 0));
        assert_eq!(window.sum(1000, 1050), (0, 0));
    }
}
