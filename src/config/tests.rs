//! Tests of the annotated file, of what must never be shown, and of hostile texts.

use super::*;
use proptest::prelude::*;

const ANNOTATED: &str = include_str!("../../conf/tollgate.yaml");

const TOKEN: &str = "zqsecretzq";

/// A valid file that uses every part of the grammar that users use.
const VALID: &str = "\
server:
  listen:
    - 127.0.0.1:1
    - {address: '[::1]:2', gateway: acme}
  threads: ${env:FOUR}
  max_body: 25MiB
providers:
  custom-a: {base_url: \"http://10.0.0.5:8000/v1\", dialect: openai}
  openai:
    keys:
      - zqsecretzq5
      - {name: spare, key: 'zqsecretzq6', weight: 2}
gateways:
  acme: &acme
    hosts: [ai.example]
    auth:
      required: true
      tokens:
        - zqsecretzq
        - name: ci
          token: \"2zqsecretzq\"
        - {name: dev, token: '3zqsecretzq'}
    timeout: {connect: 1s, total: 10m}
  other: {auth: {tokens: ['${env:TOKEN}', zqsecretzq4]}, timeout: {<<: {idle: 1m}}}
log: off
";

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some(TOKEN.to_owned()),
        "FOUR" => Some("4".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, Faults> {
    parse("test.yaml", text, &env)
}

#[test]
fn the_annotated_file_holds_the_defaults() {
    let mut defaults = Config::default();
    defaults
        .gateways
        .insert("default".to_owned(), Gateway::default());
    let annotated = parse("conf/tollgate.yaml", ANNOTATED, &|_| None);
    assert_eq!(
        annotated.unwrap_or_else(|faults| panic!("{faults}")),
        defaults
    );
}

#[test]
fn the_annotated_file_shows_every_key() {
    let probes = [
        ("", "{probe: }"),
        ("server", "{server: {probe: }}"),
        ("listen", "{server: {listen: [{probe: }]}}"),
        (
            "tls",
            "{server: {listen: [{address: '127.0.0.1:1', tls: {probe: }}]}}",
        ),
        ("provider", "{providers: {custom-a: {probe: }}}"),
        (
            "endpoint",
            "{providers: {custom-a: {endpoints: [{probe: }]}}}",
        ),
        ("balance", "{providers: {custom-a: {balance: {probe: }}}}"),
        ("breaker", "{providers: {custom-a: {breaker: {probe: }}}}"),
        ("gateway", "{gateways: {a: {probe: }}}"),
        ("auth", "{gateways: {a: {auth: {probe: }}}}"),
        ("timeout", "{gateways: {a: {timeout: {probe: }}}}"),
        ("retry", "{gateways: {a: {retry: {probe: }}}}"),
        ("fallback", "{gateways: {a: {fallback: [{probe: }]}}}"),
        ("metadata", "{gateways: {a: {metadata: {probe: }}}}"),
        ("gateway's cache", "{gateways: {a: {cache: {probe: }}}}"),
        (
            "partition",
            "{gateways: {a: {cache: {partition: {probe: }}}}}",
        ),
        ("cache", "{cache: {probe: }}"),
        ("limit", "{gateways: {a: {limits: [{probe: }]}}}"),
        ("when", "{gateways: {a: {limits: [{when: {probe: }}]}}}"),
        ("over", "{gateways: {a: {limits: [{over: {probe: }}]}}}"),
        (
            "wait",
            "{gateways: {a: {limits: [{over: {wait: {probe: }}}]}}}",
        ),
        ("counters", "{counters: {probe: }}"),
        ("log", "{log: {probe: }}"),
    ];
    // An unknown key of a token is not named, since it may be the token itself.
    assert!(ANNOTATED.contains("- name: ") && ANNOTATED.contains("  token: "));
    assert!(ANNOTATED.contains("name: spare, key: ") && ANNOTATED.contains("weight: 2"));
    let mut seen = 0;
    for (part, text) in probes {
        let faults = read(text).unwrap_err();
        let unknown = faults
            .list()
            .iter()
            .find(|fault| fault.what == "unknown key `probe`");
        let (_, keys) = unknown
            .unwrap()
            .fix
            .rsplit_once("the keys here are ")
            .unwrap();
        for key in keys.split(", ") {
            let shown = ANNOTATED.lines().any(|line| {
                line.trim_start_matches([' ', '#', '-', '{'])
                    .starts_with(&format!("{key}:"))
                    || line.contains(&format!(", {key}: "))
            });
            assert!(shown, "conf/tollgate.yaml does not show `{key}` of {part}");
            seen += 1;
        }
    }
    assert_eq!(seen, 98);
}

#[test]
fn the_annotated_file_names_every_dialect() {
    let faults = read("providers: {custom-a: {base_url: 'http://a', dialect: '?'}}").unwrap_err();
    for dialect in faults.list()[0]
        .fix
        .trim_start_matches("write one of ")
        .split(", ")
    {
        assert!(ANNOTATED.contains(dialect), "{dialect}");
    }
}

#[test]
fn the_commented_providers_of_the_annotated_file_are_right() {
    let (_, examples) = ANNOTATED.split_once("providers: {}\n").unwrap();
    let examples = examples.lines().take_while(|line| !line.is_empty());
    let text: String = examples
        .map(|line| format!("{}\n", line.replacen('#', " ", 1)))
        .collect();
    let text = format!("providers:\n{text}");
    let config = parse("test.yaml", &text, &|name| Some(name.to_owned()));
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.providers.len(), 3);
    let shown = config.providers["groq"].breaker;
    assert_eq!(shown, provider::config::breaker::Breaker::default());
}

#[test]
fn a_value_from_the_environment_is_never_shown() {
    for (index, line) in VALID.lines().enumerate() {
        for at in line
            .char_indices()
            .filter(|(_, c)| ":-[,".contains(*c))
            .map(|(at, _)| at + 1)
        {
            for reference in [
                " ${env:TOKEN}",
                " '${env:TOKEN}', ",
                " x${env:TOKEN}y: ${env:TOKEN}",
            ] {
                let mut lines: Vec<String> = VALID
                    .replace(TOKEN, "abcdefgh")
                    .lines()
                    .map(str::to_owned)
                    .collect();
                let at = at.min(lines[index].len());
                lines[index].truncate(at);
                lines[index].push_str(reference);
                if let Err(faults) = read(&lines.join("\n")) {
                    let page = faults.render(true);
                    assert!(
                        !page.contains("zqsec") && !format!("{faults:?}").contains("zqsec"),
                        "{page}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_token_in_the_file_is_never_shown_however_the_file_is_broken() {
    read(VALID).unwrap_or_else(|faults| panic!("{faults}"));
    let breaks = [
        (1, ""),
        (0, "\""),
        (0, "'"),
        (0, ": "),
        (0, "{"),
        (0, "]"),
        (0, "\n"),
        (0, "\t"),
        (0, " #"),
    ];
    // Every place within the tokens and around them, every third elsewhere, where little can leak.
    for at in
        (0..VALID.len()).filter(|at| at % 3 == 0 || VALID.get(..*at).unwrap().contains("keys:"))
    {
        for (cut, put) in breaks {
            let text = format!(
                "{}{put}{}",
                VALID.get(..at).unwrap(),
                VALID.get(at + cut..).unwrap()
            );
            if let Err(faults) = read(&text) {
                let page = faults.render(false);
                assert!(
                    !page.contains("zqsec") && !page.contains("cretzq"),
                    "{text}\n{page}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(faults) = read(&text) {
            faults.render(true);
        }
    }

    #[test]
    fn any_words_of_yaml_are_read_or_refused(
        words in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..60)
    ) {
        if let Err(faults) = read(&words.concat()) {
            faults.render(true);
        }
    }

    #[test]
    fn any_change_of_a_valid_file_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..20usize, ".{0,6}"), 1..6)
    ) {
        let mut chars: Vec<char> = VALID.chars().collect();
        for (at, cut, put) in changes {
            let at = at.index(chars.len().max(1)).min(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, put.chars());
        }
        let text: String = chars.into_iter().collect();
        if let Err(faults) = read(&text) {
            let count = faults.list().len();
            prop_assert!(count > 0);
            for fault in faults.list() {
                prop_assert!(fault.line >= 1 && fault.line <= text.matches('\n').count() + 1);
            }
            faults.render(false);
        }
    }
}

const WORDS: [&str; 40] = [
    "server",
    "listen",
    "gateways",
    "auth",
    "tokens",
    "providers",
    "custom-a",
    "base_url",
    "log",
    "default",
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "\t",
    " ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    "\"",
    "&a ",
    "*a",
    "<<: ",
    "!x ",
    "!!str ",
    "? ",
    "|\n",
    ">\n",
    "#",
    "${env:TOKEN}",
    "${",
    "---\n",
    "...\n",
    "é\u{feff}",
    "1e999",
];
