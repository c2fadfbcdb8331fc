//! Path patterns of the catalogue: literal segments, `{name}`, `{name+}`, `*` and a last `**`.

/// A path pattern, compared segment by segment.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// One segment, up to a literal tail such as `:generateContent`.
    One {
        name: String,
        tail: String,
    },
    /// One or more segments.
    Many {
        name: String,
    },
    Any,
    /// Nothing or anything; only last.
    Rest,
}

/// What a pattern's names stood for, in the pattern's order.
pub type Captures<'a> = Vec<(&'a str, &'a str)>;

impl Pattern {
    pub fn parse(text: &str) -> Self {
        let parts = text.split('/').filter(|part| !part.is_empty());
        Self {
            parts: parts.map(Part::parse).collect(),
        }
    }

    /// Matches the first segments of `path`; returns what they captured and the rest after them.
    pub fn match_start<'a>(&'a self, path: &'a str) -> Option<(Captures<'a>, &'a str)> {
        let mut rest = path;
        let mut captures = Captures::new();
        for part in &self.parts {
            let (segment, after) = split_segment(rest)?;
            part.take(segment, &mut captures)?;
            rest = after;
        }
        Some((captures, rest))
    }

    /// Matches the last segments of a path; with a last `**`, any stretch of it.
    pub fn match_end<'a>(&'a self, segments: &Segments<'a>) -> Option<Captures<'a>> {
        if let Some((Part::Rest, fixed)) = self.parts.split_last() {
            let last_start = segments.len().checked_sub(fixed.len())?;
            return (0..=last_start).find_map(|start| match_fixed(fixed, segments, start));
        }
        if let Some(captures) = self.match_many(segments) {
            return Some(captures);
        }
        let start = segments.len().checked_sub(self.parts.len())?;
        match_fixed(&self.parts, segments, start)
    }

    /// The form with one `{name+}`: literal segments before and after it, anything between.
    fn match_many<'a>(&'a self, segments: &Segments<'a>) -> Option<Captures<'a>> {
        let at = self
            .parts
            .iter()
            .position(|part| matches!(part, Part::Many { .. }))?;
        let (before, after) = self.parts.split_at(at);
        let (Some(Part::Many { name }), after) = (after.first(), after.get(1..)?) else {
            return None;
        };
        let end = segments.len().checked_sub(after.len())?;
        match_fixed(after, segments, end)?;
        let last_start = end.checked_sub(before.len() + 1)?;
        let start =
            (0..=last_start).find(|&start| match_fixed(before, segments, start).is_some())?;
        let span = segments.span(start + before.len(), end)?;
        Some(vec![(name.as_str(), span)])
    }
}

fn match_fixed<'a>(
    parts: &'a [Part],
    segments: &Segments<'a>,
    start: usize,
) -> Option<Captures<'a>> {
    let mut captures = Captures::new();
    for (offset, part) in parts.iter().enumerate() {
        part.take(segments.at(start + offset)?, &mut captures)?;
    }
    Some(captures)
}

impl Part {
    fn parse(text: &str) -> Self {
        match text {
            "*" => return Self::Any,
            "**" => return Self::Rest,
            _ => {}
        }
        match text.strip_prefix('{').and_then(|t| t.split_once('}')) {
            Some((name, "")) if name.ends_with('+') => Self::Many {
                name: name.trim_end_matches('+').to_owned(),
            },
            Some((name, tail)) => Self::One {
                name: name.to_owned(),
                tail: tail.to_owned(),
            },
            None => Self::Literal(text.to_owned()),
        }
    }

    fn take<'a>(&'a self, segment: &'a str, captures: &mut Captures<'a>) -> Option<()> {
        match self {
            Self::Literal(text) => (segment == text).then_some(()),
            Self::One { name, tail } => {
                let value = segment.strip_suffix(tail.as_str())?;
                if value.is_empty() {
                    return None;
                }
                captures.push((name, value));
                Some(())
            }
            Self::Any => (!segment.is_empty()).then_some(()),
            Self::Many { .. } | Self::Rest => None,
        }
    }
}

/// A path's segments and where each stands in it, found once for all patterns.
pub struct Segments<'a> {
    path: &'a str,
    starts: Vec<usize>,
}

impl<'a> Segments<'a> {
    pub fn new(path: &'a str) -> Self {
        let mut starts = Vec::with_capacity(8);
        if !path.is_empty() {
            starts.push(0);
            starts.extend(memchr::memchr_iter(b'/', path.as_bytes()).map(|at| at + 1));
        }
        Self { path, starts }
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn at(&self, index: usize) -> Option<&'a str> {
        self.span(index, index + 1)
    }

    /// The text of the segments `from..to`, with the slashes between them.
    fn span(&self, from: usize, to: usize) -> Option<&'a str> {
        let start = *self.starts.get(from)?;
        let end = match self.starts.get(to) {
            Some(next) => next.checked_sub(1)?,
            None => self.path.len(),
        };
        self.path.get(start..end)
    }
}

fn split_segment(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() {
        return None;
    }
    Some(path.split_once('/').unwrap_or((path, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(pattern: &str, path: &str, expect: Option<&[(&str, &str)]>) {
        let pattern = Pattern::parse(pattern);
        let found = pattern.match_end(&Segments::new(path));
        assert_eq!(found.as_deref(), expect, "{path}");
    }

    #[test]
    fn patterns_match_the_end_of_a_path() {
        end("chat/completions", "v1/chat/completions", Some(&[]));
        end("chat/completions", "chat/completions", Some(&[]));
        end("chat/completions", "completions", None);
        end("messages", "v1/messages/batches", None);
        end(
            "models/{model}:generateContent",
            "v1beta/models/gemini-2.5:generateContent",
            Some(&[("model", "gemini-2.5")]),
        );
        end(
            "models/{model}:generateContent",
            "v1/models/:generateContent",
            None,
        );
        end(
            "run/{model+}",
            "run/@cf/meta/llama",
            Some(&[("model", "@cf/meta/llama")]),
        );
        end(
            "models/{model+}/predictions",
            "v1/models/black/flux/predictions",
            Some(&[("model", "black/flux")]),
        );
        end("models/{model+}/predictions", "v1/models/predictions", None);
        end("files/**", "v1/files", Some(&[]));
        end("files/**", "v1/files/file-1/content", Some(&[]));
        end("files/**", "v1/filesystem", None);
        end("predictions/*", "v1/predictions/abc", Some(&[]));
        end("", "", Some(&[]));
    }

    #[test]
    fn patterns_match_the_start_of_a_path() {
        let pattern = Pattern::parse("{resource}/{model}");
        let found = pattern.match_start("res/gpt/chat/completions");
        let expect = vec![("resource", "res"), ("model", "gpt")];
        assert_eq!(found, Some((expect, "chat/completions")));
        assert_eq!(Pattern::parse("").match_start("a/b"), Some((vec![], "a/b")));
        assert_eq!(Pattern::parse("a/b").match_start("a"), None);
    }
}
