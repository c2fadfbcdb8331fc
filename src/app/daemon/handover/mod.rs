//! One process takes over from another, and no client notices.
//!
//! The old process starts the new one, gives it all listening sockets and what it knows, and goes on
//! serving. The new one prepares everything, says that it is ready, and accepts nothing before it is
//! told to. Only when it serves does the old one stop accepting. Whatever fails before that leaves
//! the old one as it was.
//!
//! What they say, on a socket of their own (`control::wire`):
//!
//! ```text
//! new: tollgate handover 1 PID VERSION
//! old: estate LENGTH FILES        the block (`Estate`), then the files
//! new: ready                      or: failed WHY
//! old: serve LENGTH               the block (`Parting`)
//! new: serving
//! old: main                       systemd was told who the main process is
//! new: settled                    it reaches systemd and is reached by commands
//! ```
//!
//! Afterwards the socket stays open: its end tells that a process has ended, and `hurry` on it that
//! idle connections are no longer worth waiting for.

pub mod giver;
pub mod launch;
pub mod taker;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a successor says first; the number is the version of what follows.
pub const GREETING: &str = "tollgate handover 1";

/// What the old process leaves to the new one beside the open files. A member that one of them does
/// not know is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Estate {
    /// The address of each listening socket, in the order of the files.
    pub listeners: Vec<SocketAddr>,
    /// How many of the files after those are sockets to processes that still drain.
    pub drainers: usize,
    /// The folder of what processes have counted (`admin::legacy`).
    pub legacy: Option<PathBuf>,
}

/// What changes by the moment, and so is told last.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parting {
    /// What is known of providers' endpoints, keys and models.
    pub standing: Option<serde_json::Value>,
}
