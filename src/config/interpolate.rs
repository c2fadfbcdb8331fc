//! Replaces `${env:NAME}`, `${file:PATH}` and `${credential:NAME}` in the user's texts; `$${` stands for `${` itself.

use super::findings::{Findings, Spot};
use super::place::{Path, Step};
use super::tree;
use serde_yaml::Value;
use std::cell::RefCell;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// The largest file that `${file:PATH}` reads.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The folder beside the config file that holds credentials, a file each.
const CREDENTIALS: &str = "credentials";

/// Where the values come from.
pub struct Sources<'a> {
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that relative paths start from.
    pub folder: &'a std::path::Path,
    /// Takes note of the files that are read.
    pub files: &'a RefCell<Vec<PathBuf>>,
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
        Some(("file", path)) if !path.is_empty() => {
            let path = sources.folder.join(path);
            let text = read(&path);
            sources.files.borrow_mut().push(path);
            text
        }
        Some(("credential", name)) if is_credential(name) => credential(name, sources),
        Some(("credential", _)) => Err(flaw(
            "this is no name of a credential",
            "write ${credential:NAME} with letters, digits, `.`, `-` and `_`",
        )),
        _ => Err(flaw(
            "this `${...}` names no source that tollgate knows",
            "write ${env:NAME}, ${file:PATH} or ${credential:NAME}, or `$${` for a literal `${`",
        )),
    }
}

/// What stands in the folder `credentials` beside the config, as it is now; else what systemd loaded
/// when it started the service. That is a copy: it may stand in for a file that only root can read,
/// but not once that file has changed.
fn credential(name: &str, sources: &Sources<'_>) -> Result<String, Flaw> {
    let live = sources.folder.join(CREDENTIALS).join(name);
    sources.files.borrow_mut().push(live.clone());
    let missing = match std::fs::File::open(&live) {
        Ok(_) => return read(&live),
        Err(error) => error.kind() != ErrorKind::PermissionDenied,
    };
    let loaded = (sources.env)("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    // Of a folder systemd loads every file, the folder's own name before it.
    let loaded = loaded.iter().flat_map(|folder| {
        let of_folder = format!("{CREDENTIALS}_{name}");
        [folder.join(name), folder.join(of_folder)]
    });
    let changed = |path: &PathBuf| {
        std::fs::metadata(path)
            .and_then(|file| file.modified())
            .ok()
    };
    let mut loaded = loaded.filter(|copy| missing || changed(copy) >= changed(&live));
    match loaded.find(|copy| copy.is_file()) {
        Some(copy) => read(&copy),
        None if missing => Err(flaw(
            format!("there is no credential {name}"),
            format!(
                "put it into the file {CREDENTIALS}/{name} beside this file, or have systemd load it (LoadCredential={name}:PATH)"
            ),
        )),
        None => Err(flaw(
            format!("the file {CREDENTIALS}/{name} may not be read"),
            "let tollgate's group read it (chgrp tollgate, chmod 640), or restart the service to have systemd load it",
        )),
    }
}

fn is_credential(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
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
            files: &RefCell::default(),
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
    fn a_credential_is_read_beside_the_config_or_where_systemd_loaded_it() {
        let folder =
            std::env::temp_dir().join(format!("tollgate-credential-{}", std::process::id()));
        let (live, loaded) = (folder.join("credentials"), folder.join("loaded"));
        std::fs::create_dir_all(&live).unwrap();
        std::fs::create_dir_all(&loaded).unwrap();
        for (path, text) in [
            (live.join("both"), "live\n"),
            (loaded.join("both"), "loaded"),
            (loaded.join("alone"), "loaded alone"),
            (loaded.join("credentials_of-folder"), "loaded of a folder"),
        ] {
            std::fs::write(path, text).unwrap();
        }
        let env = |name: &str| {
            let set = name == "CREDENTIALS_DIRECTORY";
            set.then(|| loaded.display().to_string())
        };
        let files = RefCell::default();
        let sources = Sources {
            env: &env,
            folder: &folder,
            files: &files,
        };
        for (name, expect) in [
            ("both", Ok("live")),
            ("alone", Ok("loaded alone")),
            ("of-folder", Ok("loaded of a folder")),
            ("none", Err("there is no credential none")),
            ("", Err("no name")),
            ("../both", Err("no name")),
            (".both", Err("no name")),
        ] {
            let read = expand(&format!("${{credential:{name}}}"), &sources);
            match (read, expect) {
                (Ok(text), Ok(expect)) => assert_eq!(text.as_deref(), Some(expect), "{name}"),
                (Err(flaw), Err(part)) => assert!(flaw.what.contains(part), "{}", flaw.what),
                _ => panic!("{name}"),
            }
        }
        // Another one may be put there later, so all are looked at for changes.
        let looked_at = ["both", "alone", "of-folder", "none"].map(|name| live.join(name));
        assert_eq!(*files.borrow(), looked_at);
        std::fs::remove_dir_all(&folder).unwrap();
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
            files: &RefCell::default(),
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
