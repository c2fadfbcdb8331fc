//! What serves now, and how another configuration takes its place while requests run.

mod difference;
mod gauges;
mod heritage;
mod inputs;
mod watch;

use super::assemble::{self, Ground};
use crate::config::{Config, Faults};
use crate::proxy::caching;
use crate::proxy::certificate::{self, Certificate};
use crate::proxy::config::Listen;
use crate::stage::Stages;
use crate::stage::cache::archive::CacheStore;
use crate::stage::cache::keeper;
use crate::stage::journal::config::Config as LogConfig;
use crate::stage::journal::metrics::Metrics;
use crate::stage::journal::{Journal, Tail};
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use gauges::Gauges;
pub use inputs::Inputs;
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use thiserror::Error;
use watch::{NeedsUpgrade, Watch};

/// What serves now. There is one as long as the process lives.
pub struct Live {
    /// The file that was given at the start; without one there are the built-in defaults.
    path: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    pub stages: Arc<ArcSwap<Stages>>,
    pub metrics: Arc<Metrics>,
    pub store: &'static CacheStore,
    /// Of each listener that speaks TLS.
    certificates: HashMap<SocketAddr, Arc<Certificate>>,
    gauges: Gauges,
    /// Who is told when a file that is watched asks for more than a reload.
    needs_upgrade: OnceLock<NeedsUpgrade>,
    /// The process has a successor, or is to end: its files are another's business.
    is_over: AtomicBool,
    /// One reload after the other.
    current: Mutex<Current>,
}

/// What the next reload is compared with.
struct Current {
    config: Config,
    inputs: Inputs,
    watch: Option<Watch>,
    /// Logs of earlier configurations that may still be written.
    tails: Vec<Tail>,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Requests that begin from now on have the new configuration.
    Swapped,
    /// Nothing was changed, because these keys cannot be while the process serves.
    NeedsUpgrade(Vec<&'static str>),
}

/// Why a reload changed nothing.
#[derive(Debug, Error)]
pub enum ReloadError {
    #[error("{0}")]
    Config(#[from] Faults),
    #[error("{0:#}\n")]
    Build(anyhow::Error),
}

/// All that a reload changes, made and not yet in force.
struct Next {
    stages: Stages,
    certificates: Vec<(Arc<Certificate>, Arc<CertifiedKey>)>,
}

impl Live {
    /// Builds everything that `config` asks for. It was read from `path`.
    ///
    /// # Errors
    /// A file, a folder or a certificate cannot be used.
    pub fn new(
        path: Option<PathBuf>,
        (config, inputs): (Config, Inputs),
        runtime_dir: Option<PathBuf>,
    ) -> Result<Arc<Self>> {
        let metrics = Arc::new(Metrics::new()?);
        let gauges = Gauges::register(&metrics)?;
        let store = keeper::open(&config.cache, caching::has_begun);
        let counters = assemble::counters(&config, runtime_dir.as_deref())?;
        let journal = open_journal(&config, &metrics)?;
        let ground = Ground {
            counters,
            store,
            earlier: None,
        };
        let stages = assemble::stages(&config, journal, &ground)?;
        metrics.health.show(stages.pools.clone());
        let mut certificates = HashMap::new();
        for Listen { address, tls, .. } in &config.server.listen {
            if let Some(tls) = tls {
                let certificate = Certificate::load(tls);
                let certificate = certificate.with_context(|| format!("server.listen {address}"));
                certificates.insert(*address, certificate?);
            }
        }
        gauges.swapped();
        Ok(Arc::new(Self {
            path,
            runtime_dir,
            stages: Arc::new(ArcSwap::from_pointee(stages)),
            metrics,
            store,
            certificates,
            gauges,
            needs_upgrade: OnceLock::new(),
            is_over: AtomicBool::new(false),
            current: Mutex::new(Current {
                config,
                inputs,
                watch: None,
                tails: Vec::new(),
            }),
        }))
    }

    /// The file of the configuration.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The certificate of a listener that speaks TLS.
    pub fn certificate(&self, address: SocketAddr) -> Option<&Arc<Certificate>> {
        self.certificates.get(&address)
    }

    /// Reads the configuration again, with all files that it names, and puts it in force: all of it
    /// or nothing. Requests that run end on what they began with. It blocks for as long as reading
    /// takes; of several callers each has its turn.
    ///
    /// # Errors
    /// The new configuration cannot be used. The old one serves on, and the notes say why.
    pub fn reload(self: &Arc<Self>) -> Result<Outcome, ReloadError> {
        let began = Instant::now();
        let mut current = self.current();
        let outcome = self.replace(&mut current);
        match &outcome {
            Ok(Outcome::Swapped) => {
                self.gauges.swapped();
                tracing::info!(
                    generation = self.gauges.generation(),
                    took = ?began.elapsed(),
                    "the configuration is reloaded"
                );
            }
            Ok(Outcome::NeedsUpgrade(keys)) => {
                self.gauges.failed();
                let keys = keys.join(", ");
                tracing::warn!(
                    %keys,
                    "the configuration is not reloaded: these keys need an upgrade or a restart"
                );
            }
            Err(error) => {
                self.gauges.failed();
                tracing::error!(
                    "the configuration is not reloaded; the last good one serves on. What is wrong:"
                );
                error
                    .lines()
                    .iter()
                    .for_each(|line| tracing::error!("{line}"));
            }
        }
        self.follow(&mut current);
        outcome
    }

    fn replace(&self, current: &mut Current) -> Result<Outcome, ReloadError> {
        let config = current.inputs.read(self.path.as_deref())?;
        let mut keys = difference::needs_upgrade(&current.config, &config);
        if assemble::folder(&current.config, self.runtime_dir.as_deref())
            != assemble::folder(&config, self.runtime_dir.as_deref())
        {
            // The first budget, or the last one, moves all counters.
            keys.push("counters.folder");
        }
        if current.inputs.has_other_authorities(&config) {
            keys.push("server.ca_file");
        }
        if !keys.is_empty() {
            keys.sort_unstable();
            keys.dedup();
            return Ok(Outcome::NeedsUpgrade(keys));
        }
        let next = self.build(&config, current).map_err(ReloadError::Build)?;
        self.put_in_force(next, current);
        current.config = config;
        Ok(Outcome::Swapped)
    }

    fn build(&self, config: &Config, current: &Current) -> Result<Next> {
        let mut certificates = Vec::new();
        for Listen { address, tls, .. } in &config.server.listen {
            if let (Some(tls), Some(own)) = (tls, self.certificate(*address)) {
                let read = certificate::read(tls);
                let read = read.with_context(|| format!("server.listen {address}"))?;
                certificates.push((own.clone(), read));
            }
        }
        let earlier = self.stages.load();
        let journal = match config.log == current.config.log {
            true => earlier.journal.clone(),
            false => open_journal(config, &self.metrics)?,
        };
        let ground = Ground {
            counters: earlier.limits.counters.clone(),
            store: self.store,
            earlier: Some(&earlier),
        };
        let stages = assemble::stages(config, journal, &ground)?;
        Ok(Next {
            stages,
            certificates,
        })
    }

    fn put_in_force(&self, next: Next, current: &mut Current) {
        let Next {
            stages,
            certificates,
        } = next;
        for (own, read) in certificates {
            own.set(read);
        }
        self.metrics.health.show(stages.pools.clone());
        self.metrics.forget_budgets();
        let journal = stages.journal.clone();
        let earlier = self.stages.swap(Arc::new(stages));
        current.tails.retain(|tail| !tail.has_ended());
        if Arc::ptr_eq(&earlier.journal, &journal) {
            journal.reopen();
        } else {
            // It ends by itself with the last request that knows it, unless the process ends before.
            current.tails.extend(earlier.journal.tail());
        }
    }

    /// Begins to watch the files of the configuration, where that says so (`server.watch`), and does
    /// as each later one says. `needs_upgrade` is told where a change asks for more than a reload.
    pub fn watch(self: &Arc<Self>, needs_upgrade: NeedsUpgrade) {
        if self.needs_upgrade.set(needs_upgrade).is_ok() {
            self.follow(&mut self.current());
            // What changed since the files were read, nobody has told of.
            self.look_again();
        }
    }

    /// Another process looks after the files from now on.
    pub fn stop_watching(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    fn follow(self: &Arc<Self>, current: &mut Current) {
        let may_watch = self.needs_upgrade.get().is_some();
        if !current.config.server.watch || !may_watch {
            current.watch = None;
            return;
        }
        let watch = match current.watch.take() {
            Some(watch) => Ok(watch),
            None => {
                let live = Arc::downgrade(self);
                Watch::start(move || live.upgrade().is_some_and(|live| live.look_again()))
            }
        };
        let followed = watch.map(|mut watch| {
            watch.follow(current.inputs.folders());
            watch
        });
        match followed {
            Ok(watch) => current.watch = Some(watch),
            Err(fault) => {
                tracing::error!(%fault, "the configuration cannot be watched (server.watch)");
            }
        }
    }

    /// A file that is watched may have changed: reloads where one has. `false` where that is nobody's
    /// business any more.
    fn look_again(self: &Arc<Self>) -> bool {
        if self.is_over.load(Ordering::Acquire) {
            return false;
        }
        let (watching, changed) = {
            let mut current = self.current();
            let watching = current.watch.is_some();
            (watching, watching && current.inputs.look())
        };
        if !changed {
            return watching;
        }
        tracing::info!("the configuration has changed on disk");
        if let (Ok(Outcome::NeedsUpgrade(keys)), Some(tell)) =
            (self.reload(), self.needs_upgrade.get())
        {
            tell(keys);
        }
        true
    }

    /// What a successor is to go on with, beside what stands on disk.
    pub fn standing(&self) -> Option<serde_json::Value> {
        heritage::of(&self.stages.load())
    }

    /// Goes on where a predecessor stood, before the first request is served.
    pub fn resume(&self, told: serde_json::Value) {
        heritage::resume(&self.stages.load(), told);
    }

    /// Reads what a predecessor has written down, when it serves no more and this process does not
    /// yet.
    pub fn catch_up(&self) {
        self.stages.load().limits.counters.catch_up();
    }

    /// Writes out what is kept on disk, when nothing will be added to it any more.
    pub fn flush(&self) {
        self.write_down();
        let mut tails = std::mem::take(&mut self.current().tails);
        tails.extend(self.stages.load().journal.tail());
        tails.iter().for_each(Tail::end);
    }

    /// Writes down what a successor has to read before it serves.
    pub fn write_down(&self) {
        self.stages.load().limits.counters.flush();
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReloadError {
    /// One line a fault.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Config(faults) => faults.lines().collect(),
            Self::Build(fault) => vec![format!("{fault:#}")],
        }
    }
}

fn open_journal(config: &Config, metrics: &Arc<Metrics>) -> Result<Arc<Journal>> {
    let journal = Journal::open(&config.log, metrics.clone());
    let journal = journal.with_context(|| match &config.log {
        LogConfig::File(path) => format!("log.file: {} cannot be opened", path.display()),
        _ => "the request log cannot be opened".to_owned(),
    })?;
    Ok(Arc::new(journal))
}
