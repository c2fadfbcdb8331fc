//! Every stage's error, turned into status, code and words in one match.

use super::failure::Failure;
use super::faults::{BodyFault, FieldFault, HeadFault};
use super::universal::{StepFault, UniversalFault};
use crate::stage::auth::Unauthorized;
use crate::stage::limit::exceeded::Exceeded;
use crate::stage::limit::rule::Measure;
use crate::stage::plan::pool::Unfit;
use crate::stage::route::RouteError;
use std::borrow::Cow;
use std::time::Duration;
use thiserror::Error;

/// Why the gateway answers by itself.
#[derive(Debug, Error)]
pub enum Refusal {
    #[error(transparent)]
    Head(#[from] HeadFault),
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Auth(#[from] Unauthorized),
    #[error(transparent)]
    Limit(#[from] Box<Exceeded>),
    #[error(transparent)]
    Body(#[from] BodyFault),
    #[error(transparent)]
    Field(#[from] FieldFault),
    #[error(transparent)]
    Universal(#[from] UniversalFault),
    #[error(transparent)]
    Upstream(#[from] Failure),
    #[error("the gateway failed: {0}")]
    Internal(String),
}

/// The face of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Face {
    pub status: u16,
    /// Cloudflare's code where it has one; ours are above 9000.
    pub code: u16,
    /// The stage that refused, for the log.
    pub stage: &'static str,
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// Status, code and message; what is behind it in detail is this error's own text.
    pub fn face(&self) -> Face {
        let (status, code, stage, message) = match self {
            Self::Head(fault) => match fault {
                HeadFault::Malformed(_) => (400, 9400, "head", "Bad request"),
                HeadFault::Slow => (408, 9408, "head", "Request timeout"),
                HeadFault::TooLarge(_) | HeadFault::TooMany => {
                    (431, 9431, "head", "Request head too large")
                }
                HeadFault::Connect => (405, 9405, "head", "Method not allowed"),
            },
            Self::Route(error) => match error {
                RouteError::Gateway(_) => (
                    400,
                    2001,
                    "route",
                    "Please configure AI Gateway in the Cloudflare dashboard",
                ),
                RouteError::Provider(_) => (400, 2008, "route", "Invalid provider"),
                RouteError::Path => (404, 9404, "route", "Not found"),
                RouteError::Malformed | RouteError::Place(_) => (400, 9400, "route", "Bad request"),
            },
            Self::Limit(exceeded) => return limit_face(exceeded),
            Self::Auth(Unauthorized) => (401, 2009, "auth", "Unauthorized"),
            Self::Body(fault) => match fault {
                BodyFault::TooLarge(_) => (413, 9413, "body", "Request body too large"),
                BodyFault::Slow => (408, 9408, "body", "Request timeout"),
                BodyFault::Malformed(_) | BodyFault::Gone => (400, 9400, "body", "Bad request"),
            },
            Self::Field(_) => (400, 9400, "head", "Bad request"),
            Self::Universal(UniversalFault { fault, .. }) => match fault {
                StepFault::Route(RouteError::Provider(_)) => {
                    (400, 2008, "route", "Invalid provider")
                }
                _ => (400, 9400, "route", "Bad request"),
            },
            Self::Upstream(failure) => match failure {
                Failure::Resolve { .. }
                | Failure::Connect { .. }
                | Failure::Closed { .. }
                | Failure::Refused { .. } => (
                    502,
                    2005,
                    "upstream",
                    "Failed to get response from provider",
                ),
                Failure::Malformed { .. } | Failure::Cut { .. } | Failure::Reported { .. } => {
                    (502, 9502, "upstream", "Invalid response from provider")
                }
                Failure::Unfit { .. } => (503, 9503, "upstream", "Provider unavailable"),
                Failure::FirstByte { .. } => (504, 9504, "upstream", "Provider timed out"),
                Failure::Total { .. } | Failure::Idle { .. } => {
                    (504, 9505, "upstream", "Request timed out")
                }
            },
            Self::Internal(_) => (500, 9500, "gateway", "Internal error"),
        };
        Face {
            status,
            code,
            stage,
            message: Cow::Borrowed(message),
        }
    }

    /// How to mend it, where the error alone does not say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Route(RouteError::Gateway(_)) => {
                Some("add it under `gateways` in the configuration, or use `default`")
            }
            Self::Route(RouteError::Provider(_)) => {
                Some("use a slug of the provider catalogue, or a `custom-…` one from `providers`")
            }
            Self::Route(RouteError::Path) => Some(
                "short paths (/{provider}/…) need a listener or host that is bound to a gateway",
            ),
            Self::Auth(_) => {
                Some("send a token of this gateway as `cf-aig-authorization: Bearer TOKEN`")
            }
            _ => None,
        }
    }

    /// When asking again may help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream(Failure::Unfit {
                unfit: Unfit::Resting(within),
                ..
            }) => Some(*within),
            _ => None,
        }
    }

    /// Whether nobody can tell any more where the next request would begin.
    pub const fn breaks_framing(&self) -> bool {
        matches!(self, Self::Head(_) | Self::Body(_))
    }
}

/// Money has a code and a message of its own, which says how much of it there is.
fn limit_face(exceeded: &Exceeded) -> Face {
    let (code, message) = match exceeded.measure {
        Measure::Cost => (2041, Cow::Owned(exceeded.to_string())),
        _ => (2003, Cow::Borrowed("Rate limited")),
    };
    Face {
        status: 429,
        code,
        stage: "limit",
        message,
    }
}
