//! The verifier on the tests' model: honest work passes bit by bit and by thresholds, cheats do not.
#![cfg(feature = "engine")]

use std::process::Command;

use candle_core::{DType, Device};
use gpu_node::engine::candle::{Candle, load_folder};
use gpu_node::engine::{Engine as _, Sampling, tiny};
use gpu_node::evidence::distance_ppm;
use gpu_node::verify::{
    BadLeaves, Claim, DEFAULT_PROFILE, Order, Report, Sample, Shown, Tier, calibrate, judge,
    profile_of, refused, to_svg, verify, write, writers,
};
use plasma_modules::attestation::EvidenceError;
use plasma_modules::attestation::audit::question::{ANSWER_BYTES, question};
use plasma_modules::attestation::audit::{bounds, default_params, outside};
use plasma_modules::types::digest;
use plasma_proto::plasma::attestation::v1::{FinishReason, Measures};

const TOKENS: u32 = 100;

fn model() -> Candle {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
    load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap()
}

fn other_model() -> Candle {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), tiny::SEED + 1).unwrap();
    load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap()
}

fn order(prompt: &str, temperature_milli: u32) -> Order {
    Order {
        prompt: prompt.to_owned(),
        max_tokens: TOKENS,
        sampling: Sampling { temperature_milli, top_p_milli: 950 },
        seed: digest(&[b"seed", prompt.as_bytes()]),
        request_hash: digest(&[prompt.as_bytes()]),
    }
}

fn read(model: &Candle, claim: &Claim, tier: Tier) -> Report {
    verify(model, claim, tier, &|_| ()).unwrap()
}

fn faults(model: &Candle, claim: &Claim, tier: Tier) -> Vec<&'static str> {
    read(model, claim, tier).faults(&DEFAULT_PROFILE)
}

#[test]
fn honest_work_passes_to_the_last_bit() {
    let model = model();
    for temperature in [0, 800] {
        // Longer than one turn of reading, so that turns are the same here and there.
        for prompt in ["hello", &"a long prompt ".repeat(30)] {
            let claim = write(&model, &order(prompt, temperature)).unwrap();
            let report = read(&model, &claim, Tier::Exact);
            assert!(report.root_matches && report.is_honest(&DEFAULT_PROFILE), "{report:?}");
            assert_eq!((report.matching, report.first_mismatch), (claim.output.len(), None));
            // Without leaves the root says it.
            let bare = Claim { leaves: None, ..claim.clone() };
            assert!(read(&model, &bare, Tier::Exact).is_honest(&DEFAULT_PROFILE));
            // A single bit of the evidence, in place and in the root.
            let mut wrong = claim.clone();
            wrong.root[0] ^= 1;
            assert_eq!(faults(&model, &wrong, Tier::Exact), ["leaves", "root"]);
        }
    }
}

/// Other kernels of the model come to the same answer, whoever wrote the claim; another model, and an answer to another
/// question, are far from it.
#[test]
fn an_answer_tells_who_read_the_tokens_with_the_model() {
    let model = model();
    let answer = |reads: &Candle, claim: &Claim, asked: u64| {
        let question = question(&[7; 32], asked, 0);
        let shown = Shown { fingerprints_root: [0; 32], leaves: vec![], question };
        let bytes = judge(reads, claim, &shown).unwrap().answer.unwrap();
        assert_eq!(bytes.len(), ANSWER_BYTES);
        let numbers: Vec<_> =
            bytes.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        numbers.as_chunks::<8>().0.to_vec()
    };
    for writer in [&model, &other_model()] {
        let claim = write(writer, &order("what is asked", 800)).unwrap();
        let own = answer(&model, &claim, 1);
        for reads in writers(&model, &Device::Cpu, &[DType::BF16, DType::F16]) {
            let apart = distance_ppm(&answer(&reads, &claim, 1), &own);
            assert!(apart < 100_000, "{apart} by {}", reads.info().kernel_id);
        }
        for guess in [answer(&other_model(), &claim, 1), answer(&model, &claim, 2)] {
            let apart = distance_ppm(&guess, &own);
            assert!(apart > 500_000, "{apart}");
        }
    }
}

#[test]
fn honest_work_on_other_kernels_passes_by_thresholds() {
    let model = model();
    let plain = model.with_model(|model| model.without_flash(), &Device::Cpu);
    assert_ne!(plain.info().kernel_id, model.info().kernel_id);
    assert_eq!(Tier::of(&plain.info().kernel_id, &model.info().kernel_id), Tier::Tolerant);
    for temperature in [0, 800] {
        for writer in [&model, &plain] {
            let claim = write(writer, &order("tell me", temperature)).unwrap();
            let report = read(&model, &claim, Tier::Tolerant);
            assert!(report.is_honest(&DEFAULT_PROFILE), "{:?}", report.measures);
            assert!(report.measures.projection_ppm < 1_000, "{:?}", report.measures);
            assert_eq!(
                report.segments.map(|all| all.len()),
                Some(1 + claim.output.len().div_ceil(32))
            );
        }
    }
}

#[test]
fn cheats_are_told_by_their_measures() {
    let (model, other) = (model(), other_model());
    let ordered = order("the question", 800);
    let honest = write(&model, &ordered).unwrap();
    let tolerant = |claim: &Claim| faults(&model, claim, Tier::Tolerant);
    let as_ordered = |mut claim: Claim| {
        (claim.prompt, claim.seed, claim.sampling) =
            (ordered.prompt.clone(), ordered.seed, ordered.sampling);
        claim
    };
    assert!(tolerant(&honest).is_empty());

    // Another model: every measure.
    let caught = tolerant(&write(&other, &ordered).unwrap());
    for name in ["fingerprint", "projection", "tokens"] {
        assert!(caught.contains(&name), "{caught:?}");
    }
    // Another model writes, the right one proves: only the draws tell.
    let mut proven = write(&other, &ordered).unwrap();
    proven.prove_by_reading(&model).unwrap();
    assert_eq!(tolerant(&proven), ["tokens"]);
    // Other draws, and a hotter choice.
    let mut strange =
        as_ordered(write(&model, &Order { seed: [9; 32], ..ordered.clone() }).unwrap());
    strange.prove_by_reading(&model).unwrap();
    assert_eq!(tolerant(&strange), ["tokens"]);
    let hot = Sampling { temperature_milli: 1_500, ..ordered.sampling };
    let mut hotter =
        as_ordered(write(&model, &Order { sampling: hot, ..ordered.clone() }).unwrap());
    hotter.prove_by_reading(&model).unwrap();
    assert_eq!(tolerant(&hotter), ["tokens"]);
    // Another prompt than the client's.
    let hidden = Order { prompt: "any question".into(), ..ordered.clone() };
    let caught = tolerant(&as_ordered(write(&model, &hidden).unwrap()));
    assert!(caught.contains(&"fingerprint") && caught.contains(&"projection"), "{caught:?}");
    // Evidence of the same tokens under another seed: the projections are another's.
    let mut other_job = Claim { seed: [9; 32], ..honest.clone() };
    other_job.prove_by_reading(&model).unwrap();
    let replayed = Claim { leaves: other_job.leaves, root: other_job.root, ..honest.clone() };
    assert_eq!(tolerant(&replayed), ["projection"]);
}

#[test]
fn an_output_ends_where_the_model_ends_it() {
    let model = model();
    let honest = write(&model, &order("tell me a story", 800)).unwrap();
    assert_eq!(honest.finish, FinishReason::Length, "the model's answer is long enough");
    let end = model.tokenizer().eos()[0];
    // Cut, with an end token that was not drawn.
    let mut cut = honest.clone();
    cut.output.truncate(70);
    cut.output.push(end);
    cut.finish = FinishReason::Eos;
    cut.prove_by_reading(&model).unwrap();
    assert!(faults(&model, &cut, Tier::Tolerant).contains(&"end"));
    // Cut, and said to be as long as ordered; a reason that is not the true one; tokens after the end.
    let mut short = honest.clone();
    short.output.truncate(64);
    short.prove_by_reading(&model).unwrap();
    assert_eq!(faults(&model, &short, Tier::Tolerant), ["end"]);
    let stop = Claim { finish: FinishReason::Stop, ..honest.clone() };
    assert_eq!(faults(&model, &stop, Tier::Tolerant), ["end"]);
    let mut longer = honest;
    longer.max_tokens -= 1;
    assert_eq!(faults(&model, &longer, Tier::Tolerant), ["end"]);
}

#[test]
fn leaves_that_are_none_have_their_reasons() {
    let model = model();
    let honest = write(&model, &order("hello", 0)).unwrap();
    let leaves = honest.leaves.clone().unwrap();
    let reason = |leaves: Vec<Vec<u8>>, root: Option<Vec<u8>>| {
        let root = root.unwrap_or_else(|| honest.root.clone());
        let claim = Claim { leaves: Some(leaves), root, ..honest.clone() };
        let report = read(&model, &claim, Tier::Tolerant);
        assert_eq!(report.faults(&DEFAULT_PROFILE), ["leaves"]);
        report.bad_leaves.unwrap()
    };
    let due = leaves.len() as u32;
    assert_eq!(reason(vec![], None), BadLeaves::Count { found: 0, due });
    let mut other = leaves.clone();
    other[1][5] ^= 1;
    assert_eq!(reason(other, None), BadLeaves::Root);
    // Malformed, under a root that binds it.
    use plasma_modules::attestation::{evidence_root, leaf_hash};
    let mut bad = leaves;
    bad[1][..2].copy_from_slice(&[0, 0]);
    let names: Vec<_> = bad.iter().map(|leaf| leaf_hash(leaf)).collect();
    let root = evidence_root(&names).to_vec();
    assert_eq!(reason(bad, Some(root)), BadLeaves::Malformed(1, EvidenceError::Modulus(0)));
    // Nothing to read is an error, not a verdict.
    let empty = Claim { output: vec![], ..honest.clone() };
    assert!(verify(&model, &empty, Tier::Tolerant, &|_| ()).is_err());
}

/// The program writes what `xpl verify --profile` reads.
#[test]
fn calibrate_writes_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    tiny::write_tiny(&path("tiny"), tiny::SEED).unwrap();
    std::fs::write(path("prompts.txt"), "one\n\nand another\n").unwrap();
    let run = |tokens: &str, model: &str| {
        Command::new(env!("CARGO_BIN_EXE_gpu-node"))
            .arg("--home")
            .arg(path("home"))
            .args(["calibrate", "--tokens", tokens, "--dtypes", "bf16,f16", "--prompts"])
            .arg(path("prompts.txt"))
            .arg("--out")
            .arg(path("out"))
            .arg(path(model))
            .output()
            .unwrap()
    };
    let ended = run("8", "tiny");
    assert!(ended.status.success(), "{ended:?}");
    let read = |name: &str| std::fs::read_to_string(path("out").join(name)).unwrap();
    let profile: serde_json::Value = serde_json::from_str(&read("profile.json")).unwrap();
    assert_eq!(profile["tokens_per_outlier"], 256);
    assert!(profile["projection_ppm_max"].as_u64() > Some(2_000), "{profile}: bf16 is coarse");
    let samples: serde_json::Value = serde_json::from_str(&read("samples.json")).unwrap();
    assert_eq!(samples["samples"].as_array().unwrap().len(), 4 * 2 * 2);
    assert!(read("profile.svg").starts_with("<svg"));
    let told: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(told, profile, "the result alone, for programs");
    for (tokens, model) in [("0", "tiny"), ("8", "nothing")] {
        assert_eq!(run(tokens, model).status.code(), Some(2));
    }
}

#[test]
fn a_profile_holds_what_it_was_made_from() {
    let model = model();
    let writers = writers(&model, &Device::Cpu, &[DType::BF16]);
    assert_eq!(writers.len(), 3);
    let prompts = ["one".to_owned(), "two words".to_owned()];
    let told = std::cell::Cell::new(0);
    let made =
        calibrate(&model, &writers, &prompts, 40, &|at, of| told.set(at * 100 + of)).unwrap();
    assert_eq!((made.samples.len(), told.get()), (12, 1212));
    for sample in &made.samples {
        let Measures { exponent_mismatches, projection_ppm, margin_ppm, .. } = sample.measures;
        assert!(exponent_mismatches <= made.profile.exponent_mismatches_max);
        assert!(projection_ppm <= made.profile.projection_ppm_max);
        assert!(margin_ppm <= made.profile.margin_ppm_max);
    }
    let rounded: Vec<u32> = made.samples[8..].iter().map(|s| s.measures.projection_ppm).collect();
    let exact: Vec<u32> = made.samples[..4].iter().map(|s| s.measures.projection_ppm).collect();
    assert!(rounded.iter().min() > exact.iter().max(), "{rounded:?} {exact:?}");
    let svg = to_svg(&made.samples, &made.profile).unwrap();
    assert!(svg.starts_with("<svg") && svg.matches("<circle").count() == 48);

    let honest = Measures {
        exponent_mismatches: 9,
        mantissa_mean_centi: 171,
        mantissa_median: 1,
        projection_ppm: 23_000,
        margin_ppm: 7_000,
        tokens: 128,
        ..Measures::default()
    };
    let sample =
        |writer: &str, measures| Sample { writer: writer.into(), temperature_milli: 0, measures };
    let still = Measures { margin_ppm: 0, tokens: 640, ..honest };
    let profile = profile_of(&[sample("a", honest), sample("a", still)]);
    // Of nine exponents that were counted three deviations more, and one.
    assert_eq!((profile.exponent_mismatches_max, profile.mantissa_mean_centi_max), (19, 257));
    assert_eq!((profile.projection_ppm_max, profile.margin_ppm_max), (34_500, 60_000));
    // 24 tokens with a mean of 4 thousandths: half as much again is the 20 % that the chain takes for honest.
    let short = Measures { margin_ppm: 1_000, tokens: 24, ..honest };
    assert_eq!(profile_of(&[sample("a", short), sample("b", still)]).margin_ppm_max, 30_000);
    assert!(profile_of(&[]).projection_ppm_max > 0, "no threshold is nothing");
}

/// However near each other the kernels of this machine are, the profile is one that the chain takes; where they are further
/// apart than it allows, the number is named.
#[test]
fn a_calibrated_profile_is_within_the_chains_bounds_or_told_to_be_beyond() {
    let model = model();
    let writers = writers(&model, &Device::Cpu, &[]);
    let made = calibrate(&model, &writers, &["one".to_owned()], 24, &|_, _| ()).unwrap();
    let (floor, ceiling) = bounds(&default_params());
    assert_eq!(outside(&made.profile, &floor, &ceiling), None);
    assert_eq!(refused(&made.profile), None);
    assert_eq!(refused(&DEFAULT_PROFILE), None);

    let of =
        |measures| profile_of(&[Sample { writer: "a".into(), temperature_milli: 0, measures }]);
    for (measures, name) in [
        (Measures { exponent_mismatches: 14, ..Measures::default() }, "exponent_mismatches_max"),
        (Measures { mantissa_mean_centi: 267, ..Measures::default() }, "mantissa_mean_centi_max"),
        (Measures { mantissa_median: 3, ..Measures::default() }, "mantissa_median_max"),
        (Measures { projection_ppm: 40_001, ..Measures::default() }, "projection_ppm_max"),
        (Measures { margin_ppm: 60_001, ..Measures::default() }, "margin_ppm_max"),
    ] {
        let why = refused(&of(measures)).unwrap_or_default();
        assert!(why.starts_with(name), "{name}: {why}");
    }
    let near = Measures { margin_ppm: 60_000, ..Measures::default() };
    assert_eq!(of(near).margin_ppm_max, 60_000, "the slack is cut, what was measured is not");
}
