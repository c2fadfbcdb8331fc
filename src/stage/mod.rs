//! Decisions about one call, in the order in which they are made.

pub mod conduct;
pub mod route;
pub mod metadata;
pub mod auth;
pub mod limit;
pub mod plan;
pub mod cache;
pub mod meter;
pub mod journal;

use auth::Auth;
use cache::Cache;
use conduct::Conduct;
use journal::Journal;
use limit::Limits;
use metadata::MetadataRules;
use meter::Meter;
use plan::Plans;
use plan::pools::Pools;
use route::Routes;
use std::sync::Arc;

/// All stages, built from one configuration. A request keeps the set that it began with.
pub struct Stages {
    pub conduct: Conduct,
    pub routes: Routes,
    pub metadata: MetadataRules,
    pub auth: Auth,
    pub limits: Limits,
    pub plans: Plans,
    pub cache: Cache,
    pub pools: Arc<Pools>,
    pub meter: Meter,
    pub journal: Arc<Journal>,
}
