//! Every mistake in a config is told at its line, with what is wrong and how to mend it.
#![cfg(test)]

mod mistakes;

use std::path::PathBuf;
use std::process::{Command, Output};
use tollgate::config::{self, Config, Faults};

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("zqsecretzq".to_owned()),
        "THREADS" => Some("4".to_owned()),
        "REQUIRED" => Some("true".to_owned()),
        "EMPTY" => Some(String::new()),
        "URL" => Some("zqsecretzq://nowhere".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, Faults> {
    config::parse("test.yaml", text, &env)
}

#[test]
fn independent_mistakes_are_told_all_at_once_in_order() {
    let text = "\
server:
  lisen: []
  listen:
    - 127.0.0.1:1
    - :8787
    - {address: 127.0.0.1:1, gateway: nobody}
  threads: many
  threads: -1
  max_body: 1
  keepalive: 60
providers:
  opnai: {base_url: ftp://a}
  custom-a: {base_url: 5, dialect: x}
gateways:
  a: 5
  b:
    hosts: [x.y, 'p:1']
    auth: {required: true, tokens: ['${env:NOBODY}', short]}
    timeout: {total: 10}
log: nowhere
";
    let faults = parse(text).unwrap_err();
    let lines: Vec<_> = faults.list().iter().map(|fault| fault.line).collect();
    assert_eq!(
        lines,
        [
            2, 5, 6, 6, 8, 8, 9, 10, 12, 12, 13, 13, 15, 17, 18, 18, 19, 20
        ],
        "{faults}"
    );
    assert_eq!(faults.list()[3].path, "server.listen[2].gateway");
    assert!(
        faults.list()[2].what.contains("server.listen[0]"),
        "{faults}"
    );
}

#[test]
fn a_fault_is_shown_with_its_place_its_line_and_its_fix() {
    let text = "gateways:\n  ä: {hosts: [a b]}\n  b: {auth: {tokens: [zqsecretzq], nmae: x}}\n";
    let page = parse(text).unwrap_err().render(false);
    assert!(page.contains("[test.yaml:2:3]"), "{page}");
    assert!(page.contains("[test.yaml:2:15]"), "{page}");
    assert!(page.contains("2 |   ä: {hosts: [a b]}"), "{page}");
    assert!(page.contains("help: write a host name alone"), "{page}");
    assert!(page.contains("[test.yaml:3:36]"), "{page}");
    assert!(
        page.contains("b: {auth: {tokens: [***], nmae: ***}}"),
        "{page}"
    );
    assert!(page.ends_with("test.yaml: 3 faults\n"), "{page}");
}

#[test]
fn what_is_right_is_read() {
    let text = "\u{feff}
server:
  listen: [localhost:1, {address: '[::1]:2', gateway: b}]
  threads: ${env:THREADS}
gateways:
  a: &a
    auth:
      required: ${env:REQUIRED}
      tokens: ['${env:TOKEN}', {name: literal, token: '$${env:TOKEN}'}, 'pre-${env:TOKEN}']
  b: {<<: *a, hosts: [B.example]}
  c:
  7: {auth: }
providers:
  custom-a: {base_url: 'http://10.0.0.5:8000/v1', dialect: workers-ai}
log: off
";
    let config = parse(text).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.server.threads, 4);
    let auth = &config.gateways["b"].auth;
    assert!(auth.required && auth.tokens[0].token.is(b"zqsecretzq"));
    assert!(auth.tokens[1].token.is(b"${env:TOKEN}") && auth.tokens[1].name == "literal");
    assert!(auth.tokens[2].token.is(b"pre-zqsecretzq") && auth.tokens[2].name == "token-3");
    assert_eq!(config.gateways["c"], config::Gateway::default());
    assert!(config.gateways.contains_key("7"));
}

#[test]
fn empty_files_and_empty_sections_mean_the_defaults() {
    for text in [
        "",
        "\n",
        "# nothing\n",
        "---\n",
        "{}",
        "server:\nproviders:\ngateways:\nlog:\n",
        "~",
    ] {
        assert_eq!(
            parse(text).unwrap_or_else(|faults| panic!("{text:?}\n{faults}")),
            Config::default()
        );
    }
}

/// Writes one row of a file that is all mistakes.
type Row = fn(usize) -> String;

#[test]
fn alias_bombs_and_deep_nesting_end_soon() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let wide = format!(
        "a: &a [{}]\nb: [{}]",
        "x,".repeat(150_000),
        "*a,".repeat(1_000)
    );
    let texts = [
        bomb,
        wide,
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(50_000),
    ];
    for text in texts {
        let start = std::time::Instant::now();
        assert!(parse(&text).is_err());
        assert!(
            start.elapsed().as_secs() < 60,
            "{:.20} took {:?}",
            text,
            start.elapsed()
        );
    }
    let many_faults: [(&str, Row, &str); 6] = [
        ("", |i| format!("a{i}: ${{env:NOBODY}}\n"), ""),
        ("providers:\n", |i| format!("  a{i}: {{}}\n"), ""),
        ("gateways: {a: {hosts: [", |i| format!("'b {i}',"), "]}}"),
        (
            "gateways: {a: {auth: {tokens: [",
            |i| format!("abcdefg{i},"),
            "]}}}",
        ),
        (
            "server: {listen: [",
            |i| format!("{{address: 127.0.0.1:0, gateway: b{i}}},"),
            "]}",
        ),
        ("", |_| "a: 1\n".to_owned(), ""),
    ];
    for (head, row, tail) in many_faults {
        let rows: String = (0..10_000).map(row).collect();
        let start = std::time::Instant::now();
        let faults = parse(&format!("{head}{rows}{tail}")).unwrap_err();
        assert!(faults.list().len() <= 101);
        assert!(
            start.elapsed().as_secs() < 60,
            "{head:?} took {:?}",
            start.elapsed()
        );
    }
    let many: String = (0..5_000).map(|i| format!("key{i}: 1\n")).collect();
    assert!(
        parse(&many)
            .unwrap_err()
            .render(false)
            .contains("only the first 100")
    );
}

/// A folder of this test alone.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn files_that_are_no_config_are_refused_by_name() {
    let folder = folder("files");
    let check = |name: &str, bytes: Option<&[u8]>, what: &str| {
        let path = folder.join(name);
        bytes.inspect(|bytes| std::fs::write(&path, bytes).unwrap());
        let page = config::load(Some(&path))
            .unwrap_err()
            .render(false)
            .replace("\n  | ", " ");
        assert!(page.contains(what), "{name}: {page}");
    };
    check("missing.yaml", None, "cannot be read");
    check(".", None, "this is a folder");
    check(
        "latin.yaml",
        Some(b"log: off\nx: \xe9"),
        "not UTF-8 text, from line 2",
    );
    check(
        "wide.yaml",
        Some(b"\xff\xfel\0o\0g\0"),
        "not UTF-8 text, from line 1",
    );
    check(
        "large.yaml",
        Some(&vec![b'#'; (4 << 20) + 1]),
        "larger than 4 MiB",
    );
    check("nul.yaml", Some(b"log: \0off"), "fault");
}

#[test]
fn certificates_and_keys_must_belong_together() {
    let folder = folder("tls");
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (make(), make());
    std::fs::write(folder.join("cert.pem"), one.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), one.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("other.pem"), other.signing_key.serialize_pem()).unwrap();
    let name = folder.join("tollgate.yaml").display().to_string();
    let parse = |cert: &str, key: &str, ca: &str| {
        let tls = format!("{{cert: {cert}, key: {key}}}");
        let text = format!(
            "server:\n  ca_file: {ca}\n  listen:\n    - address: 127.0.0.1:1\n      tls: {tls}\nlog: {{file: log}}"
        );
        config::parse(&name, &text, &env)
    };
    let config =
        parse("cert.pem", "key.pem", "cert.pem").unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(
        config.server.listen[0].tls.as_ref().unwrap().key,
        folder.join("key.pem")
    );
    assert!(!folder.join("log").exists());
    let what = |cert, key, ca| parse(cert, key, ca).unwrap_err().list()[0].what.clone();
    assert_eq!(
        what("cert.pem", "other.pem", "cert.pem"),
        "the key does not belong to the certificate"
    );
    assert!(what("key.pem", "key.pem", "cert.pem").contains("holds no certificate"));
    assert!(what("cert.pem", "cert.pem", "cert.pem").contains("holds no private key"));
    assert!(what("cert.pem", "key.pem", "key.pem").contains("holds no certificate"));
    let page = parse("cert.pem", "nowhere.pem", "cert.pem")
        .unwrap_err()
        .render(false);
    assert!(page.contains("key: nowhere.pem"), "{page}");
}

fn run(config: &std::path::Path) -> Output {
    let tollgate = env!("CARGO_BIN_EXE_tollgate");
    Command::new(tollgate)
        .args(["check", "--config"])
        .arg(config)
        .output()
        .unwrap()
}

#[test]
fn the_command_says_in_one_line_that_a_config_is_fine() {
    let output = run("conf/tollgate.yaml".as_ref());
    assert_eq!(output.status.code(), Some(0));
    let line = "conf/tollgate.yaml: fine (1 listener, 1 gateway, 26 providers)\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), line);
    assert!(output.stderr.is_empty());
}

#[test]
fn the_command_tells_every_fault_and_exits_with_1() {
    let path = folder("command").join("bad.yaml");
    std::fs::write(&path, "server: {threads: many}\nlog: nowhere\n").unwrap();
    let output = run(&path);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let page = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        page.contains("bad.yaml:1:19") && page.contains("bad.yaml:2:6"),
        "{page}"
    );
    assert!(
        page.contains("2 faults") && !page.contains('\u{1b}'),
        "{page}"
    );
    assert_eq!(run("nowhere.yaml".as_ref()).status.code(), Some(1));
}
