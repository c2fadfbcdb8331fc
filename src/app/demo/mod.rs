//! `tollgate demo`: real requests through a gateway, and what its own log and metrics say of them.
//!
//! The gateway and a mock provider run as children of this process, and end with it.

mod setting;
mod children;
mod sample;
mod client;
mod log;
mod totals;

use anyhow::{Context, Result, bail};
use children::Children;
use sample::SAMPLE;
use serde_json::Value;
use setting::{Ports, Setting};
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

/// How long the children may take to serve.
const START_MAX: Duration = Duration::from_secs(15);
/// How often the children are started, each time at addresses that are free.
const TRIES: u32 = 3;
/// How long the log may take to tell of a request that has ended.
const LOG_MAX: Duration = Duration::from_secs(5);
/// Between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(10);

/// What `tollgate demo` is told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where the gateway listens; none means its usual address or, where that is taken, a free one.
    pub listen: Option<SocketAddr>,
    /// Whether to end once the sample is shown.
    pub once: bool,
}

/// Shows the sample, and stays up until a signal or, with `once`, not at all. The children end with
/// it, whichever way it ends.
///
/// # Errors
/// An address is taken, a child fell, or the gateway's log does not tell what was sent.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(play(options))
}

async fn play(options: &Options) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut setting = None;
    let mut children = Children::default();
    let outcome = tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
        outcome = show(options, &mut setting, &mut children) => outcome,
    };
    children.stop().await;
    // The folder goes last, when nobody writes there any more.
    drop(setting);
    outcome
}

async fn show(
    options: &Options,
    setting: &mut Option<Setting>,
    children: &mut Children,
) -> Result<()> {
    let mut tries_left = TRIES;
    let mut ports = Ports::Usual;
    let report = loop {
        tries_left -= 1;
        *setting = None;
        let fresh = setting.insert(Setting::prepare(options.listen, ports)?);
        match perform(fresh, children).await {
            Ok(report) => break report,
            // An address that was free when it was chosen may have been taken since; whoever took it
            // may even have answered in a child's place.
            Err(_) if tries_left > 0 => {
                children.stop().await;
                ports = Ports::Any;
            }
            Err(fault) => return Err(fault),
        }
    };
    print(&report)?;
    if options.once {
        return Ok(());
    }
    if let Some(setting) = setting {
        print(&setting.invitation())?;
    }
    Err(children.fall().await)
}

/// Starts the children and shows them at work.
async fn perform(setting: &Setting, children: &mut Children) -> Result<String> {
    children.start("mock", &setting.mock_arguments(), setting.folder())?;
    children.start("gateway", &setting.gateway_arguments(), setting.folder())?;
    tokio::select! {
        fault = children.fall() => Err(fault),
        report = async {
            await_ready(setting).await?;
            report(setting).await
        } => report,
    }
}

async fn await_ready(setting: &Setting) -> Result<()> {
    let until = Instant::now() + START_MAX;
    while !is_ready(setting).await {
        if Instant::now() > until {
            bail!("mock and gateway were not ready within {START_MAX:?}");
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn is_ready(setting: &Setting) -> bool {
    let pages = [(setting.mock, "/__mock/stats"), (setting.admin, "/readyz")];
    for (address, path) in pages {
        let page = client::fetch(address, path).await;
        if !page.is_ok_and(|page| page.is_ok()) {
            return false;
        }
    }
    TcpStream::connect(setting.gateway).await.is_ok()
}

/// Sends the sample, and tells what the gateway wrote down.
async fn report(setting: &Setting) -> Result<String> {
    for ask in SAMPLE {
        client::send(setting.gateway, ask)
            .await
            .with_context(|| format!("{} could not be sent to the gateway", ask.path))?;
    }
    let lines = read_log(setting, SAMPLE.len()).await?;
    let metrics = client::fetch(setting.admin, "/metrics").await?;
    if totals::requests(&metrics.body) != lines.len() as f64 {
        bail!(
            "the metrics at {} are not those of the demo's gateway",
            setting.admin
        );
    }
    let count = lines.len();
    Ok(format!(
        "{count} requests went through the gateway. Its request log says:\n\n{}\nIts metrics say:\n\n{}\n",
        log::tabulate(&lines),
        totals::sum_up(&metrics.body)
    ))
}

/// The log's lines in the order in which the requests came, as soon as there are `count`.
async fn read_log(setting: &Setting, count: usize) -> Result<Vec<Value>> {
    let path = setting.log();
    let until = Instant::now() + LOG_MAX;
    loop {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let whole = text
            .rfind('\n')
            .and_then(|end| text.get(..end))
            .unwrap_or_default();
        if whole.lines().count() >= count {
            let lines = whole.lines().map(serde_json::from_str::<Value>);
            let mut lines = lines.collect::<Result<Vec<_>, _>>()?;
            // Ids are in the order of arrival; the log is in the order of the ends.
            lines.sort_by_cached_key(|line| log::text(line, "id"));
            return Ok(lines);
        }
        if Instant::now() > until {
            let told = whole.lines().count();
            bail!("the gateway's log tells of {told} requests, but {count} were sent");
        }
        sleep(PAUSE).await;
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
