//! Reads the table of faults, and says of each place in a request what has to come of it.

use super::shape::Shape;
use serde::Deserialize;

/// A line of `table.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub fault: String,
    #[serde(default)]
    pub ask: Ask,
    /// The names of the shapes that it is about; all where there is none.
    #[serde(default)]
    pub of: Vec<String>,
    attempt: String,
    pub next: bool,
    alone: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    #[default]
    Both,
    Plain,
    Stream,
}

/// Where the fault stands among the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    FirstOfTwo,
    SecondOfThree,
    Last,
}

/// An attempt as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub status: Option<u64>,
    pub usage: String,
}

/// What the client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Face {
    /// The provider's own answer, whole.
    Whole(u64),
    /// The provider's answer, which breaks off.
    Cut(u64),
    /// The gateway's own answer: status and code.
    Own(u64, u64),
}

/// What has to come of one request.
#[derive(Debug)]
pub struct Expected {
    pub face: Face,
    pub end: String,
    /// The step that the client is told of.
    pub step: usize,
    pub attempts: Vec<Attempt>,
}

pub fn read() -> Vec<Row> {
    serde_yaml::from_str(include_str!("table.yaml")).unwrap()
}

impl Place {
    pub const ALL: [Self; 3] = [Self::FirstOfTwo, Self::SecondOfThree, Self::Last];

    /// The step that has the fault.
    pub const fn index(self) -> usize {
        match self {
            Self::FirstOfTwo => 0,
            Self::SecondOfThree | Self::Last => 1,
        }
    }

    /// The faults of all steps: what stands before fails, what stands after is healthy.
    pub fn faults(self, fault: &str) -> Vec<&str> {
        match self {
            Self::FirstOfTwo => vec![fault, "none"],
            Self::SecondOfThree => vec!["status=503", fault, "none"],
            Self::Last => vec!["status=503", fault],
        }
    }
}

impl Row {
    pub fn is_about(&self, shape: Shape, stream: bool) -> bool {
        let asked = match self.ask {
            Ask::Both => true,
            Ask::Plain => !stream,
            Ask::Stream => stream,
        };
        asked && (self.of.is_empty() || self.of.iter().any(|name| name == shape.name()))
    }

    /// Whether the provider falls silent.
    pub fn times_out(&self) -> bool {
        self.alone.ends_with("timeout")
    }

    pub fn expected(&self, place: Place) -> Expected {
        let mut attempts = vec![Attempt::new(Some(503), "none"); place.index()];
        let own = self.attempt();
        let status = own.status.unwrap_or_default();
        attempts.push(own);
        if self.next && place != Place::Last {
            attempts.push(Attempt::new(Some(200), "reported"));
            return Expected {
                face: Face::Whole(200),
                end: "complete".to_owned(),
                step: place.index() + 1,
                attempts,
            };
        }
        let words: Vec<&str> = self.alone.split(' ').collect();
        let (face, end) = match words.as_slice() {
            ["whole", end] => (Face::Whole(status), end),
            ["cut", end] => (Face::Cut(status), end),
            [status, code, end] => (
                Face::Own(status.parse().unwrap(), code.parse().unwrap()),
                end,
            ),
            _ => panic!("{self:?}"),
        };
        Expected {
            face,
            end: (*end).to_owned(),
            step: place.index(),
            attempts,
        }
    }

    fn attempt(&self) -> Attempt {
        let (status, usage) = self.attempt.split_once(' ').unwrap();
        let status = (status != "-").then(|| status.parse().unwrap());
        Attempt::new(status, usage)
    }
}

impl Attempt {
    fn new(status: Option<u64>, usage: &str) -> Self {
        Self {
            status,
            usage: usage.to_owned(),
        }
    }
}
