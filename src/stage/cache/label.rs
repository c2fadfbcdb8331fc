//! What is kept with an answer beside its bytes: whose it is, and what it cost.

use crate::base::money::NanoUsd;

/// Read from the bytes that it was written to; nothing is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    pub gateway: &'a str,
    pub provider: &'a str,
    pub model: &'a str,
    /// The client's own name for the answer.
    pub name: Option<&'a [u8]>,
    /// What the answer cost, and every hit saves; `None` where nobody knows.
    pub cost: Option<NanoUsd>,
}

impl<'a> Label<'a> {
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        let mut part = |part: &[u8]| {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        };
        part(self.gateway.as_bytes());
        part(self.provider.as_bytes());
        part(self.model.as_bytes());
        part(
            &self
                .name
                .map_or_else(Vec::new, |name| [b"=", name].concat()),
        );
        let cost = self.cost.map(|cost| cost.nanos().to_be_bytes());
        part(cost.as_ref().map_or(&[], |cost| cost.as_slice()));
        bytes
    }

    /// `None` if the bytes are no label.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut part = || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (part, after) = after.split_at_checked(length)?;
            rest = after;
            Some(part)
        };
        let text = |part| std::str::from_utf8(part).ok();
        let (gateway, provider, model) = (text(part()?)?, text(part()?)?, text(part()?)?);
        let name = part()?.strip_prefix(b"=");
        let cost = part()?.try_into().ok();
        Some(Self {
            gateway,
            provider,
            model,
            name,
            cost: cost.map(|nanos| NanoUsd::new(u64::from_be_bytes(nanos))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let full = Label {
            gateway: "g",
            provider: "p",
            model: "m",
            name: Some(b"\xff"),
            cost: Some(NanoUsd::new(7)),
        };
        let empty = Label {
            model: "",
            name: None,
            cost: None,
            ..full
        };
        for label in [full, empty] {
            let bytes = label.write();
            assert_eq!(Label::read(&bytes), Some(label));
            for cut in 0..bytes.len() {
                assert_eq!(Label::read(&bytes[..cut]), None);
            }
        }
    }
}
