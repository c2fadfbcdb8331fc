//! Another configuration takes the place of the one that serves, while requests run.
#![cfg(test)]

mod certificate;
mod load;
#[path = "../pools/provider.rs"]
#[expect(dead_code, reason = "it can do more than is needed here")]
mod provider;
mod refused;
mod state;
#[path = "../support/mod.rs"]
mod support;
mod trigger;
mod upgrade;
mod watch;

use std::fs;
use std::path::PathBuf;
use support::client::{Answer, Client};
use support::gateway::Gateway;
use support::{Mock, Request, Setup, wait};

const TOKEN: &str = "operator-token-1";

/// A gateway that can be told to reload.
fn setup(mock: &Mock) -> Setup {
    Setup::new(mock).server(&format!("admin_token: {TOKEN}"))
}

fn config_path(gateway: &Gateway) -> PathBuf {
    gateway.process.scratch.join("tollgate.yaml")
}

fn config(gateway: &Gateway) -> String {
    fs::read_to_string(config_path(gateway)).unwrap()
}

/// Changes the configuration's text, which has to hold `from`.
fn change(gateway: &Gateway, from: &str, to: &str) {
    let text = config(gateway);
    assert!(text.contains(from), "{from} is not in\n{text}");
    fs::write(config_path(gateway), text.replace(from, to)).unwrap();
}

fn append(gateway: &Gateway, lines: &str) {
    fs::write(config_path(gateway), config(gateway) + lines).unwrap();
}

fn admin(gateway: &Gateway, request: &Request) -> Answer {
    let mut client = Client::connect(gateway.admin);
    client.send(&request.bytes());
    client.read_answer(false)
}

/// `POST /reload`.
fn reload(gateway: &Gateway) -> Answer {
    let token = format!("Bearer {TOKEN}");
    admin(
        gateway,
        &Request::post("/reload").field("authorization", &token),
    )
}

/// The same, where nothing is in the way.
fn reload_well(gateway: &Gateway) {
    let answer = reload(gateway);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn generation(gateway: &Gateway) -> f64 {
    gateway.metric("tollgate_config_generation")
}

fn wait_for_generation(gateway: &Gateway, least: f64) {
    let found = wait::within(wait::LONG, || (generation(gateway) >= least).then_some(()));
    let notes = || gateway.process.stderr();
    assert!(found.is_some(), "no generation {least}:\n{}", notes());
}

/// What tells configurations apart: the key that the provider is shown.
fn key_seen(gateway: &Gateway) -> String {
    let seen = support::echo(gateway, Request::post(support::ECHO_PATH));
    let shown = support::mock::shown(&seen, "authorization");
    shown.first().copied().unwrap_or_default().to_owned()
}
