//! Undoes base64, in which Bedrock wraps the events of other providers.

/// The bytes, or nothing if a character does not belong.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.trim_ascii_end().chunks(4) {
        let digits = group
            .strip_suffix(b"==")
            .or(group.strip_suffix(b"="))
            .unwrap_or(group);
        let mut bits = 0;
        for digit in digits {
            bits = bits << 6 | value(*digit)?;
        }
        let bits = bits << (6 * (4 - digits.len()));
        let [_, first, second, third] = u32::to_be_bytes(bits);
        match digits.len() {
            4 => bytes.extend_from_slice(&[first, second, third]),
            3 => bytes.extend_from_slice(&[first, second]),
            2 => bytes.push(first),
            _ => return None,
        }
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn padding_of_every_length_is_undone() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
        ] {
            assert_eq!(
                decode(text.as_bytes()).as_deref(),
                Some(bytes.as_bytes()),
                "{text}"
            );
        }
        assert_eq!(decode(b"Zm9v!aaa"), None);
        assert_eq!(decode(b"Z"), None);
    }
}
