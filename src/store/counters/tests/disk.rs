//! Counters on disk: restarts, two processes at once, damage, and a journal written anew.

use super::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const HOUR_MS: u64 = 3_600_000;
/// A change as it stands in the journal.
const FRAME_BYTES: usize = 55;

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollgate-counters-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn journal(&self) -> PathBuf {
        self.0.join("counters.journal")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A process's counters with a clock that stands, and one rule.
struct Process {
    counters: Arc<Counters>,
    rule: Rule,
}

impl Process {
    fn start(folder: &Path, technique: Technique) -> Self {
        let journal = super::super::journal::Journal::open(folder).unwrap();
        let counters = Counters::with(ROOMY, Some(journal), still_clock()).unwrap();
        counters.write_down(false).unwrap();
        let rule = budget(&counters, 1, terms(technique, HOUR_MS, 1_000));
        Self {
            counters: Arc::new(counters),
            rule,
        }
    }

    fn take(&self, id: u128, amount: u64) -> Result<Grant, Lack> {
        take(&self.counters, &self.rule, id, amount)
    }

    fn visit(&self) {
        self.counters.write_down(false).unwrap();
    }

    fn stands(&self, id: u128) -> (u64, u64) {
        stands(&self.counters, id).unwrap_or_default()
    }
}

const KEPT: [Technique; 3] = [Technique::Fixed, Technique::Sliding, Technique::Burst];

#[test]
fn what_was_used_comes_back_after_a_restart() {
    for technique in KEPT {
        let folder = Folder::new();
        let first = Process::start(&folder.0, technique);
        first
            .take(7, 50)
            .ok()
            .unwrap()
            .settle(first.counters.now(), 30);
        first
            .take(8, 50)
            .ok()
            .unwrap()
            .settle(first.counters.now(), 0);
        let held = first.take(7, 20).ok().unwrap();
        first.visit();
        drop(first);
        // As if killed: it gave nothing back.
        std::mem::forget(held);
        let second = Process::start(&folder.0, technique);
        assert_eq!(second.stands(7), (30, 0), "{technique:?}");
        assert_eq!(second.stands(8), (0, 0));
        let mut labels = Vec::new();
        second
            .counters
            .each(|counter| labels.push(counter.label.to_string()));
        assert!(labels.contains(&"key=7".to_owned()), "{labels:?}");
        second.take(7, 971).err().unwrap();
        second.take(7, 970).ok().unwrap();
    }
}

#[test]
fn a_window_that_is_over_does_not_come_back() {
    for technique in KEPT {
        let folder = Folder::new();
        let first = Process::start(&folder.0, technique);
        first
            .take(7, 1_000)
            .ok()
            .unwrap()
            .settle(first.counters.now(), 1_000);
        first.visit();
        drop(first);
        let journal = super::super::journal::Journal::open(&folder.0).unwrap();
        let counters = Counters::with(ROOMY, Some(journal), still_clock()).unwrap();
        advance(&counters, 2 * HOUR_MS);
        counters.write_down(false).unwrap();
        let rule = budget(&counters, 1, terms(technique, HOUR_MS, 1_000));
        assert!(take(&counters, &rule, 7, 1_000).is_ok(), "{technique:?}");
    }
}

#[test]
fn two_processes_share_what_is_used_and_what_is_held() {
    for technique in KEPT {
        let folder = Folder::new();
        let old = Process::start(&folder.0, technique);
        old.take(7, 100)
            .ok()
            .unwrap()
            .settle(old.counters.now(), 100);
        let held = old.take(7, 300).ok().unwrap();
        old.visit();
        let new = Process::start(&folder.0, technique);
        assert_eq!(new.stands(7), (100, 300), "{technique:?}");
        new.take(7, 50).ok().unwrap().settle(new.counters.now(), 50);
        new.visit();
        held.settle(old.counters.now(), 200);
        old.visit();
        assert_eq!(old.stands(7), (350, 0), "{technique:?}");
        new.visit();
        assert_eq!(new.stands(7), (350, 0), "{technique:?}");
        // A reset is everybody's.
        assert!(new.counters.reset(7));
        new.visit();
        old.visit();
        assert_eq!(old.stands(7), (0, 0), "{technique:?}");
    }
}

#[test]
fn what_the_dead_held_is_given_back() {
    let folder = Folder::new();
    let old = Process::start(&folder.0, Technique::Fixed);
    let held = old.take(7, 300).ok().unwrap();
    old.visit();
    let new = Process::start(&folder.0, Technique::Fixed);
    assert_eq!(new.stands(7), (0, 300));
    drop(old);
    std::mem::forget(held);
    new.visit();
    assert_eq!(new.stands(7), (0, 0));
}

#[test]
fn a_journal_written_anew_tells_the_same() {
    const KEYS: u128 = 40_000;
    let folder = Folder::new();
    let old = Process::start(&folder.0, Technique::Sliding);
    let new = Process::start(&folder.0, Technique::Sliding);
    let foreign = new.take(3, 5).ok().unwrap();
    new.visit();
    let own = old.take(4, 6).ok().unwrap();
    for round in 1..=4 {
        for id in 0..KEYS {
            old.take(id, round)
                .ok()
                .unwrap()
                .settle(old.counters.now(), round);
        }
        old.visit();
        // Something that only this one knows when the other writes anew.
        new.take(5, 1).ok().unwrap().settle(new.counters.now(), 1);
        new.visit();
    }
    let longest = KEYS as u64 * 4 * 70;
    let bytes = fs::metadata(folder.journal()).unwrap().len();
    assert!(bytes < longest, "{bytes}");
    old.visit();
    let late = Process::start(&folder.0, Technique::Sliding);
    for process in [&old, &new, &late] {
        assert_eq!(process.stands(9), (10, 0));
        assert_eq!(process.stands(3), (10, 5));
        assert_eq!(process.stands(4), (10, 6));
        assert_eq!(process.stands(5), (14, 0));
    }
    drop((foreign, own));
    [&old, &new, &late].into_iter().for_each(Process::visit);
    [&old, &new, &late].into_iter().for_each(Process::visit);
    assert_eq!(late.stands(3), (10, 0));
    assert_eq!(late.stands(4), (10, 0));
}

#[test]
fn damage_at_the_end_costs_no_more_than_the_end() {
    let folder = Folder::new();
    let first = Process::start(&folder.0, Technique::Fixed);
    first
        .take(7, 10)
        .ok()
        .unwrap()
        .settle(first.counters.now(), 10);
    first.visit();
    first
        .take(7, 10)
        .ok()
        .unwrap()
        .settle(first.counters.now(), 10);
    first.visit();
    drop(first);
    let whole = fs::read(folder.journal()).unwrap();
    for cut in 1..=FRAME_BYTES {
        fs::write(folder.journal(), &whole[..whole.len() - cut]).unwrap();
        let again = Process::start(&folder.0, Technique::Fixed);
        assert_eq!(again.stands(7), (10, 0), "{cut}");
        again
            .take(7, 5)
            .ok()
            .unwrap()
            .settle(again.counters.now(), 5);
        again.visit();
        drop(again);
        let again = Process::start(&folder.0, Technique::Fixed);
        assert_eq!(again.stands(7), (15, 0), "{cut}");
    }
    fs::write(folder.journal(), [&whole, &[0xAA; 300][..]].concat()).unwrap();
    assert_eq!(
        Process::start(&folder.0, Technique::Fixed).stands(7),
        (20, 0)
    );
}

#[test]
fn a_rule_that_comes_back_finds_its_counters() {
    let folder = Folder::new();
    let first = Process::start(&folder.0, Technique::Fixed);
    first
        .take(7, 10)
        .ok()
        .unwrap()
        .settle(first.counters.now(), 10);
    // The amount may change, and the rule is still the same.
    let counters = &first.counters;
    let rule = budget(counters, 1, terms(Technique::Fixed, HOUR_MS, 12));
    assert!(take(counters, &rule, 7, 3).is_err());
    assert!(take(counters, &rule, 7, 2).is_ok());
    first.visit();
    drop((rule, first));
    let journal = super::super::journal::Journal::open(&folder.0).unwrap();
    let counters = Counters::with(ROOMY, Some(journal), still_clock()).unwrap();
    // Before the rule is known, and after.
    counters.write_down(false).unwrap();
    assert_eq!(stands(&counters, 7), None);
    budget(&counters, 1, terms(Technique::Fixed, HOUR_MS, 12));
    assert_eq!(stands(&counters, 7), Some((10, 0)));
}

#[test]
fn ids_are_the_same_after_a_restart_and_differ_between_folders() {
    let (one, other) = (Folder::new(), Folder::new());
    let hash = |folder: &Folder| {
        let process = Process::start(&folder.0, Technique::Fixed);
        process.counters.hash(b"key")
    };
    assert_eq!(hash(&one), hash(&one));
    assert_ne!(hash(&one), hash(&other));
}

/// A process with a rule of another kind: what runs, or requests in a short window.
fn with_rate(folder: &Path, terms: Terms) -> Process {
    let Process { counters, .. } = Process::start(folder, Technique::Fixed);
    let rule = counters.rule(Identity(2), Kind::Rate, terms);
    Process { counters, rule }
}

#[test]
fn what_runs_in_one_process_counts_in_the_other() {
    let folder = Folder::new();
    let running = || with_rate(&folder.0, terms(Technique::Running, 1, 3));
    let old = running();
    let held: Vec<_> = (0..2).map(|_| old.take(7, 1).ok().unwrap()).collect();
    old.visit();
    let new = running();
    assert_eq!(new.stands(7), (0, 2));
    let third = new.take(7, 1).ok().unwrap();
    assert!(new.take(7, 1).is_err());
    new.visit();
    old.visit();
    assert!(old.take(7, 1).is_err());
    // One by one they end, in either process, and there is room in both.
    drop(held);
    old.visit();
    new.visit();
    assert_eq!(new.stands(7), (0, 1));
    drop(third);
    new.visit();
    old.visit();
    assert_eq!((old.stands(7), new.stands(7)), ((0, 0), (0, 0)));
    // What the dead ran, nobody runs.
    let held = old.take(7, 3).ok().unwrap();
    old.visit();
    new.visit();
    assert!(new.take(7, 1).is_err());
    drop(old);
    std::mem::forget(held);
    new.visit();
    assert!(new.take(7, 3).is_ok());
}

#[test]
fn short_windows_go_on_in_a_successor() {
    for technique in KEPT {
        let folder = Folder::new();
        let of = |millis| with_rate(&folder.0, terms(technique, millis, 10));
        let old = of(5_000);
        old.take(7, 8).ok().unwrap().settle(old.counters.now(), 8);
        old.counters.flush();
        let new = of(5_000);
        new.counters.catch_up();
        assert_eq!(new.stands(7), (8, 0), "{technique:?}");
        assert!(new.take(7, 3).is_err());
        assert!(new.take(7, 2).is_ok());
        // A window that is over before anybody else can know is nobody's business.
        let old = of(500);
        old.take(9, 8).ok().unwrap().settle(old.counters.now(), 8);
        old.counters.flush();
        assert_eq!(of(500).stands(9), (0, 0));
    }
}

#[test]
fn a_counter_that_one_process_dropped_is_known_again_when_another_uses_it() {
    for technique in KEPT {
        let folder = Folder::new();
        let start = || with_rate(&folder.0, terms(technique, 5_000, 10));
        let (one, two) = (start(), start());
        for _ in 0..3 {
            one.take(7, 4).ok().unwrap().settle(one.counters.now(), 4);
            one.visit();
            two.visit();
            assert_eq!(two.stands(7), (4, 0), "{technique:?}");
            for process in [&one, &two] {
                advance(&process.counters, 20_000);
            }
            let rates = &two.counters.rooms.rates;
            (0..256).for_each(|turn| rates.sweep(turn, two.counters.now()));
            assert_eq!(stands(&two.counters, 7), None);
        }
        // Even where the other one had not noticed that it stood empty.
        one.take(7, 4).ok().unwrap().settle(one.counters.now(), 4);
        one.visit();
        two.visit();
        advance(&two.counters, 20_000);
        let rates = &two.counters.rooms.rates;
        (0..256).for_each(|turn| rates.sweep(turn, two.counters.now()));
        set(&two.counters.clock, |now| *now = one.counters.now());
        one.take(7, 3).ok().unwrap().settle(one.counters.now(), 3);
        one.visit();
        two.visit();
        two.visit();
        assert_eq!(two.stands(7), (7, 0), "{technique:?}");
    }
}
