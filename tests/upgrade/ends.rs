//! How a process ends: it lets what runs run to its end, tells everybody, and hears when it is told again.

use crate::driver::{is_systemd, signal};
use crate::site::Site;
use crate::support::client::Client;
use crate::support::{CHAT, CHAT_PATH, CHAT_STREAM, Request, h2, wait};
use std::time::Duration;

/// A stream of a quarter of a minute.
const SLOW: &str = "chunks=75,chunk-delay=200";
/// One that no test waits for.
const ENDLESS: &str = "chunks=3000,chunk-delay=200";

fn chat() -> Vec<u8> {
    Request::json(CHAT_PATH, CHAT).bytes()
}

fn open_stream(site: &Site, faults: &str) -> Client {
    let mut client = Client::connect(site.target.plain);
    client.send(&Request::json(CHAT_PATH, CHAT_STREAM).mock(faults).bytes());
    assert_eq!(client.read_head(false).status, 200);
    client
}

fn wait_gone(site: &mut Site, process: u32) {
    let gone = wait::within(wait::LONG, || {
        (!site.driver.processes().contains(&process)).then_some(())
    });
    assert!(gone.is_some(), "{process} lives: {}", site.driver.notes());
}

#[test]
fn a_draining_process_says_so_on_every_connection() {
    if is_systemd() {
        println!("skipped: systemd would start another one at once");
        return;
    }
    let mut site = Site::start_with("  drain: 5m\n", "");
    let main = site.main();
    let mut admin = Client::connect(site.admin);
    let readiness = Request::get("/readyz").bytes();
    admin.send(&readiness);
    assert_eq!(admin.read_answer(false).status, 200);
    let mut idle = Client::connect(site.target.plain);
    idle.send(&chat());
    assert_ne!(idle.read_answer(false).field("connection"), Some("close"));
    let mut stream = open_stream(&site, SLOW);
    signal(main, "TERM");
    site.wait_refused(site.target.plain);
    admin.send(&readiness);
    assert_eq!(admin.read_answer(false).status, 503);
    // Whoever is between two requests may send one more.
    idle.send(&chat());
    let answer = idle.read_answer(false);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(idle.is_closed());
    let mut text = Vec::new();
    while let Some(piece) = stream.next_piece().unwrap() {
        text.extend(piece);
    }
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    wait_gone(&mut site, main);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_process_sends_goaway_and_lets_streams_end() {
    let mut site = Site::start_with("  drain: 5m\n", "");
    let main = site.main();
    let client = h2::Client::connect(site.target.plain).await;
    let slow = h2::post(CHAT_PATH).header("x-mock", SLOW).body(()).unwrap();
    let asked = client.clone();
    let slow = tokio::spawn(async move { asked.ask(slow, CHAT_STREAM.into()).await });
    let quick = h2::post(CHAT_PATH).body(()).unwrap();
    let answer = client.ask(quick, CHAT.into()).await.unwrap();
    assert_eq!(answer.status, 200);
    wait::until("both at the provider", || {
        (site.mock.count("requests") == 2).then_some(())
    });
    site.upgrade();
    let told = async {
        loop {
            let quick = h2::post(CHAT_PATH).body(()).unwrap();
            if let Err(error) = client.ask(quick, CHAT.into()).await {
                break error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(wait::LONG, told)
        .await
        .expect("a GOAWAY");
    assert!(told.is_go_away() && told.is_remote(), "{told}");
    let answer = slow.await.unwrap().unwrap();
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    wait_gone(&mut site, main);
}

#[test]
fn a_second_sigterm_is_heard() {
    if is_systemd() {
        println!("skipped: systemd would start another one at once");
        return;
    }
    let mut site = Site::start_with("  drain: 5m\n", "");
    let main = site.main();
    let _stream = open_stream(&site, ENDLESS);
    signal(main, "TERM");
    site.wait_refused(site.target.plain);
    assert!(site.driver.processes().contains(&main));
    signal(main, "TERM");
    wait_gone(&mut site, main);
}

#[test]
fn sigint_does_not_wait() {
    if is_systemd() {
        println!("skipped: systemd would start another one at once");
        return;
    }
    let mut site = Site::start_with("  drain: 5m\n", "");
    let main = site.main();
    let _stream = open_stream(&site, ENDLESS);
    signal(main, "INT");
    wait_gone(&mut site, main);
}

#[test]
fn an_upgraded_process_that_drains_hears_signals_too() {
    let mut site = Site::start_with("  drain: 5m\n", "");
    let first = site.main();
    let _stream = open_stream(&site, ENDLESS);
    let second = site.upgrade();
    assert!(site.driver.processes().contains(&first));
    for name in ["HUP", "QUIT"] {
        signal(first, name);
    }
    assert_eq!(site.chat().status, 200);
    assert!(site.driver.processes().contains(&first));
    // The first one shortens the drain, the second ends it.
    signal(first, "TERM");
    wait::until("the signal to be heard", || {
        let notes = site.driver.notes();
        notes.contains("SIGTERM while draining").then_some(())
    });
    signal(first, "TERM");
    wait_gone(&mut site, first);
    assert_eq!(site.main(), second);
    assert_eq!(site.ready(), Some(200));
}
