//! Where the strings and the other plain values of a JSON text end.

use memchr::memchr;

/// Words of eight bytes in which a key's end is looked for before all else.
const NEAR_WORDS: usize = 4;
/// A one in each byte of a word.
const ONES: u64 = u64::MAX / 255;

/// Whether the byte after `text` is escaped; `before` says so of its first byte.
pub(super) fn is_escaped(text: &[u8], before: bool) -> bool {
    let slashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
    let carried = usize::from(before && slashes == text.len());
    (slashes + carried) % 2 == 1
}

/// A string without its quotes, and what follows; nothing unless it ends here and plainly.
pub(super) fn split_at_quote(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (string, rest) = text.split_at_checked(find_near_quote(text)?)?;
    if string.last() == Some(&b'\\') {
        return None;
    }
    Some((string, rest.get(1..)?))
}

/// Where the first byte is that is a quote, or that keeps a string from being what it looks like: a backslash, a
/// control character, or no ASCII at all.
#[inline]
pub(super) fn find_odd(text: &[u8]) -> Option<usize> {
    let (words, tail) = text.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // What is less than what is taken from it borrows, and so gets the highest bit, which ASCII has not.
        let quotes = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let slashes = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let controls = word.wrapping_sub(ONES * u64::from(b' '));
        let found = (quotes | slashes | controls | word) & (ONES << 7);
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let odd = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ') || !byte.is_ascii();
    Some(words.len() * 8 + tail.iter().position(odd)?)
}

/// Where the first quote is. Keys and names are short, and a search built for long texts takes longer to begin
/// than these take to be looked through eight bytes at a time.
#[inline]
pub(super) fn find_near_quote(text: &[u8]) -> Option<usize> {
    let (words, _) = text.as_chunks::<8>();
    for (place, word) in words.iter().take(NEAR_WORDS).enumerate() {
        // A byte that equals the quote becomes zero, and the lowest zero byte is where the borrow begins.
        let zeroed = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'"'));
        let found = zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7);
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let passed = words.len().min(NEAR_WORDS) * 8;
    Some(passed + memchr(b'"', text.get(passed..)?)?)
}

/// What follows a plain value that ends here; nothing for objects, arrays and what a chunk's end cuts.
pub(super) fn pass_plain(text: &[u8]) -> Option<&[u8]> {
    let start = text.iter().position(|byte| !is_blank(*byte))?;
    let value = text.get(start..)?;
    match value.first()? {
        b'{' | b'[' | b'}' | b']' => None,
        b'"' => split_at_quote(value.get(1..)?).map(|(_, rest)| rest),
        _ => value.get(value.iter().position(|byte| ends_scalar(*byte))?..),
    }
}

/// Between values and keys, where commas and colons need no heed.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b',' | b':')
}

pub(super) fn ends_scalar(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b',' | b'}' | b']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_are_told_from_all_others() {
        for byte in 0..=u8::MAX {
            let odd = matches!(byte, b'"' | b'\\' | 0..b' ' | 0x80..);
            for len in 0..20 {
                let text = [vec![b'~'; len], vec![byte], b" #![]\x7f0123456789".to_vec()].concat();
                assert_eq!(find_odd(&text), odd.then_some(len), "{byte}");
            }
        }
    }

    #[test]
    fn a_quote_is_found_wherever_it_stands() {
        for len in 0..100 {
            let text = [vec![b'!'; len], b"\"#\"".to_vec(), vec![0xa2; len]].concat();
            assert_eq!(find_near_quote(&text), Some(len));
            assert_eq!(find_near_quote(&text[..len]), None);
            assert_eq!(find_odd(&text), Some(len));
            assert_eq!(find_odd(&text[..len]), None);
            assert_eq!(find_odd(&text[len + 1..]), Some(1));
            assert_eq!(find_odd(&text[len + 2..]), Some(0));
        }
    }
}
