//! From the user's file to settings: reads, interpolates, checks, and says every fault at once.

mod form;
mod place;
mod survey;
mod source;
mod fault;
mod findings;
mod tree;
mod interpolate;
mod typed;
mod check;
#[cfg(test)]
mod tests;

pub use fault::{Fault, Faults};
pub use form::{Config, Gateway};

use crate::{provider, stage};
use findings::Findings;
use source::Source;
use std::cell::RefCell;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest config file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads the file at `path`, of at most 4 MiB; without one, the built-in defaults. Environment
/// variables are the process's own. Every fault of the file comes back at once.
pub fn load(path: Option<&Path>) -> Result<Config, Faults> {
    load_noting(path, &mut Vec::new())
}

/// The same; `files` are afterwards those that it was read from, itself first, as far as it could be
/// read.
pub fn load_noting(path: Option<&Path>, files: &mut Vec<PathBuf>) -> Result<Config, Faults> {
    files.clear();
    let Some(path) = path else {
        return Ok(Config::default());
    };
    files.push(path.to_owned());
    let name = path.display().to_string();
    let text = read(path, &name)?;
    let noted = RefCell::default();
    let config = parse_noting(&name, &text, &|name| std::env::var(name).ok(), &noted);
    files.append(&mut noted.into_inner());
    if let Ok(config) = &config {
        let tls = config.server.listen.iter().flat_map(|listen| &listen.tls);
        files.extend(tls.flat_map(|tls| [tls.cert.clone(), tls.key.clone()]));
    }
    config
}

/// Reads a config's text. `name` is the file's, as faults show it; relative paths in the text start
/// from its folder. `env` looks up environment variables.
pub fn parse(
    name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Faults> {
    parse_noting(name, text, env, &RefCell::default())
}

fn parse_noting(
    name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    files: &RefCell<Vec<PathBuf>>,
) -> Result<Config, Faults> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let survey = survey::survey(text);
    let mut source = Source::new(text, &survey.top);
    if let (Some(within), Some(flaw)) = (&survey.broken, survey.flaws.last()) {
        source.hide_broken_line(flaw.at.start, within);
    }
    let mut findings = Findings::new(source, survey.top);
    for flaw in survey.flaws {
        findings.add_at(flaw.at, "", flaw.what, flaw.fix);
    }
    if survey.broken.is_some() {
        return Err(findings.into_faults(name));
    }
    let mut value = match tree::read(text) {
        Ok(value) => value,
        Err(error) => return Err(unread(name, text, findings, &error)),
    };
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let sources = interpolate::Sources { env, folder, files };
    interpolate::fill(&mut value, &sources, &mut findings);
    let mut config = typed::read(&mut value, &mut findings);
    resolve_paths(&mut config, folder);
    // A damaged catalogue is told when it is built.
    let providers = provider::catalogue::slugs().unwrap_or_default();
    check::check(&config, &providers, &mut findings);
    match findings.is_empty() {
        true => Ok(config),
        false => Err(findings.into_faults(name)),
    }
}

fn read(path: &Path, name: &str) -> Result<String, Faults> {
    let refuse = |what: &str, fix: &str| Faults::of_file(name, what, fix);
    let told = |error: std::io::Error| {
        let what = format!("the file cannot be read: {}", error.kind());
        refuse(
            &what,
            "name a file that exists and that you may read, as in --config conf/tollgate.yaml",
        )
    };
    if std::fs::metadata(path).map_err(told)?.is_dir() {
        return Err(refuse(
            "this is a folder",
            "name the file in it, as in --config conf/tollgate.yaml",
        ));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(told)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(told)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(
            "the file is larger than 4 MiB",
            "name a config file; is this one really a config?",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let head = error.as_bytes().get(..valid).unwrap_or_default();
        let line = head.iter().filter(|&&b| b == b'\n').count() + 1;
        refuse(
            &format!("the file is not UTF-8 text, from line {line} on"),
            "save it in UTF-8, without a UTF-16 mark",
        )
    })
}

/// What the two readers of YAML do not agree on: told at the line that the second one names.
fn unread(name: &str, text: &str, mut findings: Findings<'_>, error: &serde_yaml::Error) -> Faults {
    let line = error
        .location()
        .map_or(0, |location| location.line().saturating_sub(1));
    let at = text
        .split_inclusive('\n')
        .take(line)
        .map(str::len)
        .sum::<usize>();
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or_default();
    let what = match what.contains("invalid type") {
        true => "the values here do not fit together",
        false => what,
    };
    findings.hide_line(at);
    findings.add_at(
        at..at,
        "",
        format!("this is not YAML: {what}"),
        "write it in a simpler way",
    );
    findings.into_faults(name)
}

/// Files start from the config's folder, wherever tollgate is started.
fn resolve_paths(config: &mut Config, folder: &Path) {
    let files = config
        .server
        .listen
        .iter_mut()
        .flat_map(|listen| listen.tls.as_mut());
    let files = files.flat_map(|tls| [&mut tls.cert, &mut tls.key]);
    let log = match &mut config.log {
        stage::journal::config::Config::File(file) => Some(file),
        _ => None,
    };
    let files = files.chain(&mut config.server.ca_file).chain(log);
    let files = files.chain(&mut config.counters.folder);
    let files = files.chain(&mut config.server.runtime_dir);
    for file in files.chain(&mut config.cache.directory) {
        *file = folder.join(&*file);
    }
}
