//! Measures what passing five limits costs a request: CPU time, with few live counters and with a million.
//!
//! `cargo bench --bench limits`

use http::HeaderMap;
use std::hint::black_box;
use std::process::ExitCode;
use tollgate::llm::metadata::{Metadata, Scalar};
use tollgate::provider::catalogue::Catalogue;
use tollgate::stage::limit::by::Caller;
use tollgate::stage::limit::config::Limit;
use tollgate::stage::limit::rule::{Spent, Worst};
use tollgate::stage::limit::{Limits, Means};
use tollgate::stage::route::{Bindings, Found, Gateway, Routes, Target};
use tollgate::store::counters::Counters;

const BATCH: u32 = 20_000;
const BATCHES: usize = 25;
/// What a request may cost more, in microseconds.
const CLAIM_US: f64 = 3.0;
const MEMORY: usize = 2 << 30;

/// Five of different kinds, each with counters of its own for every user.
const LIMITS: &str = "
- {name: burst, requests: 1G, per: 1m, technique: sliding, by: [key]}
- {name: user, requests: 1G, per: 1h, technique: burst, by: [metadata.user]}
- {name: tpm, tokens: 100G, per: 1m, by: [model, metadata.user]}
- {name: spend, cost: $1000000, per: 1d, by: [metadata.user]}
- {name: few, concurrent: 1000, by: [metadata.user]}
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("limits: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("tollgate-bench-{}", std::process::id()));
    let (none, five) = (Bench::new("[]", None)?, Bench::new(LIMITS, None)?);
    let kept = Bench::new(LIMITS, Some(&folder))?;
    let idle = none.median(1);
    println!("no limits                        {idle:7.3} us");
    let mut within = true;
    for users in [1, 1_000, 250_000] {
        five.fill(users);
        let live = five.live();
        let cost = five.median(users) - idle;
        within &= cost <= CLAIM_US;
        println!("five limits, {live:9} counters {cost:9.3} us more");
    }
    for users in [1, 1_000, 250_000] {
        kept.fill(users);
        let live = kept.live();
        let cost = kept.median(users) - idle;
        println!("the same kept on disk, {live:9} {cost:8.3} us more");
    }
    drop(kept);
    std::fs::remove_dir_all(&folder)?;
    println!(
        "claim: at most {CLAIM_US} us; {}",
        if within { "holds" } else { "BROKEN" }
    );
    Ok(if within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Bench {
    limits: Limits,
    gateway: Gateway,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(limits: &str, folder: Option<&std::path::Path>) -> anyhow::Result<Self> {
        let limits: Vec<Limit> = serde_yaml::from_str(limits)?;
        let counters = Counters::open(MEMORY, folder)?;
        let catalogue = Catalogue::build(&std::collections::BTreeMap::new())?;
        let routes = Routes::build(&["default".to_owned()], Bindings::default(), catalogue);
        let target = Target {
            path: "/v1/acc/default/openai/chat/completions",
            host: None,
            local: None,
        };
        let gateway = match routes.find(target) {
            Ok(Found::Place(route)) => route.gateway,
            _ => anyhow::bail!("the gateway is not found"),
        };
        Ok(Self {
            limits: Limits::build([("default", limits.as_slice())].into_iter(), counters, None),
            gateway,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    /// One request of a user's, from its admission to its end.
    fn pass(&self, user: u32, headers: &HeaderMap, means: &Means<'_>) {
        let mut metadata = Metadata::default();
        metadata.add("user".to_owned(), Scalar::Text(format!("user-{user}")));
        let caller = Caller {
            key: Some("application"),
            client: Some([127, 0, 0, 1].into()),
            provider: "openai",
            model: Some("gpt-4o-mini"),
            headers,
            metadata: &metadata,
            others: &[],
        };
        let admitted = self.limits.admit(&self.gateway, caller, means);
        if let Ok(admission) = self.runtime.block_on(admitted) {
            let spent = Spent {
                input: 100,
                output: 100,
                ..Spent::default()
            };
            black_box(admission)
                .permit
                .settle(self.limits.counters.now(), &spent);
        }
    }

    fn batch(&self, users: impl Iterator<Item = u32>) {
        let headers = HeaderMap::new();
        let worst = |_: Option<&str>| Worst {
            input: 100,
            output: 1_000,
            bounded: true,
            ..Worst::default()
        };
        let means = Means {
            worst: &worst,
            can_switch: &|| false,
        };
        users.for_each(|user| self.pass(user, &headers, &means));
    }

    fn fill(&self, users: u32) {
        self.batch(0..users);
    }

    fn live(&self) -> usize {
        let mut live = 0;
        self.limits.counters.each(|_| live += 1);
        live
    }

    /// Microseconds of CPU time a request, the median of all batches.
    fn median(&self, users: u32) -> f64 {
        let mut user = 1_u32;
        let mut batches: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let began = cpu_us();
                // In an order that no cache foresees.
                self.batch((0..BATCH).map(|_| {
                    user = user.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (user >> 8) % users
                }));
                (cpu_us() - began) / f64::from(BATCH)
            })
            .collect();
        batches.sort_by(f64::total_cmp);
        batches.get(BATCHES / 2).copied().unwrap_or_default()
    }
}

/// CPU time of this thread.
fn cpu_us() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
