//! Shape: short files, functions of one screen, few fields and few parameters.

use crate::fault::{Fault, check, keep};
use crate::tree::{Source, Tree, is_cfg_test};
use syn::visit::{self, Visit};

/// Lines of a file, its tests left out.
const FILE_LINES_MAX: usize = 400;
/// main.rs is only the door.
const DOOR_LINES_MAX: usize = 80;
/// Lines of a function from `fn` to its last brace.
const FUNCTION_LINES_MAX: usize = 70;
const FIELDS_MAX: usize = 12;
/// `self` is not counted, nor is a signature that another crate's trait prescribes.
const PARAMETERS_MAX: usize = 5;

/// Files whose structs mirror something outside, with the reason. Files called config.rs mirror what a user writes.
const MIRRORS: &[(&str, &str)] = &[(
    "src/dialect/openai/usage.rs",
    "OpenAI's usage object, one field a member",
)];

fn rule(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.src() {
        let mut ruler = Ruler {
            source,
            mirror: is_mirror(&source.path),
            foreign: false,
            test_lines: 0,
            faults: Vec::new(),
        };
        ruler.visit_file(&source.syntax);
        let lines = source.text.lines().count() - ruler.test_lines;
        let lines_max = if source.path == "src/main.rs" {
            DOOR_LINES_MAX
        } else {
            FILE_LINES_MAX
        };
        if lines > lines_max && !source.is_test() {
            ruler.fault(
                1,
                format!("{lines} lines without tests, of {lines_max}"),
                "find the second idea in it and give that a file",
            );
        }
        faults.append(&mut ruler.faults);
    }
    faults
}

fn is_mirror(path: &str) -> bool {
    path.ends_with("/config.rs") || MIRRORS.iter().any(|(file, _)| *file == path)
}

struct Ruler<'a> {
    source: &'a Source,
    mirror: bool,
    /// Inside `impl Trait for …`.
    foreign: bool,
    test_lines: usize,
    faults: Vec<Fault>,
}

impl Ruler<'_> {
    fn fault(&mut self, line: usize, what: String, mend: &'static str) {
        self.faults.push(Fault {
            file: self.source.path.clone(),
            line,
            what,
            mend,
        });
    }

    fn function(&mut self, sig: &syn::Signature, last_line: Option<usize>) {
        let line = sig.fn_token.span.start().line;
        let lines = last_line.map_or(1, |last| last + 1 - line);
        if lines > FUNCTION_LINES_MAX {
            let what = format!(
                "fn {} has {lines} lines, of {FUNCTION_LINES_MAX}",
                sig.ident
            );
            self.fault(
                line,
                what,
                "keep the branches here and move the leaves into functions below",
            );
        }
        let parameters = sig
            .inputs
            .iter()
            .filter(|input| matches!(input, syn::FnArg::Typed(_)))
            .count();
        if parameters > PARAMETERS_MAX && !self.foreign {
            let what = format!(
                "fn {} has {parameters} parameters, of {PARAMETERS_MAX}",
                sig.ident
            );
            self.fault(line, what, "find the type that some of them form together");
        }
    }
}

impl<'ast> Visit<'ast> for Ruler<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if item.fields.len() > FIELDS_MAX && !self.mirror {
            let what = format!(
                "struct {} has {} fields, of {FIELDS_MAX}",
                item.ident,
                item.fields.len()
            );
            let mend = "split it by lifetime or by who writes it; a wire type goes on the list MIRRORS of tests/house/shape.rs";
            self.fault(item.ident.span().start().line, what, mend);
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some((brace, _)) = item.content.as_ref().filter(|_| is_cfg_test(&item.attrs)) {
            let first = item
                .attrs
                .first()
                .map_or(item.mod_token.span, |attribute| attribute.pound_token.span)
                .start()
                .line;
            self.test_lines += brace.span.close().end().line + 1 - first;
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outside = std::mem::replace(&mut self.foreign, item.trait_.is_some());
        visit::visit_item_impl(self, item);
        self.foreign = outside;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, Some(end(&item.block)));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, Some(end(&item.block)));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.default.as_ref().map(end));
        visit::visit_trait_item_fn(self, item);
    }
}

fn end(block: &syn::Block) -> usize {
    block.brace_token.span.close().end().line
}

#[test]
fn files_functions_and_structs_stay_small() {
    keep(rule);
}

#[test]
fn every_mirror_exists() {
    let tree = Tree::house();
    for (file, reason) in MIRRORS {
        assert!(
            tree.sources.contains_key(*file),
            "{file} is gone ({reason}): take it off the list MIRRORS"
        );
    }
}

#[test]
fn a_long_function_is_refused_wherever_it_stands() {
    let body = |lines: usize| format!("{{\n{}}}", "f();\n".repeat(lines - 2));
    check(
        rule,
        &[("src/llm/x.rs", &format!("fn f() {}", body(70)))],
        &[],
    );
    check(
        rule,
        &[("src/llm/x.rs", &format!("\nfn f() {}", body(71)))],
        &["src/llm/x.rs:2: fn f has 71 lines, of 70"],
    );
    check(
        rule,
        &[(
            "src/llm/x.rs",
            &format!("impl A for B {{ fn f() {} }}", body(71)),
        )],
        &["src/llm/x.rs:1: fn f has 71 lines, of 70"],
    );
    check(
        rule,
        &[(
            "src/llm/x.rs",
            &format!("trait A {{ fn f() {} }}", body(71)),
        )],
        &["src/llm/x.rs:1: fn f has 71 lines, of 70"],
    );
    check(
        rule,
        &[(
            "src/llm/x.rs",
            &format!("mod m {{ fn g() {{ fn f() {} }} }}", body(71)),
        )],
        &[
            "src/llm/x.rs:1: fn f has 71 lines, of 70",
            "src/llm/x.rs:1: fn g has 71 lines, of 70",
        ],
    );
}

#[test]
fn a_long_file_is_refused_and_its_tests_are_not_counted() {
    let long = |lines: usize| "// x\n".repeat(lines);
    check(
        rule,
        &[("src/llm/x.rs", &long(401))],
        &["src/llm/x.rs:1: 401 lines without tests, of 400"],
    );
    check(
        rule,
        &[("src/main.rs", &long(81))],
        &["src/main.rs:1: 81 lines without tests, of 80"],
    );
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", long(50));
    check(
        rule,
        &[("src/llm/x.rs", &format!("{}{tests}", long(400)))],
        &[],
    );
    check(rule, &[("src/llm/tests.rs", &long(900))], &[]);
}

#[test]
fn a_wide_struct_is_refused_unless_it_mirrors_the_outside() {
    let wide = format!(
        "struct S {{ {} }}",
        (0..13).map(|n| format!("f{n}: u8,")).collect::<String>()
    );
    check(
        rule,
        &[("src/llm/x.rs", &wide)],
        &["src/llm/x.rs:1: struct S has 13 fields, of 12"],
    );
    check(rule, &[("src/stage/plan/config.rs", &wide)], &[]);
}

#[test]
fn a_sixth_parameter_is_refused_unless_a_trait_prescribes_it() {
    let six = "fn f(&self, a: A, b: B, c: C, d: D, e: E, f: F)";
    check(
        rule,
        &[("src/llm/x.rs", &format!("impl S {{ {six} {{}} }}"))],
        &["src/llm/x.rs:1: fn f has 6 parameters, of 5"],
    );
    check(
        rule,
        &[("src/llm/x.rs", &format!("trait S {{ {six}; }}"))],
        &["src/llm/x.rs:1: fn f has 6 parameters, of 5"],
    );
    check(
        rule,
        &[("src/llm/x.rs", &format!("impl T for S {{ {six} {{}} }}"))],
        &[],
    );
}
