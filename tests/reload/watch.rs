//! A change of the files is enough, where the configuration says so.

use super::support::{CHAT, Mock, Request, wait};
use super::*;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

/// Longer than files are left alone before they are looked at.
const QUIET: Duration = Duration::from_millis(1500);

fn watching(mock: &Mock) -> Gateway {
    setup(mock).server("watch: true").start()
}

fn knows_team(gateway: &Gateway) -> bool {
    let team = Request::json("/v1/acc/team/openai/chat/completions", CHAT);
    gateway.send(&team).status == 200
}

#[test]
fn a_file_that_is_written_or_replaced_is_read() {
    let mock = Mock::start();
    let gateway = watching(&mock);
    let text = config(&gateway);
    append(&gateway, "gateways: {team: {}}\n");
    wait_for_generation(&gateway, 2.0);
    assert!(knows_team(&gateway));
    // As editors do it: another file takes its name.
    let fresh = gateway.process.scratch.join("fresh.yaml");
    fs::write(&fresh, &text).unwrap();
    fs::rename(&fresh, config_path(&gateway)).unwrap();
    wait_for_generation(&gateway, 3.0);
    assert!(!knows_team(&gateway));
    // The same text again, and files that are none of its business, are no change.
    fs::write(config_path(&gateway), &text).unwrap();
    fs::write(gateway.process.scratch.join("other.yaml"), "x").unwrap();
    thread::park_timeout(QUIET);
    assert_eq!(generation(&gateway), 3.0);
    // The folder is watched on after all that.
    append(&gateway, "gateways: {team: {}}\n");
    wait_for_generation(&gateway, 4.0);
}

#[test]
fn a_file_that_is_half_written_is_left_alone() {
    let mock = Mock::start();
    let gateway = watching(&mock);
    let text = config(&gateway) + "gateways: {team: {}}\n";
    // Cut where what is there is a good configuration, with one provider less.
    let half = text.find("  custom-echo:").unwrap();
    let mut file = File::create(config_path(&gateway)).unwrap();
    file.write_all(&text.as_bytes()[..half]).unwrap();
    file.flush().unwrap();
    thread::park_timeout(QUIET);
    assert_eq!(generation(&gateway), 1.0);
    assert_eq!(gateway.metric("tollgate_config_reload_success"), 1.0);
    file.write_all(&text.as_bytes()[half..]).unwrap();
    drop(file);
    wait_for_generation(&gateway, 2.0);
    assert!(knows_team(&gateway));
    assert_eq!(generation(&gateway), 2.0);
}

#[test]
fn a_bad_file_is_told_of_and_a_good_one_read_again() {
    let mock = Mock::start();
    let gateway = watching(&mock);
    append(&gateway, "bogus: 1\n");
    wait::until("the fault to be told", || {
        (gateway.metric("tollgate_config_reload_success") == 0.0).then_some(())
    });
    wait::until("the fault in the notes", || {
        gateway.process.stderr().contains("bogus").then_some(())
    });
    change(&gateway, "bogus: 1\n", "gateways: {team: {}}\n");
    wait_for_generation(&gateway, 2.0);
    assert!(knows_team(&gateway));
    assert_eq!(gateway.metric("tollgate_config_reload_success"), 1.0);
}

#[test]
fn files_that_it_names_are_watched_and_so_are_links_to_them() {
    let mock = Mock::start();
    let gateway = watching(&mock);
    let scratch = &gateway.process.scratch;
    // As Kubernetes mounts secrets: a link to a folder, which is replaced by a rename.
    for (folder, key) in [("one", "zq-one"), ("two", "zq-two")] {
        fs::create_dir_all(scratch.join("mount").join(folder)).unwrap();
        fs::write(scratch.join("mount").join(folder).join("key"), key).unwrap();
    }
    let mount = scratch.join("mount");
    symlink("one", mount.join("data")).unwrap();
    symlink("data/key", mount.join("key")).unwrap();
    let from = "  custom-echo: {";
    let to = format!(
        "{from}keys: [\"${{file:{}}}\"], ",
        mount.join("key").display()
    );
    change(&gateway, from, &to);
    wait_for_generation(&gateway, 2.0);
    assert_eq!(key_seen(&gateway), "Bearer zq-one");
    symlink("two", mount.join("data.new")).unwrap();
    fs::rename(mount.join("data.new"), mount.join("data")).unwrap();
    wait_for_generation(&gateway, 3.0);
    assert_eq!(key_seen(&gateway), "Bearer zq-two");
}

#[test]
fn a_file_at_the_end_of_a_link_is_watched() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    let elsewhere = gateway.process.scratch.join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    let end = elsewhere.join("tollgate.yaml");
    fs::rename(config_path(&gateway), &end).unwrap();
    symlink(&end, config_path(&gateway)).unwrap();
    change(&gateway, "  threads: 1\n", "  threads: 1\n  watch: true\n");
    reload_well(&gateway);
    let text = config(&gateway) + "gateways: {team: {}}\n";
    fs::write(&end, text).unwrap();
    wait_for_generation(&gateway, 3.0);
    assert!(knows_team(&gateway));
}

#[test]
fn watching_begins_and_ends_with_the_configuration() {
    let mock = Mock::start();
    let gateway = setup(&mock).start();
    append(&gateway, "gateways: {team: {}}\n");
    thread::park_timeout(QUIET);
    assert_eq!(generation(&gateway), 1.0);
    change(&gateway, "  threads: 1\n", "  threads: 1\n  watch: true\n");
    reload_well(&gateway);
    assert!(knows_team(&gateway));
    change(&gateway, "gateways: {team: {}}\n", "");
    wait_for_generation(&gateway, 3.0);
    assert!(!knows_team(&gateway));
    change(&gateway, "watch: true", "watch: false");
    wait_for_generation(&gateway, 4.0);
    append(&gateway, "gateways: {team: {}}\n");
    thread::park_timeout(QUIET);
    assert_eq!(generation(&gateway), 4.0);
}
