//! Tests of an answer on its way: who reads it when, and what becomes of one that is too long.

use super::*;
use crate::stage::cache::question;

fn fill(entry_bytes_max: usize, filling_bytes_max: u64) -> Fill {
    let bounds = Bounds {
        entry_bytes_max,
        filling_bytes_max,
        filling_bytes: AtomicU64::new(0),
    };
    let question = Arc::new(question::tests::sample());
    Fill::new(1, question, b"".to_vec(), Arc::new(bounds))
}

fn read(fill: &Fill, seat: usize) -> String {
    match fill.next(seat) {
        Next::Piece(piece) => String::from_utf8(piece.to_vec()).unwrap(),
        Next::Wait => "(wait)".to_owned(),
        Next::End => "(end)".to_owned(),
        Next::Broken => "(broken)".to_owned(),
    }
}

const KEEP: Verdict = Verdict {
    keep: true,
    cost: None,
};

#[test]
fn everybody_reads_the_same_whenever_they_come() {
    let fill = fill(100, 1000);
    let (leader, _) = fill.sit().unwrap();
    assert_eq!(fill.push(Bytes::from_static(b"one ")), Ok(true));
    assert_eq!(read(&fill, leader), "one ");
    assert_eq!(read(&fill, leader), "(wait)");
    assert_eq!(fill.push(Bytes::from_static(b"two ")), Ok(true));
    let (late, _) = fill.sit().unwrap();
    assert_eq!(read(&fill, late), "one two ");
    assert_eq!(read(&fill, leader), "two ");
    fill.judge(KEEP);
    let entry = fill.entry();
    assert_eq!(entry.as_ref().unwrap().body, "one two ");
    fill.end(true, entry);
    let (later, _) = fill.sit().unwrap();
    assert_eq!(read(&fill, later), "one two ");
    for seat in [leader, late, later] {
        assert_eq!(read(&fill, seat), "(end)");
    }
    assert!(matches!(fill.outcome(), Some(Some(_))));
}

#[test]
fn a_broken_answer_breaks_off_for_all_and_is_not_kept() {
    let fill = fill(100, 1000);
    let (leader, _) = fill.sit().unwrap();
    fill.push(Bytes::from_static(b"one")).unwrap();
    assert!(fill.entry().is_none(), "without a verdict nothing is kept");
    fill.end(false, None);
    assert_eq!(read(&fill, leader), "one");
    assert_eq!(read(&fill, leader), "(broken)");
    assert!(matches!(fill.outcome(), Some(None)));
}

#[test]
fn an_answer_that_is_too_long_is_passed_on_and_forgotten() {
    let fill = fill(5, 1000);
    let (leader, _) = fill.sit().unwrap();
    assert_eq!(fill.push(Bytes::from_static(b"1234")), Ok(true));
    assert_eq!(read(&fill, leader), "1234");
    assert_eq!(fill.push(Bytes::from_static(b"5678")), Ok(false));
    assert!(fill.sit().is_none(), "the beginning is gone");
    assert!(matches!(fill.outcome(), Some(None)), "nobody waits for it");
    assert_eq!(read(&fill, leader), "5678");
    fill.judge(KEEP);
    assert!(fill.entry().is_none());
    assert_eq!(fill.bounds.filling_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn answers_on_their_way_have_a_bound_together() {
    let one = fill(100, 10);
    let (_, _) = one.sit().unwrap();
    assert_eq!(one.push(Bytes::from_static(b"12345678")), Ok(true));
    let bounds = one.bounds.clone();
    let other = Fill::new(2, one.question.clone(), Vec::new(), bounds.clone());
    let (seat, _) = other.sit().unwrap();
    assert_eq!(other.push(Bytes::from_static(b"123")), Ok(false));
    assert_eq!(read(&other, seat), "123");
    drop((one, other));
    assert_eq!(bounds.filling_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn who_lags_behind_a_long_answer_is_left_behind_but_never_the_leader() {
    let fill = fill(5, u64::MAX);
    let (leader, _) = fill.sit().unwrap();
    let (slow, _) = fill.sit().unwrap();
    let piece = Bytes::from(vec![b'x'; 32 << 20]);
    for _ in 0..4 {
        assert_eq!(fill.push(piece.clone()), Ok(false));
        assert!(matches!(fill.next(leader), Next::Piece(_)));
    }
    assert!(matches!(fill.next(slow), Next::Broken));
    assert_eq!(fill.push(piece.clone()), Ok(false));
    assert_eq!(fill.push(piece.clone()), Ok(false));
    assert_eq!(fill.push(piece), Err(Swamped));
}
