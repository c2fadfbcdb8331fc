//! From the tree of values to the types, one fault after another until what is left fits.

use super::Config;
use super::findings::{Findings, Spot};
use super::place::{Path, Step};
use super::tree;
use serde_path_to_error::Segment;
use serde_yaml::Value;

/// A longer word is no misspelling of a name.
const WORD_BYTES_MAX: usize = 100;

/// Reads the tree; every value that does not fit becomes a fault and is pruned, and its default
/// stands in so that the rest can be read on.
pub fn read(value: &mut Value, findings: &mut Findings<'_>) -> Config {
    while !findings.is_full() {
        let error = match serde_path_to_error::deserialize::<_, Config>(&*value) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let path = to_path(error.path());
        let message = error.inner().to_string();
        if let Some(scalar) = unquoted(value, &path, findings) {
            *scalar.0 = scalar.1;
            continue;
        }
        if !is_echo(&message, &path, findings) {
            let mut flaw = explain(&message);
            let within = |list: &str| path.steps().contains(&Step::Key(list.to_owned()));
            if flaw.spot == Spot::Key && within("tokens") {
                // A token with a colon in it looks like a key: it is not repeated.
                flaw.what = "this is not a token".to_owned();
                flaw.fix = "write a token in quotes, or {name: NAME, token: TOKEN}".to_owned();
            } else if flaw.spot == Spot::Key && within("keys") {
                flaw.what = "this is not a provider's key".to_owned();
                flaw.fix = "write a key in quotes, or {name: NAME, key: KEY}".to_owned();
            }
            findings.add(&path, flaw.spot, flaw.what, flaw.fix);
            expect_misspelt(&message, &path, findings);
        }
        if !forget(value, &path, findings) {
            break;
        }
    }
    Config::default()
}

fn to_path(path: &serde_path_to_error::Path) -> Path {
    let mut steps = Path::top();
    for segment in path {
        steps = match segment {
            Segment::Seq { index } => steps.item(*index),
            Segment::Map { key } => steps.key(key),
            Segment::Enum { .. } | Segment::Unknown => break,
        };
    }
    steps
}

/// What a filled text without quotes means as a number or a boolean, as it would had the user
/// written it: tried where a text does not fit.
fn unquoted<'v>(
    value: &'v mut Value,
    path: &Path,
    findings: &Findings<'_>,
) -> Option<(&'v mut Value, Value)> {
    // Behind an alias there is no place to ask; there, any text may mean a number.
    if findings
        .places
        .find(path)
        .is_some_and(|place| !(place.plain && place.filled))
    {
        return None;
    }
    let scalar = tree::find_mut(value, path)?;
    let text = scalar.as_str()?;
    let fresh = match (text.parse::<u64>(), text.parse::<bool>()) {
        (Ok(number), _) => Value::Number(number.into()),
        (_, Ok(flag)) => Value::Bool(flag),
        _ => return None,
    };
    Some((scalar, fresh))
}

/// Whether the fault only repeats one already told: a key is missing because it was pruned.
fn is_echo(message: &str, path: &Path, findings: &Findings<'_>) -> bool {
    let place = findings.places.find(path);
    match (quoted(message, "missing field `"), place) {
        // The unknown key was told, and says what the keys are.
        (Some("token" | "key"), Some(place)) if place.has_pruned_any() => true,
        (Some(key), Some(place)) => place.has_pruned(key),
        _ => false,
    }
}

/// A misspelt key counts as written, so that it is not told to be missing as well.
fn expect_misspelt(message: &str, path: &Path, findings: &mut Findings<'_>) {
    if let Some(key) = quoted(message, "unknown field `")
        && let Some(meant) = nearest(key, &listed(message))
        && let Some((parent, _)) = path.split_last()
        && !findings.has(&parent.key(meant))
    {
        findings.places.prune(&parent.key(meant));
    }
}

/// Prunes the value at `path`, or what is closest around it; false at the top, where nothing is
/// left to be read.
fn forget(value: &mut Value, path: &Path, findings: &mut Findings<'_>) -> bool {
    let mut path = path.clone();
    loop {
        let Some((parent, _)) = path.split_last() else {
            return false;
        };
        if parent == Path::top().key("gateways")
            && let Some(gateway) = tree::find_mut(value, &path)
            && !gateway.is_mapping()
        {
            // The gateway exists, whatever is wrong with it: others may name it.
            *gateway = Value::Mapping(serde_yaml::Mapping::new());
            return true;
        }
        if tree::prune(value, &path) {
            findings.places.prune(&path);
            return true;
        }
        path = parent;
    }
}

/// A fault in words for people.
#[derive(Debug, PartialEq, Eq)]
struct Flaw {
    spot: Spot,
    what: String,
    fix: String,
}

/// Turns serde's words into ours. Values are left out: the source line shows them where it may.
fn explain(message: &str) -> Flaw {
    if let Some(key) = quoted(message, "unknown field `") {
        let known = listed(message);
        return Flaw {
            spot: Spot::Key,
            what: format!("unknown key `{key}`"),
            fix: format!(
                "{}the keys here are {}",
                did_you_mean(key, &known),
                known.join(", ")
            ),
        };
    }
    if let Some(key) = quoted(message, "missing field `") {
        let (what, fix) = (
            format!("the key `{key}` is missing here"),
            format!("add `{key}: ...`"),
        );
        return Flaw {
            spot: Spot::Key,
            what,
            fix,
        };
    }
    if let Some(word) = quoted(message, "unknown variant `") {
        let known = listed(message);
        let fix = format!(
            "{}write one of {}",
            did_you_mean(word, &known),
            known.join(", ")
        );
        return Flaw {
            spot: Spot::Value,
            what: "no such word is known here".to_owned(),
            fix,
        };
    }
    if let Some((found, expected)) = message.rsplit_once(", expected ")
        && let Some((_, found)) = found.split_once(": ")
    {
        let expected = in_words(expected);
        let found = kind_of(found);
        let what = format!("expected {expected}, found {found}");
        return Flaw {
            spot: Spot::Value,
            what,
            fix: format!("write {expected}"),
        };
    }
    let (what, fix) = message
        .split_once("; ")
        .unwrap_or((message, "see conf/tollgate.yaml"));
    Flaw {
        spot: Spot::Value,
        what: what.to_owned(),
        fix: fix.to_owned(),
    }
}

/// The name in backquotes after `before`. The name may be the user's own and hold anything.
fn quoted<'m>(message: &'m str, before: &str) -> Option<&'m str> {
    let rest = message.strip_prefix(before)?;
    let end = rest
        .rfind("`, expected ")
        .or_else(|| rest.rfind("`, there are no"));
    rest.get(..end.or_else(|| rest.rfind('`'))?)
}

/// The names after `expected`, each in backquotes.
fn listed(message: &str) -> Vec<&str> {
    let names = message
        .rsplit_once(", expected ")
        .map_or("", |(_, names)| names);
    names.split('`').skip(1).step_by(2).collect()
}

/// `did you mean `X`? ` where one of the names is close, else nothing.
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    nearest(word, known)
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default()
}

fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let reach = 1 + word.len() / 4;
    let distances = known
        .iter()
        .map(|name| (strsim::osa_distance(&word, name), *name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= reach && distance < name.len()).then_some(name)
}

fn in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" => "a whole number, 0 or more",
        "a sequence" => "a list",
        "a string" | "string" => "a text",
        "a boolean" => "true or false",
        "path string" => "the path of a file",
        _ if expected.starts_with("struct ") || expected == "a map" => "keys with values",
        _ => expected,
    }
}

fn kind_of(found: &str) -> &str {
    let word = found.split([' ', ',']).next().unwrap_or_default();
    match word {
        "string" => "a text",
        "integer" | "floating" => "a number",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" => "keys with values",
        "unit" | "null" => "nothing",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, what: &str, fix: &str) {
        let flaw = explain(message);
        assert_eq!((flaw.what.as_str(), flaw.fix.as_str()), (what, fix));
    }

    #[test]
    fn the_words_of_serde_become_words_for_people() {
        check(
            "unknown field `lisen`, expected one of `listen`, `admin`",
            "unknown key `lisen`",
            "did you mean `listen`? the keys here are listen, admin",
        );
        check(
            "unknown field `q`, expected `file`",
            "unknown key `q`",
            "the keys here are file",
        );
        check(
            "missing field `base_url`",
            "the key `base_url` is missing here",
            "add `base_url: ...`",
        );
        check(
            "invalid type: string \"a, expected b\", expected usize",
            "expected a whole number, 0 or more, found a text",
            "write a whole number, 0 or more",
        );
    }

    #[test]
    fn only_near_misses_are_suggested() {
        let known = ["openai", "anthropic", "grok", "groq"];
        assert_eq!(did_you_mean("opnai", &known), "did you mean `openai`? ");
        assert_eq!(
            did_you_mean("Anthropc", &known),
            "did you mean `anthropic`? "
        );
        assert_eq!(did_you_mean("bedrock", &known), "");
    }
}
