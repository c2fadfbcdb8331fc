//! How long a model's answers are: the bound that 95 of 100 keep.

use std::sync::atomic::{AtomicU32, Ordering};

/// Two bounds an octave, from 1 token to 2^24.
const BUCKETS: usize = 49;
/// With fewer answers than these nothing is concluded.
const ANSWERS_MIN: u64 = 20;
/// From so many in one bucket on, all count half: old answers say less.
const COUNT_MAX: u32 = 4096;

/// Answers by their length, counted in buckets. A count that misses another thread's step now and
/// then does not move a percentile.
#[derive(Debug)]
pub struct Spread([AtomicU32; BUCKETS]);

impl Default for Spread {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; BUCKETS])
    }
}

/// The most tokens of a bucket's answers: 1, 1.41, 2, 2.83, 4, ..., rounded up.
fn bound(bucket: usize) -> u64 {
    let octaves = i32::try_from(bucket).unwrap_or(i32::MAX);
    std::f64::consts::SQRT_2.powi(octaves).round() as u64
}

impl Spread {
    pub fn note(&self, tokens: u64) {
        // No bucket before this one reaches to the power of two below.
        let first = 2 * tokens.max(1).ilog2() as usize;
        let bucket = (first..BUCKETS).find(|bucket| tokens <= bound(*bucket));
        let Some(count) = self.0.get(bucket.unwrap_or(BUCKETS - 1)) else {
            return;
        };
        if count.fetch_add(1, Ordering::Relaxed) >= COUNT_MAX {
            for count in &self.0 {
                count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
    }

    /// How many answers there are in each bucket, without the empty ones at the end.
    pub fn tell(&self) -> Vec<u32> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let mut counts: Vec<u32> = counts.collect();
        while counts.pop_if(|last| *last == 0).is_some() {}
        counts
    }

    pub fn resume(&self, told: &[u32]) {
        for (count, told) in self.0.iter().zip(told) {
            count.store((*told).min(COUNT_MAX), Ordering::Relaxed);
        }
    }

    /// The 95th percentile, up to the bound of its bucket; `None` as long as too little is known.
    pub fn p95(&self) -> Option<u64> {
        let counts = self
            .0
            .iter()
            .map(|count| u64::from(count.load(Ordering::Relaxed)));
        let all: u64 = counts.clone().sum();
        if all < ANSWERS_MIN {
            return None;
        }
        let within = all - all / 20;
        let sums = counts.scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        let bucket = sums.enumerate().find(|(_, sum)| *sum >= within);
        bucket.map(|(bucket, _)| bound(bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_concluded_from_a_few_answers() {
        let spread = Spread::default();
        for _ in 1..ANSWERS_MIN {
            spread.note(100);
        }
        assert_eq!(spread.p95(), None);
        spread.note(100);
        assert_eq!(spread.p95(), Some(128));
    }

    #[test]
    fn the_latest_answers_weigh_most() {
        let spread = Spread::default();
        (0..10_000).for_each(|_| spread.note(10_000));
        (0..100_000).for_each(|_| spread.note(10));
        assert_eq!(spread.p95(), Some(11));
    }

    proptest! {
        #[test]
        fn at_most_one_in_twenty_is_longer(answers in prop::collection::vec(1_u64..1_000_000, 20..400)) {
            let spread = Spread::default();
            answers.iter().for_each(|tokens| spread.note(*tokens));
            let p95 = spread.p95().unwrap();
            let longer = answers.iter().filter(|tokens| **tokens > p95).count();
            prop_assert!(longer * 20 <= answers.len());
            // And not by a bound that is far too high: half an octave above the true one.
            let mut sorted = answers.clone();
            sorted.sort_unstable();
            let exact = sorted[answers.len() - answers.len() / 20 - 1];
            prop_assert!(p95 as f64 <= exact as f64 * 1.5 + 1.0, "{p95} for {exact}");
        }
    }
}
