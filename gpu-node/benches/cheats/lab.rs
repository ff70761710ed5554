//! Serving: every order in every way, at every length, each read again at once.

use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use gpu_node::engine::{Engine as _, Sampling};
use gpu_node::evidence::Segments;
use gpu_node::verify::{Claim, Order, Tier, verify, write_recorded};
use plasma_modules::types::digest;
use plasma_proto::plasma::attestation::v1::{FinishReason, Measures, Profile};

use crate::Options;
use crate::figures::{Spent, draw, figures};
use crate::receipts::Judged;
use crate::ways::{
    Models, WAYS,
    Way::{self, *},
    speculate,
};
/// What providers are asked.
pub const PROMPTS: [&str; 24] = [
    "Explain in two sentences what a blockchain is, then tell a long story about one.",
    "Write a short poem about the sea in winter.",
    "List ten uses of an old bicycle, with a sentence for each.",
    "How does a steam engine work? Explain it to a child.",
    "Describe the history of the city of Rome from its founding.",
    "Give me a recipe for bread, step by step, with reasons.",
    "What would happen if the moon were twice as far away?",
    "Tell me about three famous mathematicians and what they found.",
    "Write a dialogue between a cat and a dog about the weather.",
    "Why is the sky blue in the day and red in the evening?",
    "Plan a walk of three days through the mountains.",
    "Explain how a vaccine works and why some need a second dose.",
    "Write the first page of a novel that begins in a railway station.",
    "What are the differences between a virus and a bacterium?",
    "Give advice to somebody who begins to learn the piano.",
    "Describe how paper is made, from the tree to the sheet.",
    "Write a function in Python that finds the largest number in a list, and explain it.",
    "Which planets of the solar system have rings, and what are they made of?",
    "Summarise the story of Robinson Crusoe for a friend.",
    "How do bees find their way back to the hive?",
    "Argue for and against building a bridge over the river of a small town.",
    "Tell a fairy tale about a baker who could not sleep.",
    "What should one know before buying a used car?",
    "Explain what inflation is with an example from a market.",
];
/// What profiles are made from: none of the above. The last two ask for what has many words that are nearly as likely.
pub const CALIBRATION: [&str; 4] = [
    "What is the difference between a lake and a sea?",
    "Write a letter to a friend about your new garden.",
    "Write sixty random digits, separated by spaces.",
    "List forty words in no order, without any meaning.",
];
/// How many of them ask for plain text.
const PLAIN: usize = 2;
/// What a provider puts before the prompt without saying so.
const HIDDEN: &str = "Answer cheerfully and praise our sponsor. ";
/// Lengths at which a longer output is looked at, as if no more had been ordered: whole segments.
pub const CUTS: [u32; 2] = [32, 128];
/// Lengths that end within a segment, or one row after it, are written anew: a leaf is of all its rows.
pub const SHORT: [u32; 2] = [8, 33];
pub const TOP_P_MILLI: u32 = 950;
/// The tables, in the folder of figures.
pub const FIGURES: &str = "figures.md";
/// Every receipt, beside them.
pub const SAMPLES: &str = "samples.jsonl";

/// By what receipts are judged.
pub struct Profiles {
    /// What is taken where a model has none.
    pub default: Profile,
    /// As a publisher calibrates for kernels of every type.
    pub calibrated: Profile,
    /// For kernels of this machine's own type alone.
    pub narrow: Profile,
}

pub struct Lab {
    pub models: Models,
    pub options: Options,
    pub profiles: Profiles,
    pub judged: Mutex<Vec<Judged>>,
    pub spent: Mutex<Spent>,
}

impl Lab {
    /// Every way of serving one prompt at one temperature.
    pub fn serve(&self, at: usize, temperature_milli: u32) -> Result<()> {
        let whole = self.options.tokens;
        if self.options.whole {
            return self.write(at, temperature_milli, whole, &[]);
        }
        for short in SHORT.into_iter().filter(|short| *short < whole) {
            self.write(at, temperature_milli, short, &[])?;
        }
        self.write(at, temperature_milli, whole, &CUTS)
    }

    /// Writes one length, and looks at it whole and cut.
    fn write(&self, at: usize, temperature_milli: u32, tokens: u32, cuts: &[u32]) -> Result<()> {
        let Models { right, plain, f16, bf16, cache_f8, q8, q4, noisy, tuned, shallow } =
            &self.models;
        let sampling = Sampling { temperature_milli, top_p_milli: TOP_P_MILLI };
        let prompt = PROMPTS[at].to_owned();
        let salt = [temperature_milli, at as u32, tokens].map(u32::to_be_bytes).concat();
        let order = Order {
            request_hash: digest(&[prompt.as_bytes()]),
            prompt,
            max_tokens: tokens,
            sampling,
            seed: digest(&[b"lab", &salt]),
        };
        let strange = Order { seed: [9; 32], ..order.clone() };
        let milli = if temperature_milli == 0 { 300 } else { temperature_milli * 3 / 2 };
        let hot = Sampling { temperature_milli: milli, ..sampling };
        let hot = Order { sampling: hot, ..order.clone() };
        let asked = |prompt: String| Order { prompt, ..order.clone() };
        let prompted = asked(format!("{HIDDEN}{}", order.prompt));
        let words: Vec<&str> = order.prompt.split(' ').collect();
        let half = asked(words[words.len() / 2..].join(" "));
        let lower = asked(order.prompt.to_lowercase());
        let other = asked(CALIBRATION[at % PLAIN].to_owned());
        let began = Instant::now();
        let (claim, segments) = write_recorded(right, &order)?;
        if tokens == self.options.tokens {
            self.spent.lock().map_err(|_| anyhow!("a lock broke"))?.writing += began.elapsed();
        }
        let is_played = |way: &Way| way.exists(temperature_milli) && self.options.plays(*way);
        for way in WAYS.iter().copied().filter(is_played) {
            let (mut written, recorded) = match way {
                Honest | Replayed | TokenAltered | StopsEarly | Inflated => {
                    (claim.clone(), segments.clone())
                }
                HonestPlain => write_recorded(plain, &order)?,
                HonestF16 => write_recorded(f16, &order)?,
                HonestBf16 => write_recorded(bf16, &order)?,
                Q8 => write_recorded(q8, &order)?,
                Q4 => write_recorded(q4, &order)?,
                Noise => write_recorded(noisy, &order)?,
                OtherSeed => write_recorded(right, &strange)?,
                OtherTemperature => write_recorded(right, &hot)?,
                HiddenPrompt => write_recorded(right, &prompted)?,
                HalfPrompt => write_recorded(right, &half)?,
                OtherTokenizer => write_recorded(right, &lower)?,
                Tuned => write_recorded(tuned, &order)?,
                Shallow => write_recorded(shallow, &order)?,
                CacheF8 => write_recorded(cache_f8, &order)?,
                Cached => write_recorded(right, &other)?,
                Speculative => (speculate(right, q4, &order)?, Segments::default()),
                PrefillAttack => (write_recorded(q4, &order)?.0, Segments::default()),
            };
            // What is claimed is what was ordered.
            (written.prompt, written.seed, written.sampling) =
                (order.prompt.clone(), order.seed, order.sampling);
            // Whole at last: some end before.
            for length in cuts.iter().copied().filter(|cut| *cut < tokens).chain([tokens]) {
                if length == tokens || written.output.len() >= length as usize {
                    let made = self.cut(way, &written, &recorded, length)?;
                    self.judge(way, temperature_milli, length, &made)?;
                }
            }
        }
        Ok(())
    }

    /// The claim as if at most so many tokens had been ordered, with the evidence that its provider has for it.
    fn cut(&self, way: Way, whole: &Claim, recorded: &Segments, length: u32) -> Result<Claim> {
        let right = &self.models.right;
        let mut claim = whole.clone();
        claim.output.truncate(length as usize);
        claim.max_tokens = length;
        if claim.output.len() < whole.output.len() {
            claim.finish = FinishReason::Length;
        }
        let mut segments = recorded.clone();
        segments.all.truncate(1 + claim.output.len().div_ceil(32));
        match way {
            PrefillAttack | Speculative | Cached => claim.prove_by_reading(right)?,
            Inflated => {
                let repeated = claim.output.len() / 4;
                let kept = claim.output.len() - repeated;
                claim.output.copy_within(kept - repeated..kept, kept);
                claim.prove_by_reading(right)?;
            }
            TokenAltered => {
                let at = claim.output.len() / 2;
                claim.output[at] = (claim.output[at] + 1) % 1_000;
                claim.prove_by_reading(right)?;
            }
            StopsEarly => {
                // Two thirds, then the end token, claimed to be the model's; paid by the token, it saves a third.
                claim.output.truncate((claim.output.len() * 2 / 3).max(1));
                let end = right.tokenizer().eos().first().copied().unwrap_or_default();
                claim.output.push(end);
                claim.finish = FinishReason::Eos;
                claim.prove_by_reading(right)?;
            }
            Replayed => {
                let mut other = Claim { seed: [3; 32], ..claim.clone() };
                other.prove(&segments)?;
                (claim.leaves, claim.root) = (other.leaves, other.root);
            }
            _ => claim.prove(&segments)?,
        }
        Ok(claim)
    }

    /// Writes what is known so far, so that a run that is broken off has figures of the orders that it did.
    pub fn publish(&self, name: &str, kernel: &str) -> Result<()> {
        let options = &self.options;
        let broken = || anyhow!("a lock broke");
        let mut judged = self.judged.lock().map_err(|_| broken())?;
        judged.sort_by_key(|one| {
            (WAYS.iter().position(|way| *way == one.way), one.tokens, one.temperature_milli)
        });
        let spent = self.spent.lock().map_err(|_| broken())?;
        fs::create_dir_all(&options.out)?;
        let text = figures(name, options, &self.profiles, &judged, &spent, kernel);
        fs::write(options.out.join(FIGURES), text)?;
        let lines = judged.iter().map(|one| format!("{}\n", one.json()));
        fs::write(options.out.join(SAMPLES), lines.collect::<String>())?;
        let projection = |m: &Measures| m.projection_ppm;
        let limit = self.profiles.calibrated.projection_ppm_max;
        draw(
            &options.out.join("projection.svg"),
            "B: distance of projections, worst segment",
            &judged,
            projection,
            limit,
        )?;
        let limit = self.profiles.calibrated.margin_ppm_max;
        draw(
            &options.out.join("margin.svg"),
            "C: mean margin, logits",
            &judged,
            |m| m.margin_ppm,
            limit,
        )
    }

    fn judge(&self, way: Way, temperature_milli: u32, tokens: u32, claim: &Claim) -> Result<()> {
        let began = Instant::now();
        let report = verify(&self.models.right, claim, Tier::Tolerant, &|_| ())?;
        let took = began.elapsed();
        if way == Honest && tokens == self.options.tokens {
            self.spent.lock().map_err(|_| anyhow!("a lock broke"))?.reading += took;
        }
        ensure!(report.bad_leaves.is_none(), "{}: {:?}", way.name(), report.bad_leaves);
        let segments = report.segments.as_ref().map_or(0, Vec::len);
        let measures = report.measures;
        let judged = Judged { way, temperature_milli, tokens, segments, measures };
        self.judged.lock().map_err(|_| anyhow!("a lock broke"))?.push(judged);
        Ok(())
    }
}
