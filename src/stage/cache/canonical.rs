//! A digest of JSON that the order of members and white space do not change.

use serde::de::IgnoredAny;

/// What a value is, so that no two kinds have one digest.
const OBJECT: &[u8] = b"{";
const ARRAY: &[u8] = b"[";
const SCALAR: &[u8] = b"=";

/// Deeper values have no digest; providers' own readers stop no later.
const DEPTH_MAX: usize = 128;

type Digest = [u8; blake3::OUT_LEN];

/// The digest of a body, without the members of its outermost object that are named in `ignore`.
/// Scalars count as they are written. `None` if the body is not JSON, too deep, or names a member twice: what
/// a provider makes of that is not known.
pub fn digest(body: &[u8], ignore: &[String]) -> Option<Digest> {
    serde_json::from_slice::<IgnoredAny>(body).ok()?;
    let mut scanner = Scanner { rest: body };
    scanner.value(Some(ignore), DEPTH_MAX)
}

/// Goes through what is known to be JSON.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn value(&mut self, ignore: Option<&[String]>, depth: usize) -> Option<Digest> {
        let depth = depth.checked_sub(1)?;
        match self.peek()? {
            b'{' => self.object(ignore.unwrap_or_default(), depth),
            b'[' => self.array(depth),
            _ => {
                let scalar = self.scalar()?;
                Some(
                    *blake3::Hasher::new()
                        .update(SCALAR)
                        .update(scalar)
                        .finalize()
                        .as_bytes(),
                )
            }
        }
    }

    fn object(&mut self, ignore: &[String], depth: usize) -> Option<Digest> {
        self.skip(1)?;
        let mut members: Vec<(&[u8], Digest)> = Vec::new();
        while self.peek()? != b'}' {
            let name = self.scalar()?;
            self.expect(b':')?;
            let value = self.value(None, depth)?;
            let bare = name.get(1..name.len() - 1)?;
            if !ignore.iter().any(|ignored| ignored.as_bytes() == bare) {
                members.push((name, value));
            }
            if self.peek()? == b',' {
                self.skip(1)?;
            }
        }
        self.skip(1)?;
        members.sort_unstable_by_key(|(name, _)| *name);
        if members.is_sorted_by(|(one, _), (other, _)| one < other) {
            let mut hasher = blake3::Hasher::new();
            hasher.update(OBJECT);
            for (name, value) in members {
                hasher.update(&(name.len() as u64).to_be_bytes());
                hasher.update(name).update(&value);
            }
            return Some(*hasher.finalize().as_bytes());
        }
        None
    }

    fn array(&mut self, depth: usize) -> Option<Digest> {
        self.skip(1)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(ARRAY);
        while self.peek()? != b']' {
            hasher.update(&self.value(None, depth)?);
            if self.peek()? == b',' {
                self.skip(1)?;
            }
        }
        self.skip(1)?;
        Some(*hasher.finalize().as_bytes())
    }

    /// A text with its quotes, a number or a word.
    fn scalar(&mut self) -> Option<&'a [u8]> {
        let length = if self.peek()? == b'"' {
            let mut escaped = false;
            let text = self.rest.get(1..)?;
            let end = text.iter().position(|byte| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            });
            end? + 2
        } else {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            self.rest.iter().position(ends).unwrap_or(self.rest.len())
        };
        let (scalar, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(scalar)
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then_some(())?;
        self.skip(1)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.rest = self.rest.get(length..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn of(text: &str) -> Option<Digest> {
        digest(text.as_bytes(), &["user".to_owned(), "metadata".to_owned()])
    }

    #[test]
    fn order_white_space_and_ignored_members_do_not_matter() {
        let one = of(r#"{"model":"m","messages":[{"role":"user","content":"a, \"b\" }"}],"n":1}"#);
        assert!(one.is_some());
        assert_eq!(
            one,
            of(
                " {\n\"n\" : 1 , \"messages\":[ {\"content\":\"a, \\\"b\\\" }\",\"role\":\"user\"} ],\t\"model\":\"m\" } "
            )
        );
        assert_eq!(
            one,
            of(
                r#"{"user":"x","model":"m","metadata":{"a":[1]},"n":1,"messages":[{"role":"user","content":"a, \"b\" }"}]}"#
            )
        );
    }

    #[test]
    fn everything_else_matters() {
        let all = [
            "{}",
            "[]",
            "\"\"",
            "null",
            "1",
            "1.0",
            "10",
            "[1,0]",
            "[[1],0]",
            "[[1,0]]",
            "{\"a\":1}",
            "{\"a\":\"1\"}",
            "{\"b\":1}",
            "{\"a\":{}}",
            "{\"a\":[]}",
            "[\"a\",1]",
            "{\"a\":{\"user\":1}}",
            "{\"a\":{\"user\":2}}",
            "[{\"user\":1}]",
            "[{}]",
            "true",
            "false",
            "\"a\"",
            "\"\\\\\"",
            "\"\\\"\"",
            "18446744073709551616",
            "18446744073709551617",
            "[{\"a\":1},{\"b\":2}]",
            "[{\"a\":1,\"b\":2}]",
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(of(one).is_some(), "{one}");
            for other in &all[at + 1..] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_not_json_or_ambiguous_has_no_digest() {
        let nest = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(of(&nest(128)).is_some());
        let (deep, abyss) = (nest(129), nest(1_000_000));
        for text in [
            "",
            "{",
            "{\"a\":1,\"a\":2}",
            "{'a':1}",
            "[1,]",
            "nul",
            "\"a",
            "{} {}",
            &abyss,
            &deep,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~\\\\\"äü\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[a-f\"\\\\]{1,3}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn equal_values_have_equal_digests_and_unequal_ones_do_not(one in json(), other in json()) {
            let (compact, pretty) = (one.to_string(), serde_json::to_string_pretty(&one).unwrap());
            prop_assert!(digest(compact.as_bytes(), &[]).is_some());
            prop_assert_eq!(digest(compact.as_bytes(), &[]), digest(pretty.as_bytes(), &[]));
            let same = digest(other.to_string().as_bytes(), &[]) == digest(compact.as_bytes(), &[]);
            prop_assert_eq!(same, one == other);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = digest(&bytes, &[]);
        }
    }
}
