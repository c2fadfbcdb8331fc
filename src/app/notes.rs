//! The daemon's own notes, for whoever runs it: to standard error, one line an event.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Pingora's own lines are about single connections, which any stranger can make fail.
const DEFAULT_FILTER: &str =
    "info,pingora=off,pingora_core=off,pingora_proxy=off,pingora_cache=off";

/// Begins to write notes. `RUST_LOG` chooses which.
pub fn to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| DEFAULT_FILTER.into());
    let stderr = std::io::stderr;
    let layer = Layer::new()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    let subscriber = tracing_subscriber::registry().with(filter);
    // The journal stamps every line by itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        subscriber.with(layer.without_time()).init();
    } else {
        subscriber.with(layer).init();
    }
}
