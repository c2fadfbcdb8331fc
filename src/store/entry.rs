//! One kept entry, and its form as bytes: the same in memory and in a file.

use crate::base::clock::Moment;
use bytes::{Bytes, BytesMut};
use std::fmt::{self, Write};
use std::time::{Duration, Instant, SystemTime};

/// What every file begins with; the last byte is the form's version.
const MAGIC: &[u8; 8] = b"tollgat\x02";
/// CRC-32, big-endian. It finds damage, not forgery, and costs a hit little beside the reading of the file.
const SUM_BYTES: usize = 4;
/// Magic, checksum, key, four numbers of 8 bytes, two lengths of 4 and one of 8.
const LEAD_BYTES: usize = MAGIC.len() + SUM_BYTES + Key::BYTES + 4 * 8 + 2 * 4 + 8;
/// A moment that lies further ahead than this is one of a clock that was set back since.
const AHEAD_MAX: Duration = Duration::from_secs(1);

/// Names an entry: a digest of all that may tell two answers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; Key::BYTES]);

impl Key {
    pub const BYTES: usize = 32;
}

/// As 64 hexadecimal digits.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |half: u8| {
            char::from(if half < 10 {
                b'0' + half
            } else {
                b'a' - 10 + half
            })
        };
        let mut bytes = self.0.iter();
        bytes.try_for_each(|byte| {
            f.write_char(digit(byte >> 4))?;
            f.write_char(digit(byte & 15))
        })
    }
}

/// What an entry is made of.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    pub key: Key,
    /// The count of purges when the entry was begun.
    pub generation: u64,
    /// When the answer was asked for, by the wall clock.
    pub created: SystemTime,
    /// How long the entry is fresh.
    pub fresh: Duration,
    /// How long the entry is of any use at all.
    pub useful: Duration,
    /// The owner's notes.
    pub label: &'a [u8],
    pub head: &'a [u8],
    pub body: &'a [Bytes],
}

/// A kept entry. Cloning it copies no bytes.
#[derive(Clone, Debug)]
pub struct Entry {
    image: Bytes,
    pub key: Key,
    pub generation: u64,
    pub fresh: Duration,
    pub useful: Duration,
    pub label: Bytes,
    pub head: Bytes,
    pub body: Bytes,
    created: SystemTime,
    /// A moment of this process's life, and the entry's age then.
    seen: (Instant, Duration),
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no entry, or a damaged one")]
pub struct Damaged;

impl Entry {
    /// Makes an entry that holds its bytes in one piece.
    pub fn make(draft: &Draft<'_>, now: Moment) -> Self {
        let body_bytes: usize = draft.body.iter().map(Bytes::len).sum();
        let room = LEAD_BYTES + draft.label.len() + draft.head.len() + body_bytes;
        let mut image = BytesMut::with_capacity(room);
        image.extend_from_slice(MAGIC);
        image.extend_from_slice(&[0; SUM_BYTES]);
        image.extend_from_slice(&draft.key.0);
        let created = draft.created.duration_since(SystemTime::UNIX_EPOCH);
        let created = created.unwrap_or_default();
        for number in [
            draft.generation,
            millis(created),
            millis(draft.fresh),
            millis(draft.useful),
        ] {
            image.extend_from_slice(&number.to_be_bytes());
        }
        for length in [draft.label.len(), draft.head.len()] {
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            image.extend_from_slice(&length.to_be_bytes());
        }
        image.extend_from_slice(&(body_bytes as u64).to_be_bytes());
        let label_at = image.len();
        image.extend_from_slice(draft.label);
        let head_at = image.len();
        image.extend_from_slice(draft.head);
        let body_at = image.len();
        for piece in draft.body {
            image.extend_from_slice(piece);
        }
        let image = image.freeze();
        Self {
            key: draft.key,
            generation: draft.generation,
            fresh: draft.fresh,
            useful: draft.useful,
            label: image.slice(label_at..head_at),
            head: image.slice(head_at..body_at),
            body: image.slice(body_at..),
            created: SystemTime::UNIX_EPOCH + created,
            seen: (
                now.steady,
                age_by_wall(draft.created, now.wall).unwrap_or_default(),
            ),
            image,
        }
    }

    /// The entry as a file has it: with its checksum.
    pub fn file(&self) -> [Bytes; 3] {
        let summed = self.image.get(MAGIC.len() + SUM_BYTES..);
        let sum = crc32fast::hash(summed.unwrap_or_default());
        [
            Bytes::from_static(MAGIC),
            Bytes::copy_from_slice(&sum.to_be_bytes()),
            self.image
                .slice((MAGIC.len() + SUM_BYTES).min(self.image.len())..),
        ]
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// They are not whole, not of this form, or of another key.
    pub fn read(image: Bytes, key: &Key, now: Moment) -> Result<Self, Damaged> {
        let mut lead = image.get(..LEAD_BYTES).ok_or(Damaged)?;
        let mut take = |length: usize| {
            let (taken, rest) = lead.split_at_checked(length).ok_or(Damaged)?;
            lead = rest;
            Ok(taken)
        };
        if take(MAGIC.len())? != MAGIC {
            return Err(Damaged);
        }
        let sum = take(SUM_BYTES)?;
        let rest = image.get(MAGIC.len() + SUM_BYTES..).ok_or(Damaged)?;
        if crc32fast::hash(rest).to_be_bytes() != sum || take(Key::BYTES)? != key.0 {
            return Err(Damaged);
        }
        let generation = number(take(8)?)?;
        let created = SystemTime::UNIX_EPOCH + Duration::from_millis(number(take(8)?)?);
        let fresh = Duration::from_millis(number(take(8)?)?);
        let useful = Duration::from_millis(number(take(8)?)?);
        let label_bytes = length(number(take(4)?)?)?;
        let head_bytes = length(number(take(4)?)?)?;
        let body_bytes = length(number(take(8)?)?)?;
        let head_at = LEAD_BYTES.checked_add(label_bytes).ok_or(Damaged)?;
        let body_at = head_at.checked_add(head_bytes).ok_or(Damaged)?;
        if body_at.checked_add(body_bytes) != Some(image.len()) {
            return Err(Damaged);
        }
        let age = age_by_wall(created, now.wall);
        Ok(Self {
            key: *key,
            generation,
            fresh,
            useful,
            label: image.slice(LEAD_BYTES..head_at),
            head: image.slice(head_at..body_at),
            body: image.slice(body_at..),
            created,
            seen: (now.steady, age.unwrap_or_default()),
            image,
        })
    }

    /// How old the entry is, by whichever clock says more: the wall clock may have been set back, and
    /// the steady one stands still while the machine sleeps. `None` if it is from the future.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        let (seen, age) = self.seen;
        let steady = age.saturating_add(now.steady.saturating_duration_since(seen));
        Some(age_by_wall(self.created, now.wall)?.max(steady))
    }

    /// When the entry is of no use any more, by the wall clock.
    pub fn ends(&self) -> SystemTime {
        self.created
            .checked_add(self.useful)
            .unwrap_or(self.created)
    }

    /// What the entry takes in memory and, but for the file system's own, in a file.
    pub fn bytes(&self) -> usize {
        self.image.len()
    }
}

fn age_by_wall(created: SystemTime, now: SystemTime) -> Option<Duration> {
    match now.duration_since(created) {
        Ok(age) => Some(age),
        Err(ahead) if ahead.duration() <= AHEAD_MAX => Some(Duration::ZERO),
        Err(_) => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number of at most 8 bytes, the highest first.
fn number(bytes: &[u8]) -> Result<u64, Damaged> {
    match bytes.len() {
        1..=8 => Ok(bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        _ => Err(Damaged),
    }
}

fn length(number: u64) -> Result<usize, Damaged> {
    usize::try_from(number).map_err(|_| Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn sample(body: &[Bytes], now: Moment) -> Entry {
        let draft = Draft {
            key: Key([7; Key::BYTES]),
            generation: 3,
            created: now.wall,
            fresh: HOUR,
            useful: 2 * HOUR,
            label: b"label",
            head: b"head",
            body,
        };
        Entry::make(&draft, now)
    }

    fn file(entry: &Entry) -> Vec<u8> {
        entry.file().concat()
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(body in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0usize..2000) {
            let now = Moment::now();
            let cut = cut.min(body.len());
            let pieces = [Bytes::copy_from_slice(&body[..cut]), Bytes::copy_from_slice(&body[cut..])];
            let entry = sample(&pieces, now);
            let read = Entry::read(file(&entry).into(), &entry.key, now).unwrap();
            prop_assert_eq!(&read.body[..], &body[..]);
            prop_assert_eq!(&read.label[..], b"label");
            prop_assert_eq!(&read.head[..], b"head");
            prop_assert_eq!((read.generation, read.fresh, read.useful), (3, HOUR, 2 * HOUR));
        }

        #[test]
        fn a_flipped_bit_or_a_missing_end_is_damage(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let now = Moment::now();
            let entry = sample(&[Bytes::from_static(b"the body")], now);
            let whole = file(&entry);
            let mut flipped = whole.clone();
            let at = at.index(whole.len());
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(Entry::read(flipped.into(), &entry.key, now).err(), Some(Damaged));
            prop_assert_eq!(Entry::read(whole[..at].to_vec().into(), &entry.key, now).err(), Some(Damaged));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Entry::read(bytes.into(), &Key([0; Key::BYTES]), Moment::now()).is_err());
        }
    }

    #[test]
    fn the_file_of_another_key_is_damage() {
        let now = Moment::now();
        let entry = sample(&[], now);
        let other = Key([8; Key::BYTES]);
        assert_eq!(
            Entry::read(file(&entry).into(), &other, now).err(),
            Some(Damaged)
        );
    }

    #[test]
    fn clocks_that_jump_make_no_entry_younger() {
        let now = Moment::now();
        let entry = sample(&[], now);
        let at = |steady: Duration, wall: Result<Duration, Duration>| {
            let wall = match wall {
                Ok(ahead) => now.wall + ahead,
                Err(back) => now.wall - back,
            };
            entry.age(Moment {
                wall,
                steady: now.steady + steady,
            })
        };
        assert_eq!(at(HOUR, Ok(HOUR)), Some(HOUR));
        // Set back, but not before the entry's birth: the steady clock knows better.
        assert_eq!(at(3 * HOUR, Ok(HOUR)), Some(3 * HOUR));
        // Set ahead, or asleep.
        assert_eq!(at(HOUR, Ok(5 * HOUR)), Some(5 * HOUR));
        // Set back before its birth.
        assert_eq!(at(HOUR, Err(HOUR)), None);
    }
}
