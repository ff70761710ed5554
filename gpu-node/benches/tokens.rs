//! Tokens per second of the node's engine, with evidence recorded and without, beside the bare Candle loop of the
//! same model, what evidence alone costs, what checking an output costs beside writing it, and the referee's kernel with its traces, in one run: `cargo bench -p gpu-node --bench tokens -- --weights FOLDER`.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use candle_core::Device;
use gpu_node::{
    engine::{Engine, EngineHandle, Request, Sampling, candle, llama, referee::Traced, tiny},
    evidence::{Binding, Recorder},
    verify::{Order, Tier, verify, write},
};
use plasma_modules::attestation::referee::{Operator, Step, Tile};

/// Long enough that starting and ending do not weigh.
const TOKENS: u32 = 96;
/// Alternating, so that other load on the machine meets both alike; the best of each counts.
const ROUNDS: usize = 5;
const PROMPT: &str =
    "Explain in two sentences what a blockchain is, then tell a long story about one.";

fn main() -> Result<()> {
    let mut weights = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--weights" => {
                weights = Some(PathBuf::from(args.next().context("--weights needs a folder")?))
            }
            "--bench" | "--test" => {}
            other => anyhow::bail!("unknown argument {other}; usage: tokens [--weights FOLDER]"),
        }
    }
    let tiny_dir = tempfile::tempdir()?;
    let (name, folder) = match weights {
        Some(folder) => ("the weights in --weights", folder),
        None => {
            tiny::write_tiny(tiny_dir.path(), tiny::SEED)?;
            ("the tiny test model", tiny_dir.path().to_owned())
        }
    };
    for (how, temperature_milli) in [("greedy", 0), ("temperature 0.8", 800)] {
        let engine = candle::load_folder(&folder, &Device::Cpu, usize::MAX)?;
        let kernel = engine.info().kernel_id.clone();
        let model = engine.model().clone();
        let prompt_tokens = engine.tokenizer().prompt(PROMPT)?;
        let handle = EngineHandle::spawn(Box::new(engine))?;
        let sampling = Sampling { temperature_milli, ..Sampling::GREEDY };
        let prompt = PROMPT.to_owned();
        let request = Request {
            prompt,
            max_tokens: TOKENS,
            stop: vec![],
            sampling,
            seed: [0; 32],
            evidence: false,
        };
        let (mut bare, mut engine) = (f64::INFINITY, f64::INFINITY);
        let (mut recorded, mut leaves) = (f64::INFINITY, f64::INFINITY);
        let mut written = 0;
        let binding = Binding {
            sampling_seed: &[0; 32],
            request_hash: &[1; 32],
            output_tokens_hash: &[2; 32],
        };
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let done = handle.generate(request.clone(), |_| {})?;
            engine = engine.min(began.elapsed().as_secs_f64());
            written = done.output_tokens.len();
            let began = Instant::now();
            let done = handle.generate(Request { evidence: true, ..request.clone() }, |_| {})?;
            recorded = recorded.min(began.elapsed().as_secs_f64());
            // What evidence itself computes, apart from the noise of two whole runs.
            let segments = done.evidence.context("nothing was recorded")?;
            let began = Instant::now();
            let mut again = Recorder::new();
            for (at, segment) in segments.all.iter().enumerate() {
                match at {
                    0 => again.prompt(&segment.rows, segments.width, true)?,
                    _ => {
                        segment.rows.chunks(segments.width).try_for_each(|row| again.output(row))?
                    }
                }
            }
            again.segments().leaves(&binding)?;
            leaves = leaves.min(began.elapsed().as_secs_f64());
            let began = Instant::now();
            llama::bare_loop(&model, &prompt_tokens, written)?;
            bare = bare.min(began.elapsed().as_secs_f64());
        }
        let rate = |seconds: f64| written as f64 / seconds;
        println!(
            "{name}, {how}, {kernel}: {} tokens read, {written} written; engine {:.2} tokens/s, with evidence {:.2}; recording and leaves alone {:.2} ms, {:.3} % of the writing; bare loop {:.2} tokens/s, ratio {:.3}",
            prompt_tokens.len(),
            rate(engine),
            rate(recorded),
            leaves * 1e3,
            leaves / engine * 100.0,
            rate(bare),
            bare / engine,
        );
    }
    reading(name, &folder)?;
    referee(name, &folder)
}

/// What checking an output costs beside writing it: the whole claim, read at once.
fn reading(name: &str, folder: &Path) -> Result<()> {
    let model = candle::load_folder(folder, &Device::Cpu, usize::MAX)?;
    let order = Order {
        prompt: PROMPT.to_owned(),
        max_tokens: TOKENS,
        sampling: Sampling { temperature_milli: 800, ..Sampling::GREEDY },
        seed: [0; 32],
        request_hash: [1; 32],
    };
    let (mut writing, mut reading, mut tokens) = (f64::INFINITY, f64::INFINITY, 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let claim = write(&model, &order)?;
        writing = writing.min(began.elapsed().as_secs_f64());
        tokens = claim.output.len();
        let began = Instant::now();
        verify(&model, &claim, Tier::Tolerant, &|_| ())?;
        reading = reading.min(began.elapsed().as_secs_f64());
    }
    println!(
        "{name}, {}: {tokens} tokens written in {writing:.2} s, read in {reading:.2} s, ratio {:.3}",
        model.info().kernel_id,
        reading / writing,
    );
    Ok(())
}

/// The referee's kernel beside it: writing, the trace of what was written, opening one tile of its last token, and the root of the weights.
fn referee(name: &str, folder: &Path) -> Result<()> {
    let engine = match candle::load_referee(folder, usize::MAX) {
        Ok(engine) => engine,
        Err(error) => {
            println!("{name}: {error}");
            return Ok(());
        }
    };
    let model = engine.model().referee().context("another kernel was loaded")?.clone();
    let handle = EngineHandle::spawn(Box::new(engine))?;
    let request = Request {
        prompt: PROMPT.to_owned(),
        max_tokens: TOKENS,
        stop: vec![],
        sampling: Sampling::GREEDY,
        seed: [0; 32],
        evidence: false,
    };
    let mut writing = f64::INFINITY;
    let (mut prompt, mut output) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let done = handle.generate(request.clone(), |_| {})?;
        writing = writing.min(began.elapsed().as_secs_f64());
        (prompt, output) = (done.prompt_tokens, done.output_tokens);
    }
    let timed = |began: Instant| began.elapsed().as_secs_f64();
    let began = Instant::now();
    let root = model.weights_root();
    let rooting = timed(began);
    let began = Instant::now();
    let mut traced = Traced::new(model, &prompt, &output, &|_| ())?;
    let tracing = timed(began);
    let trace = *traced.trace();
    let token = trace.tokens() - 1;
    let operator = trace.place(Operator::Layer(trace.shape().layers - 1, Step::Output));
    let tile = Tile { token, operator, index: 0 };
    let began = Instant::now();
    let (inputs, rows) = traced.prove(tile)?;
    let opening = timed(began);
    let trace_root = traced.root();
    let began = Instant::now();
    trace.judge(&trace_root, &root, tile, 0, &inputs, &rows)?;
    let judging = timed(began);
    println!(
        "{name}, {}: {} tokens read, {} written; engine {:.2} tokens/s; root of the weights {rooting:.2} s, trace {tracing:.2} s, one tile opened {:.1} ms, judged in soft numbers {:.2} ms",
        handle.info().kernel_id,
        prompt.len(),
        output.len(),
        output.len() as f64 / writing,
        opening * 1e3,
        judging * 1e3,
    );
    Ok(())
}
