//! The keyed hash that makes ids: nobody who does not know the key can make two of them meet.

/// SipHash-2-4 (Aumasson and Bernstein, 2012) with 128 bits of output and a key of its own. It is
/// written out here because ids on disk must stay the same, which hashers for tables do not promise.
pub struct Key {
    low: u64,
    high: u64,
}

struct State([u64; 4]);

impl Key {
    /// The first half of what is random is enough.
    pub fn new(bytes: [u8; 32]) -> Self {
        let (low, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (high, _) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        Self {
            low: u64::from_le_bytes(*low),
            high: u64::from_le_bytes(*high),
        }
    }

    pub fn hash(&self, bytes: &[u8]) -> u128 {
        let mut state = State([
            self.low ^ 0x736f_6d65_7073_6575,
            self.high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            self.low ^ 0x6c79_6765_6e65_7261,
            self.high ^ 0x7465_6462_7974_6573,
        ]);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            state.take(u64::from_le_bytes(*word));
        }
        // The rest, and the length's last byte above it.
        let mut last = [0; 8];
        for (slot, byte) in last.iter_mut().zip(rest) {
            *slot = *byte;
        }
        let length = (bytes.len() as u64) << 56;
        state.take(u64::from_le_bytes(last) | length);
        let low = state.finish(0xee);
        let high = state.finish(0xdd);
        u128::from(high) << 64 | u128::from(low)
    }
}

impl State {
    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    /// The first half of the output with the first mark, the second with the other.
    fn finish(&mut self, mark: u64) -> u64 {
        match mark {
            0xee => self.0[2] ^= mark,
            _ => self.0[1] ^= mark,
        }
        (0..4).for_each(|_| self.round());
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32);
        c = c.wrapping_add(b);
        a = a.wrapping_add(d);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the authors' own vectors for 128 bits: the key is 00..0f, the message 00.. of some length.
    #[test]
    fn hashes_are_those_of_the_reference() {
        let mut key = [0; 32];
        (0..16).for_each(|at| key[at] = at as u8);
        let key = Key::new(key);
        let message: Vec<u8> = (0..64).collect();
        for (length, expect) in [
            (0, "a3817f04ba25a8e66df67214c7550293"),
            (1, "da87c1d86b99af44347659119b22fc45"),
            (2, "8177228da4a45dc7fca38bdef60affe4"),
        ] {
            let hash = key.hash(&message[..length]).to_le_bytes();
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, expect, "{length}");
        }
        let all: std::collections::HashSet<_> =
            (0..64).map(|end| key.hash(&message[..end])).collect();
        assert_eq!(all.len(), 64);
    }
}
