//! From a question to its key: a digest of all that may tell two answers apart.

use super::canonical;
use super::config::{Config, Partition};
use crate::llm::metadata::Metadata;
use crate::provider::place::Place;
use crate::stage::auth::GATEWAY_FIELD;
use crate::store::entry::Key;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use std::sync::Arc;

/// Fields of providers that choose among answers to one body.
static CHOOSING: [HeaderName; 7] = [
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("x-goog-user-project"),
    HeaderName::from_static("x-amzn-bedrock-guardrailidentifier"),
];

/// A body up to this length is put beside the other parts, which are then hashed in one go.
const COPIED_MAX: usize = 16 << 10;
/// Enough for the parts of nearly all questions, and a short body.
const ROOM: usize = 2 << 10;

/// All that a key is made of.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub account: &'a str,
    pub gateway: &'a str,
    pub provider: &'a Arc<str>,
    pub place: &'a Place,
    /// With its `?`.
    pub query: &'a str,
    pub model: Option<&'a str>,
    pub stream: bool,
    /// The request's, and those of its first step.
    pub headers: [Option<&'a HeaderMap>; 2],
    /// The provider's own fields for keys.
    pub key_fields: &'a [HeaderName],
    pub metadata: &'a Metadata,
    /// As the client sent it.
    pub body: &'a [u8],
}

impl Parts<'_> {
    /// The name and the value of each field of that name.
    fn frame_fields(&self, name: &HeaderName, framed: &mut Framed) {
        for headers in self.headers.iter().flatten() {
            for value in headers.get_all(name) {
                framed.part(name.as_str().as_bytes()).part(value.as_bytes());
            }
        }
    }

    /// The fields that choose among answers, in their own order. Most requests have none.
    fn frame_choosing(&self, framed: &mut Framed) {
        let mut names = self
            .headers
            .iter()
            .flatten()
            .flat_map(|headers| headers.keys());
        if names.any(|name| CHOOSING.contains(name)) {
            for name in &CHOOSING {
                self.frame_fields(name, framed);
            }
        }
    }
}

/// Parts in one row, so that no two lists of them are one text: each with its length before it.
struct Framed(Vec<u8>);

impl Framed {
    fn begin(purpose: &str) -> Self {
        let mut framed = Self(Vec::with_capacity(ROOM));
        framed.part(purpose.as_bytes());
        framed
    }

    fn part(&mut self, part: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }

    /// The digest of all parts, with a last one.
    fn end(mut self, last: &[u8], secret: &[u8; 32]) -> Key {
        if last.len() <= COPIED_MAX {
            self.part(last);
            return Key(*blake3::keyed_hash(secret, &self.0).as_bytes());
        }
        self.0.extend_from_slice(&(last.len() as u64).to_be_bytes());
        let mut hasher = blake3::Hasher::new_keyed(secret);
        Key(*hasher.update(&self.0).update(last).finalize().as_bytes())
    }
}

/// Makes keys that nobody can make without the secret: what is kept tells nothing of credentials.
#[derive(Clone)]
pub struct Keys {
    secret: [u8; 32],
}

impl Keys {
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The key of a question, by its gateway's rule.
    pub fn of_question(&self, parts: &Parts<'_>, rule: &Config) -> Key {
        let mut framed = Framed::begin("question");
        framed.part(parts.account.as_bytes());
        framed.part(parts.gateway.as_bytes());
        partition(&mut framed, parts, &rule.partition);
        framed.part(&[u8::from(parts.stream)]);
        framed.part(parts.provider.as_bytes());
        let origin = &parts.place.origin;
        framed.part(&[u8::from(origin.tls)]);
        framed.part(origin.authority().as_bytes());
        framed.part(parts.place.path.as_bytes());
        framed.part(parts.query.as_bytes());
        framed.part(parts.model.unwrap_or_default().as_bytes());
        parts.frame_choosing(&mut framed);
        let digest = rule
            .canonical
            .then(|| canonical::digest(parts.body, &rule.ignore));
        match digest.flatten() {
            Some(digest) => {
                framed.part(b"canonical");
                framed.end(&digest, &self.secret)
            }
            None => {
                framed.part(b"exact");
                framed.end(parts.body, &self.secret)
            }
        }
    }

    /// The key of whatever the client calls by `name`: within the gateway, the caller's partition and
    /// the form of the answer.
    pub fn of_name(&self, name: &[u8], parts: &Parts<'_>, rule: &Config) -> Key {
        let mut framed = Framed::begin("name");
        framed.part(parts.account.as_bytes());
        framed.part(parts.gateway.as_bytes());
        partition(&mut framed, parts, &rule.partition);
        framed.part(&[u8::from(parts.stream)]);
        framed.end(name, &self.secret)
    }
}

/// Those whom answers are shared with.
fn partition(framed: &mut Framed, parts: &Parts<'_>, rule: &Partition) {
    match rule {
        Partition::Gateway => {
            framed.part(b"gateway");
        }
        Partition::Metadata(name) => match parts.metadata.get(name) {
            Some(value) => {
                framed.part(b"metadata").part(name.as_bytes());
                framed.part(value.text().as_bytes());
            }
            None => partition(framed, parts, &Partition::Key),
        },
        Partition::Key => {
            framed.part(b"credentials");
            for name in [&GATEWAY_FIELD, &AUTHORIZATION]
                .into_iter()
                .chain(parts.key_fields)
            {
                parts.frame_fields(name, framed);
            }
            // No name is empty: the list ends here.
            framed.part(b"");
            // Some providers take a key in the query.
            framed.part(parts.query.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::metadata::Scalar;
    use crate::provider::catalogue::Catalogue;
    use std::collections::{BTreeMap, HashSet};

    struct Sample {
        place: Place,
        texts: [&'static str; 4],
        stream: bool,
        headers: HeaderMap,
        metadata: Metadata,
        body: &'static str,
    }

    fn sample() -> Sample {
        let catalogue = Catalogue::build(&BTreeMap::new()).unwrap();
        Sample {
            place: catalogue
                .provider("openai")
                .unwrap()
                .place("/chat/completions", None)
                .unwrap(),
            texts: ["a", "g", "p", "?q=1"],
            stream: false,
            headers: HeaderMap::new(),
            metadata: Metadata::default(),
            body: r#"{"model":"m","n":1}"#,
        }
    }

    impl Sample {
        fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }

        fn field(self, name: &'static str, value: &str) -> Self {
            self.with(|sample| {
                sample.headers.append(name, value.parse().unwrap());
            })
        }

        fn team(self, team: &str) -> Self {
            self.with(|sample| {
                sample
                    .metadata
                    .add("team".to_owned(), Scalar::Text(team.to_owned()));
            })
        }

        fn parts<T>(&self, read: impl FnOnce(&Parts<'_>) -> T) -> T {
            let [account, gateway, provider, query] = self.texts;
            read(&Parts {
                account,
                gateway,
                provider: &provider.into(),
                place: &self.place,
                query,
                model: Some("m"),
                stream: self.stream,
                headers: [Some(&self.headers), None],
                key_fields: &[HeaderName::from_static("x-api-key")],
                metadata: &self.metadata,
                body: self.body.as_bytes(),
            })
        }

        fn key(&self, rule: &Config) -> Key {
            self.parts(|parts| Keys::new([1; 32]).of_question(parts, rule))
        }

        fn named(&self, name: &str, rule: &Config) -> Key {
            self.parts(|parts| Keys::new([1; 32]).of_name(name.as_bytes(), parts, rule))
        }
    }

    fn rule(partition: Partition) -> Config {
        Config {
            partition,
            ..Config::default()
        }
    }

    #[test]
    fn every_part_makes_another_key() {
        let rule = rule(Partition::Key);
        let questions = [
            sample(),
            sample().with(|sample| sample.texts[0] = "b"),
            sample().with(|sample| sample.texts[1] = "h"),
            sample().with(|sample| sample.texts = ["ag", "", "p", "?q=1"]),
            sample().with(|sample| sample.texts[2] = "q"),
            sample().with(|sample| sample.texts[3] = ""),
            sample().with(|sample| sample.place.path = "/v1/other".to_owned()),
            sample().with(|sample| sample.stream = true),
            sample().with(|sample| sample.body = r#"{"n":1,"model":"m"}"#),
            sample().field("authorization", "Bearer one"),
            sample().field("authorization", "Bearer two"),
            sample().field("cf-aig-authorization", "Bearer one"),
            sample().field("x-api-key", "Bearer one"),
            sample().field("anthropic-beta", "one"),
        ];
        let keys: HashSet<_> = questions.iter().map(|sample| sample.key(&rule)).collect();
        assert_eq!(keys.len(), questions.len());
        assert_eq!(
            sample().key(&rule),
            sample().team("x").field("cf-ray", "1").key(&rule)
        );
        let other_secret = sample().parts(|parts| Keys::new([2; 32]).of_question(parts, &rule));
        assert_ne!(sample().key(&rule), other_secret);
    }

    #[test]
    fn a_partition_says_who_shares() {
        let by_key = |sample: Sample| sample.key(&rule(Partition::Key));
        let by_gateway = |sample: Sample| sample.key(&rule(Partition::Gateway));
        let by_team = |sample: Sample| sample.key(&rule(Partition::Metadata("team".to_owned())));
        let one = || sample().field("authorization", "Bearer one");
        let two = || sample().field("authorization", "Bearer two");
        assert_ne!(by_key(one()), by_key(two()));
        assert_eq!(by_gateway(one()), by_gateway(two()));
        assert_eq!(by_team(one().team("x")), by_team(two().team("x")));
        assert_ne!(by_team(one().team("x")), by_team(one().team("y")));
        assert_ne!(by_team(one()), by_team(two()), "without the name, by key");
    }

    #[test]
    fn a_name_stands_for_the_question_within_gateway_partition_and_form() {
        let rule = rule(Partition::Key);
        let named = |sample: Sample| sample.named("n", &rule);
        let other = sample().with(|sample| {
            sample.body = "{}";
            sample.place.path = "/v1/other".to_owned();
        });
        assert_eq!(named(sample()), named(other));
        assert_ne!(named(sample()), sample().named("m", &rule));
        assert_ne!(
            named(sample()),
            named(sample().with(|sample| sample.texts[1] = "h"))
        );
        assert_ne!(
            named(sample()),
            named(sample().with(|sample| sample.stream = true))
        );
        assert_ne!(
            named(sample()),
            named(sample().field("authorization", "Bearer one"))
        );
    }

    #[test]
    fn a_canonical_body_is_known_in_any_order() {
        let rule = Config {
            canonical: true,
            ignore: vec!["user".to_owned()],
            ..Config::default()
        };
        let body = |text| sample().with(|sample| sample.body = text).key(&rule);
        assert_eq!(
            sample().key(&rule),
            body(r#"{ "user":"u", "n":1, "model":"m" }"#)
        );
        assert_ne!(sample().key(&rule), body(r#"{"n":2,"model":"m"}"#));
        assert_ne!(body("no json"), body("no  json"));
    }
}
