//! A script: which requests get which faults, where no `x-mock` header says it.

use super::fault::{FaultError, Faults};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// Rules in their order, with what was counted so far.
#[derive(Debug)]
pub struct Script {
    rules: Vec<Rule>,
    counts: Mutex<Vec<Count>>,
    /// Some rule asks for the model, so the body must be read first.
    reads_model: bool,
}

/// Why a script was not understood.
#[derive(Debug, Error)]
pub enum ScriptError {
    #[error("cannot read the script {path}: {error}")]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the script is malformed: {0}")]
    Yaml(#[from] serde_yaml::Error),
    #[error("rule {rule} of the script: {error}")]
    Fault { rule: usize, error: FaultError },
    #[error("rule {rule} of the script: {key} counts from 1")]
    Zero { rule: usize, key: &'static str },
    #[error(
        "rule {rule} of the script: `early` answers before a model is known, but rule {other} matches one"
    )]
    Early { rule: usize, other: usize },
}

/// What a request shows to a script.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub model: &'a str,
}

#[derive(Debug)]
struct Rule {
    line: Line,
    faults: Faults,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    matched: u64,
    used: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "match", default)]
    pattern: Pattern,
    /// The rule begins with the Nth request that matches.
    nth: Option<u64>,
    /// The rule ends after so many requests; with `nth` alone after one.
    times: Option<u64>,
    faults: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    /// The path's end.
    path: Option<String>,
    method: Option<String>,
    model: Option<String>,
}

impl Script {
    /// Reads a script file.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| ScriptError::Read {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&text)
    }

    /// Reads a script: a YAML list of `{match: {path, method, model}, nth, times, faults}`.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let lines: Vec<Line> = serde_yaml::from_str(text)?;
        let rules = lines
            .into_iter()
            .enumerate()
            .map(|(index, line)| Rule::new(index + 1, line));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let model = rules
            .iter()
            .position(|rule| rule.line.pattern.model.is_some());
        let early = rules.iter().position(|rule| rule.faults.wire.early);
        if let (Some(other), Some(rule)) = (model, early) {
            return Err(ScriptError::Early {
                rule: rule + 1,
                other: other + 1,
            });
        }
        let counts = Mutex::new(vec![Count::default(); rules.len()]);
        Ok(Self {
            rules,
            counts,
            reads_model: model.is_some(),
        })
    }

    /// Whether `find` needs the model.
    pub fn reads_model(&self) -> bool {
        self.reads_model
    }

    /// The faults of the first rule that matches and whose turn it is. Each rule that matches counts
    /// the request, also when an earlier one is used.
    pub fn find(&self, sight: Sight<'_>) -> Option<&Faults> {
        let mut found = None;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, count) in self.rules.iter().zip(counts.iter_mut()) {
            if !rule.line.pattern.matches(sight) {
                continue;
            }
            count.matched += 1;
            if found.is_none() && rule.line.fits(*count) {
                count.used += 1;
                found = Some(&rule.faults);
            }
        }
        found
    }

    /// Begins anew.
    pub fn reset(&self) {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(Count::default());
    }
}

impl Rule {
    fn new(rule: usize, line: Line) -> Result<Self, ScriptError> {
        for (key, value) in [("nth", line.nth), ("times", line.times)] {
            if value == Some(0) {
                return Err(ScriptError::Zero { rule, key });
            }
        }
        let faults =
            Faults::parse(&line.faults).map_err(|error| ScriptError::Fault { rule, error })?;
        Ok(Self { line, faults })
    }
}

impl Line {
    fn fits(&self, count: Count) -> bool {
        let times = self.times.or(self.nth.map(|_| 1));
        count.matched >= self.nth.unwrap_or(1) && times.is_none_or(|times| count.used < times)
    }
}

impl Pattern {
    fn matches(&self, sight: Sight<'_>) -> bool {
        self.path
            .as_ref()
            .is_none_or(|end| sight.path.ends_with(end))
            && self
                .method
                .as_ref()
                .is_none_or(|method| sight.method.eq_ignore_ascii_case(method))
            && self.model.as_ref().is_none_or(|model| sight.model == model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(script: &str, models: &[&str]) -> Vec<Option<u16>> {
        let script = Script::parse(script).unwrap();
        let find = |model: &&str| {
            let sight = Sight {
                method: "POST",
                path: "/v1/chat/completions",
                model,
            };
            script.find(sight).and_then(|faults| faults.content.status)
        };
        models.iter().map(find).collect()
    }

    #[test]
    fn nth_counts_what_matches_and_times_what_was_used() {
        let script = "
- {match: {path: /completions}, nth: 2, faults: status=500}
- {match: {method: post, model: b}, times: 1, faults: status=503}
- {match: {path: /embeddings}, faults: status=404}
- {nth: 4, times: 2, faults: status=429}";
        let seen = statuses(script, &["a", "b", "b", "b", "a", "a"]);
        assert_eq!(
            seen,
            [None, Some(500), Some(503), Some(429), Some(429), None]
        );
    }

    #[test]
    fn a_wrong_script_says_what_is_wrong() {
        let check = |text: &str, says: &str| {
            let error = Script::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        check(
            "- {faults: gzip}\n- {faults: 'status=1'}",
            "rule 2 of the script: fault \"status\" needs",
        );
        check("- {faults: gzip, matches: {}}", "unknown field `matches`");
        check(
            "- {match: {modell: x}, faults: gzip}",
            "unknown field `modell`",
        );
        check(
            "- {nth: 0, faults: gzip}",
            "rule 1 of the script: nth counts from 1",
        );
        check(
            "- {faults: early}\n- {match: {model: x}, faults: gzip}",
            "but rule 2 matches one",
        );
        check("faults: gzip", "the script is malformed");
    }
}
