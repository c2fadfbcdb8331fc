//! Measures what the gateway costs beyond a bare Pingora pass-through.
//!
//! CPU time of the same requests through both, in turns.
//!
//! `cargo bench --bench path [-- [--quick] [SCENARIO…]]`. With `reading` as the first word it measures what
//! reading the usage costs: against the same answers in a coding that is not read, where all else is done all the same;
//! all that is done about usage against the same requests at an endpoint that is known to use nothing, and against
//! answers to PUT, which are not held back for a bill either; and the time of the reader by itself as a share of that. With `failover` it is
//! what a dead provider costs once its breaker is open. For profilers, one load against a server that runs
//! already: `-- drive ADDRESS PATH SCENARIO COUNT [PUT]`.

mod bare;
mod canned;
mod contest;
mod failover;
mod load;
mod process;
mod report;
mod scenario;
mod share;

use anyhow::{Context, Result, bail};
use contest::{Contest, Plan, Side, conclude, runtime};
use load::{Bounds, Crew, Target};
use process::{Folder, Pins, Process};
use report::{Figures, Report, Round, Title};
use scenario::Scenario;
use share::Share;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// Starts of which the median is taken.
const STARTS: usize = 10;
const GATEWAY_PATH: &str = "/v1/bench/default/openai/chat/completions";
/// Counting tokens: its answers are held and logged like others, but use nothing.
const FREE_PATH: &str = "/v1/bench/default/openai/responses/input_tokens";
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
        ["drive", address, path, scenario, count, put @ ..] => {
            let mut target = Target::new(address.parse()?, path);
            if put == ["PUT"] {
                target = target.with_method("PUT");
            }
            drive(&target, Scenario::named(scenario)?, count.parse()?)
        }
        ["canned", listen] => canned::run(listen),
        ["reading", words @ ..] => measure_reading(&Plan::read(words, &scenario::READINGS)?),
        ["failover", words @ ..] => failover::measure(&Plan::read(words, &scenario::FAILOVERS)?),
        words => measure(&Plan::read(words, &scenario::ALL)?),
    }
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
    let direct = Target::new(provider, DIRECT_PATH);
    let memory = || -> Result<Figures> {
        Ok(Figures {
            bare: bare.process.memory_mib()?,
            gateway: gateway.process.memory_mib()?,
        })
    };
    let contest = Contest {
        bare: Some(bare.clone()),
        gateway: gateway.clone(),
    };
    std::thread::park_timeout(Duration::from_millis(500));
    let fresh = memory()?;

    let title = Title {
        what: "gateway against a bare Pingora pass-through",
        sides: ["bare", "gateway"],
        latency: false,
    };
    let mut report = Report::new(title, pins.to_string(), plan.rounds, plan.stretch);
    for scenario in &plan.scenarios {
        // What the provider itself answers is what has to come through.
        let length = runtime.block_on(load::probe(&direct, scenario))?;
        let rounds = runtime.block_on(contest.rounds(scenario, length, plan, |_| ()))?;
        report.add(scenario, rounds);
    }
    report.set_starts(starts);
    report.set_memory(fresh, memory()?);
    Ok(conclude(&report))
}

/// One gateway, asked where answers are read, where the same are known to use nothing, and by a method whose
/// answers only pass.
fn measure_reading(plan: &Plan) -> Result<ExitCode> {
    let pins = Pins::find();
    pins.pin_driver();
    let folder = Folder::create()?;
    let runtime = runtime()?;
    let provider = process::canned(&pins, &folder)?;
    let gateway = Rc::new(process::gateway(&pins, &folder, provider.address)?);
    gateway.wait_until_it_listens()?;
    let side = |method, path| Side {
        process: gateway.clone(),
        target: Target::new(gateway.address, path).with_method(method),
    };
    let direct = Target::new(provider.address, DIRECT_PATH);
    let mut code = ExitCode::SUCCESS;
    let mut shares = Vec::new();
    let sealed = format!("{GATEWAY_PATH}{}", canned::SEALED);
    for (what, bare) in [
        (
            "answers read for their usage, against the same in a coding that is not read, whose usage is estimated",
            side("POST", &sealed),
        ),
        (
            "answers read for their usage and billed, against the same that are known to use nothing",
            side("POST", FREE_PATH),
        ),
        (
            "answers read, held back and billed, against answers that only pass",
            side("PUT", GATEWAY_PATH),
        ),
    ] {
        let contest = Contest {
            bare: Some(bare),
            gateway: side("POST", GATEWAY_PATH),
        };
        let title = Title {
            what,
            sides: ["passing", "reading"],
            latency: false,
        };
        let mut report = Report::new(title, pins.to_string(), plan.rounds, plan.stretch);
        shares.clear();
        for scenario in &plan.scenarios {
            // What the provider itself answers is what has to come through.
            let length = runtime.block_on(load::probe(&direct, scenario))?;
            let mut share = Share::new(scenario)?;
            let after = |round: &Round| share.measure(round);
            let rounds = runtime.block_on(contest.rounds(scenario, length, plan, after))?;
            report.add(scenario, rounds);
            shares.push(share);
        }
        if report.errors() > 0 {
            code = ExitCode::FAILURE;
        }
        print!("{report}");
    }
    for share in shares {
        println!("{share}");
    }
    Ok(code)
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
