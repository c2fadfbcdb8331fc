//! Successors that do not come about: the old process serves on, and says why.

use crate::driver::{put, signal};
use crate::load::Mix;
use crate::site::Site;
use crate::support::{process, wait};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A file that can be executed, or so it seems.
fn executable(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Waits until a signal's upgrade has failed; whoever orders one before that gets this one's answer.
fn wait_told(site: &mut Site) {
    let told = wait::within(wait::LONG, || {
        let notes = site.driver.notes();
        let mut failed = notes
            .lines()
            .filter(|line| line.contains("not upgraded, serving on"));
        let last = failed.next_back()?;
        last.contains("SIGQUIT").then_some(())
    });
    assert!(told.is_some(), "{}", site.driver.notes());
}

/// Tries to upgrade to `bytes` while the load runs; it must fail and name `why`.
fn check_bad(cases: &[(&str, Vec<u8>, &str)]) {
    let mut site = Site::start("");
    let binary = site.driver.binary();
    let (kept, bad) = (binary.with_extension("kept"), binary.with_extension("bad"));
    fs::copy(&binary, &kept).unwrap();
    let load = site.load(&Mix::short());
    let main = site.main();
    for (what, bytes, why) in cases {
        executable(&bad, bytes);
        put(&bad, &binary);
        let said = site.driver.upgrade();
        assert_eq!(said.code, Some(1), "{what}: {said:?}");
        assert!(said.stderr.contains(why), "{what}: {}", said.stderr);
        assert_eq!(
            said.stderr.trim_end().lines().count(),
            1,
            "{what}: {}",
            said.stderr
        );
        // The same without anybody who waits for it, where it does not take so long.
        if !why.contains("within") {
            signal(main, "QUIT");
            wait_told(&mut site);
        }
        assert_eq!(site.chat().status, 200, "{what}");
        assert_eq!(site.driver.main(), Some(main), "{what}");
        assert_eq!(load.so_far().failed(), 0, "{what}: {}", load.so_far());
    }
    put(&kept, &binary);
    site.upgrade();
    let report = load.stop();
    report.check_unnoticed();
    site.wait_processes(1);
    site.check_not_restarted();
    for path in [kept, bad] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_file_that_is_no_program_is_no_successor() {
    let mut foreign = fs::read(process::binary()).unwrap();
    foreign.truncate(64 << 10);
    // The machine's number, in the head of an ELF: one that nobody has.
    foreign[18..20].copy_from_slice(&[0xfe, 0xca]);
    check_bad(&[
        (
            "garbage",
            b"\x00\x01\x02 no program".to_vec(),
            "cannot be executed",
        ),
        ("another machine's", foreign, "cannot be executed"),
        ("empty", Vec::new(), "cannot be executed"),
    ]);
}

#[test]
fn a_program_that_ends_at_once_is_no_successor() {
    check_bad(&[
        (
            "fails",
            b"#!/bin/sh\nexit 3\n".to_vec(),
            "ended before it took over",
        ),
        (
            "succeeds",
            b"#!/bin/sh\nexit 0\n".to_vec(),
            "ended before it took over",
        ),
        (
            "killed",
            b"#!/bin/sh\nkill -9 $$\n".to_vec(),
            "ended before it took over",
        ),
        (
            "speaks of other things",
            b"#!/bin/sh\necho hello >&0\n".to_vec(),
            "hello",
        ),
    ]);
}

#[test]
fn a_program_that_does_nothing_is_no_successor() {
    let script = b"#!/bin/sh\nexec sleep 120\n".to_vec();
    check_bad(&[("hangs", script, "not ready within")]);
}

/// A program that speaks like a successor up to a step, and then does `end`.
fn up_to(step: &str, end: &str) -> Vec<u8> {
    let script = r#"#!/bin/sh
# The launcher's part: start the other one and leave.
if [ "$1" = launch ]; then
    exec 3<&0
    "$0" run <&3 &
    exit 0
fi
at() { [ "$1" != STEP ] || END; }
at start
echo "tollgate handover 1 $$ 9.9.9" >&0
at greeted
read -r word length files
head -c "$length" >/dev/null
head -c 1 >/dev/null
at given
echo ready >&0
at ready
read -r word length
at told
head -c "$length" >/dev/null
echo serving >&0
at serving
read -r word
at main
"#;
    script
        .replace("STEP", step)
        .replace("END", end)
        .into_bytes()
}

#[test]
fn a_successor_that_dies_at_any_step_leaves_the_old_one_serving() {
    let steps = ["start", "greeted", "given", "ready", "told"];
    let why = "ended before it took over";
    let mut cases = Vec::from(steps.map(|step| (step, up_to(step, "kill -9 $$"), why)));
    // There it is the main process by then: systemd starts the program anew, which is the bad one.
    if !crate::driver::is_systemd() {
        cases.push(("main", up_to("main", "kill -9 $$"), why));
    }
    // Before or after it was watched for a moment, as the machine has time.
    let why = "the successor ended";
    cases.push(("serving", up_to("serving", "kill -9 $$"), why));
    check_bad(&cases);
}

#[test]
fn a_successor_that_hangs_after_it_was_told_to_serve_leaves_the_old_one_serving() {
    let why = "did not serve within 10 s";
    check_bad(&[("told", up_to("told", "exec sleep 60"), why)]);
}

#[test]
fn a_successor_that_is_killed_while_it_starts_leaves_the_old_one_serving() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let first = site.main();
    let mut killed = 0;
    for delay in [0, 5, 20, 80, 160, 320] {
        let mut order = site.driver.order("upgrade");
        let successor = wait::within(Duration::from_secs(20), || {
            let processes = site.driver.processes();
            processes.into_iter().find(|process| *process != first)
        });
        let Some(successor) = successor else {
            panic!("no successor: {}", site.driver.notes());
        };
        let until = Instant::now() + Duration::from_millis(delay);
        while Instant::now() < until && order.try_wait().unwrap().is_none() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if order.try_wait().unwrap().is_some() {
            // It was faster: it is not killed, for it serves.
            break;
        }
        crate::driver::try_signal(successor, "KILL");
        let said = crate::driver::Said::of(&order.wait_with_output().unwrap());
        // One that served already took with it what it was doing.
        if said.code == Some(0) || said.stderr.contains("as soon as it served") {
            println!("killed {killed} times before it served, and then once after");
            return;
        }
        killed += 1;
        assert_eq!(said.code, Some(1), "after {delay} ms: {said:?}");
        assert_eq!(site.driver.main(), Some(first), "after {delay} ms");
        assert_eq!(
            load.so_far().failed(),
            0,
            "after {delay} ms: {}",
            load.so_far()
        );
    }
    println!("{killed} were killed");
    let report = load.stop();
    site.check_unnoticed(&report);
}

#[test]
fn an_old_process_that_is_killed_in_the_middle_leaves_no_half_a_successor() {
    for delay in [0, 50, 200, 600] {
        let mut site = Site::start("");
        let first = site.main();
        let order = site.driver.order("upgrade");
        let successor = wait::within(Duration::from_secs(20), || {
            let processes = site.driver.processes();
            processes.into_iter().find(|process| *process != first)
        });
        assert!(successor.is_some(), "{}", site.driver.notes());
        std::thread::park_timeout(Duration::from_millis(delay));
        crate::driver::try_signal(first, "KILL");
        order.wait_with_output().unwrap();
        // Either it serves, or it has ended: systemd starts another one then.
        let settled = wait::within(Duration::from_secs(60), || {
            let left = site.driver.processes();
            (left.is_empty() || site.ready() == Some(200)).then_some(left)
        });
        let left = settled.unwrap_or_else(|| panic!("{}", site.driver.notes()));
        if crate::driver::is_systemd() {
            site.wait_ready();
        }
        println!("killed after {delay} ms: {} left", left.len());
    }
}
