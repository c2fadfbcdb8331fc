//! The path of a request: the only floor that knows Pingora's proxy and its sessions.

pub mod config;
pub mod pipeline;
pub mod gateway;
pub mod context;
pub mod exchange;
pub mod surroundings;
pub mod failure;
mod arrival;
pub mod door;
pub mod replay;
pub mod deadline;
pub mod peer;
pub mod refusal;
mod intake;
mod fields;
mod text;
mod reply;
