//! The mistakes, a row each.

use crate::parse;

/// One mistake a row: the text, its line, a part of what is said, a part of the fix.
#[rustfmt::skip]
const MISTAKES: &[(&str, usize, &str, &str)] = &[
    // Keys and types.
    ("sevrer: {}", 1, "unknown key `sevrer`", "did you mean `server`? the keys here are server, providers, gateways, cache, log"),
    ("server:\n  lisen: []", 2, "unknown key `lisen`", "did you mean `listen`?"),
    ("server:\n  max_boddy: 1MiB", 2, "unknown key `max_boddy`", "did you mean `max_body`?"),
    ("gateways:\n  a:\n    limit: []", 3, "unknown key `limit`", "did you mean `limits`? the keys here are hosts, auth, limits, timeout"),
    ("gateways: {a: {auth: {tokns: [abcdefgh]}}}", 1, "unknown key `tokns`", "did you mean `tokens`?"),
    ("1: x", 1, "unknown key `1`", "the keys here are"),
    ("? [a]\n: b", 1, "a key must be a plain text", "quotes"),
    ("- server", 1, "expected keys with values, found a list", "write keys with values"),
    ("just words", 1, "expected keys with values, found a text", "write"),
    ("server: []", 1, "expected keys with values, found a list", "write"),
    ("server:\n  threads: many", 2, "expected a whole number, 0 or more, found a text", "write a whole number"),
    ("server:\n  threads: -1", 2, "expected a whole number", "write"),
    ("server:\n  threads: 1.5", 2, "found a number", "write a whole number"),
    ("server:\n  threads: 1025", 2, "too many threads", "at most 1024"),
    ("server:\n  threads: 99999999999999999999999", 2, "expected a whole number", "write"),
    // Sizes and periods.
    ("server:\n  max_body: 25 MiB", 2, "not a size", "25MiB"),
    ("server:\n  max_body: 25mb", 2, "not a size", "5MB"),
    ("server:\n  max_body: -5", 2, "not a size", "whole number"),
    ("server:\n  max_body: [1]", 2, "expected a size such as 64KiB", "write a size"),
    ("server:\n  max_body:", 2, "found nothing", "write a size"),
    ("server:\n  max_body: 99999999999GiB", 2, "too large", "smaller"),
    ("server:\n  max_body: 100", 2, "`max_body` is too small", "1KiB to 1GiB"),
    ("server:\n  max_body: 2GiB", 2, "`max_body` is too large", "1KiB to 1GiB"),
    ("server:\n  max_head: 2MiB", 2, "`max_head` is too large", "4KiB to 1MiB"),
    ("server:\n  keepalive: 60", 2, "a period needs a unit", "ms, s, m, h or d"),
    ("server:\n  keepalive: 1 minute", 2, "not a period", "10m"),
    ("server:\n  drain: 99999999999999999999d", 2, "too long", "0s"),
    ("server:\n  head_timeout: 0s", 2, "`head_timeout` is zero", "10s"),
    ("gateways: {a: {timeout: {connect: 0s}}}", 1, "`connect` is zero", "30s"),
    ("gateways:\n  a:\n    timeout: {first_byte: 2m, total: 1m}", 3, "`first_byte` (120000ms) is longer than `total` (60000ms)", "lower `first_byte`"),
    ("gateways:\n  a:\n    timeout:\n      first_byte: 60s\n      total: 30s", 4, "`first_byte` (60000ms) is longer", "raise `total`"),
    ("gateways: {a: {retry: {attempts: 0}}}", 1, "a target cannot be tried so often", "1 to 5"),
    ("gateways: {a: {retry: {attempts: 6}}}", 1, "a target cannot be tried so often", "1 to 5"),
    ("gateways: {a: {retry: {delay: 61s}}}", 1, "too long a pause", "at most 60s"),
    ("gateways: {a: {retry: {backoff: cubic}}}", 1, "no such word", "constant, linear, exponential"),
    ("gateways:\n  a:\n    fallback:\n      - {provider: opnai}", 4, "no such provider", "slug of the catalogue"),
    ("gateways: {a: {fallback: [{provider: openai, model: ''}]}}", 1, "`model` is empty", "leave it away"),
    ("gateways: {a: {fallback: [{model: gpt}]}}", 1, "provider", "add"),
    ("gateways: {a: {on_client_gone: wait}}", 1, "no such word", "stop, drain"),
    ("gateways: {a: {include_usage: sometimes}}", 1, "expected true or false", "write true or false"),
    ("gateways: {a: {metadata: {max_entries: 0}}}", 1, "so many entries of metadata", "1 to 100"),
    ("gateways: {a: {metadata: {max_entries: 101}}}", 1, "so many entries of metadata", "1 to 100"),
    ("gateways: {a: {metadata: {entries: 5}}}", 1, "unknown key `entries`", "the keys here are max_entries"),
    // The cache.
    ("gateways: {a: {cache: {ttl: 5}}}", 1, "a period needs a unit", "250ms or 5s"),
    ("gateways: {a: {cache: {ttl: 32d}}}", 1, "such a `ttl`", "1s to 31d"),
    ("gateways: {a: {cache: {ttl: 1m, stale_if_error: 10ms}}}", 1, "such a `stale_if_error`", "1s to 31d"),
    ("gateways: {a: {cache: {partition: user}}}", 1, "no such partition", "key, gateway or {metadata: NAME}"),
    ("gateways:\n  a:\n    cache:\n      partition: {metadata: ''}", 4, "has no name", "{metadata: team}"),
    ("gateways:\n  a:\n    cache:\n      ttl: 5m\n      ignore: [user]", 5, "canonical bodies only", "canonical: true"),
    ("gateways: {a: {cache: {tll: 5m}}}", 1, "unknown key `tll`", "did you mean `ttl`?"),
    ("cache: {entry: 1GiB}", 1, "`entry` is too large", "1KiB to 256MiB"),
    ("cache: {directory: x, disk: 1KiB}", 1, "`disk` is too small", "1MiB to 16384GiB"),
    ("cache: {disk: 2GiB}", 1, "no directory", "directory: PATH"),
    ("cache: {memory: lots}", 1, "not a size", "64KiB"),
    // Addresses.
    ("server:\n  listen: [':8787']", 2, "names no IP", "0.0.0.0:PORT"),
    ("server:\n  listen:\n    - 8787", 3, "names no IP", "127.0.0.1:PORT"),
    ("server:\n  listen: 127.0.0.1:8787", 2, "expected a list, found a text", "write a list"),
    ("server:\n  listen: []", 2, "no listener is left", "write one address"),
    ("server:\n  listen: [gateway.example:80]", 2, "not a host name", "IP:PORT"),
    ("server:\n  listen: [127.0.0.1]", 2, "no port", "IP:PORT"),
    ("server:\n  listen: ['127.0.0.1:99999']", 2, "port is not a number", "IP:PORT"),
    ("server:\n  listen: ['::1:80']", 2, "brackets", "[::1]:8787"),
    ("server:\n  listen:\n    - {gateway: default}", 3, "`address` is missing", "add `address: ...`"),
    ("server:\n  listen:\n    - {address: '127.0.0.1:1', tsl: {}}", 3, "unknown key `tsl`", "did you mean `tls`?"),
    ("server:\n  admin: 9787", 2, "names no IP", "127.0.0.1:PORT"),
    ("server:\n  listen:\n    - 127.0.0.1:1\n    - 127.0.0.1:1", 4, "server.listen[0] already takes this port", "port of its own"),
    ("server:\n  listen:\n    - 127.0.0.1:1\n    - address: 0.0.0.0:1", 4, "server.listen[0] already takes", "port of its own"),
    ("server:\n  listen:\n    - 127.0.0.1:9787", 3, "server.admin, by default, already takes", "admin listener"),
    ("server:\n  admin: 127.0.0.1:8787", 2, "server.listen[0], by default, already takes", "127.0.0.1:9787"),
    ("server:\n  listen:\n    - {address: '127.0.0.1:1', gateway: acm}\ngateways: {acme: {}}", 3, "no gateway of this name", "did you mean `acme`?"),
    // Files.
    ("server:\n  ca_file: nowhere.pem", 2, "cannot be read: entity not found", "config file's folder"),
    ("server:\n  ca_file: /", 2, "not a file", "plain file"),
    ("server:\n  ca_file: Cargo.toml", 2, "holds no certificate", "BEGIN CERTIFICATE"),
    ("server:\n  listen:\n    - address: 127.0.0.1:1\n      tls: {cert: Cargo.toml}", 4, "`key` is missing", "add `key: ...`"),
    ("log: {file: /nowhere/log.ndjson}", 1, "folder is not there", "create the folder"),
    ("log: {file: src}", 1, "the log is a folder", "name a file in it"),
    ("log: {file: Cargo.toml/log}", 1, "not a folder", "write"),
    ("log: stderr", 1, "no such place for the log", "stdout, off or {file: PATH}"),
    ("log: {fil: a}", 1, "unknown key `fil`", "did you mean `file`?"),
    // Providers.
    ("providers:\n  opnai: {base_url: 'http://a'}", 2, "no built-in provider", "did you mean `openai`? a provider of your own begins with custom-, as in custom-opnai"),
    ("providers:\n  custom-A: {base_url: 'http://a'}", 2, "cannot be a custom provider's slug", "lower-case"),
    ("providers:\n  custom-a: {}", 2, "`base_url` is missing", "add `base_url: ...`"),
    ("providers:\n  custom-a:", 2, "`base_url` is missing", "add"),
    ("providers:\n  openai: {base_url: 'https://a', dialect: openai}", 2, "dialect is known", "remove `dialect`"),
    ("providers:\n  custom-a: {base_url: 'https://a', dialect: opena}", 2, "no such word", "did you mean `openai`? write one of openai, anthropic"),
    ("providers:\n  openai: {base_url: api.openai.com}", 2, "begins with http://", "https://api.openai.com/v1"),
    ("providers:\n  openai: {base_url: 'https://a?b=c'}", 2, "no query", "write http://"),
    ("providers:\n  openai: {base_url: 'https://a#b'}", 2, "no fragment", "write"),
    ("providers:\n  openai: {base_url: 'https://zqsecretzq:zqsecretzq@a'}", 2, "no user name", "write"),
    ("providers:\n  openai:\n    endpoints: 'https://a'", 3, "expected a list, found a text", "write a list"),
    ("providers:\n  openai:\n    endpoints: [5]", 3, "expected a base URL", "write a base URL"),
    ("providers:\n  openai: {endpoints: ['https://a', ftp://b]}", 2, "begins with http://", "https://api.openai.com/v1"),
    ("providers:\n  openai:\n    endpoints:\n      - https://a\n      - {base_url: 'https://a?b'}", 5, "no query", "write http://"),
    ("providers:\n  openai:\n    endpoints:\n      - {base_url: 'https://a', wieght: 2}", 4, "unknown key `wieght`", "did you mean `weight`?"),
    ("providers:\n  openai:\n    endpoints:\n      - {base_url: 'https://a', weight: 0}", 4, "cannot be a weight", "1 to 1000"),
    ("providers:\n  openai:\n    endpoints:\n      - https://a\n      - {base_url: 'https://a', weight: 2}", 5, "providers.openai.endpoints[0] is the same endpoint", "remove one"),
    ("providers:\n  openai:\n    base_url: https://a\n    endpoints: ['https://b']", 4, "a `base_url` as well as `endpoints`", "keep one"),
    ("providers:\n  custom-a: {endpoints: []}", 2, "`base_url` is missing", "add `base_url: ...`"),
    ("providers:\n  custom-a: {endpoints: [[]]}", 2, "expected a base URL", "write a base URL"),
    ("providers:\n  openai:\n    balance: random", 3, "no such balance", "write weighted, least_busy"),
    ("providers:\n  openai:\n    balance: {sticky: user}", 3, "no request sticks by this", "header:NAME, metadata.NAME or prompt"),
    ("providers:\n  openai:\n    balance: {sticky: 'header:a b'}", 3, "not the name of a header", "header:x-user"),
    ("providers:\n  openai:\n    balance: {stiky: prompt}", 3, "unknown key `stiky`", "did you mean `sticky`?"),
    ("providers:\n  openai: {keys: zqsecretzq}", 2, "expected a list", "write a list of keys"),
    ("providers:\n  openai: {keys: [1234]}", 2, "expected a key in quotes", "{name: NAME, key: KEY}"),
    ("providers:\n  openai: {keys: ['${env:EMPTY}']}", 2, "key is empty", "OPENAI_API_KEY"),
    ("providers:\n  openai: {keys: ['zqsecretzq zqsecretzq']}", 2, "no header can carry", "ASCII"),
    ("providers:\n  openai: {keys: [{name: a b, key: zqsecretzq}]}", 2, "not a key's name", "64 letters"),
    ("providers:\n  openai: {keys: [{name: a}]}", 2, "not a provider's key", "{name: NAME, key: KEY}"),
    ("providers:\n  openai: {keys: ['zqsecretzq': x]}", 2, "not a provider's key", "{name: NAME, key: KEY}"),
    ("providers:\n  openai: {keys: [{key: zqsecretzq, weight: 1001}]}", 2, "cannot be a weight", "1 to 1000"),
    ("providers:\n  openai:\n    keys:\n      - zqsecretzq\n      - {name: x, key: zqsecretzq}", 5, "providers.openai.keys[0] is the same key", "remove one"),
    ("providers:\n  openai:\n    keys:\n      - zqsecretzq\n      - {name: key-1, key: zqsecretzq2}", 5, "already has this key's name", "name of its own"),
    ("providers:\n  openai:\n    keys: ['${env:NOBODY}']", 3, "NOBODY is not set", "set NOBODY"),
    ("providers:\n  openai:\n    kyes: [zqsecretzq]", 3, "unknown key `kyes`", "did you mean `keys`?"),
    ("providers:\n  openai:\n    breaker: {failure_percent: 101}", 3, "`failure_percent` is out of its bounds", "1 to 100"),
    ("providers:\n  openai:\n    breaker: {min_requests: 0}", 3, "`min_requests` is out of its bounds", "1 to 1000000"),
    ("providers:\n  openai:\n    breaker: {open: 0s}", 3, "`open` is zero", "enabled: false"),
    ("providers:\n  openai:\n    breaker: {all_open: wait}", 3, "no such word", "write one of try, refuse"),
    ("providers:\n  openai:\n    breaker: false", 3, "expected keys with values", "write keys"),
    // Gateways.
    ("gateways:\n  a b: {}", 2, "cannot be a gateway's id", "64 letters"),
    ("gateways:\n  a: 5", 2, "expected keys with values, found a number", "write"),
    ("gateways: {a: {hosts: ['http://b']}}", 1, "no scheme", "ai.example.com"),
    ("gateways: {a: {hosts: ['b:80']}}", 1, "no port", "ai.example.com"),
    ("gateways: {a: {hosts: [b/c]}}", 1, "no path", "ai.example.com"),
    ("gateways: {a: {hosts: ['b c']}}", 1, "not a host name", "ai.example.com"),
    ("gateways:\n  a: {hosts: [x.y]}\n  b: {hosts: [X.y]}", 3, "gateways.a.hosts[0] already claims", "one gateway"),
    ("server:\n  watch: often", 2, "expected true or false", "write true or false"),
    ("gateways: {a: {auth: {required: yes}}}", 1, "expected true or false, found a text", "write true or false"),
    ("gateways: {a: {auth: {required: true}}}", 1, "none is listed", "tokens: [\"${env:TOLLGATE_TOKEN}\"]"),
    ("gateways: {a: {auth: {tokens: zqsecretzq}}}", 1, "expected a list", "write a list of tokens"),
    ("gateways: {a: {auth: {tokens: [12345678]}}}", 1, "expected a token in quotes", "{name: NAME, token: TOKEN}"),
    ("gateways: {a: {auth: {tokens: ['']}}}", 1, "token is empty", "TOLLGATE_TOKEN"),
    ("gateways: {a: {auth: {tokens: ['${env:EMPTY}']}}}", 1, "token is empty", "TOLLGATE_TOKEN"),
    ("gateways: {a: {auth: {tokens: [zqsecre]}}}", 1, "shorter than 8 bytes", "openssl"),
    ("gateways: {a: {auth: {tokens: ['zqsecretzq zqsecretzq']}}}", 1, "no header can carry", "ASCII"),
    ("gateways: {a: {auth: {tokens: [{name: a b, token: zqsecretzq}]}}}", 1, "not a token's name", "64 letters"),
    ("gateways: {a: {auth: {tokens: [{name: a}]}}}", 1, "this is not a token", "{name: NAME, token: TOKEN}"),
    ("gateways:\n  a:\n    auth:\n      tokens:\n        - zqsecretzq\n        - zqsecretzq", 6, "gateways.a.auth.tokens[0] is the same token", "remove one"),
    ("gateways:\n  a:\n    auth:\n      tokens:\n        - {name: x, token: zqsecretzq}\n        - {name: x, token: zqsecretzq2}", 6, "already has this token's name", "name of its own"),
    ("gateways: {a: {auth: {tokens: ['zqsecretzq': x]}}}", 1, "this is not a token", "write a token in quotes"),
    // Limits.
    ("gateways: {a: {limits: [{name: x, per: 1m}]}}", 1, "does not say how much is allowed", "tokens: 200k, cost: $20"),
    ("gateways:\n  a:\n    limits:\n      - name: x\n        per: 1m\n        requests: 5\n        tokens: 5", 7, "in more than one way", "a limit of its own"),
    ("gateways: {a: {limits: [{name: x, requests: 5}]}}", 1, "does not say for how long", "add per: 1m"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 60}]}}", 1, "a period needs a unit", "ms, s, m, h or d"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 500ms}]}}", 1, "from one second to a month", "1s to 31d, or month"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 32d}]}}", 1, "from one second to a month", "month"),
    ("gateways: {a: {limits: [{name: x, requests: 0, per: 1m}]}}", 1, "nothing is allowed", "1 or more"),
    ("gateways: {a: {limits: [{name: x, requests: 5K, per: 1m}]}}", 1, "not a count", "as in 200k"),
    ("gateways: {a: {limits: [{name: x, cost: 20, per: 1d}]}}", 1, "money begins with a dollar sign", "$20"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, count: in}]}}", 1, "not about tokens", "remove it"),
    ("gateways: {a: {limits: [{name: x, concurrent: 5, per: 1m}]}}", 1, "has no window, and so no `per`", "remove it"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, technique: slidng}]}}", 1, "no such word", "did you mean `sliding`?"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, by: [ip]}]}}", 1, "not told apart by this", "gateway, key, client"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, by: ['header:a b']}]}}", 1, "not the name of a header", "header:x-user"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, over: drop}]}}", 1, "nothing of this name can be done", "{model: NAME}"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, over: {wait: {queue: 0}}}]}}", 1, "so many cannot wait", "1 to 10000"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, over: {wait: {within: 1h}}}]}}", 1, "nobody can wait", "up to 10m"),
    ("gateways: {a: {limits: [{name: x y, requests: 5, per: 1m}]}}", 1, "cannot be a limit's name", "64 letters"),
    ("gateways:\n  a:\n    limits:\n      - {name: x, requests: 5, per: 1m}\n      - {name: x, tokens: 5, per: 1m}", 5, "gateways.a.limits[0] already has this limit's name", "name of its own"),
    ("gateways: {a: {limits: [{name: x, requests: 5, per: 1m, when: {modell: a}}]}}", 1, "unknown key `modell`", "did you mean `model`?"),
    ("counters: {memory: 1KiB}", 1, "no room that counters can use", "1MiB to 64GiB"),
    // References.
    ("server:\n  threads: ${env:TOKEN}", 2, "expected a whole number, 0 or more, found a text", "write"),
    ("server:\n  admin: ${env:TOKEN}", 2, "no port", "IP:PORT"),
    ("server:\n  keepalive: ${env:TOKEN}", 2, "not a period", "10m"),
    ("server:\n  admin: ${env:NOBODY}", 2, "NOBODY is not set", "set NOBODY"),
    ("server:\n  admin: ${env:TOKEN", 2, "not closed", "$${"),
    ("server:\n  admin: ${TOKEN}", 2, "no source", "${env:NAME}"),
    ("server:\n  admin: ${credential:nope}", 2, "there is no credential nope", "credentials/nope"),
    ("server:\n  admin: ${credential:a/b}", 2, "no name of a credential", "${credential:NAME}"),
    ("gateways: {a: {auth: {tokens: ['${file:nowhere}']}}}", 1, "cannot be read", "config file's folder"),
    ("gateways: {a: {auth: {tokens: ['${file:/dev/zero}']}}}", 1, "not a file", "plain file"),
    ("providers:\n  custom-a: {base_url: '${env:URL}'}", 2, "begins with http://", "write"),
    ("providers:\n  custom-a: {base_url: 'http://a', dialect: '${env:TOKEN}'}", 2, "no such word", "write one of openai"),
    ("log: ${env:TOKEN}", 1, "no such place", "stdout"),
    // YAML itself.
    ("server:\n\tthreads: 1", 2, "not YAML", "no tabs"),
    ("server:\n  threads: 1\n  threads: 2", 3, "this key stands here for the second time", "the first is on line 2"),
    ("log: off\n---\nlog: stdout", 2, "second document", "keep one document"),
    ("server: {threads: 1", 1, "not YAML", "close every"),
    ("log: \"off", 1, "not YAML", "close the quotes"),
    ("log: *nowhere", 1, "not YAML", "anchor"),
    ("log: !place stdout", 1, "a tag means nothing here", "remove"),
    ("server:\n  threads: 1\n threads: 2", 3, "not YAML", "indent"),
    ("gateways:\n  a:\n    auth:\n      tokens:\n        - zqsecretzq: zqsecretzq: zqsecretzq", 5, "not YAML", "quote"),
    ("gateways:\n  a:\n    auth:\n      tokens: [\"zqsecretzq]", 4, "not YAML", "close the quotes"),
];

#[test]
fn every_mistake_is_told_at_its_line_with_a_fix_and_without_secrets() {
    let mut wrong = Vec::new();
    for &(text, line, what, fix) in MISTAKES {
        let faults = match parse(text) {
            Ok(_) => {
                wrong.push(format!("{text:?} is fine"));
                continue;
            }
            Err(faults) => faults,
        };
        let told = faults.list().iter().any(|fault| {
            fault.line == line && fault.what.contains(what) && fault.fix.contains(fix)
        });
        let page = faults.render(false);
        if !told
            || !page.is_ascii()
            || faults.list().len() != 1
            || page.contains("zqsecre")
            || page.contains('\u{1b}')
        {
            wrong.push(format!(
                "{text}\n=> not {line}: {what} / {fix}, but\n{page}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        MISTAKES.len(),
        wrong.join("\n----\n")
    );
}
