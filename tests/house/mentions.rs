//! What a file names: every path in its imports, code, macros and attributes, resolved from the crate's root.
//!
//! Tokens are read instead of syntax, because only they show what stands inside a macro call.

use crate::tree::{Source, Tree};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeMap;

/// One path as it stands in a file.
pub struct Mention {
    pub line: usize,
    /// `crate::stage::auth::Caller`, or an outer crate's name first; a glob ends with `*`.
    pub path: Vec<String>,
    /// In test code.
    pub test: bool,
    /// A `pub use`: the face of a folder.
    pub face: bool,
    /// Exactly `use super::*`.
    pub open: bool,
}

/// The crate as main.rs and the tests name it.
const CRATE: &str = "tollgate";

/// Every mention in `source`, in the order of its lines.
pub fn mentions(source: &Source) -> Vec<Mention> {
    let mut reader = Reader::default();
    let here = Place {
        module: source.module(),
        test: source.is_test(),
        attribute: false,
    };
    reader.read(source.tokens.clone(), &here);
    reader.found.iter().map(|raw| reader.resolve(raw)).collect()
}

/// The files by module path, and the names their folders put on their faces.
pub struct Map<'a> {
    files: BTreeMap<Vec<String>, &'a Source>,
    faces: BTreeMap<Vec<String>, Vec<String>>,
}

impl<'a> Map<'a> {
    pub fn of(tree: &'a Tree) -> Map<'a> {
        let mut map = Map {
            files: BTreeMap::new(),
            faces: BTreeMap::new(),
        };
        for source in tree.src() {
            map.files.insert(source.module(), source);
            for mention in mentions(source).into_iter().filter(|mention| mention.face) {
                let mut name = vec!["crate".to_owned()];
                name.extend(source.module());
                name.extend(mention.path.last().cloned());
                map.faces.insert(name, mention.path);
            }
        }
        map
    }

    /// The file that holds what `path` names, seen through re-exports.
    pub fn owner(&self, path: &[String]) -> Option<&'a Source> {
        let mut path = path.to_vec();
        while let Some((length, face)) =
            (1..=path.len()).find_map(|n| Some((n, self.faces.get(path.get(..n)?)?)))
        {
            if path.starts_with(face) {
                break; // a name that shows itself
            }
            path = [face.as_slice(), &path[length..]].concat();
        }
        let (root, names) = path.split_first()?;
        let files = || {
            (0..=names.len())
                .rev()
                .find_map(|n| self.files.get(&names[..n]).copied())
        };
        if root == "crate" { files() } else { None }
    }

    /// Whether `path` is a module with a file of its own.
    pub fn is_module(&self, path: &[String]) -> bool {
        path.split_first()
            .is_some_and(|(root, names)| root == "crate" && self.files.contains_key(names))
    }
}

/// A path before its first name is looked up.
struct Raw {
    line: usize,
    names: Vec<String>,
    /// Written with a leading `::`.
    outer: bool,
    place: Place,
    face: bool,
}

#[derive(Clone)]
struct Place {
    module: Vec<String>,
    test: bool,
    /// Inside `#[…]`, where a string may hold a path.
    attribute: bool,
}

#[derive(Default)]
struct Reader {
    found: Vec<Raw>,
    /// What `use` binds in this file, by name. Test modules see these by `use super::*`, so one map does.
    bound: BTreeMap<String, (Vec<String>, Vec<String>)>,
    /// The modules this file declares: (parent, name).
    declared: Vec<(Vec<String>, String)>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream, place: &Place) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut place = place.clone();
        let outside_test = place.test;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Ident(name) if name == "use" => at = self.import(&tokens, at, &place),
                TokenTree::Ident(name) if name == "mod" => at = self.module(&tokens, at, &place),
                TokenTree::Ident(name) if name == "pub" => {
                    at += usize::from(is_group(tokens.get(at), Delimiter::Parenthesis))
                }
                TokenTree::Ident(_) => at = self.path(&tokens, at - 1, &place),
                TokenTree::Group(group) => {
                    let attribute = group.delimiter() == Delimiter::Bracket
                        && at > 1
                        && is_attribute(&tokens[..at - 1]);
                    if attribute && group.stream().to_string() == "cfg (test)" {
                        place.test = true;
                    }
                    self.read(
                        group.stream(),
                        &Place {
                            attribute: place.attribute || attribute,
                            ..place.clone()
                        },
                    );
                }
                TokenTree::Literal(literal) if place.attribute => self.text(literal, &place),
                TokenTree::Literal(_) | TokenTree::Punct(_) => {}
            }
            let ended = tokens.get(at - 1);
            if is_punct(ended, ';') || is_group(ended, Delimiter::Brace) {
                place.test = outside_test;
            }
        }
    }

    /// Reads `a::b::c` from its first name; returns where it ends.
    fn path(&mut self, tokens: &[TokenTree], start: usize, place: &Place) -> usize {
        let mut names = vec![name(&tokens[start])];
        let mut at = start + 1;
        while is_colons(tokens, at) && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
            names.push(name(&tokens[at + 2]));
            at += 3;
        }
        let led = start >= 2 && is_colons(tokens, start - 2);
        // `<T as Trait>::Item` goes on here, and was read where it began.
        let goes_on = led
            && start >= 3
            && is_punct(tokens.get(start - 3), '>')
            && !is_punct(tokens.get(start.wrapping_sub(4)), '-');
        if !goes_on && (names.len() > 1 || led) {
            let line = tokens[start].span().start().line;
            self.found.push(Raw {
                line,
                names,
                outer: led,
                place: place.clone(),
                face: false,
            });
        }
        at
    }

    /// Reads an import from behind `use`; returns where it ends.
    fn import(&mut self, tokens: &[TokenTree], start: usize, place: &Place) -> usize {
        let length = tokens[start..]
            .iter()
            .position(|token| is_punct(Some(token), ';'))
            .map_or(0, |n| n + 1);
        let item = tokens[start - 1..start + length].iter().cloned().collect();
        let Ok(item) = syn::parse2::<syn::ItemUse>(item) else {
            return start;
        };
        let before = start.checked_sub(2).and_then(|n| tokens.get(n));
        let face = is_group(before, Delimiter::Parenthesis)
            || matches!(before, Some(TokenTree::Ident(word)) if word == "pub");
        let outer = item.leading_colon.is_some();
        self.branch(&item.tree, Vec::new(), &|line, names| Raw {
            line,
            names,
            outer,
            place: place.clone(),
            face,
        });
        start + length
    }

    fn branch(
        &mut self,
        tree: &syn::UseTree,
        mut names: Vec<String>,
        raw: &dyn Fn(usize, Vec<String>) -> Raw,
    ) {
        let (last, bound) = match tree {
            syn::UseTree::Path(path) => {
                names.push(bare(&path.ident));
                return self.branch(&path.tree, names, raw);
            }
            syn::UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.branch(tree, names.clone(), raw));
            }
            syn::UseTree::Name(leaf) => (&leaf.ident, &leaf.ident),
            syn::UseTree::Rename(leaf) => (&leaf.ident, &leaf.rename),
            syn::UseTree::Glob(glob) => {
                names.push("*".into());
                let line = glob.star_token.spans[0].start().line;
                return self.found.push(raw(line, names));
            }
        };
        let mut bound = bare(bound);
        if last != "self" || names.is_empty() {
            names.push(bare(last));
        } else if bound == "self" {
            bound = names[names.len() - 1].clone();
        }
        let raw = raw(last.span().start().line, names);
        if !raw.outer {
            self.bound
                .insert(bound, (raw.place.module.clone(), raw.names.clone()));
        }
        self.found.push(raw);
    }

    /// Reads a module from behind `mod`; returns where it ends.
    fn module(&mut self, tokens: &[TokenTree], start: usize, place: &Place) -> usize {
        let Some(TokenTree::Ident(ident)) = tokens.get(start) else {
            return start;
        };
        self.declared.push((place.module.clone(), bare(ident)));
        if let Some(TokenTree::Group(body)) = tokens.get(start + 1) {
            let mut inside = place.clone();
            inside.module.push(bare(ident));
            self.read(body.stream(), &inside);
            return start + 2;
        }
        start + 1
    }

    /// Reads a string of an attribute, such as serde's `default = "crate::base::never"`.
    fn text(&mut self, literal: &proc_macro2::Literal, place: &Place) {
        let text = literal.to_string();
        let text = text.trim_matches('"');
        if !["crate::", "self::", "super::"]
            .iter()
            .any(|root| text.starts_with(root))
        {
            return;
        }
        let names = text.split("::").map(str::to_owned).collect();
        let line = literal.span().start().line;
        self.found.push(Raw {
            line,
            names,
            outer: false,
            place: place.clone(),
            face: false,
        });
    }

    fn resolve(&self, raw: &Raw) -> Mention {
        let path = if raw.outer {
            raw.names.clone()
        } else {
            self.lookup(&raw.place.module, raw.names.clone(), 8)
        };
        let open = raw.names == ["super", "*"];
        Mention {
            line: raw.line,
            path,
            test: raw.place.test,
            face: raw.face,
            open,
        }
    }

    /// Follows the first name to the crate's root, through modules and at most `depth` imports.
    fn lookup(&self, module: &[String], names: Vec<String>, depth: usize) -> Vec<String> {
        let Some((first, rest)) = names.split_first() else {
            return names;
        };
        let from_root =
            |module: &[String], names: &[String]| [&["crate".to_owned()], module, names].concat();
        let parent = || module.split_last().map_or(module, |(_, parent)| parent);
        match first.as_str() {
            "crate" | CRATE => from_root(&[], rest),
            "self" => from_root(module, rest),
            "super" if rest.first().is_some_and(|name| name == "super") => {
                self.lookup(parent(), rest.to_vec(), depth)
            }
            "super" => from_root(parent(), rest),
            name if self.declared.iter().any(|(m, n)| m == module && n == name) => {
                from_root(module, &names)
            }
            name => match self.bound.get(name) {
                Some((module, bound)) if depth > 0 && bound[0] != *first => {
                    [self.lookup(module, bound.clone(), depth - 1), rest.to_vec()].concat()
                }
                _ => names,
            },
        }
    }
}

fn bare(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}

fn name(token: &TokenTree) -> String {
    let text = token.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn is_group(token: Option<&TokenTree>, delimiter: Delimiter) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == delimiter)
}

/// Whether the tokens before a `[…]` end with `#` or `#!`.
fn is_attribute(before: &[TokenTree]) -> bool {
    is_punct(before.last(), '#')
        || (before.len() > 1
            && is_punct(before.last(), '!')
            && is_punct(before.get(before.len() - 2), '#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let tree = Tree::of(&[("src/stage/plan/mod.rs", text)]);
        let found: Vec<String> = mentions(&tree.sources["src/stage/plan/mod.rs"])
            .iter()
            .map(|m| {
                format!(
                    "{}{}{} {}",
                    m.line,
                    if m.test { "t" } else { "" },
                    if m.face { "f" } else { "" },
                    m.path.join("::")
                )
            })
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn imports_are_followed_to_the_root() {
        check("use crate::base::id;", &["1 crate::base::id"]);
        check(
            "use super::{auth::{self, Caller as C}, limit::*};",
            &[
                "1 crate::stage::auth",
                "1 crate::stage::auth::Caller",
                "1 crate::stage::limit::*",
            ],
        );
        check(
            "mod chain;\nuse self::chain::A;\nuse chain::B;",
            &[
                "2 crate::stage::plan::chain::A",
                "3 crate::stage::plan::chain::B",
            ],
        );
        check("use super::super::llm::Call;", &["1 crate::llm::Call"]);
        check(
            "use bytes::Bytes;\nuse ::http::Method;",
            &["1 bytes::Bytes", "2 http::Method"],
        );
    }

    #[test]
    fn code_is_read_through_its_imports() {
        check(
            "use crate::stage;\nfn f() { stage::auth::find() }",
            &["1 crate::stage", "2 crate::stage::auth::find"],
        );
        check(
            "use crate::stage as s;\nuse s::auth;\ntype T = Vec<auth::Caller>;",
            &[
                "1 crate::stage",
                "2 crate::stage::auth",
                "3 crate::stage::auth::Caller",
            ],
        );
        check(
            "fn f() -> ::pingora::Result<()> { <T as crate::A>::b() }",
            &["1 pingora::Result", "1 crate::A"],
        );
    }

    #[test]
    fn macros_and_attributes_are_read() {
        check(
            "fn f() {\n    m!(a, crate::proxy::X, [super::auth::y()]);\n}",
            &["2 crate::proxy::X", "2 crate::stage::auth::y"],
        );
        check(
            "#[serde(default = \"crate::base::never\")]\nstruct S;",
            &["1 crate::base::never"],
        );
        check(
            "macro_rules! m { () => { use $crate::llm::Call; } }",
            &["1 crate::llm::Call"],
        );
        check(
            "/// See [`crate::app`].\npub(in crate::stage) fn f() { \"crate::app\"; }",
            &[],
        );
    }

    #[test]
    fn test_code_and_faces_are_told_apart() {
        check(
            "#[cfg(test)]\nmod tests { use super::*; }\nuse crate::llm;",
            &["2t crate::stage::plan::*", "3 crate::llm"],
        );
        check(
            "#[cfg(test)]\nuse crate::base;\nuse crate::llm;",
            &["2t crate::base", "3 crate::llm"],
        );
        check(
            "mod a;\npub use a::B;\npub(crate) use a::C;",
            &["2f crate::stage::plan::a::B", "3f crate::stage::plan::a::C"],
        );
    }
}
