//! The ways that one request can go, and what has to be settled for each.

use proptest::prelude::*;
use serde_json::Value;

/// What happens between client, gateway and provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Plain,
    Stream,
    /// The provider never says what it used.
    SilentStream,
    /// The provider breaks off after so many pieces.
    CutStream(u8),
    CutPlain,
    /// The client leaves after the first piece; the gateway stops the provider.
    Leave,
    /// The same at a gateway that reads on.
    LeaveDrained,
    /// The client leaves before there is a head.
    LeaveEarly,
    /// The provider has the request and stays silent until the client's own deadline.
    Hang,
    ServerError,
    /// The provider closes without an answer.
    Close,
    /// Nobody listens.
    Dead,
    /// The gateway refuses.
    Refused,
}

/// One request and what its provider will report, if it comes to that.
#[derive(Clone, Debug)]
pub struct Case {
    pub way: Way,
    pub input: u64,
    pub output: u64,
}

pub fn cases() -> impl Strategy<Value = Vec<Case>> {
    let way = prop_oneof![
        Just(Way::Plain),
        Just(Way::Stream),
        Just(Way::SilentStream),
        (1_u8..5).prop_map(Way::CutStream),
        Just(Way::CutPlain),
        Just(Way::Leave),
        Just(Way::LeaveDrained),
        Just(Way::LeaveEarly),
        Just(Way::Hang),
        Just(Way::ServerError),
        Just(Way::Close),
        Just(Way::Dead),
        Just(Way::Refused),
    ];
    let case = (way, 1_u64..1_000_000, 1_u64..100_000);
    let case = case.prop_map(|(way, input, output)| Case { way, input, output });
    prop::collection::vec(case, 20..40)
}

/// What the log has to say of a case.
#[derive(Debug)]
pub struct Expected {
    pub usage_source: &'static str,
    pub end: &'static str,
    pub attempts: usize,
}

impl Way {
    pub fn streams(self) -> bool {
        !matches!(self, Self::Plain | Self::CutPlain | Self::Hang)
    }

    pub fn expected(self) -> Expected {
        let (usage_source, end, attempts) = match self {
            Self::Plain | Self::Stream => ("reported", "complete", 1),
            Self::SilentStream => ("estimated", "complete", 1),
            Self::CutStream(_) | Self::CutPlain => ("estimated", "upstream_cut", 1),
            Self::Leave | Self::LeaveEarly => ("estimated", "client_gone", 1),
            Self::LeaveDrained => ("reported", "client_gone", 1),
            Self::Hang => ("estimated", "timeout", 1),
            Self::ServerError => ("none", "complete", 1),
            Self::Close | Self::Dead => ("none", "error", 1),
            Self::Refused => ("none", "refused", 0),
        };
        Expected {
            usage_source,
            end,
            attempts,
        }
    }

    /// As the provider reads it from the request.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

impl Case {
    /// Compares a line of the log with what happened.
    pub fn check(&self, line: &Value) {
        let expected = self.way.expected();
        let say = || format!("{self:?}: {line}");
        assert_eq!(line["usage_source"], expected.usage_source, "{}", say());
        assert_eq!(line["end"], expected.end, "{}", say());
        let attempts = line["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), expected.attempts, "{}", say());
        let (input, output) = (line["tokens_in"].as_u64(), line["tokens_out"].as_u64());
        match expected.usage_source {
            "reported" => {
                assert_eq!(input, Some(self.input), "{}", say());
                assert_eq!(output, Some(self.output), "{}", say());
            }
            "estimated" => {
                assert!(input.is_some_and(|count| count > 0), "{}", say());
                let unheard = matches!(self.way, Way::LeaveEarly | Way::Hang);
                assert_eq!(output == Some(0), unheard, "{}", say());
            }
            _ => assert_eq!((input, output), (None, None), "{}", say()),
        }
        let cost = input.map(|input| input * 2000 + output.unwrap_or(0) * 8000);
        assert_eq!(nanos(&line["cost"]), cost, "{}", say());
    }
}

/// A cost in the log, in nano-dollars.
pub fn nanos(cost: &Value) -> Option<u64> {
    cost.as_f64().map(|cost| (cost * 1e9).round() as u64)
}
