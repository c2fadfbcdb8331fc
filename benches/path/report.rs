//! The figures: what each round cost, and the table made of it.

use super::scenario::Scenario;
use std::fmt;
use std::time::Duration;

/// What one server's requests cost in one round.
pub struct Cost {
    /// CPU time a request.
    pub micros: f64,
    /// How long an answer took, the median.
    pub latency_micros: f64,
    pub answered: u64,
    pub errors: u64,
}

impl Cost {
    /// Of a server that is not there.
    pub const NONE: Self = Self {
        micros: f64::NAN,
        latency_micros: f64::NAN,
        answered: 0,
        errors: 0,
    };
}

/// Both sides under the same load, one after the other: the gateway, and what it is compared to.
pub struct Round {
    pub bare: Cost,
    pub gateway: Cost,
}

/// What is compared.
pub struct Title {
    pub what: &'static str,
    /// The names of the columns: what the gateway is compared to, and the gateway.
    pub sides: [&'static str; 2],
    /// Whether what a request waits is told as well.
    pub latency: bool,
}

/// One figure of each server.
#[derive(Clone, Copy)]
pub struct Figures {
    pub bare: f64,
    pub gateway: f64,
}

/// Figures of several rounds.
pub struct Spread {
    pub median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        Self {
            median: f64::midpoint(at(last / 2), at(figures.len() / 2)),
            min: at(0),
            max: at(last),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ({:.1}–{:.1})", self.median, self.min, self.max)
    }
}

struct Row {
    name: &'static str,
    what: &'static str,
    body_bytes: usize,
    rounds: Vec<Round>,
}

impl Row {
    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure).collect())
    }

    /// What the gateway takes beyond the pass-through, µs a request.
    fn extra(&self) -> f64 {
        let spread = self.spread(|round| round.gateway.micros - round.bare.micros);
        spread.median
    }

    fn answered(&self) -> u64 {
        let rounds = self.rounds.iter();
        rounds
            .map(|round| round.bare.answered + round.gateway.answered)
            .sum()
    }

    fn errors(&self) -> u64 {
        let rounds = self.rounds.iter();
        rounds
            .map(|round| round.bare.errors + round.gateway.errors)
            .sum()
    }
}

/// All that is printed.
pub struct Report {
    title: Title,
    pins: String,
    rounds: usize,
    stretch: Duration,
    rows: Vec<Row>,
    starts: Option<Figures>,
    memory: Option<(Figures, Figures)>,
}

impl Report {
    pub fn new(title: Title, pins: String, rounds: usize, stretch: Duration) -> Self {
        Self {
            title,
            pins,
            rounds,
            stretch,
            rows: Vec::new(),
            starts: None,
            memory: None,
        }
    }

    pub fn add(&mut self, scenario: &Scenario, rounds: Vec<Round>) {
        self.rows.push(Row {
            name: scenario.name,
            what: scenario.what,
            body_bytes: scenario.body_bytes,
            rounds,
        });
    }

    /// Milliseconds to the first answer.
    pub fn set_starts(&mut self, starts: Figures) {
        self.starts = Some(starts);
    }

    /// MiB before and after the load.
    pub fn set_memory(&mut self, fresh: Figures, after: Figures) {
        self.memory = Some((fresh, after));
    }

    pub fn errors(&self) -> u64 {
        self.rows.iter().map(Row::errors).sum()
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn write_latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [base, own] = self.title.sides;
        writeln!(
            f,
            "\nMedian µs to the end of an answer\n\n{:<36} {base:>8} {own:>8}  more",
            ""
        )?;
        for row in &self.rows {
            let bare = row.spread(|round| round.bare.latency_micros).median;
            let gateway = row.spread(|round| round.gateway.latency_micros).median;
            let more = row.spread(|round| round.gateway.latency_micros - round.bare.latency_micros);
            writeln!(
                f,
                "{:<11} {:<24} {bare:>8.1} {gateway:>8.1}  {more}",
                row.name, row.what
            )?;
        }
        Ok(())
    }

    fn write_slopes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(base) = self.row("16k") else {
            return Ok(());
        };
        for name in ["128k", "1m"] {
            if let Some(row) = self.row(name) {
                let kib = (row.body_bytes - base.body_bytes) as f64 / 1024.0;
                let slope = (row.extra() - base.extra()) / kib;
                writeln!(f, "extra µs per KB from 16 KB to {name:<4}  {slope:>8.3}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [base, own] = self.title.sides;
        writeln!(
            f,
            "CPU µs per request (user and kernel), {}\n\
             {} rounds of {:?} each, in turns; median (min–max); {}\n",
            self.title.what, self.rounds, self.stretch, self.pins
        )?;
        writeln!(
            f,
            "{:<11} {:<24} {:>8} {:>8}  {:<19} {:>9} {:>6}",
            "", "", base, own, "ratio", "requests", "errors"
        )?;
        for row in &self.rows {
            let bare = row.spread(|round| round.bare.micros).median;
            let gateway = row.spread(|round| round.gateway.micros).median;
            let ratio = row.spread(|round| round.gateway.micros / round.bare.micros);
            let ratio = format!("{:.3} ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max);
            writeln!(
                f,
                "{:<11} {:<24} {bare:>8.1} {gateway:>8.1}  {ratio:<19} {:>9} {:>6}",
                row.name,
                row.what,
                row.answered(),
                row.errors()
            )?;
        }
        if self.title.latency {
            self.write_latencies(f)?;
        }
        writeln!(f)?;
        self.write_slopes(f)?;
        if let Some(Figures { bare, gateway }) = self.starts {
            writeln!(
                f,
                "exec to first answer, ms         {bare:>8.1} {gateway:>8.1}"
            )?;
        }
        if let Some((fresh, after)) = self.memory {
            let (bare, gateway) = (fresh.bare, fresh.gateway);
            writeln!(
                f,
                "resident MiB, before the load    {bare:>8.1} {gateway:>8.1}"
            )?;
            let (bare, gateway) = (after.bare, after.gateway);
            writeln!(
                f,
                "resident MiB, after the load     {bare:>8.1} {gateway:>8.1}"
            )?;
        }
        if self.errors() > 0 {
            writeln!(f, "\n{} ERRORS: the figures mean nothing", self.errors())?;
        }
        Ok(())
    }
}
