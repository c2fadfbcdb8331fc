//! What the daemon as a whole allows, whichever gateway is meant.

use crate::base::secret::Secret;
use std::time::Duration;

/// How the daemon deals with clients and with its operator. A reload gives it anew, with the stages.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub head_bytes_max: u64,
    /// Of bodies that are held; others are not limited.
    pub body_bytes_max: u64,
    /// From a connection's first byte to the end of a request's head.
    pub head_timeout: Duration,
    /// The longest pause in a client's body.
    pub pause_max: Duration,
    /// How long an idle client connection is kept.
    pub keepalive: Duration,
    /// How long running requests may go on after the signal to stop.
    pub drain: Duration,
    /// How long they may after another process has taken over.
    pub upgrade_drain: Duration,
    /// Who shows it may change things on the admin listener; without one nobody may.
    pub admin_token: Option<Secret>,
}
