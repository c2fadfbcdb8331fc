//! What cannot be changed in place is changed by an upgrade, and what is known goes with it.

use super::support::tls::{Authority, Files};
use super::support::{CHAT, CHAT_PATH, Mock, Request, wait};
use super::*;
use std::process::Command;

/// Ends the process that took over, which no test has as its child.
struct Successor(String);

impl Successor {
    /// The one that the notes tell of.
    fn of(gateway: &Gateway) -> Self {
        wait::until("a successor", || {
            let notes = gateway.process.stderr();
            let line = notes.lines().find(|line| line.contains(": upgraded"))?;
            let (_, pid) = line.split_once("pid=")?;
            Some(Self(pid.split_whitespace().next()?.to_owned()))
        })
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-s", "KILL", &self.0]).status());
    }
}

fn ask(gateway: &Gateway, path: &str) -> u16 {
    gateway.send(&Request::json(path, CHAT)).status
}

/// Waits until the successor answers on the admin listener: its generation is its first.
fn wait_for_successor(gateway: &Gateway) {
    wait::until("the successor to serve", || {
        (generation(gateway) == 1.0).then_some(())
    });
}

/// Waits until the gateway `team` is known: the old process, which does not know it, may still accept for a moment.
fn wait_for_team(gateway: &Gateway) {
    wait::until("the other gateway", || {
        (ask(gateway, "/v1/acc/team/openai/chat/completions") == 200).then_some(())
    });
}

#[test]
fn what_needs_an_upgrade_gets_one_all_or_nothing() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    reload_well(&gateway);
    change(&gateway, "  threads: 1\n", "  threads: 2\n");
    append(&gateway, "cache: {memory: 8MiB}\ngateways: {team: {}}\n");
    let answer = reload(&gateway);
    let _successor = Successor::of(&gateway);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let keys = "cache.memory, server.threads";
    assert!(answer.text().contains(keys), "{}", answer.text());
    let notes = gateway.process.stderr();
    assert!(notes.contains(&format!("keys={keys}")), "{notes}");
    wait_for_successor(&gateway);
    wait_for_team(&gateway);
}

#[test]
fn a_file_that_is_watched_brings_an_upgrade_about() {
    let mock = Mock::start();
    let gateway = setup(&mock).server("watch: true").start();
    reload_well(&gateway);
    change(&gateway, "  threads: 1\n", "  threads: 2\n");
    let _successor = Successor::of(&gateway);
    wait_for_successor(&gateway);
    // The successor watches on.
    append(&gateway, "gateways: {team: {}}\n");
    wait_for_team(&gateway);
}

#[test]
fn what_needs_an_upgrade_that_fails_changes_nothing() {
    let mock = Mock::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = setup(&mock).start();
    let other = taken.local_addr().unwrap().to_string();
    change(&gateway, &gateway.short.to_string(), &other);
    append(&gateway, "gateways: {team: {}}\n");
    let answer = reload(&gateway);
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains(&other), "{}", answer.text());
    assert_eq!(ask(&gateway, "/v1/acc/team/openai/chat/completions"), 400);
    let mut short = Client::connect(gateway.short);
    short.send(&Request::json("/openai/chat/completions", CHAT).bytes());
    assert_eq!(short.read_answer(false).status, 200);
    assert_eq!(gateway.metric("tollgate_config_reload_success"), 0.0);
}

#[test]
fn other_authorities_in_the_same_file_are_noticed() {
    let mock = Mock::start();
    let (first, second) = (Authority::new(), Authority::new());
    let files = Files::new(&[("ca.pem", &first.pem)]);
    let gateway = setup(&mock)
        .server(&format!("ca_file: \"{}\"", files.path("ca.pem")))
        .start();
    reload_well(&gateway);
    assert_eq!(generation(&gateway), 2.0);
    fs::write(files.path("ca.pem"), &second.pem).unwrap();
    let answer = reload(&gateway);
    let _successor = Successor::of(&gateway);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        answer.text().contains("server.ca_file"),
        "{}",
        answer.text()
    );
}

const LIMITS: &str = "gateways:\n  default:\n    limits:\n      - {name: rate, requests: 5, per: 1m, technique: sliding}\n      - {name: running, concurrent: 2}\n";

#[test]
fn limits_go_on_in_the_successor() {
    let mock = Mock::start();
    let gateway = setup(&mock).config(LIMITS).start();
    reload_well(&gateway);
    let mut running = gateway.connect();
    let slow = "chunk-delay=200,chunks=40";
    let stream = Request::json(CHAT_PATH, support::CHAT_STREAM).mock(slow);
    running.send(&stream.bytes());
    assert_eq!(running.read_head(false).status, 200);
    assert_eq!(ask(&gateway, CHAT_PATH), 200);
    change(&gateway, "  threads: 1\n", "  threads: 2\n");
    assert_eq!(reload(&gateway).status, 200);
    let _successor = Successor::of(&gateway);
    // What the old process still runs counts in the new one: there is room for one beside it.
    let mut beside = gateway.connect();
    beside.send(&stream.bytes());
    assert_eq!(beside.read_head(false).status, 200);
    // Should the old process have taken that, too, the new one learns of it in a moment.
    wait_for_successor(&gateway);
    wait::until("both to be known", || {
        (state::used(&gateway, "running", "held") == "2").then_some(())
    });
    assert_eq!(ask(&gateway, CHAT_PATH), 429);
    drop(beside);
    while running.next_piece().unwrap().is_some() {}
    // Of five a minute there were three.
    wait::until("room", || match ask(&gateway, CHAT_PATH) {
        200 => Some(()),
        _ => None,
    });
    assert_eq!(
        (ask(&gateway, CHAT_PATH), ask(&gateway, CHAT_PATH)),
        (200, 429)
    );
}

#[test]
fn a_parked_key_stays_parked_in_the_successor() {
    let (provider, gateway) = state::parked();
    change(&gateway, "  threads: 1\n", "  threads: 2\n");
    let answer = reload(&gateway);
    let _successor = Successor::of(&gateway);
    assert_eq!(answer.status, 200, "{}", answer.text());
    wait_for_successor(&gateway);
    assert_eq!(state::state(&gateway, "key bad"), Some(2.0));
    for _ in 0..20 {
        assert_eq!(ask(&gateway, state::POOL_PATH), 200);
    }
    assert_eq!(provider.seen_with("zq-bad"), 0);
}
