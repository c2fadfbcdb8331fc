//! Upgrades and reloads of the running daemon, under a load that notices everything.
#![cfg(test)]

mod carried;
mod crashes;
mod driver;
mod ends;
mod failures;
mod load;
mod noticed;
mod plain;
mod reloads;
mod site;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod turn;
mod upgrades;
