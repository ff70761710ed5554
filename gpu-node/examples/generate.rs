//! Runs a model folder from the command line, and measures what the engine costs over a bare loop:
//! `cargo run --release -p gpu-node --example generate -- FOLDER "What is the capital of France?"`

use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use gpu_node::engine::{Engine, EngineHandle, Request, Sampling, candle, llama};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, prompt, rest @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: generate FOLDER PROMPT [MAX_TOKENS [TEMPERATURE_MILLI]]");
    };
    let number = |index: usize| rest.get(index).map(|text| text.parse::<u32>()).transpose();
    let max_tokens = number(0)?.unwrap_or(64);
    let sampling = Sampling {
        temperature_milli: number(1)?.unwrap_or(0),
        ..Sampling::GREEDY
    };
    let began = Instant::now();
    let engine = candle::load_folder(Path::new(folder), &Device::Cpu, usize::MAX)?;
    println!(
        "loaded in {:.1} s: {:?}",
        began.elapsed().as_secs_f64(),
        engine.info()
    );

    let model = engine.model().clone();
    let prompt_tokens = engine.tokenizer().prompt(prompt)?;
    let handle = EngineHandle::spawn(Box::new(engine))?;
    let request = Request {
        prompt: prompt.clone(),
        max_tokens,
        stop: Vec::new(),
        sampling,
        seed: [0; 32],
    };
    let done = handle.generate(request.clone(), |token| print!("{}", token.text))?;
    println!("\n{:?}, {} tokens", done.finish, done.output_tokens.len());

    // Alternating, so that other load on the machine meets both alike.
    let n = done.output_tokens.len();
    let (mut bare, mut engine) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..5 {
        let began = Instant::now();
        llama::bare_loop(&model, &prompt_tokens, n)?;
        bare = bare.min(began.elapsed().as_secs_f64());
        let began = Instant::now();
        handle.generate(request.clone(), |_| {})?;
        engine = engine.min(began.elapsed().as_secs_f64());
    }
    println!(
        "best of 5, prompt of {} read and {n} tokens written: bare loop {:.2} tokens/s, engine {:.2} tokens/s ({:.3})",
        prompt_tokens.len(),
        n as f64 / bare,
        n as f64 / engine,
        bare / engine
    );
    Ok(())
}
