//! Builds the stages from the configuration.

use crate::config::{Config, Gateway};
use crate::provider::catalogue::Catalogue;
use crate::stage::Stages;
use crate::stage::auth::Auth;
use crate::stage::cache::Cache;
use crate::stage::cache::archive::CacheStore;
use crate::stage::conduct::Conduct;
use crate::stage::journal::Journal;
use crate::stage::limit::{Limits, config::Limit};
use crate::stage::metadata::MetadataRules;
use crate::stage::meter::Meter;
use crate::stage::plan::pools::Pools;
use crate::stage::plan::{self, Plans};
use crate::stage::route::{Bindings, Routes};
use crate::store::counters::Counters;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The gateway that exists even where the configuration does not name it.
pub const DEFAULT_GATEWAY: &str = "default";

/// What stages are built on: it outlives them all.
pub struct Ground<'a> {
    pub counters: Arc<Counters>,
    pub store: &'static CacheStore,
    /// The stages whose place they take.
    pub earlier: Option<&'a Stages>,
}

/// All stages of `config`. Nothing changes for the earlier ones where this fails; where it does not,
/// amounts of limits that both have are the new ones from now on.
///
/// # Errors
/// The configuration was not checked.
pub fn stages(config: &Config, journal: Arc<Journal>, ground: &Ground<'_>) -> Result<Stages> {
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
    let earlier = ground.earlier;
    let parked = &journal.metrics.health.parked;
    let known = earlier.map(|earlier| &*earlier.pools);
    let pools = Pools::build(&catalogue, &config.providers, parked, known)?;
    Ok(Stages {
        conduct: conduct(config),
        routes: Routes::build(&names, bindings, catalogue),
        metadata: MetadataRules::build(rules.iter().map(|gateway| &gateway.metadata)),
        auth: Auth::build(rules.iter().map(|gateway| &gateway.auth)),
        limits: Limits::build(
            gateways
                .iter()
                .map(|(name, gateway)| (name.as_str(), gateway.limits.as_slice())),
            ground.counters.clone(),
            earlier.map(|earlier| &earlier.limits),
        ),
        plans: Plans::build(rules.iter().map(|gateway| plan::Rule {
            patience: (&gateway.timeout).into(),
            retry: gateway.retry,
            on_client_gone: gateway.on_client_gone,
            include_usage: gateway.include_usage,
            fallback: gateway.fallback.clone(),
        })),
        cache: Cache::build(ground.store, rules.iter().map(|gateway| &gateway.cache)),
        pools: Arc::new(pools),
        meter: Meter::build(&config.providers, earlier.map(|earlier| &earlier.meter)),
        journal,
    })
}

fn conduct(config: &Config) -> Conduct {
    let server = &config.server;
    Conduct {
        head_bytes_max: server.max_head.bytes(),
        body_bytes_max: server.max_body.bytes(),
        head_timeout: server.head_timeout.duration(),
        pause_max: server.body_timeout.duration(),
        keepalive: server.keepalive.duration(),
        drain: server.drain.duration(),
        upgrade_drain: server.upgrade_drain.duration(),
        admin_token: server.admin_token.clone(),
    }
}

/// The counters of all limits, which outlive every reload, in their [`folder`].
///
/// # Errors
/// The folder cannot be used.
pub fn counters(config: &Config, runtime_dir: Option<&Path>) -> Result<Arc<Counters>> {
    let folder = folder(config, runtime_dir);
    if folder.is_none() && has_budgets(config) {
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

/// Where counters are kept: in the folder that the configuration names; without one, in what systemd
/// made for it, or, where there are budgets, in the user's own; and what need not outlive the machine
/// in the runtime directory, where there is one.
pub fn folder(config: &Config, runtime_dir: Option<&Path>) -> Option<PathBuf> {
    let fleeting = || Some(runtime_dir?.join("counters"));
    match &config.counters.folder {
        Some(folder) => Some(folder.clone()),
        None if has_budgets(config) => made_folder().or_else(own_folder).or_else(fleeting),
        None => made_folder().or_else(fleeting),
    }
}

/// Whether there are limits that count for longer than a restart takes.
fn has_budgets(config: &Config) -> bool {
    let mut limits = config.gateways.values().flat_map(|gateway| &gateway.limits);
    limits.any(Limit::is_kept)
}

/// What systemd made for a daemon to keep its state in.
fn made_folder() -> Option<PathBuf> {
    absolute("STATE_DIRECTORY")
}

/// Where the user's programs keep their state.
fn own_folder() -> Option<PathBuf> {
    let home = || Some(absolute("HOME")?.join(".local/state"));
    let states = absolute("XDG_STATE_HOME").or_else(home)?;
    Some(states.join("tollgate"))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.filter(|path| path.is_absolute())
}
