//! Measures what an answer out of the cache costs, in turns with nginx where that is installed.
//!
//! `cargo bench --bench cache [-- [--quick] [SCENARIO…]]`. Every request is a POST, told from others by its body
//! on both sides. The provider is ended before the load, so that what is answered comes out of the cache.
//! `floor-1k` is no cache at all: what Pingora's proxy takes that answers out of memory and decides nothing.

#[expect(dead_code, reason = "the benchmark of the path uses the rest")]
#[path = "../path/canned.rs"]
mod canned;
#[path = "../path/contest.rs"]
mod contest;
mod floor;
#[expect(dead_code, reason = "the benchmark of the path uses the rest")]
#[path = "../path/load.rs"]
mod load;
mod nginx;
#[expect(dead_code, reason = "the benchmark of the path uses the rest")]
#[path = "../path/process.rs"]
mod process;
#[expect(dead_code, reason = "the benchmark of the path uses the rest")]
#[path = "../path/report.rs"]
mod report;
#[expect(dead_code, reason = "the benchmark of the path uses the rest")]
#[path = "../path/scenario.rs"]
mod scenario;

use anyhow::{Context, Result};
use contest::{Contest, Plan, Side, conclude, runtime};
use load::{Crew, Target};
use nginx::{Files, Kept};
use process::{Folder, Pins, Process};
use report::{Report, Spread, Title};
use scenario::Scenario;
use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

const PATH: &str = "/v1/bench/default/openai/chat/completions";
/// Many who ask the same at once, and wait for the provider.
const CROWD: Scenario = Scenario {
    name: "crowd",
    what: "40 at once",
    connections: 40,
    mock: Some("delay=50"),
    ..scenario::HITS[0]
};
const DIRECT: &str = "/v1/chat/completions";
/// As long as the provider's answer of 1 KB.
const FLOOR_BYTES: usize = 1 << 10;
/// What is written after an answer is awaited this long.
const SETTLE: Duration = Duration::from_millis(500);
/// Crowds that ask the same at once, each something else.
const CROWDS: usize = 20;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("cache: {fault:#}");
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
        ["canned", listen] => canned::run(listen),
        ["floor", listen, length] => floor::run(listen, length),
        words => {
            let pins = Pins::find();
            pins.pin_driver();
            let hits = measure_hits(&pins, &Plan::read(words, &scenario::HITS)?)?;
            measure_crowds(&pins)?;
            Ok(hits)
        }
    }
}

/// nginx as it comes, and with its files open.
struct Nginx {
    reopened: Side,
    open: Side,
    _kept: [Kept; 2],
}

/// What has an answer to every scenario.
struct Servers {
    floor: Side,
    memory: Side,
    disk: Side,
    nginx: Option<Nginx>,
}

impl Servers {
    fn start(pins: &Pins, folder: &Folder, provider: SocketAddr) -> Result<Self> {
        let files = folder.0.join("kept");
        let files = format!("memory: 0, directory: \"{}\"", files.display());
        Ok(Self {
            floor: side(start_floor(pins, folder)?),
            memory: gateway(pins, folder, provider, "memory", "memory: 64MiB")?,
            disk: gateway(pins, folder, provider, "disk", &files)?,
            nginx: Nginx::start(pins, folder, provider)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Side> {
        let nginx = self.nginx.iter();
        let nginx = nginx.flat_map(|nginx| [&nginx.reopened, &nginx.open]);
        [&self.floor, &self.memory, &self.disk]
            .into_iter()
            .chain(nginx)
    }

    fn contest(&self, scenario: &Scenario) -> Contest {
        let gateway = match scenario.name.split_once('-') {
            Some(("floor", _)) => &self.floor,
            Some(("disk", _)) => &self.disk,
            _ => &self.memory,
        };
        let bare = self.nginx.as_ref().map(|nginx| {
            if scenario.name.ends_with("open") {
                nginx.open.clone()
            } else {
                nginx.reopened.clone()
            }
        });
        Contest {
            bare,
            gateway: gateway.clone(),
        }
    }
}

impl Nginx {
    fn start(pins: &Pins, folder: &Folder, provider: SocketAddr) -> Result<Option<Self>> {
        let Some(program) = nginx::find() else {
            return Ok(None);
        };
        let start = |files| nginx::start(program, pins, folder, provider, files);
        let (reopened, first) = start(Files::Reopened)?;
        let (open, second) = start(Files::Open)?;
        Ok(Some(Self {
            reopened: side(reopened),
            open: side(open),
            _kept: [first, second],
        }))
    }
}

/// What answers out of memory and decides nothing: this program in another role.
fn start_floor(pins: &Pins, folder: &Folder) -> Result<Process> {
    let address = process::free_address()?;
    let mut command = pins.server(&std::env::current_exe()?);
    command.args(["floor", &address.to_string(), &FLOOR_BYTES.to_string()]);
    command.stdout(Stdio::null());
    let process = Process::start(command, folder, address)?;
    process.wait_until_it_listens()?;
    Ok(process)
}

fn gateway(
    pins: &Pins,
    folder: &Folder,
    provider: SocketAddr,
    name: &str,
    room: &str,
) -> Result<Side> {
    let config = format!(
        "providers: {{openai: {{base_url: \"http://{provider}/v1\"}}}}\n\
         gateways: {{default: {{cache: {{ttl: 1h}}}}}}\n\
         cache: {{{room}}}\n"
    );
    let (process, _) = process::gateway_with(pins, folder, name, &config)?;
    process.wait_until_it_listens()?;
    Ok(side(process))
}

fn side(process: Process) -> Side {
    Side {
        target: Target::new(process.address, PATH),
        process: Rc::new(process),
    }
}

fn measure_hits(pins: &Pins, plan: &Plan) -> Result<ExitCode> {
    let folder = Folder::create()?;
    let runtime = runtime()?;
    let provider = process::canned(pins, &folder)?;
    let servers = Servers::start(pins, &folder, provider.address)?;
    let mut lengths = Vec::new();
    for scenario in &plan.scenarios {
        let direct = Target::new(provider.address, PATH);
        lengths.push(runtime.block_on(load::probe(&direct, scenario))?);
        for side in servers.all() {
            runtime.block_on(load::probe(&side.target, scenario))?;
        }
    }
    std::thread::park_timeout(SETTLE);
    drop(provider);

    if servers.nginx.is_none() {
        println!(
            "nginx is not installed (apt-get install nginx-light): there is nothing to compare to\n"
        );
    }
    let title = Title {
        what: "answers out of the gateway's cache against nginx with proxy_cache",
        sides: ["nginx", "gateway"],
        latency: false,
    };
    let mut report = Report::new(title, pins.to_string(), plan.rounds, plan.stretch);
    for (scenario, length) in plan.scenarios.iter().zip(lengths) {
        let contest = servers.contest(scenario);
        let rounds = runtime.block_on(contest.rounds(scenario, length, plan, |_| ()))?;
        report.add(scenario, rounds);
    }
    Ok(conclude(&report))
}

/// Counts how often the provider is asked when many ask the same at once.
fn measure_crowds(pins: &Pins) -> Result<()> {
    let folder = Folder::create()?;
    let runtime = runtime()?;
    let mock = process::mock(pins, &folder)?;
    let gateway = gateway(pins, &folder, mock.address, "crowds", "memory: 64MiB")?;
    let scenario = &CROWD;
    let length = runtime.block_on(load::probe(&Target::new(mock.address, DIRECT), scenario))?;
    let (mut calls, mut times) = (Vec::new(), Vec::new());
    for number in 0..CROWDS {
        let path = format!("{PATH}?crowd={number}");
        let target = Target::new(gateway.process.address, &path);
        let before = requests(&mock)?;
        let begun = Instant::now();
        runtime.block_on(Crew::gather(&target, scenario, length))?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        calls.push(requests(&mock)? - before);
    }
    println!(
        "\n{CROWDS} crowds of {} that ask the same at once: {} requests to the provider each; \
         all have their answers after {} ms, of which the provider takes 50",
        scenario.connections,
        Spread::of(calls),
        Spread::of(times),
    );
    Ok(())
}

/// What the mock has been asked until now.
fn requests(mock: &Process) -> Result<f64> {
    let said = process::get(mock.address, "/__mock/stats")?;
    let (_, body) = said.split_once("\r\n\r\n").context("no body")?;
    let stats: serde_json::Value = serde_json::from_str(body)?;
    stats
        .get("requests")
        .and_then(serde_json::Value::as_f64)
        .context("no count")
}
