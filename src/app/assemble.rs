//! Builds the stages from the configuration.

use crate::config::{Config, Gateway};
use crate::provider::catalogue::Catalogue;
use crate::stage::Stages;
use crate::stage::auth::Auth;
use crate::stage::journal::{Journal, metrics::Metrics};
use crate::stage::metadata::MetadataRules;
use crate::stage::meter::Meter;
use crate::stage::plan::{self, Plans};
use crate::stage::route::{Bindings, Routes};
use anyhow::{Context, Result};
use std::sync::Arc;

/// The gateway that exists even where the configuration does not name it.
pub const DEFAULT_GATEWAY: &str = "default";

/// All stages of `config`.
///
/// # Errors
/// The configuration was not checked, or the log cannot be opened.
pub fn stages(config: &Config, metrics: Arc<Metrics>) -> Result<Stages> {
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

    let journal =
        Journal::open(&config.log, metrics).context("the request log cannot be opened")?;
    Ok(Stages {
        routes: Routes::build(&names, bindings, Catalogue::build(&config.providers)?),
        metadata: MetadataRules::build(rules.iter().map(|gateway| &gateway.metadata)),
        auth: Auth::build(rules.iter().map(|gateway| &gateway.auth)),
        plans: Plans::build(rules.iter().map(|gateway| plan::Rule {
            patience: (&gateway.timeout).into(),
            retry: gateway.retry,
            on_client_gone: gateway.on_client_gone,
            include_usage: gateway.include_usage,
        })),
        meter: Meter::build(&config.providers),
        journal,
    })
}
