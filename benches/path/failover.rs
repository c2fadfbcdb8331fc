//! What a dead provider costs once its breaker is open: the same requests past it, and without it.

use super::GATEWAY_PATH;
use super::contest::{Contest, Plan, Side, conclude, runtime};
use super::load::{self, Bounds, Crew, Target};
use super::process::{self, Folder, Pins, Process};
use super::report::{Report, Title};
use super::scenario::Scenario;
use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// How many requests the breaker is given to open; of each attempt it takes five failures.
const FAILURES_MAX: u64 = 200;
/// Where the dead one is tried at first, another try follows at once.
const RETRY: &str = "retry: {attempts: 3, delay: 0s}";
/// What the gateway's metrics say of a breaker that is open.
const OPEN: &str = "2";
/// Once open, a breaker stays so for the whole run.
const BREAKER: &str = "breaker: {open: 1h}";

/// Two ways to have something behind the dead one, and each without it.
struct Gateways {
    endpoint: Contest,
    chain: Contest,
}

impl Gateways {
    fn start(pins: &Pins, folder: &Folder, live: SocketAddr) -> Result<Self> {
        let dead = process::free_address()?;
        let endpoints = |list: &str| {
            format!(
                "providers: {{openai: {{endpoints: [{list}], {BREAKER}}}}}\n\
                 gateways: {{default: {{{RETRY}}}}}\n"
            )
        };
        let chain = |first: SocketAddr| {
            format!(
                "providers:\n  openai: {{base_url: \"http://{first}/v1\", {BREAKER}}}\n  \
                 custom-second: {{base_url: \"http://{live}/v1\", dialect: openai, keys: [sk-bench]}}\n\
                 gateways: {{default: {{{RETRY}, fallback: [{{provider: custom-second, endpoint: chat/completions}}]}}}}\n"
            )
        };
        let start = |name: &str, config: &str| -> Result<(Side, SocketAddr)> {
            let (process, admin) = process::gateway_with(pins, folder, name, config)?;
            process.wait_until_it_listens()?;
            Ok((side(process), admin))
        };
        let contest = |name: &str, well: &str, ill: &str| -> Result<Contest> {
            let (bare, _) = start(&format!("{name}-well"), well)?;
            let (gateway, admin) = start(&format!("{name}-ill"), ill)?;
            open_breaker(&gateway.target, admin)?;
            let bare = Some(bare);
            Ok(Contest { bare, gateway })
        };
        let one = format!("\"http://{live}/v1\"");
        let two = format!("\"http://{dead}/v1\", {one}");
        Ok(Self {
            endpoint: contest("endpoint", &endpoints(&one), &endpoints(&two))?,
            chain: contest("chain", &chain(live), &chain(dead))?,
        })
    }

    fn of(&self, scenario: &Scenario) -> &Contest {
        if scenario.name.starts_with("chain") {
            &self.chain
        } else {
            &self.endpoint
        }
    }
}

fn side(process: Process) -> Side {
    Side {
        target: Target::new(process.address, GATEWAY_PATH),
        process: Rc::new(process),
    }
}

/// Sends requests until the gateway says that a breaker is open.
fn open_breaker(target: &Target, admin: SocketAddr) -> Result<()> {
    let scenario = Scenario::named("read-1k")?;
    let bounds = Bounds {
        time: Duration::from_secs(10),
        count: FAILURES_MAX,
    };
    let tally = runtime()?.block_on(async {
        let length = load::probe(target, scenario).await?;
        let mut crew = Crew::gather(target, scenario, length).await?;
        anyhow::Ok(crew.work(&bounds).await)
    })?;
    ensure!(tally.errors == 0, "{:?}", tally.fault);
    let metrics = process::get(admin, "/metrics")?;
    let mut states = metrics.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        name.starts_with("tollgate_breaker_state").then_some(value)
    });
    ensure!(states.any(|state| state == OPEN), "no breaker is open");
    Ok(())
}

pub fn measure(plan: &Plan) -> Result<ExitCode> {
    let pins = Pins::find();
    pins.pin_driver();
    let folder = Folder::create()?;
    let runtime = runtime()?;
    let provider = process::canned(&pins, &folder)?;
    let gateways = Gateways::start(&pins, &folder, provider.address)?;
    let direct = Target::new(provider.address, super::DIRECT_PATH);
    let title = Title {
        what: "past a dead provider whose breaker is open, against the same without it",
        sides: ["without", "dead"],
        latency: true,
    };
    let mut report = Report::new(title, pins.to_string(), plan.rounds, plan.stretch);
    for scenario in &plan.scenarios {
        let length = runtime.block_on(load::probe(&direct, scenario))?;
        let contest = gateways.of(scenario);
        let rounds = runtime.block_on(contest.rounds(scenario, length, plan, |_| ()))?;
        report.add(scenario, rounds);
    }
    Ok(conclude(&report))
}
