//! The path of a request: the only floor that knows Pingora's proxy and its sessions.

pub mod config;
pub mod pipeline;
pub mod gateway;
mod judge;
mod settle;
pub mod context;
pub mod exchange;
pub mod surroundings;
pub mod failure;
mod arrival;
pub mod door;
pub mod gate;
pub mod seat;
pub mod replay;
pub mod deadline;
pub mod peer;
pub mod faults;
pub mod refusal;
mod intake;
mod fields;
mod wishes;
mod text;
mod reply;
mod own_answer;
pub mod universal;
