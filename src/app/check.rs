//! `tollgate check`: says that a config is fine, or every fault in it.

use crate::config::{self, Faults};
use crate::provider::catalogue;
use std::path::Path;

/// One line for stdout, such as `conf/tollgate.yaml: fine (2 listeners, 3 gateways, 28 providers)`;
/// or every fault, for stderr.
pub fn check(config: Option<&Path>) -> Result<String, Faults> {
    let read = config::load(config)?;
    let name = config.map_or_else(
        || "built-in defaults".to_owned(),
        |path| path.display().to_string(),
    );
    let named_default = read.gateways.contains_key("default");
    let built_in = catalogue::slugs().unwrap_or_default();
    let own = read
        .providers
        .keys()
        .filter(|slug| !built_in.contains(&slug.as_str()));
    let counts = [
        count(read.server.listen.len(), "listener"),
        count(read.gateways.len() + usize::from(!named_default), "gateway"),
        count(built_in.len() + own.count(), "provider"),
    ];
    Ok(format!("{name}: fine ({})", counts.join(", ")))
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fine() {
        let line = check(None).unwrap();
        assert_eq!(
            line,
            "built-in defaults: fine (1 listener, 1 gateway, 26 providers)"
        );
    }
}
