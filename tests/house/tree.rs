//! The source tree: every .rs file under src, tests and benches, parsed.

use proc_macro2::TokenStream;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

pub struct Tree {
    /// By path from the top of the checkout, with `/` between folders.
    pub sources: BTreeMap<String, Source>,
}

pub struct Source {
    pub path: String,
    pub text: String,
    pub tokens: TokenStream,
    pub syntax: syn::File,
}

impl Tree {
    /// The checkout this test was built from, or the one named by `HOUSE_ROOT`.
    pub fn house() -> Tree {
        let root = env::var_os("HOUSE_ROOT")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let mut files = Vec::new();
        for folder in ["src", "tests", "benches"] {
            collect(&root.join(folder), folder, &mut files);
        }
        assert!(
            files.iter().any(|(path, _)| path == "src/lib.rs"),
            "no src/lib.rs in {}",
            root.display()
        );
        Tree::parse(files)
    }

    /// A small tree for trying a rule.
    pub fn of(sources: &[(&str, &str)]) -> Tree {
        Tree::parse(
            sources
                .iter()
                .map(|&(path, text)| (path.into(), text.into()))
                .collect(),
        )
    }

    fn parse(files: Vec<(String, String)>) -> Tree {
        let sources = files
            .into_iter()
            .map(|(path, text)| (path.clone(), Source::parse(path, text)))
            .collect();
        Tree { sources }
    }

    /// The files of the crate itself.
    pub fn src(&self) -> impl Iterator<Item = &Source> {
        self.sources
            .values()
            .filter(|source| source.path.starts_with("src/"))
    }
}

impl Source {
    fn parse(path: String, text: String) -> Source {
        let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
        let syntax = syn::parse2(tokens.clone())
            .unwrap_or_else(|e| panic!("{path}:{}: {e}", e.span().start().line));
        Source {
            path,
            text,
            tokens,
            syntax,
        }
    }

    /// The path of the file's module from the root of the crate: `src/stage/auth/mod.rs` is `stage`, `auth`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
            module.pop();
        }
        module
    }

    /// Whether the whole file is test code: by convention it is called `tests`, or lies in a folder of that name.
    pub fn is_test(&self) -> bool {
        self.module().iter().any(|name| name == "tests")
    }
}

/// Whether `#[cfg(test)]` stands among `attributes`.
pub fn is_cfg_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn collect(folder: &Path, name: &str, files: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            collect(&path, &name, files);
        } else if name.ends_with(".rs") {
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn a_file_knows_its_module() {
    let module = |path: &str| Tree::of(&[(path, "")]).sources[path].module().join("::");
    assert_eq!(module("src/lib.rs"), "");
    assert_eq!(module("src/main.rs"), "main");
    assert_eq!(module("src/llm/mod.rs"), "llm");
    assert_eq!(module("src/stage/auth/config.rs"), "stage::auth::config");
}

#[test]
fn the_house_is_read_whole() {
    let tree = Tree::house();
    assert!(
        tree.src().count() > 10,
        "only {} files under src",
        tree.src().count()
    );
    assert!(
        tree.src()
            .any(|source| source.path.matches('/').count() > 2),
        "folders in folders are not read"
    );
}
