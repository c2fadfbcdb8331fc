//! The user's values as a tree, before they have types.

use super::place::{Path, Step};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Mapping, Value};
use std::fmt;

/// Reads the whole text. Keys are texts even where they look like numbers, and of two values with
/// one key the last stays: the survey has told of both by then.
pub fn read(text: &str) -> Result<Value, serde_yaml::Error> {
    let Tree(mut value) = serde_yaml::from_str(text)?;
    value.apply_merge()?;
    fill_empty(&mut value);
    Ok(value)
}

pub fn find_mut<'v>(value: &'v mut Value, path: &Path) -> Option<&'v mut Value> {
    path.steps()
        .iter()
        .try_fold(value, |value, step| match step {
            Step::Key(key) => value.get_mut(key.as_str()),
            Step::Item(index) => value.get_mut(*index),
        })
}

/// Takes the value at `path` out, so that its default stands in; whether there was one.
pub fn prune(value: &mut Value, path: &Path) -> bool {
    let Some((parent, last)) = path.split_last() else {
        return false;
    };
    match (find_mut(value, &parent), last) {
        (Some(Value::Mapping(map)), Step::Key(key)) => map.remove(key.as_str()).is_some(),
        (Some(Value::Sequence(list)), Step::Item(index)) if *index < list.len() => {
            list.remove(*index);
            true
        }
        _ => false,
    }
}

/// A section whose keys are all commented out means its defaults, and a gateway without rules is
/// still a gateway.
fn fill_empty(value: &mut Value) {
    fill(value);
    let Some(top) = value.as_mapping_mut() else {
        return;
    };
    for section in ["server", "providers", "gateways"] {
        top.get_mut(section).into_iter().for_each(fill);
    }
    if top.get("log").is_some_and(Value::is_null) {
        top.remove("log");
    }
    let gateways = top.get_mut("gateways").and_then(Value::as_mapping_mut);
    for (_, gateway) in gateways.into_iter().flatten() {
        fill(gateway);
        for section in ["auth", "timeout"] {
            gateway.get_mut(section).into_iter().for_each(fill);
        }
    }
}

fn fill(value: &mut Value) {
    if value.is_null() {
        *value = Value::Mapping(Mapping::new());
    }
}

struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    /// Wider than any number that a key takes: kept as a text, whose type then tells what is wrong.
    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Mapping::new();
        while let Some((key, Tree(value))) = map.next_entry::<String, Tree>()? {
            entries.insert(Value::String(key), value);
        }
        Ok(Value::Mapping(entries))
    }
}
