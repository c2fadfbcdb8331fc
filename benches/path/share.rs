//! What the usage reader by itself takes of a request.
//!
//! Its own time over the same answers, in turns with requests whose answers only pass.

use super::canned;
use super::report::{Round, Spread};
use super::scenario::Scenario;
use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use std::fmt;
use std::hint::black_box;
use std::time::Duration;
use tollgate::dialect::Dialect;
use tollgate::dialect::usage::{Head, Reader, Reading};
use tollgate::llm::operation::Operation;

/// How long one answer is read again and again in one round.
const STRETCH: Duration = Duration::from_millis(100);
/// Answers between two looks at the clock.
const BATCH: u32 = 16;

/// One answer, and what reading it took in each round.
pub struct Share {
    name: &'static str,
    content_type: &'static str,
    pieces: Vec<Vec<u8>>,
    micros: Vec<f64>,
    parts: Vec<f64>,
}

impl Share {
    pub fn new(scenario: &Scenario) -> Result<Self> {
        let (content_type, pieces) = canned::pieces(scenario.mock.context("no answer named")?)?;
        let share = Self {
            name: scenario.name,
            content_type,
            pieces,
            micros: Vec::new(),
            parts: Vec::new(),
        };
        ensure!(
            share.read().usage.is_some(),
            "{} reports nothing",
            share.name
        );
        Ok(share)
    }

    /// Reads for a while, right after a round in which the same answers passed.
    pub fn measure(&mut self, passed: &Round) {
        let begun = thread_time();
        let mut read = 0;
        while thread_time() - begun < STRETCH {
            for _ in 0..BATCH {
                black_box(black_box(&*self).read());
            }
            read += BATCH;
        }
        let micros = (thread_time() - begun).as_secs_f64() * 1e6 / f64::from(read);
        self.micros.push(micros);
        self.parts.push(micros / passed.bare.micros * 100.0);
    }

    fn read(&self) -> Reading {
        let header = |name: &str| (name == "content-type").then_some(self.content_type);
        let head = Head {
            status: 200,
            header: &header,
        };
        let mut reader = Reader::new(Some(Dialect::Openai), Operation::Chat, head);
        for piece in &self.pieces {
            reader.read(piece);
        }
        reader.finish()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [micros, parts] = [&self.micros, &self.parts].map(|all| Spread::of(all.clone()));
        write!(
            f,
            "{:<11} the reader by itself takes {micros} µs, {parts} % of passing",
            self.name
        )
    }
}

/// CPU time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
