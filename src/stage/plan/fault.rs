//! What went wrong with an attempt, and whose fault that is.

/// How an attempt failed. A success has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The provider's name could not be resolved.
    Resolve,
    /// No connection came about, within the time for it or at all.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection ended before the answer's head.
    Closed,
    /// What came is not HTTP.
    Malformed,
    /// The first byte or the first token did not come in time.
    Timeout,
    /// The answer paused for too long.
    Idle,
    /// The time for the whole request was over.
    Total,
    /// The provider answered with this status code.
    Status(u16),
    /// The provider says, with whatever status, that the key's account has nothing left.
    Quota,
    /// The answer began well and then told of an error.
    Failed,
    /// The answer broke off before its own end.
    Cut,
    /// The client did not wait for the answer.
    ClientGone,
}

/// Who is at fault, and so what is given a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The key that was sent: not known, not paid for, not allowed, or used too often.
    Key,
    /// The host and what stands behind it.
    Endpoint,
    /// The model, which the endpoint does not have.
    Model,
    /// The request itself: it would fail anywhere.
    Client,
    Nobody,
}

impl Fault {
    /// Whose fault it is. What a client can bring about by what it sends is never the endpoint's,
    /// as far as a status code tells that.
    pub const fn blame(self) -> Blame {
        match self {
            Self::Resolve | Self::Connect | Self::Tls | Self::Closed | Self::Malformed => {
                Blame::Endpoint
            }
            Self::Timeout | Self::Idle | Self::Failed | Self::Cut => Blame::Endpoint,
            Self::Quota => Blame::Key,
            Self::ClientGone => Blame::Client,
            Self::Total => Blame::Nobody,
            Self::Status(status) => blame_of(status),
        }
    }
}

const fn blame_of(status: u16) -> Blame {
    match status {
        401 | 402 | 403 | 429 => Blame::Key,
        404 | 410 => Blame::Model,
        // A slow upload, two requests at once, a replayed one: chance, which a second try decides.
        408 | 409 | 425 => Blame::Nobody,
        // The method or the protocol's version is what the client chose.
        501 | 505 => Blame::Client,
        400..=499 => Blame::Client,
        500..=599 => Blame::Endpoint,
        _ => Blame::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_somebodys_fault_or_nobodys() {
        let check = |statuses: &[u16], blame| {
            for status in statuses {
                assert_eq!(Fault::Status(*status).blame(), blame, "{status}");
            }
        };
        check(&[401, 402, 403, 429], Blame::Key);
        check(&[500, 502, 503, 504, 520, 529, 599], Blame::Endpoint);
        check(&[404, 410], Blame::Model);
        check(
            &[
                400, 405, 406, 411, 413, 414, 415, 418, 422, 424, 431, 451, 499, 501,
            ],
            Blame::Client,
        );
        check(
            &[0, 101, 200, 204, 301, 307, 408, 409, 425, 600],
            Blame::Nobody,
        );
    }
}
