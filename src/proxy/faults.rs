//! What can be wrong with a request as such: its head, its body, its fields.

use std::borrow::Cow;
use thiserror::Error;

/// What is wrong with a request's head.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HeadFault {
    #[error("the request is not valid HTTP: {0}")]
    Malformed(Cow<'static, str>),
    #[error("the request head did not arrive in time")]
    Slow,
    #[error("the request head is larger than {0} bytes (server.max_head)")]
    TooLarge(u64),
    #[error("the request has too many header fields")]
    TooMany,
    #[error("CONNECT is not supported")]
    Connect,
}

/// A field of the gateway's own that cannot be understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{field}: {value}` {expected}")]
pub struct FieldFault {
    pub field: String,
    pub value: String,
    pub expected: Cow<'static, str>,
}

/// What is wrong with a request's body.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BodyFault {
    #[error("the request body is larger than {0} bytes (server.max_body)")]
    TooLarge(u64),
    #[error("the request body paused for too long (server.body_timeout)")]
    Slow,
    #[error("the request body is malformed: {0}")]
    Malformed(String),
    /// Nobody is left to be answered.
    #[error("the client left before its request was complete")]
    Gone,
}
