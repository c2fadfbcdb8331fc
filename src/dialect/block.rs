//! Looks at sixteen bytes at once, in a way that compilers know how to do in a few steps.

/// Bytes that are looked at together.
pub(super) const BLOCK_LEN: usize = 16;

/// Which bytes of a block are of a kind: eight bits for each, the first byte's lowest.
#[derive(Clone, Copy)]
pub(super) struct Marks(u128);

impl Marks {
    /// The bytes of this kind among the first ones. `is` must not branch, or nothing is done at once.
    #[inline]
    pub fn new(bytes: &[u8], is: impl Fn(u8) -> bool) -> Self {
        let Some(block) = bytes.first_chunk::<BLOCK_LEN>() else {
            return Self::in_part(bytes, is);
        };
        let mut marks = [0; BLOCK_LEN];
        for (mark, byte) in marks.iter_mut().zip(block) {
            *mark = if is(*byte) { u8::MAX } else { 0 };
        }
        Self(u128::from_le_bytes(marks))
    }

    /// The last bytes of a text do not fill a block.
    #[cold]
    fn in_part(bytes: &[u8], is: impl Fn(u8) -> bool) -> Self {
        let mut marks = [0; BLOCK_LEN];
        for (mark, byte) in marks.iter_mut().zip(bytes) {
            *mark = if is(*byte) { u8::MAX } else { 0 };
        }
        Self(u128::from_le_bytes(marks))
    }

    /// The place of the first one.
    #[inline]
    pub const fn first(self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        Some(self.0.trailing_zeros() as usize / 8)
    }

    /// Without those before a place in the block.
    #[inline]
    pub const fn since(self, place: usize) -> Self {
        Self(self.0 & (u128::MAX << (place * 8 % 128)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_kind_are_marked_wherever_they_stand() {
        let is = |byte| (byte == b'"') | (byte < b' ');
        for len in 0..BLOCK_LEN - 1 {
            let text = [
                vec![0xa2; len],
                b"\"".to_vec(),
                vec![b'!'; 14 - len],
                b"\x01\"".to_vec(),
            ]
            .concat();
            for text in [&text[..], &text[..BLOCK_LEN]] {
                let marks = Marks::new(text, is);
                assert_eq!(marks.first(), Some(len));
                assert_eq!(marks.since(len).first(), Some(len));
                assert_eq!(marks.since(len + 1).first(), Some(BLOCK_LEN - 1));
            }
            assert_eq!(Marks::new(&text[..len], is).first(), None);
            assert_eq!(Marks::new(&text[..=len], is).first(), Some(len));
            assert_eq!(Marks::new(&text[..=len], is).since(len + 1).first(), None);
        }
    }
}
