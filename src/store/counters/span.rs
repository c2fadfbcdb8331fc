//! The length of a window, and where windows that are aligned to the clock begin.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

const DAY_MS: u64 = 86_400_000;
const WEEK_MS: u64 = 7 * DAY_MS;
/// 1970 began on a Thursday; the first Monday came four days later.
const MONDAY_MS: u64 = 4 * DAY_MS;
/// What a month is where no calendar is asked.
const MONTH_MS: u64 = 30 * DAY_MS;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// At least one.
    Millis(u64),
    /// A month of the calendar in UTC; 30 days for windows that are not aligned.
    Month,
}

impl Span {
    pub fn millis(self) -> u64 {
        match self {
            Self::Millis(millis) => millis.max(1),
            Self::Month => MONTH_MS,
        }
    }

    /// The aligned window around a moment, its first millisecond and the first after it. Windows are
    /// counted from 1970 in UTC, so that hours and days begin when the clock says so; those of whole
    /// weeks begin on Mondays.
    pub fn window(self, wall_ms: u64) -> (u64, u64) {
        let span = match self {
            Self::Month => match month(wall_ms) {
                Some(window) => return window,
                None => MONTH_MS,
            },
            Self::Millis(millis) => millis.max(1),
        };
        let shift = if span % WEEK_MS == 0 { MONDAY_MS } else { 0 };
        // Before the first Monday there is a shorter week.
        let Some(passed) = wall_ms.checked_sub(shift) else {
            return (0, shift);
        };
        let start = wall_ms - passed % span;
        (start, start.saturating_add(span))
    }
}

fn month(wall_ms: u64) -> Option<(u64, u64)> {
    let stamp = Timestamp::from_millisecond(i64::try_from(wall_ms).ok()?).ok()?;
    let date = Offset::UTC.to_datetime(stamp).date();
    let first = date.first_of_month();
    let next = date.last_of_month().tomorrow().ok()?;
    Some((start_of(first)?, start_of(next)?))
}

fn start_of(date: Date) -> Option<u64> {
    let stamp = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    u64::try_from(stamp.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        let stamp: Timestamp = text.parse().unwrap();
        u64::try_from(stamp.as_millisecond()).unwrap()
    }

    fn check(span: Span, moment: &str, start: &str, end: &str) {
        assert_eq!(span.window(at(moment)), (at(start), at(end)), "{span:?}");
    }

    #[test]
    fn windows_begin_when_the_clock_says_so() {
        let moment = "2026-11-21T10:23:45.678Z";
        for (millis, start, end) in [
            (1_000, "2026-11-21T10:23:45Z", "2026-11-21T10:23:46Z"),
            (60_000, "2026-11-21T10:23:00Z", "2026-11-21T10:24:00Z"),
            (3_600_000, "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"),
            (DAY_MS, "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            // From Monday to Monday.
            (WEEK_MS, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ] {
            check(Span::Millis(millis), moment, start, end);
        }
        let (november, december) = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check(Span::Month, moment, november, december);
        check(Span::Month, november, november, december);
        let leap = "2028-02-29T23:59:59.999Z";
        check(
            Span::Month,
            leap,
            "2028-02-01T00:00:00Z",
            "2028-03-01T00:00:00Z",
        );
        assert_eq!(Span::Millis(WEEK_MS).window(5), (0, MONDAY_MS));
    }

    #[test]
    fn a_moment_beyond_the_calendar_has_a_window() {
        let (start, end) = Span::Month.window(u64::MAX);
        assert!(start < u64::MAX && end == u64::MAX);
    }
}
