//! Several endpoints, several keys and stand-ins: who is asked, with what, and who gets a rest.
#![cfg(test)]

mod blame;
mod crowd;
mod keys;
mod provider;
mod refused;
mod rest;
mod share;
mod stand_in;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use support::gateway::Gateway;
use support::{CHAT, CHAT_STREAM, Mock, Request, Setup};

/// A chat request to a provider.
fn chat(provider: &str) -> Request {
    chat_of(provider, CHAT)
}

fn chat_of(provider: &str, body: &str) -> Request {
    let path = format!("/v1/acc/default/{provider}/chat/completions");
    Request::json(&path, body)
}

/// A line for a provider `custom-pool` with these endpoints and settings, such as `balance: fastest`.
fn pool(endpoints: &[String], settings: &str) -> String {
    let endpoints = endpoints.join(", ");
    format!("custom-pool: {{dialect: openai, endpoints: [{endpoints}], {settings}}}")
}

fn url(address: SocketAddr) -> String {
    format!("\"http://{address}/v1\"")
}

/// An address that refuses every connection, and that nobody else gets as long as the test runs.
fn dead(address: &str) -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let address: SocketAddr = address.parse().unwrap();
    socket.bind(&address.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Bound and never listening, for good.
    std::mem::forget(socket);
    address
}

/// A gateway with this line and no other provider.
fn only(line: &str) -> Setup {
    Setup::leading_to(dead("127.0.0.1:0"))
        .without_providers()
        .provider(line)
}

/// The state of an endpoint, key or model as the operator sees it: 0 closed, 1 half-open, 2 open.
fn state(gateway: &Gateway, member: &str) -> Option<f64> {
    let metrics = gateway.metrics();
    let mut own = metrics.iter().filter(|(series, _)| {
        series.starts_with("tollgate_breaker_state") && series.contains(member)
    });
    own.next().map(|(_, value)| *value)
}

/// The attempts of a line of the log.
fn attempts(line: &Value) -> &Vec<Value> {
    line["attempts"].as_array().unwrap()
}
