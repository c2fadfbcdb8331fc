//! The model that a place's path names, and another one in its stead.

use super::decode;
use super::place::Place;
use crate::dialect::Dialect;
use std::ops::Range;
use std::sync::Arc;

/// No model has a longer name.
const MODEL_BYTES_MAX: usize = 512;

impl Place {
    /// Whether the path names the model in a way that can be changed.
    pub fn can_rename(&self) -> bool {
        let model = self.model.as_deref();
        model.is_some_and(|model| span(&self.path, model).is_some())
    }

    /// Puts another model into the path, here and at the provider's other endpoints; whether it
    /// could.
    pub fn rename(&mut self, model: &str) -> bool {
        let Some(old) = &self.model else {
            return false;
        };
        let Some(found) = span(&self.path, old) else {
            return false;
        };
        let written = write(model, self.dialect);
        self.path.replace_range(found, &written);
        if let Some(road) = &mut self.road {
            let road = Arc::make_mut(road);
            if let Some(found) = span(&road.rest, old) {
                road.rest.replace_range(found, &written);
            } else if let Some(found) = span(&road.between, old) {
                road.between.replace_range(found, &written);
            }
        }
        self.model = Some(model.to_owned());
        true
    }
}

/// Where the path last names the model: whole parts of it, up to a slash, a colon or the end,
/// percent-encoded or not.
fn span(path: &str, model: &str) -> Option<Range<usize>> {
    if model.is_empty() || model.len() > MODEL_BYTES_MAX {
        return None;
    }
    let starts = path.rmatch_indices('/').map(|(at, _)| at + 1);
    let found = starts.chain([0]).find_map(|start| {
        let end = start + length(path.get(start..)?.as_bytes(), model.as_bytes())?;
        Some(start..end)
    })?;
    // What cannot be cut out of a text is not there.
    path.get(found.clone()).map(|_| found)
}

/// How much of the beginning of `path` spells the model.
fn length(path: &[u8], model: &[u8]) -> Option<usize> {
    let mut rest = path;
    for wanted in model {
        let (byte, after) = decode::next(rest)?;
        if byte != *wanted {
            return None;
        }
        rest = after;
    }
    matches!(rest.first(), None | Some(b'/' | b':')).then(|| path.len() - rest.len())
}

/// The model as it stands in a path (RFC 3986, 3.3). Bedrock's is one part of it, though it may be
/// an ARN with slashes.
fn write(model: &str, dialect: Option<Dialect>) -> String {
    let mut written = String::with_capacity(model.len());
    for byte in model.bytes() {
        let slash = byte == b'/' && dialect != Some(Dialect::Bedrock);
        // What is encoded already stays so.
        if slash || byte.is_ascii_alphanumeric() || b"-._~@:%!$&'()*+,;=".contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(path: &str, old: &str) -> Option<String> {
        let mut path = path.to_owned();
        path.replace_range(span(&path, old)?, "new");
        Some(path)
    }

    #[test]
    fn a_model_in_a_path_is_found_whole() {
        let check = |path, expect: Option<&str>| {
            assert_eq!(replaced(path, "pro").as_deref(), expect, "{path}");
        };
        check(
            "/v1beta/models/pro:generateContent",
            Some("/v1beta/models/new:generateContent"),
        );
        check("/model/pro/converse", Some("/model/new/converse"));
        check("/projects/p/models/pro", Some("/projects/p/models/new"));
        check("/pro/models/%70ro", Some("/pro/models/new"));
        check("pro/converse", Some("new/converse"));
        check("/models/pro-max:generateContent", None);
        check("/pro-x/ypro", None);
        check("/models/pro%2", None);
    }

    #[test]
    fn a_model_is_found_as_clients_spell_it() {
        let check = |path, old, expect| assert_eq!(replaced(path, old).as_deref(), Some(expect));
        check("/model/a-v1%3A0/converse", "a-v1:0", "/model/new/converse");
        check("/model/a-v1:0/converse", "a-v1:0", "/model/new/converse");
        check("/run/@cf/meta/llama", "@cf/meta/llama", "/run/new");
        check("/model/x%2Fy/converse", "x/y", "/model/new/converse");
        assert_eq!(replaced(&"/a".repeat(9000), &"a/".repeat(4000)), None);
    }

    #[test]
    fn a_model_is_written_so_that_it_stays_one() {
        let bedrock = Some(Dialect::Bedrock);
        assert_eq!(write("arn:aws:x/a b", bedrock), "arn:aws:x%2Fa%20b");
        assert_eq!(write("@cf/meta/llama?", None), "@cf/meta/llama%3F");
        assert_eq!(write("a%3A0", bedrock), "a%3A0");
    }
}
