//! AWS's binary event stream: messages with typed headers, each guarded by two CRCs.

/// A header value that is a string has this type.
const STRING: u8 = 7;
/// Prelude (two lengths and their CRC) and the message's CRC.
const FRAME_BYTES: usize = 16;

/// One event with a JSON payload.
pub fn event(name: &str, payload: &[u8]) -> Vec<u8> {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    message(&headers, payload)
}

/// One exception, which ends a stream.
pub fn exception(name: &str, payload: &[u8]) -> Vec<u8> {
    let headers = [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    message(&headers, payload)
}

/// A message; all of its names and values are shorter than 256 bytes.
fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        block.extend_from_slice(name.as_bytes());
        block.push(STRING);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let total = FRAME_BYTES + block.len() + payload.len();
    let mut message = Vec::with_capacity(total);
    for length in [total, block.len()] {
        message.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&block);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}

/// The messages of a stream, each as its name and its payload; `None` where a CRC or a length is
/// wrong.
#[cfg(test)]
pub fn parse(mut bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let word =
        |bytes: &[u8], at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (total, block) = (word(bytes, 0)? as usize, word(bytes, 4)? as usize);
        let (message, rest) = bytes.split_at_checked(total)?;
        let good = word(message, 8)? == crc32fast::hash(message.get(..8)?)
            && word(message, total - 4)? == crc32fast::hash(message.get(..total - 4)?);
        let headers = message.get(12..12 + block)?;
        let name_end = 1 + usize::from(*headers.first()?);
        let value_end = name_end + 3 + usize::from(*headers.get(name_end + 2)?);
        let name = String::from_utf8(headers.get(name_end + 3..value_end)?.to_vec()).ok()?;
        good.then(|| messages.push((name, message[12 + block..total - 4].to_vec())))?;
        bytes = rest;
    }
    Some(messages)
}
