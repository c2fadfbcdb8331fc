//! The demo from outside: what it prints is what the gateway's log says, and nothing outlives it.
#![cfg(test)]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder for one demo, whose name also marks the demo's processes: all inherit it as TMPDIR.
struct Scene(PathBuf);

impl Scene {
    fn new(name: &str) -> Self {
        let name = format!("tollgate-test-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("demo").args(arguments).env("TMPDIR", &self.0);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// The command lines of the processes that run in this scene.
    fn processes(&self) -> Vec<String> {
        let mark = format!("TMPDIR={}", self.0.display());
        let folders = fs::read_dir("/proc").unwrap().flatten();
        let marked = folders.map(|entry| entry.path()).filter(|process| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable == mark.as_bytes())
        });
        let line = |process: PathBuf| {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ")
        };
        marked.map(line).filter(|line| !line.is_empty()).collect()
    }

    fn assert_empty(&self) {
        assert_eq!(self.processes(), Vec::<String>::new());
        let left: Vec<_> = fs::read_dir(&self.0).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ends the demo where a test fails before it does.
struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        kill(signal, &id);
    }

    fn wait(&mut self, within: Duration) -> Option<i32> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            pause();
        }
        panic!("the demo did not end within {within:?}");
    }
}

fn kill(signal: &str, id: &str) {
    let script = ["-c", "kill -s \"$0\" \"$1\"", signal, id];
    assert!(Command::new("sh").args(script).status().unwrap().success());
}

fn pause() {
    std::thread::park_timeout(Duration::from_millis(20));
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal("TERM");
            let _ = self.0.wait();
        }
    }
}

/// The rows of the printed table, each cut into cells at the column starts of its rule.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with('─'));
    let rule: Vec<char> = lines.next().expect("a table").chars().collect();
    let starts_at = |at: &usize| rule[*at] == '─' && (*at == 0 || rule[at - 1] == ' ');
    let starts: Vec<usize> = (0..rule.len()).filter(starts_at).collect();
    let cut = |line: &str| {
        let line: Vec<char> = line.chars().collect();
        let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
        let cells = starts.iter().zip(ends);
        let cells = cells.map(|(from, to)| line[*from..to.min(line.len())].iter().collect());
        cells.map(|cell: String| cell.trim().to_owned()).collect()
    };
    lines.take_while(|line| !line.is_empty()).map(cut).collect()
}

/// The cells of a log line that are shown as they are.
fn plain_cells(line: &Value) -> [String; 5] {
    ["gateway", "provider", "model", "model_type", "status_code"].map(|key| match &line[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn run_once(scene: &Scene, arguments: &[&str]) -> Output {
    let mut command = scene.demo(arguments);
    command.stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn once_shows_what_came_through_and_leaves_nothing_behind() {
    let scene = Scene::new("once");
    let output = run_once(&scene, &["--once", "--listen", "127.0.0.1:0"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{said}");
    let rows = rows(&text);
    let shown = |provider: &str, status: &str, end: &str| {
        let fits = |row: &&Vec<String>| {
            row[1] == provider && row[4] == status && row.last().unwrap().starts_with(end)
        };
        let count = rows.iter().filter(fits).count();
        assert!(count > 0, "{provider} {status} {end}: {text}");
    };
    for provider in [
        "openai",
        "anthropic",
        "google-ai-studio",
        "aws-bedrock",
        "cohere",
        "mistral",
    ] {
        shown(provider, "200", "complete");
    }
    shown("openai", "401", "refused, auth:2009");
    shown("groq", "429", "complete");
    shown("custom-dead", "502", "error, upstream:2005");
    shown("mistral", "504", "timeout, upstream:9504");
    shown("openai", "200", "upstream_cut");
    shown("anthropic", "200", "client_gone");
    shown("openai", "200", "complete, saved $0.0");
    shown("openai", "429", "refused, limit:2003");
    shown("anthropic", "200", "complete, step 1");
    assert!(
        text.contains(&format!("requests  {}: ", rows.len())),
        "{text}"
    );
    scene.assert_empty();
}

#[test]
fn the_table_is_the_log_and_a_signal_ends_the_children_too() {
    let scene = Scene::new("stay");
    let command = scene.demo(&["--listen", "127.0.0.1:0"]).spawn();
    let mut demo = Running(command.unwrap());
    let mut out = BufReader::new(demo.0.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("curl -i ") {
        assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let place = |name: &str| {
        let mut lines = text.lines().map(str::trim_start);
        lines
            .find_map(|line| line.strip_prefix(name))
            .expect(name)
            .trim()
    };

    let log = fs::read_to_string(Path::new(place("log "))).unwrap();
    let mut lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.sort_by_key(|line| line["id"].to_string());
    let expect: Vec<Vec<String>> = lines
        .iter()
        .map(|line| plain_cells(line).to_vec())
        .collect();
    let rows = rows(&text);
    let shown: Vec<Vec<String>> = rows.iter().map(|row| row[..5].to_vec()).collect();
    assert_eq!(shown, expect);
    let ends = rows.iter().zip(&lines);
    for (row, line) in ends {
        assert!(
            row.last()
                .unwrap()
                .starts_with(line["end"].as_str().unwrap()),
            "{row:?}"
        );
    }

    let processes = scene.processes();
    let runs = |word: &str| processes.iter().any(|line| line.contains(word));
    assert!(
        processes.len() == 3 && runs(" mock ") && runs(" run "),
        "{processes:?}"
    );
    let mock = place("mock ").trim_start_matches("http://");
    let mock: SocketAddr = mock.split('/').next().unwrap().parse().unwrap();
    assert!(TcpStream::connect(mock).is_ok());

    demo.signal("TERM");
    assert_eq!(demo.wait(Duration::from_secs(15)), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(TcpStream::connect(mock).is_err());
    scene.assert_empty();
}

#[test]
fn a_child_that_falls_ends_the_demo_with_its_last_words() {
    let scene = Scene::new("fall");
    let mut command = scene.demo(&["--listen", "127.0.0.1:0"]);
    let spawned = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut demo = Running(spawned);
    let mut out = BufReader::new(demo.0.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("curl -i ") {
        assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
    }
    kill_child(&scene, " run ");
    assert_eq!(demo.wait(Duration::from_secs(15)), Some(1));
    let mut said = String::new();
    let mut errors = demo.0.stderr.take().unwrap();
    errors.read_to_string(&mut said).unwrap();
    assert!(said.contains("the gateway ended"), "{said}");
    assert!(said.contains("serving"), "its own words: {said}");
    scene.assert_empty();
}

/// Kills the process of the scene whose command line holds `word`.
fn kill_child(scene: &Scene, word: &str) {
    let mark = scene.0.display().to_string();
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let id = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let child = id.filter(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(word) && line.contains(&mark)
    });
    let child: Vec<String> = child.collect();
    assert_eq!(child.len(), 1, "{child:?}");
    kill("KILL", &child[0]);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let scene = Scene::new("taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run_once(&scene, &["--once", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("--listen") && said.contains(&address),
        "{said}"
    );
    scene.assert_empty();
}
