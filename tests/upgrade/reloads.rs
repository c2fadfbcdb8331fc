//! The configuration is read again, in place or, where that is not enough, by another process.

use crate::driver::{setting, signal};
use crate::load::Mix;
use crate::site::Site;
use crate::support::client::Client;
use crate::support::process::free_address;
use crate::support::{CHAT, CHAT_PATH, Request, wait};
use std::net::TcpListener;
use std::time::Duration;

/// How many times the configuration is read again.
const RELOADS: &str = "TOLLGATE_RELOADS";
/// Between two signals.
const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn reload_after_reload_goes_unnoticed() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let main = site.main();
    for _ in 0..setting(RELOADS, 200) {
        signal(main, "HUP");
        std::thread::park_timeout(PAUSE);
    }
    for _ in 0..10 {
        site.reload();
    }
    let report = load.stop();
    assert_eq!(site.main(), main);
    site.check_unnoticed(&report);
    assert_eq!(site.metric("tollgate_config_reload_success"), 1.0);
    site.check_not_restarted();
}

#[test]
fn reloads_and_upgrades_do_not_get_into_each_others_way() {
    let mut site = Site::start("");
    let load = site.load(&Mix::light());
    for number in 0..6 {
        let main = site.main();
        let generations = site.driver.processes();
        match number % 3 {
            0 => signal(main, "QUIT"),
            _ => {
                let order = site.driver.order("upgrade");
                drop(std::thread::spawn(move || order.wait_with_output()));
            }
        }
        // All hear it, the draining ones too; none may end by it.
        while site.driver.main().is_none_or(|now| now == main) {
            for process in &generations {
                crate::driver::try_signal(*process, "HUP");
            }
            std::thread::park_timeout(PAUSE);
        }
        site.reload();
    }
    let report = load.stop();
    site.check_unnoticed(&report);
}

#[test]
fn a_change_holds_for_the_next_request() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let main = site.main();
    let closed =
        "gateways: {default: {}, closed: {auth: {required: true, tokens: [secret-token-1]}}}\n";
    let closed = site.text.clone() + closed;
    let request = Request::json("/v1/acc/closed/openai/chat/completions", CHAT);
    assert_eq!(site.ask(&request).status, 400);
    site.configure(&closed);
    site.reload();
    assert_eq!(site.ask(&request).status, 401);
    site.configure(&site.text);
    signal(main, "HUP");
    wait::until("the former configuration", || {
        (site.ask(&request).status == 400).then_some(())
    });
    assert_eq!(site.main(), main);
    let report = load.stop();
    report.check_unnoticed();
}

#[test]
fn a_bad_configuration_changes_nothing_and_says_why() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let main = site.main();
    site.configure(&site.text.replace("threads: 2", "threads: many"));
    let said = site.driver.reload();
    site.check_refused(&said, "threads");
    let said = site.driver.upgrade();
    site.check_refused(&said, "threads");
    signal(main, "HUP");
    wait::until("the signal to be heard", || {
        (site.metric("tollgate_config_reload_success") == 0.0).then_some(())
    });
    signal(main, "QUIT");
    wait::until("the reason in the notes", || {
        site.driver.notes().contains("many").then_some(())
    });
    assert_eq!(site.main(), main);
    assert_eq!(site.chat().status, 200);
    site.configure(&site.text);
    site.reload();
    assert_eq!(site.metric("tollgate_config_reload_success"), 1.0);
    let report = load.stop();
    report.check_unnoticed();
    site.wait_processes(1);
}

#[test]
fn a_listener_that_is_added_or_moved_is_there_after_a_reload() {
    let mut site = Site::start("");
    let load = site.load(&Mix::light());
    let (first, former) = (site.main(), site.admin);
    let (added, admin) = (free_address(), free_address());
    let text = { site.text.clone() }
        .replace(&former.to_string(), &admin.to_string())
        .replace("  listen:\n", &format!("  listen:\n    - \"{added}\"\n"));
    site.configure(&text);
    site.reload();
    let second = site.wait_main(first);
    let mut client = Client::connect(added);
    client.send(&Request::json(CHAT_PATH, CHAT).bytes());
    assert_eq!(client.read_answer(false).status, 200);
    drop(client);
    site.admin = admin;
    assert_eq!(site.ready(), Some(200));
    site.wait_refused(former);
    // And back.
    site.configure(&site.text);
    site.reload();
    site.wait_main(second);
    site.admin = former;
    assert_eq!(site.ready(), Some(200));
    site.wait_refused(added);
    site.wait_refused(admin);
    let report = load.stop();
    report.check_unnoticed();
    site.wait_processes(1);
    site.check_not_restarted();
}

#[test]
fn a_listener_on_a_taken_port_changes_nothing() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let main = site.main();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let added = format!("  listen:\n    - \"{address}\"\n");
    site.configure(&site.text.replace("  listen:\n", &added));
    let said = site.driver.reload();
    site.check_refused(&said, &address);
    assert_eq!(site.main(), main);
    drop(taken);
    // Once the port is free the same order succeeds.
    site.reload();
    site.wait_main(main);
    let report = load.stop();
    site.check_unnoticed(&report);
}
