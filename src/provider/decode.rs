//! Percent-encoding undone, for names that are only shown and compared.

/// Undoes percent-encoding (RFC 3986, 2.1).
pub fn text(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = next(rest) {
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first byte that is meant, and what follows; `None` at the end.
pub fn next(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&byte, after) = text.split_first()?;
    let code = match (byte, after) {
        (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
        _ => None,
    };
    Some(match code {
        Some((high, low)) => (high * 16 + low, after.get(2..).unwrap_or_default()),
        None => (byte, after),
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
