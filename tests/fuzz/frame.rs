//! AWS event streams, made of server-sent events so that a text can stand for one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The longest name that its header can tell.
const NAME_BYTES_MAX: usize = 0xffff;

/// Makes an AWS event stream of server-sent events: `event` becomes the event's type, `data` its
/// payload, and `chunk` wraps the payload as invoke does. Whatever else stands there is payload too.
pub fn frame(events: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut rest = events;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\n\n");
        let (event, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.get(2..).unwrap_or_default();
        let (mut name, mut payload) = (&b""[..], Vec::new());
        for line in event.split(|byte| *byte == b'\n') {
            match line.strip_prefix(b"event: ") {
                Some(told) => name = told,
                None => payload.extend_from_slice(line.strip_prefix(b"data: ").unwrap_or(line)),
            }
        }
        if name == b"chunk" {
            let text = BASE64_STANDARD.encode(&payload);
            payload = format!("{{\"bytes\":\"{text}\"}}").into_bytes();
        }
        stream.extend(message(name, &payload));
    }
    stream
}

/// One message; a name that begins with `!` is an exception's.
fn message(name: &[u8], payload: &[u8]) -> Vec<u8> {
    let (key, name) = match name.strip_prefix(b"!") {
        Some(name) => (&b":exception-type"[..], name),
        None => (&b":event-type"[..], name),
    };
    let name = name.get(..NAME_BYTES_MAX).unwrap_or(name);
    let headers_len = 1 + key.len() + 3 + name.len();
    let whole_len = headers_len + payload.len() + 16;
    let mut message = (whole_len as u32).to_be_bytes().to_vec();
    message.extend_from_slice(&(headers_len as u32).to_be_bytes());
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.push(key.len() as u8);
    message.extend_from_slice(key);
    message.push(7);
    message.extend_from_slice(&(name.len() as u16).to_be_bytes());
    message.extend_from_slice(name);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}
