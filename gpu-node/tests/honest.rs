//! Many honest segments on the tests' model: a profile that was calibrated on a few prompts rejects none of many others.
#![cfg(feature = "engine")]

use candle_core::{DType, Device};
use gpu_node::engine::candle::load_folder;
use gpu_node::engine::{Engine as _, Sampling, tiny};
use gpu_node::verify::{Order, Tier, calibrate, verify, write, writers};
use plasma_modules::types::digest;

const SEGMENTS: usize = 10_000;
const TOKENS: u32 = 128;
const CALIBRATION_PROMPTS: usize = 12;
/// Of which calibration looks at the first and the third.
const TEMPERATURES_MILLI: [u32; 4] = [0, 400, 800, 1_200];

#[test]
#[ignore = "minutes; make test-long runs it"]
fn of_ten_thousand_honest_segments_none_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
    let model = load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap();
    let writers = writers(&model, &Device::Cpu, &[DType::F16, DType::BF16]);
    assert_eq!(writers.len(), 4);
    let asked = |at: usize| format!("What of {at}, and why? ").repeat(1 + at % 4);
    let asked: Vec<_> = (0..CALIBRATION_PROMPTS).map(asked).collect();
    let profile = calibrate(&model, &writers, &asked, TOKENS, &|_, _| ()).unwrap().profile;

    let (mut segments, mut rejected) = (0, Vec::new());
    for at in 0usize.. {
        if segments >= SEGMENTS {
            break;
        }
        let prompt = format!("{at}: tell me of the sea. ").repeat(1 + at % 5);
        for (writer, temperature_milli) in
            writers.iter().flat_map(|writer| TEMPERATURES_MILLI.map(|milli| (writer, milli)))
        {
            let salt = [at as u64, temperature_milli.into()].map(u64::to_be_bytes).concat();
            let order = Order {
                prompt: prompt.clone(),
                max_tokens: TOKENS,
                sampling: Sampling { temperature_milli, top_p_milli: 950 },
                seed: digest(&[b"honest", &salt]),
                request_hash: digest(&[prompt.as_bytes()]),
            };
            let claim = write(writer, &order).unwrap();
            let report = verify(&model, &claim, Tier::Tolerant, &|_| ()).unwrap();
            segments += report.segments.as_ref().unwrap().len();
            if !report.is_honest(&profile) {
                let kernel = writer.info().kernel_id;
                rejected.push(format!("{kernel} at {temperature_milli}: {:?}", report.measures));
            }
        }
    }
    assert!(rejected.is_empty(), "{profile:?} of {segments} segments: {rejected:#?}");
}
