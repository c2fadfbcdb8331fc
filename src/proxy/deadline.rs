//! The deadlines of one exchange, set by the pipeline and kept by the client's session.

use pingora::{Error, ErrorType};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The provider sent nothing in time.
    FirstByte,
    /// The provider stopped in the middle.
    Idle,
    /// The request as a whole took too long.
    Total,
}

impl Lapse {
    const ALL: [Self; 3] = [Self::FirstByte, Self::Idle, Self::Total];

    const fn error_name(self) -> &'static str {
        match self {
            Self::FirstByte => "FirstByteTimeout",
            Self::Idle => "IdleTimeout",
            Self::Total => "TotalTimeout",
        }
    }

    /// As an error that ends the attempt.
    pub fn error(self) -> Box<Error> {
        Error::new(ErrorType::new(self.error_name()))
    }

    /// The deadline behind an error, if one is.
    pub fn of(error: &Error) -> Option<Self> {
        let ErrorType::Custom(name) = error.etype() else {
            return None;
        };
        Self::ALL
            .into_iter()
            .find(|lapse| lapse.error_name() == *name)
    }
}

/// Moments and lengths in nanoseconds since `begun`; zero stands for none.
///
/// They are read anew whenever something happens in the exchange, so relaxed order is enough: the
/// one task that runs the exchange both sets and reads them.
#[derive(Debug)]
pub struct Deadlines {
    begun: Instant,
    first_byte_at: AtomicU64,
    first_byte_within: AtomicU64,
    idle_within: AtomicU64,
    total_at: AtomicU64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            first_byte_at: AtomicU64::new(0),
            first_byte_within: AtomicU64::new(0),
            idle_within: AtomicU64::new(0),
            total_at: AtomicU64::new(0),
        }
    }
}

impl Deadlines {
    pub fn end_by(&self, at: Instant) {
        let at = nanos(at.saturating_duration_since(self.begun));
        self.total_at.store(at, Ordering::Relaxed);
    }

    /// An attempt begins: its answer is due `within` this time from now, or, where the client is
    /// still sending, from the end of the client's body.
    pub fn await_first_byte(&self, within: Duration, client_is_sending: bool) {
        self.idle_within.store(0, Ordering::Relaxed);
        let within = nanos(within);
        self.first_byte_within.store(within, Ordering::Relaxed);
        let at = if client_is_sending {
            0
        } else {
            self.now(Instant::now()).saturating_add(within)
        };
        self.first_byte_at.store(at, Ordering::Relaxed);
    }

    /// No attempt runs: only the end of it all is due.
    pub fn rest(&self) {
        self.first_byte_at.store(0, Ordering::Relaxed);
        self.first_byte_within.store(0, Ordering::Relaxed);
        self.idle_within.store(0, Ordering::Relaxed);
    }

    /// The answer has begun: from now on it may not pause longer than `idle`.
    pub fn first_byte_came(&self, idle: Duration) {
        self.first_byte_at.store(0, Ordering::Relaxed);
        self.first_byte_within.store(0, Ordering::Relaxed);
        self.idle_within.store(nanos(idle), Ordering::Relaxed);
    }

    /// The end of it all, if it has one.
    pub fn end(&self) -> Option<Instant> {
        let at = self.total_at.load(Ordering::Relaxed);
        (at > 0).then(|| self.begun + Duration::from_nanos(at))
    }

    /// The time until the nearest of the moments that are fixed already.
    pub fn left(&self, now: Instant) -> Duration {
        let now = self.now(now);
        let fixed = [&self.first_byte_at, &self.total_at];
        let fixed = fixed.map(|at| at.load(Ordering::Relaxed));
        let nearest = fixed.into_iter().filter(|at| *at > 0).min();
        nearest.map_or(Duration::MAX, |at| {
            Duration::from_nanos(at.saturating_sub(now))
        })
    }

    /// Which of these moments has passed.
    pub fn passed(&self, now: Instant) -> Option<Lapse> {
        let now = self.now(now);
        let is_over = |at: &AtomicU64| (1..=now).contains(&at.load(Ordering::Relaxed));
        if is_over(&self.total_at) {
            return Some(Lapse::Total);
        }
        is_over(&self.first_byte_at).then_some(Lapse::FirstByte)
    }

    /// The next deadline, seen from `now`, a moment at which something happened.
    pub fn next(&self, now: Instant) -> Option<(Instant, Lapse)> {
        let first_byte = self.first_byte();
        let idle = self.idle_within.load(Ordering::Relaxed);
        let now = self.now(now);
        let idle_at = if idle > 0 {
            now.saturating_add(idle)
        } else {
            0
        };
        let total = self.total_at.load(Ordering::Relaxed);
        let all = [
            (first_byte, Lapse::FirstByte),
            (idle_at, Lapse::Idle),
            (total, Lapse::Total),
        ];
        let set = all.into_iter().filter(|(at, _)| *at > 0);
        let (at, lapse) = set.min_by_key(|(at, _)| *at)?;
        Some((self.begun + Duration::from_nanos(at), lapse))
    }

    /// The client has sent all: from here on the provider has to answer.
    fn first_byte(&self) -> u64 {
        let at = self.first_byte_at.load(Ordering::Relaxed);
        let within = self.first_byte_within.load(Ordering::Relaxed);
        if at == 0 && within > 0 {
            let at = self.now(Instant::now()).saturating_add(within);
            self.first_byte_at.store(at, Ordering::Relaxed);
            return at;
        }
        at
    }

    fn now(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.begun)).max(1)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_nearest_deadline_is_next() {
        let deadlines = Deadlines::default();
        let now = Instant::now();
        assert_eq!(deadlines.next(now), None);
        deadlines.end_by(now + 10 * SECOND);
        deadlines.await_first_byte(2 * SECOND, false);
        assert_eq!(
            deadlines.next(now).map(|(_, lapse)| lapse),
            Some(Lapse::FirstByte)
        );
        deadlines.first_byte_came(5 * SECOND);
        assert_eq!(
            deadlines.next(now).map(|(_, lapse)| lapse),
            Some(Lapse::Idle)
        );
        let late = now + 8 * SECOND;
        assert_eq!(
            deadlines.next(late).map(|(_, lapse)| lapse),
            Some(Lapse::Total)
        );
    }

    #[test]
    fn errors_name_their_deadline() {
        for lapse in Lapse::ALL {
            assert_eq!(Lapse::of(&lapse.error()), Some(lapse));
        }
        assert_eq!(Lapse::of(&Error::new(ErrorType::ReadError)), None);
    }

    #[test]
    fn what_is_left_is_up_to_the_nearest_moment_that_is_fixed() {
        let deadlines = Deadlines::default();
        let begun = Instant::now();
        assert_eq!(deadlines.left(begun), Duration::MAX);
        deadlines.end_by(begun + 10 * SECOND);
        // As long as the client sends, the first byte is not due.
        deadlines.await_first_byte(SECOND, true);
        assert!(deadlines.left(begun) > 9 * SECOND);
        assert_eq!(deadlines.passed(begun + 5 * SECOND), None);
        deadlines.await_first_byte(SECOND, false);
        assert_eq!(deadlines.left(begun + 9 * SECOND), Duration::ZERO);
        assert_eq!(deadlines.passed(begun), None);
        let late = deadlines.passed(begun + 9 * SECOND);
        assert_eq!(late, Some(Lapse::FirstByte));
        let over = deadlines.passed(begun + 11 * SECOND);
        assert_eq!(over, Some(Lapse::Total));
        deadlines.rest();
        assert_eq!(deadlines.passed(begun + 9 * SECOND), None);
    }
}
