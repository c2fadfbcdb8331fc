//! The time: one moment on the wall clock and on the clock that never jumps.

use super::digits::padded;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub wall: SystemTime,
    pub steady: Instant,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.steady.elapsed()
    }
}

/// What a clock shows at its beginning, so that what an earlier process saw can be told on it.
const BEFORE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Counts milliseconds, for what is compared and never shown; a test winds its own.
#[derive(Clone, Debug)]
pub enum Ticks {
    Steady(Instant),
    Wound(Arc<AtomicU64>),
}

impl Ticks {
    pub fn steady() -> Self {
        Self::Steady(Instant::now())
    }

    /// Milliseconds from some moment before the process began: never 0, which can so mean never.
    pub fn now_ms(&self) -> u64 {
        let past_ms = match self {
            Self::Steady(began) => {
                let passed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                passed_ms.saturating_add(BEFORE_MS)
            }
            Self::Wound(past_ms) => past_ms.load(Ordering::Acquire),
        };
        past_ms.saturating_add(1)
    }
}

/// Where the year 9999 ends; dates beyond it have more than four digits.
const DATED_SECONDS: u64 = 253_402_207_200;
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Days from the first of March of the year 0 to 1970, and in 400 years.
const DAYS_BEFORE: u64 = 719_468;
const CYCLE_DAYS: u64 = 146_097;

/// `2026-11-21T06:48:06.123Z` (RFC 3339, UTC, milliseconds).
pub fn rfc3339(time: SystemTime) -> String {
    let mut text = Vec::with_capacity(24);
    write_rfc3339(&mut text, time);
    String::from_utf8(text).unwrap_or_default()
}

/// The same at the end of a line.
pub fn write_rfc3339(line: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).ok();
    match since.filter(|since| since.as_secs() < DATED_SECONDS) {
        Some(since) => write_since(line, since),
        // No clock that is right shows this.
        None => {
            let stamp = jiff::Timestamp::try_from(time).map(|stamp| format!("{stamp:.3}"));
            line.extend_from_slice(stamp.unwrap_or_default().as_bytes());
        }
    }
}

thread_local! {
    /// The second that was written last, and how: most are written many times.
    static WRITTEN: Cell<(u64, [u8; 19])> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

fn write_since(line: &mut Vec<u8>, since: Duration) {
    let seconds = since.as_secs();
    let (known, mut text) = WRITTEN.get();
    if known != seconds {
        text = second(seconds);
        WRITTEN.set((seconds, text));
    }
    let [tenths, hundredths, thousandths] = padded(since.subsec_millis().into());
    line.extend_from_slice(&text);
    line.extend_from_slice(&[b'.', tenths, hundredths, thousandths, b'Z']);
}

/// `2026-11-21T06:48:06`.
fn second(seconds: u64) -> [u8; 19] {
    let (days, of_day) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    let (year, month, day) = date(days);
    let parts = [month, day, of_day / 3_600, of_day / 60 % 60, of_day % 60];
    let mut text = *b"0000-00-00T00:00:00";
    let (first, rest) = text.split_at_mut(4);
    first.copy_from_slice(&padded::<4>(year));
    for (place, part) in rest.as_chunks_mut::<3>().0.iter_mut().zip(parts) {
        let [_, digits @ ..] = place;
        *digits = padded(part);
    }
    text
}

/// Year, month and day so many days after 1970 began. Years are counted from March on, so that the
/// leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE;
    let of_cycle = days % CYCLE_DAYS;
    // Without the leap days, all years have 365.
    let even = of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / (CYCLE_DAYS - 1);
    let year = even / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    // From March on, every five months have 153 days.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year + days / CYCLE_DAYS * 400;
    match month {
        0..10 => (year, month + 3, day),
        _ => (year + 1, month - 9, day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_jiff(time: SystemTime) -> String {
        let stamp = jiff::Timestamp::try_from(time);
        stamp.map_or_else(|_| String::new(), |stamp| format!("{stamp:.3}"))
    }

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        assert_eq!(rfc3339(time), "2023-11-14T22:13:20.042Z");
        assert_eq!(rfc3339(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        let before = UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(rfc3339(before), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_day_of_a_thousand_years_is_the_calendars() {
        for day in 0..366_000 {
            let time = UNIX_EPOCH + Duration::from_secs(day * DAY_SECONDS);
            assert_eq!(rfc3339(time), by_jiff(time));
        }
    }

    proptest! {
        #[test]
        fn any_time_is_the_librarys(seconds in 0..2 * DATED_SECONDS, nanos in 0..1_000_000_000_u32) {
            let since = Duration::new(seconds, nanos);
            for time in [UNIX_EPOCH + since, UNIX_EPOCH - since] {
                prop_assert_eq!(rfc3339(time), by_jiff(time));
            }
        }

        #[test]
        fn the_end_of_time_is_the_librarys(seconds in DATED_SECONDS - 100_000..DATED_SECONDS + 100_000) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            prop_assert_eq!(rfc3339(time), by_jiff(time));
        }
    }
}
