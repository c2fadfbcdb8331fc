//! Marks left in the source: no bare `allow` of a lint, no reminder without the issue that holds it.

use crate::fault::{Fault, check, keep};
use crate::tree::Tree;
use proc_macro2::{TokenStream, TokenTree};

/// Split, so that this file does not find itself.
const REMINDERS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

fn rule(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.sources.values() {
        let mut fault = |line, what, mend| {
            faults.push(Fault {
                file: source.path.clone(),
                line,
                what,
                mend,
            })
        };
        allows(source.tokens.clone(), &mut |line| {
            fault(
                line,
                "a bare `allow` of a lint".into(),
                "#[expect(lint, reason = \"…\")], which also says when it is no longer needed",
            );
        });
        for (line, text) in (1..).zip(source.text.lines()) {
            let words = || text.split(|c: char| !c.is_alphanumeric());
            let Some(word) = REMINDERS
                .into_iter()
                .find(|word| words().any(|w| w == *word))
            else {
                continue;
            };
            if !has_issue(text) {
                fault(
                    line,
                    format!("a {word} without its issue"),
                    "do it now, or open an issue and put its link on the same line",
                );
            }
        }
    }
    faults
}

/// Whether `text` links to an issue, or names one as `#12`.
fn has_issue(text: &str) -> bool {
    let number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    ["/issues/", "/pull/", "#"]
        .iter()
        .any(|link| text.split(link).skip(1).any(number))
}

/// Finds `#[allow(…)]`, `#![allow(…)]` and the same inside `cfg_attr`, in code and in macros.
fn allows(tokens: TokenStream, found: &mut dyn FnMut(usize)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut attribute = false;
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            if attribute && mentions_allow(&inside) {
                found(group.span().start().line);
            }
            allows(group.stream(), found);
        }
        attribute = matches!(token, TokenTree::Punct(p) if p.as_char() == '#' || (attribute && p.as_char() == '!'));
    }
}

fn mentions_allow(attribute: &[TokenTree]) -> bool {
    let is =
        |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident == word);
    match attribute {
        [first, ..] if is(first, "allow") => true,
        [first, TokenTree::Group(list)] if is(first, "cfg_attr") => {
            list.stream().into_iter().any(|token| is(&token, "allow"))
        }
        _ => false,
    }
}

#[test]
fn no_mark_is_left_behind() {
    keep(rule);
}

#[test]
fn a_bare_allow_is_refused() {
    let expect = ["src/x.rs:2: a bare `allow` of a lint"];
    check(
        rule,
        &[("src/x.rs", "\n#[allow(dead_code)]\nfn f() {}")],
        &expect,
    );
    check(rule, &[("src/x.rs", "\n#![allow(dead_code)]")], &expect);
    check(
        rule,
        &[(
            "src/x.rs",
            "mod m { fn f() {\n #[allow(unused)] let x = 1; } }",
        )],
        &expect,
    );
    check(
        rule,
        &[("src/x.rs", "\n#[cfg_attr(test, allow(unused))]\nfn f() {}")],
        &expect,
    );
    check(rule, &[("src/x.rs", "m! {\n #[allow(unused)] }")], &expect);
    check(
        rule,
        &[(
            "src/x.rs",
            "#[expect(dead_code, reason = \"allow\")]\nfn allow() { allow() }",
        )],
        &[],
    );
}

#[test]
fn a_reminder_without_an_issue_is_refused() {
    for word in REMINDERS {
        check(
            rule,
            &[("tests/x.rs", &format!("\n// {word}: later"))],
            &[&format!("tests/x.rs:2: a {word} without its issue")],
        );
        check(
            rule,
            &[(
                "src/x.rs",
                &format!("// {word}(https://example.com/a/b/issues/12): later\n// {word}(#3)"),
            )],
            &[],
        );
    }
}
