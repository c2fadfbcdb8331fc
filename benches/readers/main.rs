//! Measures what each usage reader costs an answer, in turns with copying the same bytes once.
//!
//! `cargo bench --bench readers [-- [--quick] [DIALECT…]]`. For profilers, one reader alone:
//! `-- again DIALECT KIND COUNT`, where KIND is `1 KB`, `stream` or `1 MB`.

#[path = "../../tests/fuzz/frame.rs"]
mod frame;
mod sample;

use anyhow::{Context, Result, ensure};
use sample::Sample;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tollgate::dialect::usage::{Head, Reader, Reading};
use tollgate::llm::operation::Operation;

/// How long one sample is read in one round.
const STRETCH: Duration = Duration::from_millis(20);
const ROUNDS: usize = 15;
const ROUNDS_QUICK: usize = 3;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("readers: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Cargo's own word, which it gives to every benchmark.
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--bench")
        .collect();
    let samples = sample::all();
    if let ["again", name, kind, count] = words.as_slice() {
        let sample = samples
            .iter()
            .find(|sample| sample.name == *name && sample.kind == *kind);
        let sample = sample.context("no such sample")?;
        for _ in 0..count.parse::<u64>()? {
            black_box(read(black_box(sample)));
        }
        return Ok(());
    }
    let quick = words.contains(&"--quick");
    let names: Vec<_> = words
        .into_iter()
        .filter(|word| *word != "--quick")
        .collect();
    let wanted = |sample: &&Sample| names.is_empty() || names.contains(&sample.name);
    let samples: Vec<_> = samples.iter().filter(wanted).collect();
    for sample in &samples {
        let reading = read(sample);
        let sound = sample.content_type.starts_with("audio/");
        let stream = sample.kind == "stream";
        ensure!(
            !reading.unread,
            "{} {} is not read",
            sample.name,
            sample.kind
        );
        // Replicate's streams, sound, report nothing.
        let silent = sound || (stream && sample.name == "replicate");
        ensure!(
            silent || reading.usage.is_some(),
            "{} {} reports nothing",
            sample.name,
            sample.kind
        );
    }
    let rounds = if quick { ROUNDS_QUICK } else { ROUNDS };
    print(&samples, &measure(&samples, rounds), rounds);
    Ok(())
}

/// Nanoseconds an answer takes to be read, and to be copied.
#[derive(Clone, Copy)]
struct Cost {
    read: f64,
    copy: f64,
}

/// All samples in turns, so that a busy moment falls on all of them.
fn measure(samples: &[&Sample], rounds: usize) -> Vec<Vec<Cost>> {
    let mut costs = vec![Vec::new(); samples.len()];
    for _ in 0..rounds {
        for (sample, costs) in samples.iter().zip(&mut costs) {
            let read = time(|| {
                black_box(read(black_box(sample)));
            });
            let copy = time(|| {
                let chunks = black_box(&sample.chunks).iter();
                chunks.for_each(|chunk| drop(black_box(chunk.clone())));
            });
            costs.push(Cost { read, copy });
        }
    }
    costs
}

fn read(sample: &Sample) -> Reading {
    let header = |name: &str| (name == "content-type").then_some(sample.content_type);
    let head = Head {
        status: 200,
        header: &header,
    };
    let mut reader = Reader::new(sample.dialect, Operation::Chat, head);
    for chunk in &sample.chunks {
        reader.read(chunk);
    }
    reader.finish()
}

/// Nanoseconds that one call takes, out of as many as the stretch has room for.
fn time(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let (mut calls, mut batch) = (0_u64, 1);
    while start.elapsed() < STRETCH {
        for _ in 0..batch {
            call();
        }
        calls += batch;
        batch = (batch * 2).min(1024);
    }
    start.elapsed().as_secs_f64() * 1e9 / calls as f64
}

fn print(samples: &[&Sample], costs: &[Vec<Cost>], rounds: usize) {
    println!(
        "ns per answer, {rounds} rounds in turns; median (min–max); copying: how often the same bytes could be copied meanwhile\n"
    );
    println!(
        "{:<15} {:<7} {:>8} {:>6}  {:<28} {:>7} {:>8}",
        "reader", "answer", "bytes", "chunks", "ns", "MB/s", "copying"
    );
    for (sample, costs) in samples.iter().zip(costs) {
        let [least, median, most] = spread(costs.iter().map(|cost| cost.read));
        let [_, ratio, _] = spread(costs.iter().map(|cost| cost.read / cost.copy));
        let nanos = format!("{median:.0} ({least:.0}–{most:.0})");
        let rate = sample.len() as f64 * 1e3 / median;
        let (name, kind, chunks) = (sample.name, sample.kind, sample.chunks.len());
        println!(
            "{name:<15} {kind:<7} {:>8} {chunks:>6}  {nanos:<28} {rate:>7.0} {ratio:>8.1}",
            sample.len()
        );
    }
}

/// Least, median and most.
fn spread(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
    let last = figures.len().saturating_sub(1);
    [
        at(0),
        f64::midpoint(at(last / 2), at(figures.len() / 2)),
        at(last),
    ]
}
