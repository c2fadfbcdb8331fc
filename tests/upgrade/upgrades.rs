//! One process after another takes over, and nobody notices.

use crate::driver::{put, setting, signal};
use crate::load::Mix;
use crate::site::Site;
use crate::support::wait;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many upgrades in a row.
const UPGRADES: &str = "TOLLGATE_UPGRADES";
/// Between two of them, so that the latter one finds something to interrupt.
const PAUSE: Duration = Duration::from_millis(500);

#[test]
fn upgrade_after_upgrade_goes_unnoticed() {
    let mut site = Site::start("");
    let count = setting(UPGRADES, 12);
    let files = site.open_files();
    let mix = match count {
        0..20 => Mix::light(),
        _ => Mix::long(),
    };
    let load = site.load(&mix);
    let mut mains = vec![site.main()];
    for number in 0..count {
        std::thread::park_timeout(PAUSE);
        let former = mains[number];
        let main = if number % 3 == 1 {
            signal(former, "QUIT");
            site.wait_main(former)
        } else {
            site.upgrade()
        };
        mains.push(main);
        let failed = load.so_far().failed();
        assert_eq!(failed, 0, "upgrade {number}: {}", load.so_far());
    }
    let report = load.stop();
    println!("{report}");
    site.check_unnoticed(&report);
    // The provider was asked once for each, and by the load itself for two samples.
    assert_eq!(site.mock.count("requests"), report.ok() + 2);
    // Nothing piles up from process to process.
    site.upgrade();
    site.wait_processes(1);
    let left = site.open_files();
    assert!(left <= files + 3, "{files} open files have become {left}");
    // Numbers of processes come again in time.
    assert!(mains.windows(2).all(|pair| pair[0] != pair[1]), "{mains:?}");
    site.check_not_restarted();
}

/// Another file with the same program: a byte more at its end changes nothing for an ELF.
fn rebuilt(binary: &Path) -> PathBuf {
    let path = binary.with_extension("rebuilt");
    fs::copy(binary, &path).unwrap();
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(b"\n").unwrap();
    path
}

fn running_bytes(process: u32) -> u64 {
    fs::metadata(format!("/proc/{process}/exe")).unwrap().size()
}

#[test]
fn another_binary_is_taken_by_a_reload_and_the_former_one_again() {
    let mut site = Site::start("");
    let binary = site.driver.binary();
    let (kept, other) = (binary.with_extension("kept"), rebuilt(&binary));
    fs::copy(&binary, &kept).unwrap();
    let load = site.load(&Mix::short());
    let first = site.main();
    let bytes = running_bytes(first);
    site.reload();
    assert_eq!(site.main(), first, "the same binary needs no other process");
    put(&other, &binary);
    site.reload();
    let second = site.wait_main(first);
    assert_eq!(running_bytes(second), bytes + 1);
    // The way back: an older binary is one like any other.
    put(&kept, &binary);
    site.reload();
    let third = site.wait_main(second);
    assert_eq!(running_bytes(third), bytes);
    let report = load.stop();
    site.check_unnoticed(&report);
    for path in [kept, other] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn two_who_order_an_upgrade_at_once_both_get_one() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let first = site.main();
    let orders: Vec<_> = (0..2).map(|_| site.driver.order("upgrade")).collect();
    for order in orders {
        let said = crate::driver::Said::of(&order.wait_with_output().unwrap());
        site.check_done(&said);
    }
    let main = site.wait_main(first);
    wait::until("one process to serve", || {
        (site.main() == main).then_some(())
    });
    let report = load.stop();
    site.check_unnoticed(&report);
}

#[test]
fn a_successor_that_is_itself_told_to_upgrade_at_once_obeys() {
    let mut site = Site::start("");
    let load = site.load(&Mix::short());
    let mut main = site.main();
    // Each is told the moment that it is known.
    for _ in 0..4 {
        signal(main, "QUIT");
        main = site.wait_main(main);
    }
    let report = load.stop();
    site.check_unnoticed(&report);
}
