//! Decisions about one call, in the order in which they are made.

pub mod route;
pub mod metadata;
pub mod auth;
pub mod plan;
pub mod meter;
pub mod journal;

use auth::Auth;
use journal::Journal;
use metadata::MetadataRules;
use meter::Meter;
use plan::Plans;
use route::Routes;

/// All stages, built from one configuration. A request keeps the set that it began with.
pub struct Stages {
    pub routes: Routes,
    pub metadata: MetadataRules,
    pub auth: Auth,
    pub plans: Plans,
    pub meter: Meter,
    pub journal: Journal,
}
