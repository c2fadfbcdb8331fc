//! The load itself: what a user would notice, it notices.

use crate::driver::{is_systemd, signal};
use crate::load::tally::{Fate, Phase, Report};
use crate::load::{Mix, ledger};
use crate::site::Site;
use crate::support::wait;
use std::time::Duration;

#[test]
fn a_quiet_time_is_told_as_one() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let every_kind = || {
        let report = load.so_far();
        let well = report.kinds.values().all(|counts| counts.ok > 2);
        (well || report.failed() > 0).then_some(())
    };
    wait::within(Duration::from_secs(60), every_kind);
    let report = load.stop();
    assert!(
        report.kinds.values().all(|counts| counts.ok > 2),
        "{report}"
    );
    site.check_unnoticed(&report);
    // What the provider was asked: everything once, and once by the load itself for each template.
    assert_eq!(site.mock.count("requests"), report.ok() + 2);
}

#[test]
fn the_log_is_reopened_while_nobody_notices() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let main = site.process();
    for _ in 0..200 {
        signal(main, "HUP");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let report = load.stop();
    site.check_unnoticed(&report);
}

#[test]
fn a_restart_is_noticed() {
    if is_systemd() {
        println!("skipped: systemd would start another one at once");
        return;
    }
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    wait::until("some traffic", || (load.so_far().ok() > 200).then_some(()));
    let main = site.process();
    signal(main, "TERM");
    wait::until("its end", || {
        (!site.driver.processes().contains(&main)).then_some(())
    });
    site.driver.start();
    site.wait_ready();
    let report = load.stop();
    assert!(report.refused() > 0, "{report}");
}

#[test]
fn a_killed_process_is_noticed_by_every_kind() {
    if is_systemd() {
        println!("skipped: systemd would start another one at once");
        return;
    }
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    wait::until("some traffic", || (load.so_far().ok() > 200).then_some(()));
    signal(site.process(), "KILL");
    let failed = || {
        let report = load.so_far();
        let all = report.kinds.values().all(|counts| counts.failed > 0);
        all.then_some(())
    };
    assert!(
        wait::within(Duration::from_secs(60), failed).is_some(),
        "{}",
        load.so_far()
    );
    let report = load.stop();
    let cut = |failure: &&crate::load::tally::Failure| failure.trouble.phase == Phase::Body;
    assert!(
        report.failures.iter().any(|failure| cut(&failure)),
        "{report}"
    );
}

#[test]
fn a_log_is_checked_line_by_line() {
    let mut report = Report::default();
    let fates = [("a", Fate::Ok), ("b", Fate::Ok), ("c", Fate::Failed)];
    for (event, fate) in fates {
        report.fates.insert(event.to_owned(), fate);
    }
    let line = |event: &str, end: &str| {
        format!("{{\"event_id\":\"{event}\",\"end\":\"{end}\",\"success\":true}}\n")
    };
    let (a, b, c) = (
        line("a", "complete"),
        line("b", "complete"),
        line("c", "error"),
    );
    let check = |log: String, faults: &[&str]| {
        let found = ledger::faults(&log, &report);
        assert_eq!(found.len(), faults.len(), "{found:?}");
        for (found, fault) in found.iter().zip(faults) {
            assert!(found.contains(fault), "{found:?}");
        }
    };
    check(format!("{a}{b}"), &[]);
    check(format!("{b}{c}{a}"), &[]);
    check(a.clone(), &["b has 0 lines"]);
    check(format!("{a}{b}{a}"), &["a has 2 lines"]);
    check(format!("{a}{b}{c}{c}"), &["c, failed, has 2 lines"]);
    check(
        format!("{a}{}", line("b", "upstream_cut")),
        &["b is not complete"],
    );
    check(
        format!("{a}{b}{}", line("d", "complete")),
        &["nobody sent this"],
    );
    check(format!("{a}{b}{}", c.trim_end()), &["no end"]);
    check(format!("{a}{{\"event{b}"), &["b has 0 lines", "no line"]);
}
