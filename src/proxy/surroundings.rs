//! What all requests share beside the stages: the name look-ups.

use super::peer::Resolver;

/// Built once; a reload does not touch it.
#[derive(Default)]
pub struct Surroundings {
    pub resolver: Resolver,
}
