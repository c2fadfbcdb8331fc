//! The way of an exchange through the gateway: which provider it asks for, and by what path.

use crate::exchange::Exchange;
use crate::support::Setup;
use std::collections::BTreeSet;

/// A recorded host that is the catalogue's own: the provider's slug there, and the path that its
/// clients have in their base URL.
struct Known {
    host: &'static str,
    slug: &'static str,
    base: &'static str,
}

const fn known(host: &'static str, slug: &'static str, base: &'static str) -> Known {
    Known { host, slug, base }
}

const KNOWN: [Known; 16] = [
    known("api.openai.com", "openai", "/v1"),
    known("api.anthropic.com", "anthropic", ""),
    known("generativelanguage.googleapis.com", "google-ai-studio", ""),
    known("api.cohere.ai", "cohere", ""),
    known("api.cohere.com", "cohere", ""),
    known("api.mistral.ai", "mistral", ""),
    known("api.groq.com", "groq", "/openai/v1"),
    known("api.x.ai", "grok", ""),
    known("api.deepseek.com", "deepseek", ""),
    known("openrouter.ai", "openrouter", "/api/v1"),
    known("api.perplexity.ai", "perplexity-ai", ""),
    known("router.huggingface.co", "huggingface", ""),
    known("api.replicate.com", "replicate", "/v1"),
    known("api.cerebras.ai", "cerebras", "/v1"),
    known("api.deepgram.com", "deepgram", ""),
    known("aiplatform.googleapis.com", "google-vertex-ai", ""),
];

/// Their address is a template, of which a `base_url` replaces the host alone.
const TEMPLATES: [&str; 3] = ["aws-bedrock", "azure-openai", "workers-ai"];

/// What the test's own setup has already.
const GIVEN: [&str; 4] = ["openai", "anthropic", "google-ai-studio", "aws-bedrock"];

/// Where an exchange goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    pub slug: String,
    /// Path and query at the gateway.
    pub target: String,
}

impl Way {
    fn new(account: &str, slug: &str, rest: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            target: format!("/v1/{account}/default/{slug}{rest}"),
        }
    }

    pub fn of(exchange: &Exchange) -> Self {
        let (host, path) = exchange.address();
        let known = KNOWN.iter().find(|known| known.host == host);
        if let Some(Known { slug, base, .. }) = known {
            return Self::new("acc", slug, path.strip_prefix(base).unwrap_or(path));
        }
        let labels: Vec<&str> = host.split('.').collect();
        match (exchange.provider.as_str(), labels.as_slice()) {
            ("vertex", [regional, ..]) if regional.ends_with("-aiplatform") => {
                Self::new("acc", "google-vertex-ai", path)
            }
            ("bedrock", [service, region, ..]) => {
                Self::new("acc", "aws-bedrock", &format!("/{service}/{region}{path}"))
            }
            ("azure", [resource, ..]) if path.starts_with("/openai/") => {
                Self::new("acc", "azure-openai", &format!("/{resource}{path}"))
            }
            ("workers-ai", _) => {
                let rest = path.strip_prefix("/client/v4/accounts/").unwrap();
                let (account, rest) = rest.split_once("/ai/").unwrap();
                Self::new(account, "workers-ai", &format!("/{rest}"))
            }
            (provider, _) => Self::new("acc", &format!("custom-{provider}"), path),
        }
    }
}

/// Leads every provider that is asked for to the setup's upstream, at the path that it has itself.
pub fn configure<'a>(setup: Setup, ways: impl Iterator<Item = &'a Way>) -> Setup {
    let slugs: BTreeSet<&str> = ways.map(|way| way.slug.as_str()).collect();
    let own = slugs.into_iter().filter(|slug| !GIVEN.contains(slug));
    own.fold(setup, |setup, slug| {
        let known = KNOWN.iter().find(|known| known.slug == slug);
        let foreign = slug.starts_with("custom-") || TEMPLATES.contains(&slug);
        assert!(known.is_some() || foreign, "{slug} leads nowhere");
        let base = known.map_or("", |known| known.base);
        setup.provider(&format!("{slug}: {{base_url: \"http://<mock>{base}\"}}"))
    })
}
