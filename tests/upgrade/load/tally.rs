//! What became of every request, by kind of client.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display, Formatter};
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failures that a report shows; all are counted.
const SHOWN_MAX: usize = 40;

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connect,
    Handshake,
    Write,
    Head,
    Body,
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub phase: Phase,
    pub what: String,
    /// Nobody listened.
    pub refused: bool,
}

impl Trouble {
    pub fn new(phase: Phase, what: impl Display) -> Self {
        Self {
            phase,
            what: what.to_string(),
            refused: false,
        }
    }

    pub fn io(phase: Phase, error: &io::Error) -> Self {
        Self {
            phase,
            what: error.to_string(),
            refused: error.kind() == io::ErrorKind::ConnectionRefused,
        }
    }
}

/// One failed request.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Since the load began.
    pub at: Duration,
    /// How long the request had run.
    pub after: Duration,
    pub kind: &'static str,
    pub event: String,
    pub trouble: Trouble,
}

/// Counts of one kind.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub sent: u64,
    pub ok: u64,
    pub failed: u64,
    /// Connects that nobody accepted, a part of `failed`.
    pub refused: u64,
    pub connections: u64,
    /// The longest time to an answer's head.
    pub slowest: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Running,
    Ok,
    Failed,
}

/// Written by all clients.
pub struct Tally {
    began: Instant,
    report: Mutex<Report>,
}

/// All that was noticed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub kinds: BTreeMap<&'static str, Counts>,
    pub failures: Vec<Failure>,
    /// By event id.
    pub fates: HashMap<String, Fate>,
}

impl Tally {
    pub fn new(kinds: impl Iterator<Item = &'static str>) -> Self {
        let kinds = kinds.map(|kind| (kind, Counts::default())).collect();
        Self {
            began: Instant::now(),
            report: Mutex::new(Report {
                kinds,
                ..Report::default()
            }),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Report) -> T) -> T {
        change(&mut self.report.lock().unwrap())
    }

    pub fn connected(&self, kind: &'static str) {
        self.with(|report| report.counts(kind).connections += 1);
    }

    pub fn sent(&self, kind: &'static str, event: &str) {
        self.with(|report| {
            report.counts(kind).sent += 1;
            let former = report.fates.insert(event.to_owned(), Fate::Running);
            assert_eq!(former, None, "{event} was sent before");
        });
    }

    /// A request ended; `head` is how long its answer's head took.
    pub fn ended(
        &self,
        kind: &'static str,
        event: &str,
        began: Instant,
        result: Result<Duration, Trouble>,
    ) {
        let (at, after) = (began.duration_since(self.began), began.elapsed());
        self.with(|report| match result {
            Ok(head) => {
                let counts = report.counts(kind);
                counts.ok += 1;
                counts.slowest = counts.slowest.max(head);
                report.fates.insert(event.to_owned(), Fate::Ok);
            }
            Err(trouble) => {
                let counts = report.counts(kind);
                counts.failed += 1;
                counts.refused += u64::from(trouble.refused);
                report.fates.insert(event.to_owned(), Fate::Failed);
                report.failures.push(Failure {
                    at,
                    after,
                    kind,
                    event: event.to_owned(),
                    trouble,
                });
            }
        });
    }

    pub fn report(&self) -> Report {
        self.with(|report| report.clone())
    }
}

impl Report {
    fn counts(&mut self, kind: &'static str) -> &mut Counts {
        self.kinds.entry(kind).or_default()
    }

    fn sum(&self, of: impl Fn(&Counts) -> u64) -> u64 {
        self.kinds.values().map(of).sum()
    }

    pub fn sent(&self) -> u64 {
        self.sum(|counts| counts.sent)
    }

    pub fn ok(&self) -> u64 {
        self.sum(|counts| counts.ok)
    }

    pub fn failed(&self) -> u64 {
        self.sum(|counts| counts.failed)
    }

    pub fn refused(&self) -> u64 {
        self.sum(|counts| counts.refused)
    }

    /// Panics unless every kind of client has sent something and nothing failed.
    pub fn check_unnoticed(&self) {
        assert_eq!(self.failed(), 0, "{self}");
        assert_eq!(self.ok(), self.sent(), "{self}");
        assert!(self.ok() > 0, "{self}");
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<12}{:>8}{:>8}{:>8}{:>9}{:>13}{:>12}",
            "", "sent", "ok", "failed", "refused", "connections", "slowest"
        )?;
        for (kind, counts) in self.kinds.iter().filter(|(_, counts)| counts.sent > 0) {
            writeln!(
                f,
                "{kind:<12}{:>8}{:>8}{:>8}{:>9}{:>13}{:>9} ms",
                counts.sent,
                counts.ok,
                counts.failed,
                counts.refused,
                counts.connections,
                counts.slowest.as_millis()
            )?;
        }
        for failure in self.failures.iter().take(SHOWN_MAX) {
            let Trouble { phase, what, .. } = &failure.trouble;
            writeln!(
                f,
                "{:>8} ms, {} ms after its begin: {} ({}): {phase:?}: {what}",
                failure.at.as_millis(),
                failure.after.as_millis(),
                failure.kind,
                failure.event,
            )?;
        }
        if self.failures.len() > SHOWN_MAX {
            writeln!(f, "... and {} more", self.failures.len() - SHOWN_MAX)?;
        }
        Ok(())
    }
}
