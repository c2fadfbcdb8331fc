//! To which requests a limit applies.

use super::by::Caller;
use super::config::{When, Words};

impl When {
    /// Whether a limit with these conditions applies.
    pub fn holds(&self, caller: &Caller<'_>) -> bool {
        let metadata = |(name, words): (&String, &Words)| {
            let value = caller.metadata.get(name).map(|value| value.text());
            words.allow(value.as_deref())
        };
        self.model.allow(caller.model)
            && self.key.allow(caller.key)
            && self.metadata.iter().all(metadata)
    }
}

impl Words {
    /// Whether one of the words is this text; no words ask nothing.
    fn allow(&self, text: Option<&str>) -> bool {
        let text = text.unwrap_or_default();
        self.0.is_empty() || self.0.iter().any(|word| matches(word, text))
    }
}

/// Whether the whole text is the word, of which each `*` stands for any text.
fn matches(word: &str, text: &str) -> bool {
    let Some((lead, rest)) = word.split_once('*') else {
        return word == text;
    };
    let Some(mut text) = text.strip_prefix(lead) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::metadata::{Metadata, Scalar};
    use http::HeaderMap;

    #[test]
    fn stars_stand_for_any_text() {
        for (word, text) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o*", "gpt-4o"),
            ("gpt-4o*", "gpt-4o-mini"),
            ("*", ""),
            ("*-mini", "gpt-4o-mini"),
            ("gpt*mini", "gpt-mini"),
            ("a*b*c", "a-b-b-c"),
            ("*a*", "bab"),
        ] {
            assert!(matches(word, text), "{word} {text}");
        }
        for (word, text) in [
            ("gpt-4o", "gpt-4o-mini"),
            ("gpt-4o*", "gpt-4"),
            ("*-mini", "gpt-4o-mini-2"),
            ("a*b*c", "a-c-b"),
            ("ab*bc", "abc"),
            ("", "a"),
        ] {
            assert!(!matches(word, text), "{word} {text}");
        }
    }

    #[test]
    fn conditions_hold_together() {
        let headers = HeaderMap::new();
        let mut metadata = Metadata::default();
        metadata.add("team".to_owned(), Scalar::Text("red".to_owned()));
        let caller = Caller {
            key: Some("ci"),
            client: None,
            provider: "openai",
            model: Some("gpt-4o"),
            headers: &headers,
            metadata: &metadata,
            others: &[],
        };
        let when = |text: &str| serde_yaml::from_str::<When>(text).unwrap().holds(&caller);
        assert!(when("{}"));
        assert!(when(
            "{model: 'gpt-*', key: [dev, ci], metadata: {team: red}}"
        ));
        assert!(!when("{model: 'gpt-*', key: dev}"));
        assert!(!when("{metadata: {team: [blue, green]}}"));
        assert!(!when("{metadata: {user: 'a*'}}"));
    }
}
