//! Builds the stages from the configuration.

use crate::base::clock::Ticks;
use crate::config::{Config, Gateway};
use crate::provider::catalogue::Catalogue;
use crate::stage::Stages;
use crate::stage::auth::Auth;
use crate::stage::cache::Cache;
use crate::stage::cache::archive::CacheStore;
use crate::stage::journal::{Journal, metrics::Metrics};
use crate::stage::limit::{Limits, config::Limit};
use crate::stage::metadata::MetadataRules;
use crate::stage::meter::Meter;
use crate::stage::plan::pools::Pools;
use crate::stage::plan::{self, Plans};
use crate::stage::route::{Bindings, Routes};
use crate::store::counters::Counters;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// The gateway that exists even where the configuration does not name it.
pub const DEFAULT_GATEWAY: &str = "default";

/// All stages of `config`.
///
/// # Errors
/// The configuration was not checked, or the log cannot be opened.
pub fn stages(
    config: &Config,
    metrics: Arc<Metrics>,
    counters: Arc<Counters>,
    store: &'static CacheStore,
) -> Result<Stages> {
    let mut gateways = config.gateways.clone();
    gateways.entry(DEFAULT_GATEWAY.to_owned()).or_default();
    let names: Vec<String> = gateways.keys().cloned().collect();
    let rules: Vec<&Gateway> = gateways.values().collect();

    let mut bindings = Bindings::default();
    for (name, gateway) in &gateways {
        let hosts = gateway.hosts.iter();
        let hosts = hosts.map(|host| (host.to_ascii_lowercase(), name.clone()));
        bindings.hosts.extend(hosts);
    }
    let listeners = config.server.listen.iter();
    bindings.listeners = listeners
        .filter_map(|listen| Some((listen.address, listen.gateway.clone()?)))
        .collect();

    let catalogue = Catalogue::build(&config.providers)?;
    let parked = &metrics.health.parked;
    let pools = Pools::build(&catalogue, &config.providers, parked, &Ticks::steady())?;
    let pools = Arc::new(pools);

    let journal =
        Journal::open(&config.log, metrics).context("the request log cannot be opened")?;
    journal.metrics.health.show(pools.clone());
    Ok(Stages {
        routes: Routes::build(&names, bindings, catalogue),
        metadata: MetadataRules::build(rules.iter().map(|gateway| &gateway.metadata)),
        auth: Auth::build(rules.iter().map(|gateway| &gateway.auth)),
        limits: Limits::build(
            gateways
                .iter()
                .map(|(name, gateway)| (name.as_str(), gateway.limits.as_slice())),
            counters,
        ),
        plans: Plans::build(rules.iter().map(|gateway| plan::Rule {
            patience: (&gateway.timeout).into(),
            retry: gateway.retry,
            on_client_gone: gateway.on_client_gone,
            include_usage: gateway.include_usage,
            fallback: gateway.fallback.clone(),
        })),
        cache: Cache::build(store, rules.iter().map(|gateway| &gateway.cache)),
        pools,
        meter: Meter::build(&config.providers),
        journal,
    })
}

/// The counters of all limits, which outlive every reload. Where the configuration names no folder,
/// those that outlive the process are kept in the user's own.
///
/// # Errors
/// The folder cannot be used.
pub fn counters(config: &Config) -> Result<Arc<Counters>> {
    let limits = || config.gateways.values().flat_map(|gateway| &gateway.limits);
    let folder = match &config.counters.folder {
        Some(folder) => Some(folder.clone()),
        None if limits().any(Limit::is_kept) => state_folder(),
        None => None,
    };
    if folder.is_none() && limits().any(Limit::is_kept) {
        tracing::warn!(
            "there is no folder for budgets, so they begin anew with every start (counters.folder)"
        );
    }
    let bytes_max = usize::try_from(config.counters.memory.bytes()).unwrap_or(usize::MAX);
    Counters::open(bytes_max, folder.as_deref()).with_context(|| {
        let folder = folder.unwrap_or_default();
        format!("counters.folder: {} cannot be used", folder.display())
    })
}

/// Where a daemon keeps its state: what systemd made for it, else the user's own.
fn state_folder() -> Option<PathBuf> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let path = |name| path(name).filter(|path| path.is_absolute());
    let home = || Some(path("HOME")?.join(".local/state"));
    let of_user = || Some(path("XDG_STATE_HOME").or_else(home)?.join("tollgate"));
    path("STATE_DIRECTORY").or_else(of_user)
}
