//! The AWS event stream: binary frames with checksums, one held at a time.

use flate2::Crc;

/// One message whose checksums hold.
pub(super) struct Message<'a> {
    /// `:event-type`, or `:exception-type` in its place; empty if there is neither.
    pub event: &'a str,
    /// Whether the provider reports a failure by it.
    pub failed: bool,
    pub payload: &'a [u8],
}

/// Lengths of headers and of the whole, and their checksum.
const PRELUDE_LEN: usize = 12;
const CHECKSUM_LEN: usize = 4;
/// The longest frame that is held to be read; longer ones pass unread.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Frames {
    frame: Vec<u8>,
    /// Length of the frame begun in `frame`, once its prelude is there.
    frame_len: Option<usize>,
    /// Bytes of an overlong frame still to pass.
    to_pass: usize,
    /// A checksum or length did not hold: nothing after it can be trusted.
    pub corrupt: bool,
}

impl Frames {
    /// Reads on, and hands over each complete message.
    pub fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Message<'_>)) {
        while !bytes.is_empty() && !self.corrupt {
            if self.to_pass > 0 {
                let passed = self.to_pass.min(bytes.len());
                self.to_pass -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            let missing = self
                .frame_len
                .unwrap_or(PRELUDE_LEN)
                .saturating_sub(self.frame.len());
            let (part, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
            self.frame.extend_from_slice(part);
            bytes = rest;
            if part.len() == missing {
                self.advance(&mut found);
            }
        }
    }

    /// Whether the stream may end here.
    pub fn is_between_frames(&self) -> bool {
        self.frame.is_empty() && self.to_pass == 0
    }

    /// Prelude or frame are there as a whole.
    fn advance(&mut self, found: &mut impl FnMut(Message<'_>)) {
        if self.frame_len.is_none() {
            match read_prelude(&self.frame) {
                Some(len) if len > FRAME_BYTES_MAX => {
                    self.to_pass = len - self.frame.len();
                    self.frame.clear();
                }
                Some(len) => self.frame_len = Some(len),
                None => self.corrupt = true,
            }
            return;
        }
        match read_message(&self.frame) {
            Some(message) => found(message),
            None => self.corrupt = true,
        }
        self.frame.clear();
        self.frame_len = None;
    }
}

/// The frame's length, if its prelude holds.
fn read_prelude(frame: &[u8]) -> Option<usize> {
    let (lengths, checksum) = frame.split_at_checked(PRELUDE_LEN - CHECKSUM_LEN)?;
    let len = read_u32(lengths)? as usize;
    let headers_len = read_u32(lengths.get(4..)?)? as usize;
    let fits = headers_len.checked_add(PRELUDE_LEN + CHECKSUM_LEN)? <= len;
    (fits && sum(lengths) == read_u32(checksum)?).then_some(len)
}

fn read_message(frame: &[u8]) -> Option<Message<'_>> {
    let (checked, checksum) = frame.split_at_checked(frame.len().checked_sub(CHECKSUM_LEN)?)?;
    if sum(checked) != read_u32(checksum)? {
        return None;
    }
    let headers_len = read_u32(checked.get(4..)?)? as usize;
    let (mut headers, payload) = checked.get(PRELUDE_LEN..)?.split_at_checked(headers_len)?;
    let mut message = Message {
        event: "",
        failed: false,
        payload,
    };
    while !headers.is_empty() {
        let (name, value, rest) = read_header(headers)?;
        match name {
            b":event-type" => message.event = std::str::from_utf8(value).ok()?,
            b":exception-type" | b":error-code" => {
                message.event = std::str::from_utf8(value).ok()?;
                message.failed = true;
            }
            b":message-type" => message.failed |= value != b"event",
            _ => {}
        }
        headers = rest;
    }
    Some(message)
}

/// Name, value (empty unless text or bytes) and what follows.
fn read_header(headers: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name_len, rest) = headers.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
    let (kind, rest) = rest.split_first()?;
    let fixed_len = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => {
            let (len, rest) = rest.split_at_checked(2)?;
            let len = usize::from(u16::from_be_bytes(len.try_into().ok()?));
            let (value, rest) = rest.split_at_checked(len)?;
            return Some((name, value, rest));
        }
        _ => return None,
    };
    Some((name, &[], rest.get(fixed_len..)?))
}

fn read_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(event: &str, payload: &[u8]) -> Vec<u8> {
        let mut headers = vec![11];
        headers.extend_from_slice(b":event-type\x07");
        headers.extend_from_slice(&u16::try_from(event.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(event.as_bytes());
        let len = u32::try_from(headers.len() + payload.len() + 16).unwrap();
        let mut frame = len.to_be_bytes().to_vec();
        frame.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(&sum(&frame).to_be_bytes());
        frame.extend_from_slice(&headers);
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&sum(&frame).to_be_bytes());
        frame
    }

    fn read(stream: &[u8], chunk_len: usize) -> (Vec<String>, bool) {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for chunk in stream.chunks(chunk_len) {
            frames.read(chunk, |message| {
                found.push(format!(
                    "{} {}",
                    message.event,
                    String::from_utf8_lossy(message.payload)
                ));
            });
        }
        (found, frames.corrupt)
    }

    #[test]
    fn frames_are_found_at_any_split() {
        let stream = [
            frame("a", b"{}"),
            frame("b", &[b'x'; 2 * FRAME_BYTES_MAX]),
            frame("c", b""),
        ]
        .concat();
        for chunk_len in [1, 7, 4096, stream.len()] {
            assert_eq!(
                read(&stream, chunk_len),
                (vec!["a {}".to_owned(), "c ".to_owned()], false)
            );
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_reading() {
        let good = [frame("a", b"{}"), frame("b", b"{}")].concat();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            let (found, corrupt) = read(&bad, 16);
            assert!(corrupt || found.len() < 2, "byte {at}");
        }
    }
}
