//! The names under which a model may be listed, the most specific first.

/// A model's names in lower case, as it is called and then with less and less of what says where it
/// runs and of which day it is. Never is a name shortened to what may be another model's.
pub struct Names {
    pub names: Vec<String>,
    pub region: Option<String>,
}

/// Marks of the world's parts before Bedrock's models.
const PARTS: [&str; 11] = [
    "us-gov.", "us.", "eu.", "apac.", "global.", "au.", "jp.", "ca.", "sa.", "uk.", "in.",
];

impl Names {
    pub fn new(slug: &str, model: &str, region: Option<&str>) -> Self {
        let model = model.trim().to_lowercase();
        let (model, own_region) = match split_arn(&model) {
            Some((name, region)) => (name, Some(region)),
            None => (model.as_str(), None),
        };
        let mut names = Self {
            names: vec![model.to_owned()],
            region: region.or(own_region).map(str::to_lowercase),
        };
        names.extend(|name| strip_path(slug, name));
        names.extend(|name| strip_tuning(name).into_iter().collect());
        if slug == "aws-bedrock" {
            names.extend(|name| {
                let part = PARTS.iter().find_map(|part| name.strip_prefix(part));
                part.map(str::to_owned).into_iter().collect()
            });
            names.extend(change_version);
        }
        names.extend(|name| strip_date(name).map(str::to_owned).into_iter().collect());
        names
    }

    /// Puts behind the names what `change` makes of each.
    fn extend(&mut self, change: impl Fn(&str) -> Vec<String>) {
        let more: Vec<_> = self.names.iter().flat_map(|name| change(name)).collect();
        for name in more {
            if !name.is_empty() && !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }
}

/// The model and the region of `arn:aws:bedrock:REGION:ACCOUNT:KIND/MODEL`. An inference profile of
/// the user's own names no model, and stays as it is.
fn split_arn(model: &str) -> Option<(&str, &str)> {
    let mut parts = model.strip_prefix("arn:")?.splitn(5, ':');
    let region = parts.nth(2)?;
    let (kind, name) = parts.nth(1)?.split_once('/')?;
    matches!(kind, "foundation-model" | "inference-profile").then_some((name, region))
}

/// `publishers/google/models/x` as `google/x` and `x`, `models/x` as `x`, `openai/x` at OpenAI as `x`.
fn strip_path(slug: &str, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut tail = name;
    if let Some((path, model)) = name.rsplit_once("models/") {
        tail = model;
        if let Some((_, publisher)) = path.trim_end_matches('/').rsplit_once("publishers/") {
            names.push(format!("{publisher}/{model}"));
        }
        names.push(model.to_owned());
    }
    if let Some((owner, model)) = tail.split_once('/')
        && (owner == slug || own_names(slug).contains(&owner))
    {
        names.push(model.to_owned());
    }
    names
}

/// What else a provider is called before a `/`.
fn own_names(slug: &str) -> &'static [&'static str] {
    match slug {
        "google-ai-studio" => &["google", "gemini"],
        "google-vertex-ai" => &["google", "vertex", "vertex_ai", "anthropic"],
        "grok" => &["xai", "x-ai"],
        "azure-openai" => &["azure", "azure_ai"],
        "aws-bedrock" => &["bedrock", "amazon-bedrock"],
        "perplexity-ai" => &["perplexity"],
        "mistral" => &["mistralai"],
        "fireworks" => &["fireworks_ai"],
        _ => &[],
    }
}

/// A tuned model, `ft:BASE:ORGANISATION:NAME:ID`, is listed as `ft:BASE`.
fn strip_tuning(name: &str) -> Option<String> {
    let (base, _) = name.strip_prefix("ft:")?.split_once(':')?;
    Some(format!("ft:{base}"))
}

/// `…-v1:0`, `…-v1` and the bare name, each for the others, and `…-v1:0:200k` for all of them.
fn change_version(name: &str) -> Vec<String> {
    let mut bare = name;
    if let Some((before, size)) = bare.rsplit_once(':')
        && size
            .strip_suffix('k')
            .is_some_and(|k| k.parse::<u32>().is_ok())
    {
        bare = before;
    }
    let whole = bare;
    bare = bare.strip_suffix(":0").unwrap_or(bare);
    bare = bare.strip_suffix("-v1").unwrap_or(bare);
    let versions = [":0", "-v1:0", "-v1", ""];
    let versions = versions.map(|version| format!("{bare}{version}"));
    [whole.to_owned()].into_iter().chain(versions).collect()
}

/// The name without a date or a word that stands for one.
fn strip_date(name: &str) -> Option<&str> {
    let words = ["-latest", "@latest", "@default"];
    if let Some(bare) = words.iter().find_map(|word| name.strip_suffix(word)) {
        return Some(bare);
    }
    [11, 9].into_iter().find_map(|length| {
        let (bare, date) = name.split_at_checked(name.len().checked_sub(length)?)?;
        is_dated(date).then_some(bare)
    })
}

/// Whether this is `-YYYY-MM-DD`, `-YYYYMMDD`, `@YYYYMMDD` or a word that stands for a date.
pub fn is_dated(suffix: &str) -> bool {
    if matches!(suffix, "-latest" | "@latest" | "@default") {
        return true;
    }
    let Some(date) = suffix.strip_prefix(['-', '@']) else {
        return false;
    };
    let (form, digits) = match date.len() {
        8 => (date.bytes().all(|b| b.is_ascii_digit()), date.to_owned()),
        10 => (true, date.replace('-', "")),
        _ => return false,
    };
    let parsed = digits.parse::<u32>().unwrap_or_default();
    let (year, month, day) = (parsed / 10_000, parsed / 100 % 100, parsed % 100);
    form && digits.len() == 8
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (2000..2100).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(slug: &str, model: &str, expect: &[&str]) {
        assert_eq!(Names::new(slug, model, None).names, expect, "{model}");
    }

    #[test]
    fn prefixes_of_places_are_taken_off() {
        check("openai", "openai/GPT-4o", &["openai/gpt-4o", "gpt-4o"]);
        check("groq", "openai/gpt-oss-20b", &["openai/gpt-oss-20b"]);
        check(
            "google-ai-studio",
            "models/gemini-x",
            &["models/gemini-x", "gemini-x"],
        );
        let path = "publishers/google/models/gemini-x";
        check(
            "google-vertex-ai",
            path,
            &[path, "google/gemini-x", "gemini-x"],
        );
        let path = "accounts/fireworks/models/x";
        check("fireworks", path, &[path, "x"]);
        check(
            "openai",
            "ft:gpt-4o:me::1",
            &["ft:gpt-4o:me::1", "ft:gpt-4o"],
        );
    }

    #[test]
    fn dates_and_no_other_numbers_are_taken_off() {
        check("openai", "m-2024-08-06", &["m-2024-08-06", "m"]);
        check("anthropic", "m-20250929", &["m-20250929", "m"]);
        check("google-vertex-ai", "m@20251101", &["m@20251101", "m"]);
        check("mistral", "m-latest", &["m-latest", "m"]);
        for name in [
            "m-2411",
            "m-0709",
            "m-001",
            "m-20251399",
            "m-12345678",
            "m@3",
            "m-2024_08-06",
        ] {
            check("openai", name, &[name]);
        }
    }

    #[test]
    fn bedrock_names_carry_places_and_versions() {
        let names = Names::new(
            "aws-bedrock",
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.m-20250514-v1:0",
            None,
        );
        assert_eq!(names.region.as_deref(), Some("eu-west-1"));
        assert_eq!(
            names.names.first().map(String::as_str),
            Some("eu.anthropic.m-20250514-v1:0")
        );
        assert!(
            names
                .names
                .contains(&"anthropic.m-20250514-v1:0".to_owned())
        );
        assert!(names.names.contains(&"anthropic.m".to_owned()));
        let own = "arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc";
        assert_eq!(
            Names::new("aws-bedrock", own, None).names.first().unwrap(),
            own
        );
    }
}
