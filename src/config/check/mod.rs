//! What no single value tells: names that must exist, things that must not clash, files that must be there.

mod server;
mod gateway;
mod cache;
mod limit;
mod provider;
mod failover;
mod file;

use super::Config;
use super::findings::Findings;

/// Adds a fault for everything that does not fit together. `known_providers` are the built-in slugs.
pub fn check(config: &Config, known_providers: &[&str], findings: &mut Findings<'_>) {
    server::check(config, findings);
    provider::check(config, known_providers, findings);
    gateway::check(config, findings);
    cache::check(config, findings);
    limit::check(config, findings);
    failover::check(config, known_providers, findings);
    file::check(config, findings);
}
