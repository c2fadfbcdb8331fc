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
    /// The same provider is asked again, and answers.
    Retry(Lapse),
    /// The next provider is asked, and answers.
    Fallback(Lapse),
    /// Asked twice; the second time the cache answers.
    Hit,
}

/// How an attempt goes that is followed by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    ServerError,
    Close,
    /// A plain answer breaks off before any of it went to the client.
    CutPlain,
    Hang,
}

/// One request and what its provider will report, if it comes to that.
#[derive(Clone, Debug)]
pub struct Case {
    pub way: Way,
    pub input: u64,
    pub output: u64,
}

pub fn cases() -> impl Strategy<Value = Vec<Case>> {
    let lapse = prop_oneof![
        Just(Lapse::ServerError),
        Just(Lapse::Close),
        Just(Lapse::CutPlain),
        Just(Lapse::Hang),
    ];
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
        lapse.clone().prop_map(Way::Retry),
        lapse.prop_map(Way::Fallback),
        Just(Way::Hit),
    ];
    let case = (way, 1_u64..1_000_000, 1_u64..100_000);
    let case = case.prop_map(|(way, input, output)| Case { way, input, output });
    prop::collection::vec(case, 20..40)
}

/// Where the log has the counts of an attempt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What the case says.
    Reported,
    /// From bytes, some of them an answer's.
    Estimated,
    /// From the question's bytes alone.
    EstimatedUnheard,
    /// Nothing can have been used.
    None,
}

impl Source {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Estimated | Self::EstimatedUnheard => "estimated",
            Self::None => "none",
        }
    }
}

impl Way {
    pub fn streams(self) -> bool {
        let plain = matches!(self, Self::Plain | Self::CutPlain | Self::Hang | Self::Hit);
        !plain && !matches!(self, Self::Retry(_) | Self::Fallback(_))
    }

    /// How the request ends.
    fn end(self) -> &'static str {
        match self {
            Self::Plain | Self::Stream | Self::SilentStream | Self::ServerError => "complete",
            Self::Retry(_) | Self::Fallback(_) | Self::Hit => "complete",
            Self::CutStream(_) | Self::CutPlain => "upstream_cut",
            Self::Leave | Self::LeaveEarly | Self::LeaveDrained => "client_gone",
            Self::Hang => "timeout",
            Self::Close | Self::Dead => "error",
            Self::Refused => "refused",
        }
    }

    /// The attempts it takes.
    pub fn attempts(self) -> Vec<Source> {
        match self {
            Self::Plain | Self::Stream | Self::LeaveDrained | Self::Hit => vec![Source::Reported],
            Self::SilentStream | Self::CutStream(_) | Self::CutPlain | Self::Leave => {
                vec![Source::Estimated]
            }
            Self::LeaveEarly | Self::Hang => vec![Source::EstimatedUnheard],
            Self::ServerError | Self::Close | Self::Dead => vec![Source::None],
            Self::Refused => vec![],
            Self::Retry(lapse) | Self::Fallback(lapse) => vec![lapse.source(), Source::Reported],
        }
    }

    /// As the provider reads it from the request.
    pub fn name(self) -> String {
        match self {
            Self::Retry(lapse) => format!("{lapse:?} then Plain"),
            Self::Fallback(_) | Self::Hit => "Plain".to_owned(),
            _ => format!("{self:?}"),
        }
    }
}

impl Lapse {
    const fn source(self) -> Source {
        match self {
            Self::ServerError | Self::Close => Source::None,
            Self::CutPlain => Source::Estimated,
            Self::Hang => Source::EstimatedUnheard,
        }
    }
}

impl Case {
    /// What the provider bills for what it reports.
    pub const fn cost(&self) -> u64 {
        cost(self.input, self.output)
    }

    /// Whether the request is sent once more, to find its answer in the cache.
    pub fn is_repeated(&self) -> bool {
        self.way == Way::Hit
    }

    /// Compares a line of the log with what happened.
    pub fn check(&self, line: &Value) {
        let say = || format!("{self:?}: {line}");
        assert_eq!(line["end"], self.way.end(), "{}", say());
        let attempts = line["attempts"].as_array().unwrap();
        let sources = self.way.attempts();
        assert_eq!(attempts.len(), sources.len(), "{}", say());
        for (attempt, source) in attempts.iter().zip(&sources) {
            assert_eq!(attempt["usage_source"], source.name(), "{}", say());
            let (input, output) = tokens(attempt);
            match source {
                Source::Reported => {
                    assert_eq!(input, Some(self.input), "{}", say());
                    assert_eq!(output, Some(self.output), "{}", say());
                }
                Source::Estimated | Source::EstimatedUnheard => {
                    assert!(input.is_some_and(|count| count > 0), "{}", say());
                    let unheard = *source == Source::EstimatedUnheard;
                    assert_eq!(output == Some(0), unheard, "{}", say());
                }
                Source::None => assert_eq!((input, output), (None, None), "{}", say()),
            }
            let cost = input.map(|input| cost(input, output.unwrap_or(0)));
            assert_eq!(nanos(&attempt["cost"]), cost, "{}", say());
        }
        let sum = |member: &str| {
            let counts = attempts.iter().filter_map(|own| own[member].as_u64());
            counts.reduce(|sum, count| sum + count)
        };
        assert_eq!(
            tokens(line),
            (sum("tokens_in"), sum("tokens_out")),
            "{}",
            say()
        );
        let costs = attempts.iter().filter_map(|own| nanos(&own["cost"]));
        assert_eq!(
            nanos(&line["cost"]),
            costs.reduce(|sum, cost| sum + cost),
            "{}",
            say()
        );
        let estimated = sources.iter().find(|source| source.name() == "estimated");
        let source = estimated
            .or(sources.last())
            .map_or("none", |source| source.name());
        assert_eq!(line["usage_source"], source, "{}", say());
        assert!(line["saved"].is_null(), "{}", say());
    }

    /// Compares the line of the repeated request.
    pub fn check_hit(&self, line: &Value) {
        let say = || format!("{self:?}: {line}");
        assert_eq!(line["end"], "complete", "{}", say());
        assert_eq!(line["cached"], true, "{}", say());
        assert_eq!(
            line["attempts"].as_array().map(Vec::len),
            Some(0),
            "{}",
            say()
        );
        assert_eq!(tokens(line), (Some(0), Some(0)), "{}", say());
        assert_eq!(nanos(&line["cost"]), Some(0), "{}", say());
        assert_eq!(nanos(&line["saved"]), Some(self.cost()), "{}", say());
    }
}

fn tokens(line: &Value) -> (Option<u64>, Option<u64>) {
    (line["tokens_in"].as_u64(), line["tokens_out"].as_u64())
}

/// In nano-dollars, at $2 and $8 for a million tokens.
const fn cost(input: u64, output: u64) -> u64 {
    input * 2000 + output * 8000
}

/// A cost in the log, in nano-dollars.
pub fn nanos(cost: &Value) -> Option<u64> {
    cost.as_f64().map(|cost| (cost * 1e9).round() as u64)
}
