//! Names that say nothing are banned, for files, modules, types and functions.

use crate::fault::{Fault, check, keep};
use crate::tree::Tree;
use syn::visit::{self, Visit};

const MODULES: [&str; 12] = [
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "types",
    "models",
    "misc",
    "manager",
    "handler",
    "handlers",
    "processor",
];

const TYPE_ENDINGS: [&str; 3] = ["Manager", "Handler", "Processor"];

fn rule(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.sources.values() {
        let mut reader = Reader {
            file: &source.path,
            faults: &mut faults,
        };
        let path = source.path.trim_end_matches(".rs");
        path.split('/').for_each(|name| reader.module(name, 1));
        reader.visit_file(&source.syntax);
    }
    faults
}

struct Reader<'a> {
    file: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, line: usize, what: String, mend: &'static str) {
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line,
            what,
            mend,
        });
    }

    fn module(&mut self, name: &str, line: usize) {
        if MODULES.contains(&name) {
            self.fault(
                line,
                format!("a module called `{name}`"),
                "name it for the one idea that it holds, a noun one can say aloud",
            );
        }
    }

    fn kind(&mut self, ident: &syn::Ident) {
        if TYPE_ENDINGS
            .iter()
            .any(|ending| ident.to_string().ends_with(ending))
        {
            let line = ident.span().start().line;
            self.fault(
                line,
                format!("a type called `{ident}`"),
                "name it for what it is, not for its being busy",
            );
        }
    }

    fn function(&mut self, ident: &syn::Ident) {
        if ident.to_string().starts_with("get_") {
            let line = ident.span().start().line;
            self.fault(
                line,
                format!("a function called `{ident}`"),
                "drop `get_`, or use the verb for what it does: find, read, take",
            );
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // `mod name;` is told by its file.
        if item.content.is_some() {
            self.module(&item.ident.to_string(), item.ident.span().start().line);
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.kind(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.kind(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.kind(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.kind(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident);
        visit::visit_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig.ident);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        // A trait's own names are not ours to choose.
        if item.trait_.is_none() {
            let functions = item.items.iter().filter_map(|item| {
                if let syn::ImplItem::Fn(item) = item {
                    Some(item)
                } else {
                    None
                }
            });
            functions.for_each(|item| self.function(&item.sig.ident));
        }
        visit::visit_item_impl(self, item);
    }
}

#[test]
fn names_say_something() {
    keep(rule);
}

#[test]
fn empty_names_are_refused() {
    check(
        rule,
        &[("src/llm/utils.rs", "")],
        &["src/llm/utils.rs:1: a module called `utils`"],
    );
    check(
        rule,
        &[("tests/common/mod.rs", "")],
        &["tests/common/mod.rs:1: a module called `common`"],
    );
    check(
        rule,
        &[("src/x.rs", "\nmod helpers { pub struct RouteManager; }")],
        &[
            "src/x.rs:2: a module called `helpers`",
            "src/x.rs:2: a type called `RouteManager`",
        ],
    );
    check(
        rule,
        &[(
            "src/x.rs",
            "enum EventHandler {}\ntrait BodyProcessor { fn get_body(); }",
        )],
        &[
            "src/x.rs:1: a type called `EventHandler`",
            "src/x.rs:2: a function called `get_body`",
            "src/x.rs:2: a type called `BodyProcessor`",
        ],
    );
    check(
        rule,
        &[("src/x.rs", "fn get_a() {}\nimpl S { fn get_b() {} }")],
        &[
            "src/x.rs:1: a function called `get_a`",
            "src/x.rs:2: a function called `get_b`",
        ],
    );
}

#[test]
fn a_foreign_traits_names_are_not_ours() {
    check(
        rule,
        &[(
            "src/x.rs",
            "impl Storage for S { fn get_miss_handler() {} }\nfn target() {}\nfn get() {}",
        )],
        &[],
    );
}
