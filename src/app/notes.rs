//! The daemon's own notes, for whoever runs it: to standard error, one line an event.
//!
//! Where standard error is systemd's journal, a line begins with its priority as sd-daemon(3) has it,
//! and the journal takes that as the line's level.

use std::fmt;
use std::io::{IsTerminal, stderr};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, Layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Pingora's own lines are about single connections, which any stranger can make fail.
const DEFAULT_FILTER: &str =
    "info,pingora=off,pingora_core=off,pingora_proxy=off,pingora_cache=off";

/// Begins to write notes. `RUST_LOG` chooses which.
pub fn to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| DEFAULT_FILTER.into());
    let subscriber = tracing_subscriber::registry().with(filter);
    let layer = Layer::new().with_writer(stderr);
    if is_journal() {
        let layer = layer.with_ansi(false);
        // The journal has time and level by itself.
        let line = tracing_subscriber::fmt::format();
        let line = line.without_time().with_level(false).with_target(false);
        subscriber
            .with(layer.event_format(Prioritized(line)))
            .init();
    } else {
        let layer = layer.with_ansi(stderr().is_terminal()).with_target(false);
        subscriber.with(layer).init();
    }
}

/// A text of one or more lines as the last word of a command that failed: to standard error, and
/// marked as errors where that is the journal.
pub fn write_error(text: &str) {
    let text = match is_journal() {
        true => prioritize(text, Level::ERROR),
        false => text.to_owned(),
    };
    eprint!("{text}");
}

/// Whether standard error leads to the journal itself, and not to a file or pipe that only the
/// process's parent had in its place.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let here = rustix::fs::fstat(stderr());
    here.is_ok_and(|here| stream == format!("{}:{}", here.st_dev, here.st_ino))
}

/// The priority of syslog(3) that a level has.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Every line of the text with the priority before it.
fn prioritize(text: &str, level: Level) -> String {
    let lines = text.split_inclusive('\n');
    lines.flat_map(|line| [priority(level), line]).collect()
}

/// Lines with their priority before them.
struct Prioritized<F>(F);

impl<S, N, F> FormatEvent<S, N> for Prioritized<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let mut text = String::new();
        self.0
            .format_event(context, Writer::new(&mut text), event)?;
        writer.write_str(&prioritize(&text, level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_priority() {
        assert_eq!(prioritize("one\ntwo\n", Level::ERROR), "<3>one\n<3>two\n");
        assert_eq!(prioritize("one", Level::INFO), "<6>one");
        assert_eq!(prioritize("", Level::INFO), "");
    }
}
