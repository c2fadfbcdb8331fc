//! Walks the user's text once: notes where every value stands, and refuses what is no plain YAML.

use super::fault::FAULTS_MAX;
use super::place::{Inner, Place};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// How deep maps and lists may nest.
const DEPTH_MAX: usize = 32;

/// How many values a file may hold once its aliases are written out.
const VALUES_MAX: u64 = 200_000;

/// What the walk found.
#[derive(Default)]
pub struct Survey {
    pub top: Place,
    pub flaws: Vec<Flaw>,
    /// Set where the text cannot be read on; where it broke off is then within these keys.
    pub broken: Option<Vec<String>>,
}

/// Something wrong with the text itself.
pub struct Flaw {
    pub at: Range<usize>,
    pub what: String,
    pub fix: String,
}

pub fn survey(text: &str) -> Survey {
    let mut walk = Walk::new(text);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => {
                let at = walk.bytes(span);
                walk.take(event, at)
            }
            Err(error) => {
                let start = walk.cursor.byte_at(text, error.marker().index());
                Err(syntax_flaw(text, start..start, error.info()))
            }
        };
        if let Err(flaw) = step {
            walk.found.flaws.push(flaw);
            walk.found.broken = Some(walk.open_keys());
            walk.close_all();
            break;
        }
    }
    walk.found
}

/// A map or list that is not at its end yet.
struct Open {
    place: Place,
    anchor: usize,
    /// In a map, the key whose value comes next.
    key: Option<(String, Range<usize>)>,
    values: u64,
}

struct Walk<'t> {
    text: &'t str,
    cursor: Cursor,
    open: Vec<Open>,
    /// How many values each anchor stands for.
    anchors: HashMap<usize, u64>,
    documents: usize,
    found: Survey,
}

impl<'t> Walk<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            cursor: Cursor::default(),
            open: Vec::new(),
            anchors: HashMap::new(),
            documents: 0,
            found: Survey::default(),
        }
    }

    fn bytes(&mut self, span: Span) -> Range<usize> {
        let start = self.cursor.byte_at(self.text, span.start.index());
        let end = match span.end.index() > span.start.index() {
            true => self.cursor.byte_at(self.text, span.end.index()),
            false => start,
        };
        let value = self.text.get(start..end).unwrap_or_default();
        start..start + value.trim_end().len()
    }

    fn take(&mut self, event: Event<'_>, at: Range<usize>) -> Result<(), Flaw> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(flaw(
                        at,
                        "a second document begins here",
                        "keep one document: remove this `---` and merge what follows into the first",
                    ));
                }
            }
            Event::Scalar(_, _, _, Some(ref tag))
            | Event::SequenceStart(_, Some(ref tag))
            | Event::MappingStart(_, Some(ref tag))
                if !tag.is_yaml_core_schema() =>
            {
                return Err(flaw(
                    at,
                    "a tag means nothing here",
                    "remove the `!...` before the value",
                ));
            }
            Event::Scalar(text, style, anchor, _) => {
                if self.awaits_key() {
                    return self.name(text.into_owned(), at);
                }
                let plain = style == ScalarStyle::Plain;
                let place = Place {
                    value: at,
                    plain,
                    ..Place::default()
                };
                return self.put(place, anchor, 1);
            }
            Event::Alias(anchor) => {
                if self.awaits_key() {
                    return Err(odd_key(at));
                }
                let values = self.anchors.get(&anchor).copied().unwrap_or(VALUES_MAX);
                return self.put(
                    Place {
                        value: at,
                        ..Place::default()
                    },
                    0,
                    values,
                );
            }
            Event::SequenceStart(anchor, _) => {
                return self.begin(Inner::List(Vec::new()), anchor, at);
            }
            Event::MappingStart(anchor, _) => {
                return self.begin(Inner::Map(BTreeMap::new(), Vec::new()), anchor, at);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    return self.put(open.place, open.anchor, open.values + 1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        let open = self.open.last();
        open.is_some_and(|open| matches!(open.place.inner, Inner::Map(..)) && open.key.is_none())
    }

    fn name(&mut self, key: String, at: Range<usize>) -> Result<(), Flaw> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        if let Inner::Map(entries, _) = &mut open.place.inner
            && let Some(first) = entries.remove(&key)
            && self.found.flaws.len() <= FAULTS_MAX
        {
            let line = self
                .text
                .get(..first.key.start)
                .unwrap_or_default()
                .matches('\n')
                .count()
                + 1;
            self.found.flaws.push(flaw(
                at.clone(),
                "this key stands here for the second time",
                &format!("keep one of the two; the first is on line {line}"),
            ));
        }
        open.key = Some((key, at));
        Ok(())
    }

    fn begin(&mut self, inner: Inner, anchor: usize, at: Range<usize>) -> Result<(), Flaw> {
        if self.awaits_key() {
            return Err(odd_key(at));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(flaw(
                at,
                "the maps and lists are nested too deep",
                "nest at most 32 levels",
            ));
        }
        let place = Place {
            value: at,
            inner,
            ..Place::default()
        };
        self.open.push(Open {
            place,
            anchor,
            key: None,
            values: 0,
        });
        Ok(())
    }

    /// Hangs a finished value into what is open around it.
    fn put(&mut self, mut place: Place, anchor: usize, values: u64) -> Result<(), Flaw> {
        if anchor > 0 {
            self.anchors.insert(anchor, values);
        }
        let at = place.value.clone();
        let Some(open) = self.open.last_mut() else {
            self.found.top = place;
            return Ok(());
        };
        open.values = open.values.saturating_add(values);
        let values = open.values;
        match &mut open.place.inner {
            Inner::List(items) => items.push((items.len(), place)),
            Inner::Map(entries, _) => {
                if let Some((key, key_at)) = open.key.take() {
                    place.key = key_at;
                    entries.insert(key, place);
                }
            }
            Inner::Scalar => {}
        }
        match values > VALUES_MAX {
            true => Err(flaw(
                at,
                "the file holds too many values",
                "write at most 200,000 values, those that aliases repeat included",
            )),
            false => Ok(()),
        }
    }

    fn open_keys(&self) -> Vec<String> {
        self.open
            .iter()
            .filter_map(|open| open.key.as_ref())
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn close_all(&mut self) {
        while let Some(open) = self.open.pop() {
            // The text is refused already: no second flaw for being too large.
            let _ = self.put(open.place, 0, 0);
        }
    }
}

/// Turns the parser's count of characters into bytes. It mostly moves forward.
#[derive(Default)]
struct Cursor {
    chars: usize,
    byte: usize,
}

impl Cursor {
    fn byte_at(&mut self, text: &str, chars: usize) -> usize {
        if chars < self.chars {
            *self = Self::default();
        }
        let rest = text.get(self.byte..).unwrap_or_default();
        let wanted = chars - self.chars;
        let step = rest
            .char_indices()
            .nth(wanted)
            .map_or(rest.len(), |(byte, _)| byte);
        self.byte += step;
        self.chars = chars;
        self.byte
    }
}

fn flaw(at: Range<usize>, what: &str, fix: &str) -> Flaw {
    Flaw {
        at,
        what: what.to_owned(),
        fix: fix.to_owned(),
    }
}

fn odd_key(at: Range<usize>) -> Flaw {
    flaw(
        at,
        "a key must be a plain text",
        "write a name before the `:`; put a value that begins with [ or { in quotes",
    )
}

/// The parser's own words say what it stumbled on; the fix says what is usually behind it.
fn syntax_flaw(text: &str, at: Range<usize>, info: &str) -> Flaw {
    let start = text
        .get(..at.start)
        .and_then(|head| head.rfind('\n'))
        .map_or(0, |byte| byte + 1);
    let line = text
        .get(start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    let indent = line.len() - line.trim_start().len();
    let fix = if line
        .get(..indent)
        .is_some_and(|indent| indent.contains('\t'))
    {
        "indent with spaces; YAML allows no tabs there"
    } else if info.contains("alias") || info.contains("anchor") {
        "define the anchor (`&name`) before the alias (`*name`)"
    } else if info.contains("quoted scalar") {
        "close the quotes"
    } else if info.contains("flow") || info.contains("',' or") {
        "close every [ and {, put a comma between items, and quote a text that holds one of []{},"
    } else {
        "indent sibling keys alike, put a space after each `:`, and quote a text that holds `: ` or ` #`"
    };
    Flaw {
        at,
        what: format!("this is not YAML: {info}"),
        fix: fix.to_owned(),
    }
}
