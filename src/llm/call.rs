//! What a request asks for, as far as the gateway needs to know.

/// The few members read from a request; the rest of the body passes unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The model as the client spelled it, from the body or the path.
    pub model: Option<String>,
    /// Whether the client asked for the answer in pieces.
    pub stream: bool,
    /// The most tokens that the answer may have, all its choices together, where the request says so.
    pub output_max: Option<u64>,
}
