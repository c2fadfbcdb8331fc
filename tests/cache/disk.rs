//! Entries outlive the process, and no fault of the disk is ever served.

use crate::support::gateway::Gateway;
use crate::support::{Mock, Request, Setup, wait};
use crate::{chat, hits, is_hit};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory of its own, which is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollgate-cache-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn gateway(&self, mock: &Mock, memory: &str) -> Gateway {
        let path = self.0.display();
        let setup = Setup::new(mock).server("admin_token: operators-token");
        setup
            .config(&format!(
                "cache: {{memory: {memory}, directory: \"{path}\", disk: 64MiB}}"
            ))
            .config("gateways: {default: {cache: {ttl: 1h}}}")
            .start()
    }

    /// The entries' files, once there are so many.
    fn files(&self, count: usize) -> Vec<PathBuf> {
        wait::until("the files", || {
            let files = self.found();
            (files.len() == count).then_some(files)
        })
    }

    fn found(&self) -> Vec<PathBuf> {
        let list = |path: &Path| {
            let entries = fs::read_dir(path).into_iter().flatten();
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect::<Vec<_>>()
        };
        let folders = list(&self.0).into_iter().flat_map(|path| list(&path));
        folders.flat_map(|path| list(&path)).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn named(name: &str) -> Request {
    chat().field("cf-aig-cache-key", name)
}

#[test]
fn a_new_process_finds_what_an_old_one_kept() {
    let (mock, directory) = (Mock::start(), Directory::new());
    let large = || named("large").mock("size=3000000");
    let (small, big) = {
        let gateway = directory.gateway(&mock, "8MiB");
        let answers = (gateway.send(&chat()), gateway.send(&large()));
        directory.files(2);
        answers
    };
    let gateway = directory.gateway(&mock, "8MiB");
    let hit = gateway.send(&chat());
    assert!(is_hit(&hit));
    assert_eq!(hit.body, small.body);
    assert_eq!(gateway.send(&large()).body, big.body);
    assert_eq!(mock.count("requests"), 2);
    let line = gateway.log(2).remove(0);
    assert!(line["saved"].as_f64().unwrap() > 0.0, "{line}");
    let metrics = gateway.metrics();
    assert!((metrics["tollgate_cache_entries{tier=\"disk\"}"] - 2.0).abs() < f64::EPSILON);
}

#[test]
fn without_memory_the_disk_serves_alone() {
    let (mock, directory) = (Mock::start(), Directory::new());
    let gateway = directory.gateway(&mock, "0");
    assert_eq!(hits(&gateway, [chat()]), [false]);
    directory.files(1);
    assert_eq!(hits(&gateway, [chat(), chat()]), [true, true]);
    assert_eq!(mock.count("requests"), 1);
}

#[test]
fn a_damaged_file_is_a_miss_and_is_removed() {
    let (mock, directory) = (Mock::start(), Directory::new());
    let gateway = directory.gateway(&mock, "0");
    let whole = gateway.send(&chat());
    let file = directory.files(1).remove(0);
    let sound = fs::read(&file).unwrap();
    let mut asked = 1;
    for at in (0..sound.len()).step_by(sound.len() / 60) {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&file, damaged).unwrap();
        let answer = gateway.send(&chat());
        assert!(!is_hit(&answer), "a flipped bit at {at}");
        assert_eq!(answer.body.len(), whole.body.len());
        asked += 1;
        // The new answer has taken its place.
        wait::until("the new file", || {
            fs::read(&file)
                .is_ok_and(|bytes| bytes.len() == sound.len())
                .then_some(())
        });
    }
    for length in [0, 1, 100, sound.len() - 1] {
        fs::write(&file, &sound[..length]).unwrap();
        assert!(!is_hit(&gateway.send(&chat())), "cut to {length}");
        asked += 1;
        wait::until("the new file", || {
            fs::read(&file)
                .is_ok_and(|bytes| bytes.len() == sound.len())
                .then_some(())
        });
    }
    fs::write(&file, [sound.clone(), vec![0; 100]].concat()).unwrap();
    assert!(!is_hit(&gateway.send(&chat())), "longer than it was");
    assert_eq!(mock.count("requests"), asked + 1);
}

#[test]
fn a_directory_may_vanish_under_it() {
    let (mock, directory) = (Mock::start(), Directory::new());
    let gateway = directory.gateway(&mock, "8MiB");
    assert_eq!(hits(&gateway, [named("a")]), [false]);
    directory.files(1);
    fs::remove_dir_all(&directory.0).unwrap();
    assert_eq!(
        hits(&gateway, [named("a"), named("b"), named("b")]),
        [true, false, true]
    );
    directory.files(1);
    assert!((gateway.metric("tollgate_cache_disk_failing")).abs() < f64::EPSILON);
}

#[test]
fn a_disk_that_cannot_be_written_is_told_once_and_memory_serves_on() {
    let (mock, directory) = (Mock::start(), Directory::new());
    fs::write(&directory.0, "a file where the directory should be").unwrap();
    let gateway = directory.gateway(&mock, "8MiB");
    for number in 0..5 {
        let name = number.to_string();
        assert_eq!(hits(&gateway, [named(&name), named(&name)]), [false, true]);
    }
    let said = gateway.process.stderr();
    assert_eq!(said.matches("cannot be used").count(), 1, "{said}");
    assert!((gateway.metric("tollgate_cache_disk_failing") - 1.0).abs() < f64::EPSILON);
    assert!(gateway.metric("tollgate_cache_disk_errors_total") >= 1.0);
    fs::remove_file(&directory.0).unwrap();
}

#[test]
fn a_process_that_is_killed_while_it_writes_leaves_nothing_wrong() {
    let (mock, directory) = (Mock::start(), Directory::new());
    let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let of = |name: &str| named(name).mock("size=400000");
    let expected = gateway_free_body(&mock, &of("x"));
    for round in 0..6 {
        let gateway = directory.gateway(&mock, "1MiB");
        let mut client = gateway.connect();
        for name in &names[..10 + round] {
            client.send(&of(name).bytes());
            assert_eq!(client.read_answer(false).body.len(), expected);
        }
        gateway.process.signal("KILL");
    }
    let gateway = directory.gateway(&mock, "1MiB");
    for name in &names {
        let answer = gateway.send(&of(name));
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, expected),
            "{name}"
        );
        assert!(answer.json().is_object());
    }
}

fn gateway_free_body(mock: &Mock, request: &Request) -> usize {
    let mut client = crate::support::client::Client::connect(mock.address);
    let direct = Request::json("/v1/chat/completions", crate::support::CHAT).mock("size=400000");
    let _ = request;
    client.send(&direct.bytes());
    client.read_answer(false).body.len()
}

#[test]
fn two_processes_share_one_directory_and_its_purges() {
    let (mock, directory) = (Mock::start(), Directory::new());
    let (old, new) = (
        directory.gateway(&mock, "8MiB"),
        directory.gateway(&mock, "8MiB"),
    );
    for number in 0..30 {
        let name = number.to_string();
        let (one, other) = if number % 2 == 0 {
            (&old, &new)
        } else {
            (&new, &old)
        };
        assert_eq!(hits(one, [named(&name)]), [false]);
        directory.files(number + 1);
        assert_eq!(hits(other, [named(&name)]), [true], "{number}");
    }
    assert_eq!(mock.count("requests"), 30);
    assert_eq!(crate::purge::purge(&new, "?all").status, 200);
    assert_eq!(hits(&new, [named("0")]), [false]);
    // The other process learns of it within a second or so.
    wait::until("the purge", || {
        (!is_hit(&old.send(&named("1")))).then_some(())
    });
    drop((old, new));
    let third = directory.gateway(&mock, "8MiB");
    assert_eq!(
        hits(&third, [named("2")]),
        [false],
        "a purge outlives the process"
    );
}

/// A file system of 2 MiB, while this lives; `None` where nobody may mount one.
struct Small(Directory);

impl Small {
    fn mount() -> Option<Self> {
        let directory = Directory::new();
        fs::create_dir_all(&directory.0).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(&directory.0)
            .output();
        mount
            .is_ok_and(|output| output.status.success())
            .then_some(Self(directory))
    }

    fn remount(&self, how: &str) {
        let mount = Command::new("mount")
            .args(["-o", how])
            .arg(&self.0.0)
            .status();
        assert!(mount.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0.0).status();
    }
}

#[test]
fn a_full_or_read_only_disk_is_told_once_and_memory_serves_on() {
    let Some(small) = Small::mount() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let mock = Mock::start();
    let gateway = small.0.gateway(&mock, "8MiB");
    let of = |number: usize| named(&number.to_string()).mock("size=300000");
    for number in 0..20 {
        assert_eq!(hits(&gateway, [of(number), of(number)]), [false, true]);
    }
    let is_failing = || gateway.metric("tollgate_cache_disk_failing") > 0.5;
    wait::until("the full disk", || is_failing().then_some(()));
    small.remount("remount,ro");
    for number in 20..30 {
        assert_eq!(hits(&gateway, [of(number), of(number)]), [false, true]);
    }
    let said = gateway.process.stderr();
    assert_eq!(said.matches("cannot be used").count(), 1, "{said}");
    // What was whole on it is still served by a new process, which cannot write at all.
    let another = small.0.gateway(&mock, "8MiB");
    let served = (0..20).filter(|number| is_hit(&another.send(&of(*number))));
    assert!(served.count() >= 3);
    assert!(another.metric("tollgate_cache_disk_failing") > 0.5);
}
