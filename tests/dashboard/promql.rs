//! What an expression of PromQL names: metrics, the labels it selects them by, and the labels it groups by.

use std::iter::Peekable;
use std::str::Chars;

/// A metric as an expression names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub labels: Vec<String>,
}

/// What an expression names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub selectors: Vec<Selector>,
    /// In `by (…)`, `on (…)` and the like.
    pub groupings: Vec<String>,
}

const GROUPINGS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// Words that stand alone and are no metric.
const WORDS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "atan2"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Text,
    Sign(char),
}

/// Reads an expression. Grafana's variables may stand in texts and for durations.
pub fn read(expression: &str) -> Named {
    let tokens = tokens(expression);
    let mut named = Named::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Name(name) = token else { continue };
        let next = tokens.get(at);
        if GROUPINGS.contains(&name.as_str()) {
            if next == Some(&Token::Sign('(')) {
                named.groupings.extend(until(&tokens, &mut at, ')'));
            }
        } else if WORDS.contains(&name.as_str()) || next == Some(&Token::Sign('(')) {
            // An operator, or a function.
        } else if matches!(next, Some(Token::Name(word)) if GROUPINGS.contains(&word.as_str())) {
            // An aggregation.
        } else {
            let labels = match next == Some(&Token::Sign('{')) {
                true => until(&tokens, &mut at, '}'),
                false => Vec::new(),
            };
            let metric = name.clone();
            named.selectors.push(Selector { metric, labels });
        }
    }
    named
}

/// The names from an opening bracket to its end.
fn until(tokens: &[Token], at: &mut usize, end: char) -> Vec<String> {
    let rest = tokens[*at..].iter();
    let within: Vec<_> = rest
        .take_while(|token| **token != Token::Sign(end))
        .collect();
    *at += within.len();
    let names = within.into_iter().filter_map(|token| match token {
        Token::Name(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '"' => {
                assert!(rest.any(|c| c == '"'), "a text has no end: {expression}");
                tokens.push(Token::Text);
            }
            // A number, a duration, or one of Grafana's variables.
            '0'..='9' | '$' => {
                word(&mut rest);
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                tokens.push(Token::Name(format!("{first}{}", word(&mut rest))));
            }
            _ if first.is_whitespace() => {}
            _ => tokens.push(Token::Sign(first)),
        }
    }
    tokens
}

/// What follows that belongs to the same word.
fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    let part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
    std::iter::from_fn(|| rest.next_if(part)).collect()
}

#[test]
fn metrics_labels_and_groupings_are_found_and_functions_are_not() {
    let named = read(
        r#"topk(3, sum by (a, b) (rate(one_total{x=~"y{z", job!="no"}[$__rate_interval])) * 60) / on (c) group_left two > 1e3 or vector(0) and three offset 5m"#,
    );
    let metrics: Vec<_> = named
        .selectors
        .iter()
        .map(|one| (one.metric.as_str(), one.labels.join(" ")))
        .collect();
    let expect = [("one_total", "x job"), ("two", ""), ("three", "")];
    assert_eq!(
        metrics,
        expect.map(|(name, labels)| (name, labels.to_owned()))
    );
    assert_eq!(named.groupings, ["a", "b", "c"]);
}
