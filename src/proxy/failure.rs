//! Why an attempt gave no answer, told from the error that ended it.

use super::deadline::Lapse;
use super::text;
use crate::stage::journal::record::End;
use crate::stage::plan::Patience;
use crate::stage::plan::fault::Fault;
use crate::stage::plan::pool::Unfit;
use pingora::{Error, ErrorSource, ErrorType};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error as ThisError;

/// The reason, in words for the client and the log.
#[derive(Clone, Debug, ThisError)]
pub enum Failure {
    #[error("could not resolve {host}: {cause}")]
    Resolve { host: String, cause: String },
    #[error("could not connect to {origin}: {cause}")]
    Connect { origin: String, cause: String },
    #[error("{origin} closed the connection without an answer: {cause}")]
    Closed { origin: String, cause: String },
    #[error("{origin} answered something that is not HTTP: {cause}")]
    Malformed { origin: String, cause: String },
    #[error("{origin} sent no answer within {within:?}")]
    FirstByte { origin: String, within: Duration },
    #[error("{provider}: {unfit}")]
    Unfit { provider: Arc<str>, unfit: Unfit },
    #[error("the request took longer than {within:?} in all")]
    Total { within: Duration },
    #[error("the answer from {origin} broke off: {cause}")]
    Cut { origin: String, cause: String },
    #[error("{origin} answered with {status}, and no other attempt could be made")]
    Refused { origin: String, status: u16 },
    #[error("{origin} began to answer and then reported a failure")]
    Reported { origin: String },
    #[error("the answer from {origin} paused for longer than {within:?}")]
    Idle { origin: String, within: Duration },
}

impl Failure {
    /// The fault behind it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Resolve { .. } => Fault::Resolve,
            Self::Connect { .. } => Fault::Connect,
            Self::Closed { .. } => Fault::Closed,
            Self::Malformed { .. } => Fault::Malformed,
            Self::FirstByte { .. } => Fault::Timeout,
            Self::Idle { .. } => Fault::Idle,
            Self::Cut { .. } => Fault::Cut,
            Self::Reported { .. } => Fault::Failed,
            Self::Refused { status, .. } => Fault::Status(*status),
            Self::Total { .. } => Fault::Total,
            Self::Unfit { .. } => Fault::Quota,
        }
    }

    /// Whether a deadline of ours passed.
    pub const fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::FirstByte { .. } | Self::Total { .. } | Self::Idle { .. }
        )
    }

    /// The failure behind a deadline that has passed.
    pub fn lapsed(lapse: Lapse, origin: String, patience: Patience) -> Self {
        match lapse {
            Lapse::FirstByte => Self::FirstByte {
                origin,
                within: patience.first_byte,
            },
            Lapse::Idle => Self::Idle {
                origin,
                within: patience.idle,
            },
            Lapse::Total => Self::Total {
                within: patience.total,
            },
        }
    }

    /// The failure behind an error on a connection to `origin`, before or after the answer's head.
    pub fn of(error: &Error, origin: String, patience: Patience, begun: bool) -> Self {
        let cause = cause_of(error);
        match (Lapse::of(error), error.etype()) {
            (Some(lapse), _) => Self::lapsed(lapse, origin, patience),
            _ if begun => Self::Cut { origin, cause },
            (None, ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::InvalidH2) => {
                Self::Malformed { origin, cause }
            }
            _ => Self::Closed { origin, cause },
        }
    }
}

/// How the exchange ended. A client that leaves once it has the stream's own end has all it wanted.
pub fn end_of(failure: Option<&Failure>, error: Option<&Error>, complete: bool) -> End {
    match (failure, error) {
        (_, None) => End::Complete,
        (Some(failure), _) if failure.is_timeout() => End::Timeout,
        (Some(Failure::Cut { .. }), _) => End::UpstreamCut,
        (Some(_), _) => End::Error,
        (None, Some(error)) if *error.esource() == ErrorSource::Downstream => {
            if complete {
                End::Complete
            } else {
                End::ClientGone
            }
        }
        (None, Some(_)) => End::Error,
    }
}

/// The innermost reason of an error: what the operating system, the peer or the parser said.
pub fn cause_of(error: &Error) -> String {
    // A failed handshake tells its reason in its context, and has only our own address as its root.
    if let (ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert, Some(context)) =
        (error.etype(), &error.context)
    {
        return text::cut(context.as_str(), text::CHARS_MAX);
    }
    let root = error.root_cause();
    let pingoras = root.downcast_ref::<Error>();
    let words = pingoras.map_or_else(|| root.to_string(), plain_words);
    text::cut(words.trim(), text::CHARS_MAX)
}

/// Pingora's error without its bookkeeping.
fn plain_words(error: &Error) -> String {
    match &error.context {
        Some(context) => format!("{} {}", error.etype().as_str(), context.as_str()),
        None => error.etype().as_str().to_owned(),
    }
}
