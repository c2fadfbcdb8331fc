//! What is wrong with a client's metadata, in words that may stand in a header field.

use std::fmt;

/// The longest name of an entry.
pub(super) const NAME_BYTES_MAX: usize = 256;
/// The longest text of an entry; Cloudflare takes 600 characters at least.
pub(super) const TEXT_BYTES_MAX: usize = 4096;

/// Characters of an entry's name that are shown.
const SHOWN_CHARS_MAX: usize = 32;

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    NotUtf8,
    NotJson,
    NotObject,
    /// The field came more than once.
    Repeated,
    /// A value that is neither text, number nor boolean.
    Value,
    /// A name that only the gateway may give.
    Reserved,
    /// A name that was given before.
    Duplicate,
    TooLong,
    TooMany,
}

impl Reason {
    /// As it stands in a metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotObject => "not_object",
            Self::Repeated => "repeated",
            Self::Value => "value",
            Self::Reserved => "reserved",
            Self::Duplicate => "duplicate",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
        }
    }
}

/// All faults of one request's metadata; each kind stands once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    reason: Reason,
    /// The first entry that was dropped for it, fit to be shown; none where the whole field was.
    first: Option<String>,
    /// Entries dropped for it.
    count: usize,
}

impl Faults {
    /// A fault of the whole field.
    pub(super) fn note(&mut self, reason: Reason) {
        let fault = Fault {
            reason,
            first: None,
            count: 0,
        };
        self.0.push(fault);
    }

    /// An entry is dropped.
    pub(super) fn drop_entry(&mut self, reason: Reason, name: &str) {
        match self.0.iter_mut().find(|fault| fault.reason == reason) {
            Some(fault) => fault.count += 1,
            None => self.0.push(Fault {
                reason,
                first: Some(shown(name)),
                count: 1,
            }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        self.0.iter().map(|fault| fault.reason)
    }
}

/// The name cut and in visible ASCII, so that no client writes into the answer's head.
fn shown(name: &str) -> String {
    let visible = |c: char| match c {
        ' '..='~' if c != '"' => c,
        _ => '?',
    };
    name.chars().take(SHOWN_CHARS_MAX).map(visible).collect()
}

/// Visible ASCII of at most 1 KiB.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cf-aig-metadata: ")?;
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = &self.first {
            write!(f, "dropped \"{first}\"")?;
            if self.count > 1 {
                write!(f, " and {} more", self.count - 1)?;
            }
            f.write_str(", ")?;
        }
        match self.reason {
            Reason::NotUtf8 => f.write_str("not UTF-8, nothing kept"),
            Reason::NotJson => f.write_str("not JSON, nothing kept"),
            Reason::NotObject => f.write_str("not a JSON object, nothing kept"),
            Reason::Repeated => f.write_str("sent more than once, the first counts"),
            Reason::Value => f.write_str("a value has to be a string, a number or a boolean"),
            Reason::Reserved => f.write_str("names that begin with cf. are reserved"),
            Reason::Duplicate => f.write_str("a name may be given once"),
            Reason::TooLong => write!(
                f,
                "a name may have {NAME_BYTES_MAX} bytes and a string {TEXT_BYTES_MAX}"
            ),
            Reason::TooMany => f.write_str("too many entries (gateways.NAME.metadata.max_entries)"),
        }
    }
}
