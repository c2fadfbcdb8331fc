//! What cannot be put in force changes nothing, and it is said why.

use super::support::{CHAT, CHAT_PATH, Mock, Request};
use super::*;

fn ask(gateway: &Gateway) -> u16 {
    gateway.send(&Request::json(CHAT_PATH, CHAT)).status
}

#[test]
fn a_bad_file_keeps_the_last_good_one_and_says_every_fault() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    let good = config(&gateway);
    let before = gateway.metric("tollgate_config_reload_timestamp_seconds");
    append(
        &gateway,
        "gateways:\n  a:\n    limits: [{requests: 1}]\nbogus: 1\n",
    );
    let line = config(&gateway).lines().count();
    let answer = reload(&gateway);
    assert_eq!(answer.status, 422);
    let page = answer.text();
    for words in ["bogus", "2 faults", &format!("tollgate.yaml:{line}:")] {
        assert!(page.contains(words), "{words} is missing: {page}");
    }
    let notes = gateway.process.stderr();
    assert!(notes.contains("the last good one serves on"), "{notes}");
    for line in [line - 1, line] {
        let told = notes.lines().filter(|text| {
            text.contains("ERROR") && text.contains(&format!("tollgate.yaml:{line}:"))
        });
        assert_eq!(told.count(), 1, "{line}: {notes}");
    }
    assert_eq!(gateway.metric("tollgate_config_reload_success"), 0.0);
    let after = gateway.metric("tollgate_config_reload_timestamp_seconds");
    assert_eq!((after, generation(&gateway)), (before, 1.0));
    assert_eq!(ask(&gateway), 200);

    // Not YAML at all, and none there.
    fs::write(config_path(&gateway), "server: [").unwrap();
    assert_eq!(reload(&gateway).status, 422);
    fs::remove_file(config_path(&gateway)).unwrap();
    let answer = reload(&gateway);
    assert_eq!(answer.status, 422);
    assert!(
        answer.text().contains("cannot be read"),
        "{}",
        answer.text()
    );
    assert_eq!(ask(&gateway), 200);

    fs::write(config_path(&gateway), good).unwrap();
    reload_well(&gateway);
    assert_eq!(gateway.metric("tollgate_config_reload_success"), 1.0);
}

#[test]
fn secrets_are_not_told_with_the_faults() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    change(&gateway, TOKEN, "[zq-secret-of-the-operator]");
    let page = reload(&gateway).text();
    let notes = gateway.process.stderr();
    for text in [page, notes] {
        assert!(text.contains("admin_token"), "{text}");
        assert!(!text.contains("zq-secret"), "{text}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_changes_nothing() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    // It says that it can be written, and cannot be opened.
    std::os::unix::fs::symlink("/nowhere/at/all", gateway.process.scratch.join("dangling"))
        .unwrap();
    change(&gateway, "requests.ndjson", "dangling");
    append(&gateway, "gateways: {team: {}}\n");
    assert_eq!(reload(&gateway).status, 422);
    let team = Request::json("/v1/acc/team/openai/chat/completions", CHAT);
    assert_eq!(gateway.send(&team).status, 400);
    assert_eq!(ask(&gateway), 200);
    assert_eq!(gateway.log(2).len(), 2);
}

#[test]
fn sockets_in_another_order_or_of_another_gateway_are_the_same_sockets() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    let mut short = Client::connect(gateway.short);
    let request = Request::json("/openai/chat/completions", CHAT).bytes();
    short.send(&request);
    assert_eq!(short.read_answer(false).status, 200);
    let (first, second) = (
        format!("\"{}\"", gateway.address),
        format!("{{address: \"{}\", gateway: default}}", gateway.short),
    );
    let bound = second.replace("default", "team");
    change(
        &gateway,
        &format!("{first}, {second}"),
        &format!("{bound}, {first}"),
    );
    append(
        &gateway,
        "gateways: {team: {auth: {required: true, tokens: [zq-team-token]}}}\n",
    );
    reload_well(&gateway);
    short.send(&request);
    assert_eq!(short.read_answer(false).status, 401);
    assert_eq!(generation(&gateway), 2.0);
}
