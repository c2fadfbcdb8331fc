//! What happened, told to the log and to the metrics: one record a request.

pub mod config;
mod counts;
mod line;
pub mod metrics;
pub mod record;
mod series;
mod sink;
mod spending;
mod savings;
mod process;

pub use sink::Tail;

use config::Config;
use metrics::Metrics;
use record::Record;
use sink::{Output, Sink};
use std::sync::Arc;

/// Where every request's record goes, once. With it ends its log, as soon as all is written.
pub struct Journal {
    pub metrics: Arc<Metrics>,
    sink: Option<Sink>,
}

impl Journal {
    /// Opens the log.
    ///
    /// # Errors
    /// The log file cannot be opened, or no thread be started.
    pub fn open(config: &Config, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let output = match config {
            Config::Off => None,
            Config::Stdout => Some(Output::stdout()),
            Config::File(path) => Some(Output::file(path)?),
        };
        let sink = output.map(|output| Sink::start(output, metrics.clone()));
        Ok(Self {
            metrics,
            sink: sink.transpose()?,
        })
    }

    /// Takes a finished record. Never blocks: what the log cannot take is counted as dropped.
    pub fn write(&self, record: &Record) {
        self.metrics.observe(record);
        if let Some(sink) = &self.sink {
            sink.push(record);
        }
    }

    /// Closes the log file and opens it again under its name, after a rotation.
    pub fn reopen(&self) {
        if let Some(sink) = &self.sink {
            sink.reopen();
        }
    }

    /// The log's end, which outlives the journal; `None` where there is no log.
    pub fn tail(&self) -> Option<Tail> {
        self.sink.as_ref().map(Sink::tail)
    }
}
