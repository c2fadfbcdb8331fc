//! The daemon: what serves, how another configuration or another process takes its place, how it ends.

mod assemble;
pub mod control;
mod drain;
mod entrance;
pub mod handover;
mod live;
pub mod run;
mod sockets;
mod supervisor;
mod systemd;
