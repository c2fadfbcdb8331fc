//! Measures what the gateway costs beyond a bare Pingora pass-through.
//!
//! CPU time of the same requests through both, in turns.
//!
//! `cargo bench --bench path [-- [--quick] [SCENARIO…]]`. With `reading` as the first word it measures what
//! reading the usage costs: answers to POST are read, the same answers to PUT only pass. For profilers, one
//! load against a server that runs already: `-- drive ADDRESS PATH SCENARIO COUNT`.

mod bare;
mod canned;
mod load;
mod process;
mod report;
mod scenario;

use anyhow::{Context, Result, bail};
use load::{Bounds, Crew, Target};
use process::{Folder, Pins, Process};
use report::{Figures, Report, Round, Title};
use scenario::Scenario;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// Requests of one scenario that a server gets in one round at most.
const REQUESTS_MAX: u64 = 200_000;
/// What work a server has left behind the last answer (the log's writing) is awaited this long.
const SETTLE: Duration = Duration::from_millis(60);
/// Starts of which the median is taken.
const STARTS: usize = 10;
const GATEWAY_PATH: &str = "/v1/bench/default/openai/chat/completions";
const DIRECT_PATH: &str = "/v1/chat/completions";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("path: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    // Cargo's own word, which it gives to every benchmark.
    words.retain(|word| word != "--bench");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bare", listen, upstream] => bare::run(listen, upstream),
        ["drive", address, path, scenario, count] => {
            let target = Target::new(address.parse()?, path);
            drive(&target, Scenario::named(scenario)?, count.parse()?)
        }
        ["canned", listen] => canned::run(listen),
        ["reading", words @ ..] => measure_reading(&Plan::read(words, &scenario::READINGS)?),
        words => measure(&Plan::read(words, &scenario::ALL)?),
    }
}

/// How long and what is measured.
struct Plan {
    scenarios: Vec<&'static Scenario>,
    rounds: usize,
    /// How long one server is under load in one round.
    stretch: Duration,
}

impl Plan {
    fn read(words: &[&str], all: &'static [Scenario]) -> Result<Self> {
        let (rounds, stretch_ms) = if words.contains(&"--quick") {
            (3, 400)
        } else {
            (7, 1200)
        };
        let names = words.iter().filter(|word| **word != "--quick");
        let named: Result<Vec<_>> = names.map(|name| Scenario::named(name)).collect();
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
}

/// A server, and how it is asked.
struct Side {
    process: Rc<Process>,
    target: Target,
}

/// What is measured: the gateway, and what it is compared to.
struct Bench {
    /// The provider itself, asked without anything between.
    direct: Target,
    bare: Side,
    gateway: Side,
}

fn measure(plan: &Plan) -> Result<ExitCode> {
    let pins = Pins::find();
    pins.pin_driver();
    let folder = Folder::create()?;
    let runtime = runtime()?;
    let mock = process::mock(&pins, &folder)?;
    let provider = mock.address;
    let start_bare = || process::bare(&pins, &folder, provider);
    let start_gateway = || process::gateway(&pins, &folder, provider);

    let starts = Figures {
        bare: median_start(DIRECT_PATH, start_bare)?,
        gateway: median_start(GATEWAY_PATH, start_gateway)?,
    };
    let (bare, _) = started(DIRECT_PATH, start_bare)?;
    let (gateway, _) = started(GATEWAY_PATH, start_gateway)?;
    let bench = Bench {
        direct: Target::new(provider, DIRECT_PATH),
        bare,
        gateway,
    };
    std::thread::park_timeout(Duration::from_millis(500));
    let fresh = bench.memory()?;

    let title = Title {
        what: "gateway against a bare Pingora pass-through",
        sides: ["bare", "gateway"],
    };
    let mut report = Report::new(title, pins.to_string(), plan.rounds, plan.stretch);
    for scenario in &plan.scenarios {
        let rounds = runtime.block_on(bench.rounds(scenario, plan))?;
        report.add(scenario, rounds);
    }
    report.set_starts(starts);
    report.set_memory(fresh, bench.memory()?);
    Ok(conclude(&report))
}

/// One gateway, asked by the method whose answers are read and by one whose answers only pass.
fn measure_reading(plan: &Plan) -> Result<ExitCode> {
    let pins = Pins::find();
    pins.pin_driver();
    let folder = Folder::create()?;
    let runtime = runtime()?;
    let provider = process::canned(&pins, &folder)?;
    let gateway = Rc::new(process::gateway(&pins, &folder, provider.address)?);
    gateway.wait_until_it_listens()?;
    let side = |method| Side {
        process: gateway.clone(),
        target: Target::new(gateway.address, GATEWAY_PATH).with_method(method),
    };
    let bench = Bench {
        direct: Target::new(provider.address, DIRECT_PATH),
        bare: side("PUT"),
        gateway: side("POST"),
    };
    let title = Title {
        what: "answers read for their usage against answers that only pass",
        sides: ["passing", "reading"],
    };
    let mut report = Report::new(title, pins.to_string(), plan.rounds, plan.stretch);
    for scenario in &plan.scenarios {
        let rounds = runtime.block_on(bench.rounds(scenario, plan))?;
        report.add(scenario, rounds);
    }
    Ok(conclude(&report))
}

fn conclude(report: &Report) -> ExitCode {
    print!("{report}");
    if report.errors() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Bench {
    async fn rounds(&self, scenario: &Scenario, plan: &Plan) -> Result<Vec<Round>> {
        // What the provider itself answers is what has to come through.
        let length = load::probe(&self.direct, scenario).await?;
        let warm = Bounds {
            time: plan.stretch / 4,
            count: REQUESTS_MAX,
        };
        let bounds = Bounds {
            time: plan.stretch,
            count: REQUESTS_MAX,
        };
        for server in [&self.bare, &self.gateway] {
            stretch(server, scenario, length, &warm).await?;
        }
        let mut rounds = Vec::new();
        for number in 0..plan.rounds {
            // Which comes first changes, so that neither always follows a busier neighbour.
            let round = if number % 2 == 0 {
                let bare = stretch(&self.bare, scenario, length, &bounds).await?;
                let gateway = stretch(&self.gateway, scenario, length, &bounds).await?;
                Round { bare, gateway }
            } else {
                let gateway = stretch(&self.gateway, scenario, length, &bounds).await?;
                let bare = stretch(&self.bare, scenario, length, &bounds).await?;
                Round { bare, gateway }
            };
            rounds.push(round);
        }
        Ok(rounds)
    }

    fn memory(&self) -> Result<Figures> {
        Ok(Figures {
            bare: self.bare.process.memory_mib()?,
            gateway: self.gateway.process.memory_mib()?,
        })
    }
}

/// One server under load for a while.
async fn stretch(
    Side { process, target }: &Side,
    scenario: &Scenario,
    length: usize,
    bounds: &Bounds,
) -> Result<report::Cost> {
    let mut crew = Crew::gather(target, scenario, length).await?;
    tokio::time::sleep(SETTLE).await;
    let before = process.cpu()?;
    let tally = crew.work(bounds).await;
    tokio::time::sleep(SETTLE).await;
    let spent = process.cpu()?.since(&before);
    if let Some(fault) = &tally.fault {
        eprintln!("path: {} at {}: {fault}", scenario.name, target.address);
    }
    Ok(report::Cost {
        micros: spent.as_secs_f64() * 1e6 / tally.answered.max(1) as f64,
        answered: tally.answered,
        errors: tally.errors,
    })
}

fn drive(target: &Target, scenario: &Scenario, count: u64) -> Result<ExitCode> {
    let tally = runtime()?.block_on(async {
        let length = load::probe(target, scenario).await?;
        let mut crew = Crew::gather(target, scenario, length).await?;
        let bounds = Bounds {
            time: Duration::from_secs(600),
            count,
        };
        anyhow::Ok(crew.work(&bounds).await)
    })?;
    println!("{} answered, {} errors", tally.answered, tally.errors);
    match tally.fault {
        Some(fault) => bail!(fault),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Starts a server and waits for its first answer; the time from one to the other.
fn started(path: &str, start: impl Fn() -> Result<Process>) -> Result<(Side, Duration)> {
    let process = start()?;
    let target = Target::new(process.address, path);
    let took = load::first_answer(&target, process.begun)
        .with_context(|| format!("the server at {} did not start", target.address))?;
    let process = Rc::new(process);
    Ok((Side { process, target }, took))
}

/// In milliseconds.
fn median_start(path: &str, start: impl Fn() -> Result<Process>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (_server, took) = started(path, &start)?;
        times.push(took.as_secs_f64() * 1e3);
    }
    Ok(report::Spread::of(times).median)
}

/// All clients on one thread, so that the driver takes one core and no more.
fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}
