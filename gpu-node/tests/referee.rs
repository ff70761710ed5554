//! The referee's kernel on the tests' model: this machine's numbers are the chain's soft ones, however they are computed; traces find lies.
#![cfg(feature = "engine")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use gpu_node::engine::candle::{
    Candle, load_folder, load_referee, load_referee_changed, read_rows, read_safetensors,
};
use gpu_node::engine::referee::{Referee, Traced};
use gpu_node::engine::{Engine as _, EngineError, Sampling, tiny};
use gpu_node::verify::{DEFAULT_PROFILE, Order, Tier, verify, write};
use plasma_modules::attestation::referee::{
    KERNEL_ID, Node, Operator, Step, Tile, Trace, tile_hash,
};
use plasma_modules::types::{Hash, digest, hex};

const PROMPT: &str = "hi";
const N_OUT: usize = 4;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
    folder
}

fn load(folder: &Path) -> Candle {
    load_referee(folder, usize::MAX).unwrap()
}

fn inner(model: &Candle) -> Arc<Referee> {
    model.model().referee().unwrap().clone()
}

fn rows(model: &Candle, pieces: &[&[u32]]) -> (Vec<u32>, Vec<f32>) {
    let network = model.model();
    let mut kv = network.kv(pieces.iter().map(|piece| piece.len()).sum());
    let (mut bits, mut logits) = (vec![], vec![]);
    for piece in pieces {
        let hidden = network.hidden(&mut kv, piece).unwrap();
        bits.extend(read_rows(&hidden).unwrap().0.into_iter().map(f32::to_bits));
        logits = network.last_logits(&hidden).unwrap();
    }
    (bits, logits)
}

fn order(max_tokens: u32) -> Order {
    Order {
        prompt: PROMPT.to_owned(),
        max_tokens,
        sampling: Sampling::GREEDY,
        seed: [5; 32],
        request_hash: digest(&[b"request"]),
    }
}

/// Prompt and output of an honest writer.
fn written(model: &Candle) -> (Vec<u32>, Vec<u32>) {
    let prompt = model.tokenizer().prompt(PROMPT).unwrap();
    let claim = write(model, &order(N_OUT as u32)).unwrap();
    assert_eq!(claim.output.len(), N_OUT);
    (prompt, claim.output)
}

#[test]
fn one_token_or_many_are_the_same_bits_and_near_to_candle() {
    let folder = folder();
    let model = load(folder.path());
    assert_eq!(model.info().kernel_id, KERNEL_ID);
    let tokens: Vec<u32> = (0..90).map(|at| (at * 37 + 11) % 256).collect();
    let single: Vec<&[u32]> = tokens.chunks(1).collect();
    let (at_once, logits) = rows(&model, &[&tokens]);
    assert_eq!(rows(&model, &single).0, at_once);
    assert_eq!(rows(&model, &[&tokens[..7], &tokens[7..8], &tokens[8..]]).0, at_once);
    let candle = load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap();
    let (_, others) = rows(&candle, &[&tokens]);
    assert_eq!(logits.len(), 260);
    for (own, other) in logits.iter().zip(others) {
        assert!((own - other).abs() < 1e-4, "{own} {other}");
    }
}

/// Every operator of a prompt's first token, of the token that the output begins with, and of the last.
#[test]
fn this_machines_numbers_are_the_soft_ones() {
    let folder = folder();
    let model = load(folder.path());
    let (prompt, output) = written(&model);
    let referee = inner(&model);
    let mut traced = Traced::new(referee.clone(), &prompt, &output, &|_| ()).unwrap();
    let (trace, root, weights_root) = (*traced.trace(), traced.root(), referee.weights_root());
    assert_eq!(traced.first_wrong(), None);
    let last = trace.tokens() - 1;
    let mut judged = 0;
    for token in [0, prompt.len() as u32 - 1, last] {
        for operator in 0..trace.operators(token) {
            let tiles = trace.tiles(token, operator).unwrap();
            let mut some: Vec<u32> =
                [0, 1, tiles / 3, tiles / 2, tiles - 2.min(tiles), tiles - 1].into();
            some.retain(|index| *index < tiles);
            some.dedup();
            for index in some {
                let tile = Tile { token, operator, index };
                let (inputs, rows) = traced.prove(tile).unwrap();
                let id = traced.tokens()[token as usize];
                let soft = trace.judge(&root, &weights_root, tile, id, &inputs, &rows).unwrap();
                assert_eq!(
                    soft,
                    traced.values(tile).unwrap(),
                    "{:?}",
                    trace.operator(token, operator)
                );
                judged += 1;
            }
        }
    }
    assert!(judged > 3 * 31, "{judged}");
}

/// Walks from the roots to the first tile where two traces differ.
fn descend(one: &mut Traced, two: &mut Traced) -> (Tile, [Hash; 2]) {
    let trace: Trace = *one.trace();
    let mut node: Node = trace.root();
    let mut names = [one.root(), two.root()];
    loop {
        assert_ne!(names[0], names[1]);
        if let Some(tile) = trace.tile_of(&node) {
            return (tile, names);
        }
        let (own, other) = (one.descend(&node).unwrap(), two.descend(&node).unwrap());
        assert_eq!(trace.name(&node, &own).unwrap(), names[0]);
        assert_eq!(trace.name(&node, &other).unwrap(), names[1]);
        let at = own.iter().zip(&other).position(|(a, b)| a != b).unwrap();
        node = trace.children(&node).unwrap()[at];
        names = [own[at], other[at]];
    }
}

#[test]
fn an_altered_weight_is_found_and_cannot_be_proven() {
    let folder = folder();
    let honest = load(folder.path());
    let change = |name: &str, weight: Tensor| {
        if name != "model.layers.1.mlp.up_proj.weight" {
            return Ok(weight);
        }
        let mut values = weight.flatten_all()?.to_vec1::<f32>()?;
        values[64 * 5 + 3] += 0.25;
        Tensor::from_vec(values, weight.dims(), weight.device())
    };
    let altered = load_referee_changed(folder.path(), usize::MAX, &mut { change }).unwrap();
    let (prompt, output) = written(&altered);
    let mut one = Traced::new(inner(&honest), &prompt, &output, &|_| ()).unwrap();
    let mut two = Traced::new(inner(&altered), &prompt, &output, &|_| ()).unwrap();
    let (tile, names) = descend(&mut one, &mut two);
    let trace = *one.trace();
    let up = trace.place(Operator::Layer(1, Step::Up));
    assert_eq!(tile, Tile { token: 0, operator: up, index: 5 });
    let root = inner(&honest).weights_root();
    assert_ne!(inner(&altered).weights_root(), root);
    let (inputs, rows) = one.prove(tile).unwrap();
    let judged = trace.judge(&one.root(), &root, tile, prompt[0], &inputs, &rows).unwrap();
    assert_eq!((tile_hash(&judged) == names[0], tile_hash(&judged) == names[1]), (true, false));
    // The liar has no row under the model's root that gives its number.
    let (inputs, rows) = two.prove(tile).unwrap();
    assert!(trace.judge(&two.root(), &root, tile, prompt[0], &inputs, &rows).is_err());
}

#[test]
fn an_altered_token_is_the_choices_fault() {
    let folder = folder();
    let model = load(folder.path());
    let (prompt, mut output) = written(&model);
    output[2] = output[2] % 90 + 33;
    let mut traced = Traced::new(inner(&model), &prompt, &output, &|_| ()).unwrap();
    assert_eq!(traced.first_wrong(), Some(2));
    let choice = traced.trace().choice(2).unwrap();
    assert_ne!(traced.values(choice).unwrap()[1], output[2]);
    assert!(Traced::new(inner(&model), &prompt, &[], &|_| ()).is_err());
    assert!(Traced::new(inner(&model), &[9_999], &output, &|_| ()).is_err());
    let long = vec![65; tiny::CONTEXT_TOKENS as usize];
    assert!(Traced::new(inner(&model), &long, &output, &|_| ()).is_err());
}

#[test]
fn receipts_of_the_referee_verify_to_the_last_bit() {
    let folder = folder();
    let model = load(folder.path());
    let claim = write(&model, &order(40)).unwrap();
    let tier = Tier::of(KERNEL_ID, &model.info().kernel_id);
    assert_eq!(tier, Tier::Exact);
    let report = verify(&model, &claim, tier, &|_| ()).unwrap();
    assert!(report.root_matches && report.is_honest(&DEFAULT_PROFILE), "{report:?}");
    let mut altered = claim.clone();
    altered.output[3] ^= 1;
    assert!(!verify(&model, &altered, tier, &|_| ()).unwrap().is_honest(&DEFAULT_PROFILE));
    // Candle is another kernel: within its thresholds they agree.
    let candle = load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap();
    let report = verify(&candle, &claim, Tier::Tolerant, &|_| ()).unwrap();
    assert!(report.is_honest(&DEFAULT_PROFILE), "{:?}", report.measures);
}

#[test]
fn half_precision_widens_exactly_and_what_is_not_covered_is_refused() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let weights = read_safetensors(&path).unwrap();
    let save = |change: &dyn Fn(&str, &Tensor) -> Tensor, more: Option<(&str, Tensor)>| {
        let mut all: std::collections::HashMap<String, Tensor> =
            weights.iter().map(|(name, weight)| (name.clone(), change(name, weight))).collect();
        all.extend(more.map(|(name, tensor)| (name.to_owned(), tensor)));
        candle_core::safetensors::save(&all, &path).unwrap();
    };
    for dtype in [DType::F16, DType::BF16] {
        save(&|_, weight| weight.to_dtype(dtype).unwrap(), None);
        let stored = inner(&load(folder.path())).weights_root();
        save(&|_, weight| weight.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap(), None);
        assert_eq!(inner(&load(folder.path())).weights_root(), stored, "{dtype:?}");
    }
    let refused = |says: &str| match load_referee(folder.path(), 64).map(|_| ()) {
        Err(EngineError::Files(error)) => assert!(error.contains(says), "{error}"),
        other => panic!("{other:?}"),
    };
    let bias = Tensor::zeros(64, DType::F32, &Device::Cpu).unwrap();
    save(&|_, weight| weight.clone(), Some(("model.layers.0.self_attn.q_proj.bias", bias)));
    refused("biases");
    save(
        &|name, weight| {
            if name == "model.norm.weight" {
                weight.narrow(0, 0, 63).unwrap()
            } else {
                weight.clone()
            }
        },
        None,
    );
    refused("model.norm.weight");
}

/// Another machine prints the same lines, or one of the two is wrong.
#[test]
fn shape_and_roots_are_golden() {
    let folder = folder();
    let model = load(folder.path());
    let (prompt, output) = written(&model);
    let traced = Traced::new(inner(&model), &prompt, &output, &|_| ()).unwrap();
    assert_eq!(hex(&traced.root()), TRACE_ROOT);
    let program = env!("CARGO_BIN_EXE_gpu-node");
    let home = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let done =
            Command::new(program).env("GPU_NODE_HOME", home.path()).args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let password = home.path().join("password");
    std::fs::write(&password, "a long password").unwrap();
    run(&["--password-file", password.to_str().unwrap(), "init"]);
    let at = folder.path().to_str().unwrap();
    let told: serde_json::Value =
        serde_json::from_str(&run(&["model", "referee", at, "--json"])).unwrap();
    assert_eq!(told["weights_root"], WEIGHTS_ROOT);
    assert_eq!((&told["shape"]["rows"], &told["shape"]["tied"]), (&1024.into(), &false.into()));
    assert!(run(&["model", "referee", at]).contains(WEIGHTS_ROOT));
}

const WEIGHTS_ROOT: &str = "b18ecee5ebddb7dfc23c5a81e613aa90d3301137fc8f0b428161bb3eecea0a8a";
const TRACE_ROOT: &str = "280beff15667cbbc5ad192f3c62a6992a21613716301af8bf6f116464d500c9d";
