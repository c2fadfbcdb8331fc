//! What all requests share beside the stages: the sockets' rules and the name look-ups.

use super::config::Config;
use super::peer::Resolver;
use std::time::Duration;

/// Built once; a reload does not touch it.
pub struct Surroundings {
    pub resolver: Resolver,
    pub head_bytes_max: u64,
    pub body_bytes_max: u64,
    /// The longest pause in a client's body.
    pub pause_max: Duration,
}

impl Surroundings {
    pub fn new(config: &Config) -> Self {
        Self {
            resolver: Resolver::default(),
            head_bytes_max: config.max_head.bytes(),
            body_bytes_max: config.max_body.bytes(),
            pause_max: config.body_timeout.duration(),
        }
    }
}
