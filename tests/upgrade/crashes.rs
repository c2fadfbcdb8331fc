//! What nobody planned: a killed main process, a disk without room.

use crate::driver::{is_systemd, signal};
use crate::load::Mix;
use crate::site::Site;
use crate::support::wait;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn no_connection_is_refused_while_systemd_starts_a_killed_process_anew() {
    if !is_systemd() {
        println!("skipped: nobody starts a plain process anew");
        return;
    }
    let mut site = Site::start("");
    let load = site.load(&Mix::light());
    for _ in 0..3 {
        let sent = load.so_far().ok();
        wait::until("traffic", || {
            (load.so_far().ok() > sent + 200).then_some(())
        });
        let main = site.main();
        signal(main, "KILL");
        site.wait_main(main);
        site.wait_ready();
    }
    let report = load.stop();
    println!("{report}");
    assert_eq!(report.refused(), 0, "{report}");
    // Only what ran in the killed ones was lost.
    assert!(
        report.failed() > 0 && report.failed() < report.ok(),
        "{report}"
    );
    assert_eq!(site.chat().status, 200);
    site.upgrade();
    site.wait_processes(1);
}

/// A small file system that is gone with this.
struct Disk(PathBuf);

impl Disk {
    /// `None` where it takes more rights than there are.
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(path)
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        mounted.then(|| Self(path.to_owned()))
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let path = self.0.join("ballast");
        let mut size = 256 << 10;
        while size > 0 {
            let former = fs::read(&path).unwrap_or_default();
            if fs::write(&path, vec![0; former.len() + size]).is_err() {
                size /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
        fs::remove_dir(&self.0).ok();
    }
}

#[test]
fn a_full_disk_costs_lines_and_no_requests() {
    if is_systemd() {
        println!("skipped: a unit's file systems are its own");
        return;
    }
    let place = std::env::temp_dir().join(format!("tollgate-full-{}", std::process::id()));
    let Some(disk) = Disk::mount(&place) else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let path = place.display();
    let limits = "limits: [{name: day, requests: 1M, per: 1d}]";
    let rest = format!(
        "counters: {{folder: \"{path}/counters\"}}\n\
         cache: {{directory: \"{path}/cache\"}}\n\
         gateways: {{default: {{{limits}, cache: {{ttl: 1h}}}}}}\n"
    );
    let mut site = Site::start(&rest);
    let log = place.join("requests.ndjson");
    let former = site.driver.state().join("requests.ndjson");
    let text = site
        .text
        .replace(&former.display().to_string(), &log.display().to_string());
    site.configure(&text);
    site.upgrade();
    disk.fill();
    let load = site.load(&Mix::short());
    for _ in 0..3 {
        site.upgrade();
        site.reload();
        assert_eq!(load.so_far().failed(), 0, "{}", load.so_far());
    }
    disk.empty();
    let had = fs::metadata(&log).map_or(0, |found| found.len());
    wait::until("lines in the log again", || {
        let now = fs::metadata(&log).map_or(0, |found| found.len());
        (now > had).then_some(())
    });
    disk.fill();
    site.upgrade();
    let report = load.stop();
    println!("{report}");
    report.check_unnoticed();
    site.wait_processes(1);
    // Whole lines, each once, but for one that the end of the disk may have cut.
    let text = fs::read_to_string(&log).unwrap();
    let mut seen = std::collections::HashSet::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
        let event = line["event_id"].as_str().unwrap().to_owned();
        assert!(report.fates.contains_key(&event), "{event}");
        assert!(seen.insert(event), "twice: {line}");
    }
}
