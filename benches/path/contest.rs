//! Two servers under the same load, one after the other, in turns.

use super::load::{Bounds, Crew, Target};
use super::process::Process;
use super::report::{Cost, Report, Round, Spread};
use super::scenario::Scenario;
use anyhow::{Result, anyhow};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// Requests of one scenario that a server gets in one round at most.
const REQUESTS_MAX: u64 = 200_000;
/// What work a server has left behind the last answer (the log's writing) is awaited this long.
const SETTLE: Duration = Duration::from_millis(60);

/// How long and what is measured.
pub struct Plan {
    pub scenarios: Vec<&'static Scenario>,
    pub rounds: usize,
    /// How long one server is under load in one round.
    pub stretch: Duration,
}

impl Plan {
    /// By the command's words: `--quick`, and names of some of `all` scenarios.
    pub fn read(words: &[&str], all: &'static [Scenario]) -> Result<Self> {
        let (rounds, stretch_ms) = if words.contains(&"--quick") {
            (3, 400)
        } else {
            (21, 400)
        };
        let find = |name: &&str| {
            let known = all.iter().find(|known| known.name == *name);
            known.ok_or_else(|| {
                let names: Vec<_> = all.iter().map(|known| known.name).collect();
                anyhow!("no such scenario: {name}; there are {}", names.join(", "))
            })
        };
        let names = words.iter().filter(|word| **word != "--quick");
        let named: Result<Vec<_>> = names.map(find).collect();
        let mut scenarios = named?;
        if scenarios.is_empty() {
            scenarios = all.iter().collect();
        }
        Ok(Self {
            scenarios,
            rounds,
            stretch: Duration::from_millis(stretch_ms),
        })
    }

    const fn warm(&self) -> Bounds {
        Bounds {
            time: Duration::from_millis(self.stretch.as_millis() as u64 / 4),
            count: REQUESTS_MAX,
        }
    }

    const fn bounds(&self) -> Bounds {
        Bounds {
            time: self.stretch,
            count: REQUESTS_MAX,
        }
    }
}

/// A server, and how it is asked.
#[derive(Clone)]
pub struct Side {
    pub process: Rc<Process>,
    pub target: Target,
}

/// What is measured: the gateway, and what it is compared to.
pub struct Contest {
    /// `None` where there is nothing to compare to.
    pub bare: Option<Side>,
    pub gateway: Side,
}

impl Contest {
    /// Every answer has to have a body of `length` bytes. What else is to be measured comes `after` each round.
    pub async fn rounds(
        &self,
        scenario: &Scenario,
        length: usize,
        plan: &Plan,
        mut after: impl FnMut(&Round),
    ) -> Result<Vec<Round>> {
        let bounds = plan.bounds();
        for server in self.bare.iter().chain([&self.gateway]) {
            stretch(server, scenario, length, &plan.warm()).await?;
        }
        let mut rounds = Vec::new();
        for number in 0..plan.rounds {
            // Which comes first changes, so that neither always follows a busier neighbour.
            let (bare, gateway);
            if number % 2 == 0 {
                bare = self.bare(scenario, length, &bounds).await?;
                gateway = stretch(&self.gateway, scenario, length, &bounds).await?;
            } else {
                gateway = stretch(&self.gateway, scenario, length, &bounds).await?;
                bare = self.bare(scenario, length, &bounds).await?;
            }
            let round = Round { bare, gateway };
            after(&round);
            rounds.push(round);
        }
        Ok(rounds)
    }

    async fn bare(&self, scenario: &Scenario, length: usize, bounds: &Bounds) -> Result<Cost> {
        match &self.bare {
            Some(side) => stretch(side, scenario, length, bounds).await,
            None => Ok(Cost::NONE),
        }
    }
}

/// One server under load for a while.
async fn stretch(
    Side { process, target }: &Side,
    scenario: &Scenario,
    length: usize,
    bounds: &Bounds,
) -> Result<Cost> {
    let mut crew = Crew::gather(target, scenario, length).await?;
    tokio::time::sleep(SETTLE).await;
    let before = process.cpu()?;
    let tally = crew.work(bounds).await;
    tokio::time::sleep(SETTLE).await;
    let spent = process.cpu()?.since(&before);
    if let Some(fault) = &tally.fault {
        eprintln!("{} at {}: {fault}", scenario.name, target.address);
    }
    let times = tally.times.iter().map(|time| time.as_secs_f64() * 1e6);
    Ok(Cost {
        micros: spent.as_secs_f64() * 1e6 / tally.answered.max(1) as f64,
        latency_micros: Spread::of(times.collect()).median,
        answered: tally.answered,
        errors: tally.errors,
    })
}

/// Prints the report; errors fail the run.
pub fn conclude(report: &Report) -> ExitCode {
    print!("{report}");
    if report.errors() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// All clients on one thread, so that the driver takes one core and no more.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}
