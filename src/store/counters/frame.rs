//! The form of a line in the counters' journal: length, checksum, and what changed.

use super::sheet::Change;

/// Length (2), checksum (4), kind (1).
const HEAD_BYTES: usize = 7;
const NAME: u8 = 1;
const CHANGE: u8 = 2;

/// What the journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Whose counter this is, and for how long what is used counts.
    Name {
        id: u128,
        account: u128,
        span_ms: u64,
        label: Box<str>,
    },
    /// What a process used, held and gave back.
    Change {
        id: u128,
        writer: u64,
        change: Change,
    },
}

impl Frame {
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        let kind = match self {
            Self::Name {
                id,
                account,
                span_ms,
                label,
            } => {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&account.to_le_bytes());
                out.extend_from_slice(&span_ms.to_le_bytes());
                out.extend_from_slice(label.as_bytes());
                NAME
            }
            Self::Change { id, writer, change } => {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&writer.to_le_bytes());
                out.extend_from_slice(&change.wall_ms.to_le_bytes());
                out.extend_from_slice(&change.used.to_le_bytes());
                out.extend_from_slice(&change.held.to_le_bytes());
                CHANGE
            }
        };
        let payload = out.get(start + HEAD_BYTES..).unwrap_or_default();
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let sum = checksum(kind, payload);
        let [low, high] = length.to_le_bytes();
        let [a, b, c, d] = sum.to_le_bytes();
        let head = [low, high, a, b, c, d, kind];
        if let Some(place) = out.get_mut(start..start + HEAD_BYTES) {
            place.copy_from_slice(&head);
        }
    }

    /// The first frame and what follows it; `None` where it is cut or damaged. Of a kind that only a
    /// later version knows there is no frame, but what follows.
    pub fn read(bytes: &[u8]) -> Option<(Option<Self>, &[u8])> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (payload, rest) = rest.split_at_checked(length)?;
        if u32::from_le_bytes(*sum) != checksum(*kind, payload) {
            return None;
        }
        let frame = match *kind {
            NAME => Some(Self::read_name(payload)?),
            CHANGE => Some(Self::read_change(payload)?),
            _ => None,
        };
        Some((frame, rest))
    }

    fn read_name(payload: &[u8]) -> Option<Self> {
        let (id, rest) = payload.split_first_chunk()?;
        let (account, rest) = rest.split_first_chunk()?;
        let (span_ms, label) = rest.split_first_chunk()?;
        Some(Self::Name {
            id: u128::from_le_bytes(*id),
            account: u128::from_le_bytes(*account),
            span_ms: u64::from_le_bytes(*span_ms),
            label: std::str::from_utf8(label).ok()?.into(),
        })
    }

    fn read_change(payload: &[u8]) -> Option<Self> {
        let (id, rest) = payload.split_first_chunk()?;
        let (writer, rest) = rest.split_first_chunk()?;
        let (wall_ms, rest) = rest.split_first_chunk()?;
        let (used, rest) = rest.split_first_chunk()?;
        let (held, rest) = rest.split_first_chunk()?;
        let change = Change {
            wall_ms: u64::from_le_bytes(*wall_ms),
            used: i64::from_le_bytes(*used),
            held: i64::from_le_bytes(*held),
        };
        rest.is_empty().then_some(Self::Change {
            id: u128::from_le_bytes(*id),
            writer: u64::from_le_bytes(*writer),
            change,
        })
    }
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[kind]);
    sum.update(payload);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        vec![
            Frame::Name {
                id: 7,
                account: 8,
                span_ms: 9,
                label: "metadata.team=rot".into(),
            },
            Frame::Change {
                id: u128::MAX,
                writer: 3,
                change: Change {
                    wall_ms: 1,
                    used: -2,
                    held: i64::MAX,
                },
            },
        ]
    }

    fn read_all(mut bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some((frame, rest)) = Frame::read(bytes) {
            frames.extend(frame);
            bytes = rest;
        }
        frames
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        frames().iter().for_each(|frame| frame.write(&mut bytes));
        assert_eq!(read_all(&bytes), frames());
    }

    #[test]
    fn what_a_later_version_says_is_passed_over() {
        let payload = b"later";
        let mut bytes = u16::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend(checksum(99, payload).to_le_bytes());
        bytes.push(99);
        bytes.extend(payload);
        frames().iter().for_each(|frame| frame.write(&mut bytes));
        assert_eq!(read_all(&bytes), frames());
    }

    #[test]
    fn what_is_cut_or_damaged_is_not_read() {
        let mut bytes = Vec::new();
        frames().iter().for_each(|frame| frame.write(&mut bytes));
        for end in 0..bytes.len() {
            let read = read_all(&bytes[..end]);
            assert!(read.len() < 2 && read == frames()[..read.len()], "{end}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_ne!(read_all(&damaged), frames(), "{at}");
        }
    }
}
