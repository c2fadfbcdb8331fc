//! Replaces `${env:NAME}` and `${file:PATH}` in the user's texts; `$${` stands for `${` itself.

use super::findings::{Findings, Spot};
use super::place::{Path, Step};
use super::tree;
use serde_yaml::Value;
use std::io::Read;

/// The largest file that `${file:PATH}` reads.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Where the values come from.
pub struct Sources<'a> {
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that relative paths start from.
    pub folder: &'a std::path::Path,
}

/// Fills every text of the tree; one that cannot be filled becomes a fault and is pruned.
pub fn fill(value: &mut Value, sources: &Sources<'_>, findings: &mut Findings<'_>) {
    let mut doomed = Vec::new();
    walk(value, &Path::top(), sources, findings, &mut doomed);
    // From the end, so that the items of a list keep their places.
    for path in doomed.iter().rev() {
        tree::prune(value, path);
        findings.places.prune(path);
    }
}

fn walk(
    value: &mut Value,
    path: &Path,
    sources: &Sources<'_>,
    findings: &mut Findings<'_>,
    doomed: &mut Vec<Path>,
) {
    match value {
        _ if findings.is_full() => {}
        Value::String(text) => match expand(text, sources) {
            Ok(None) => {}
            Ok(Some(full)) => {
                *text = full;
                if let Some(place) = findings.places.find_mut(path) {
                    place.filled = true;
                }
            }
            Err(flaw) => {
                findings.add(path, Spot::Value, flaw.what, flaw.fix);
                doomed.push(path.clone());
            }
        },
        Value::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(
                    item,
                    &path.step(Step::Item(index)),
                    sources,
                    findings,
                    doomed,
                );
            }
        }
        Value::Mapping(entries) => {
            for (key, entry) in entries.iter_mut() {
                let path = path.key(key.as_str().unwrap_or_default());
                walk(entry, &path, sources, findings, doomed);
            }
        }
        _ => {}
    }
}

struct Flaw {
    what: String,
    fix: String,
}

fn flaw(what: impl Into<String>, fix: impl Into<String>) -> Flaw {
    Flaw {
        what: what.into(),
        fix: fix.into(),
    }
}

/// The text with everything filled in; `None` where there is nothing to fill.
fn expand(text: &str, sources: &Sources<'_>) -> Result<Option<String>, Flaw> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut full = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            full.push_str(before);
            full.push_str("${");
            rest = after;
            continue;
        }
        let Some((reference, after)) = after.split_once('}') else {
            return Err(flaw(
                "a `${` is not closed",
                "close it with `}`, or write `$${` for a literal `${`",
            ));
        };
        full.push_str(before);
        full.push_str(&resolve(reference, sources)?);
        rest = after;
    }
    full.push_str(rest);
    Ok(Some(full))
}

fn resolve(reference: &str, sources: &Sources<'_>) -> Result<String, Flaw> {
    match reference.split_once(':') {
        Some(("env", name)) if is_variable(name) => (sources.env)(name).ok_or_else(|| {
            flaw(
                format!("the environment variable {name} is not set"),
                format!("set {name} where tollgate is started, or write the value here"),
            )
        }),
        Some(("env", _)) => Err(flaw(
            "this is no name of an environment variable",
            "write ${env:NAME} with letters, digits and `_`",
        )),
        Some(("file", path)) if !path.is_empty() => read(&sources.folder.join(path)),
        _ => Err(flaw(
            "this `${...}` names no source that tollgate knows",
            "write ${env:NAME} or ${file:PATH}, or `$${` for a literal `${`",
        )),
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The file's text without its last line break.
fn read(path: &std::path::Path) -> Result<String, Flaw> {
    let told = |error: std::io::Error| {
        flaw(
            format!("the file cannot be read: {}", error.kind()),
            "name a file that exists and that tollgate's user may read; a relative path starts at the config file's folder",
        )
    };
    if !std::fs::metadata(path).map_err(told)?.is_file() {
        return Err(flaw(
            "this is not a file",
            "name a plain file, not a folder or a device",
        ));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(told)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(told)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(flaw(
            "the file is larger than 64 KiB",
            "name a file that holds the value alone",
        ));
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|_| flaw("the file is not UTF-8 text", "name a file that holds text"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Option<&str>, &str>) {
        let env = |name: &str| (name == "WHO").then(|| "world".to_owned());
        let sources = Sources {
            env: &env,
            folder: std::path::Path::new("/nowhere"),
        };
        match (expand(text, &sources), expect) {
            (Ok(full), Ok(expect)) => assert_eq!(full.as_deref(), expect, "{text}"),
            (Err(flaw), Err(part)) => assert!(flaw.what.contains(part), "{text}: {}", flaw.what),
            (Ok(full), Err(part)) => panic!("{text}: {full:?}, not {part}"),
            (Err(flaw), Ok(_)) => panic!("{text}: {}", flaw.what),
        }
    }

    #[test]
    fn references_are_filled_and_doubled_dollars_are_not() {
        check("plain $5 {x}", Ok(None));
        check("hello ${env:WHO}${env:WHO}!", Ok(Some("hello worldworld!")));
        check(
            "$${env:WHO} $$${env:WHO}",
            Ok(Some("${env:WHO} $${env:WHO}")),
        );
        check("${env:WHO", Err("not closed"));
        check("${env:NOBODY}", Err("NOBODY is not set"));
        check("${env:}", Err("no name"));
        check("${WHO}", Err("no source"));
        check("${vault:a}", Err("no source"));
        check("${file:}", Err("no source"));
        check("${file:x}", Err("cannot be read"));
    }

    #[test]
    fn a_file_loses_one_line_break_and_may_not_be_large() {
        let folder =
            std::env::temp_dir().join(format!("tollgate-interpolate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key"), "secret\n\r\n").unwrap();
        std::fs::write(folder.join("large"), vec![b'x'; (64 << 10) + 1]).unwrap();
        let sources = Sources {
            env: &|_| None,
            folder: &folder,
        };
        assert_eq!(
            expand("${file:key}", &sources).ok().flatten().as_deref(),
            Some("secret\n")
        );
        assert!(expand("${file:large}", &sources).is_err());
        assert!(expand("${file:.}", &sources).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
