//! Which token comes next: greedy, or the seeded Gumbel-max winner of the nucleus.
//!
//! The noise is a function of seed, position and token id only, so that anyone with the logits can name the
//! winner. Logarithm and exponential are those of `libm`, never the platform's, so that two machines with
//! the same logits agree on every bit.
//!
//! With temperature T > 0: the candidates are the shortest run of tokens, by falling logit (ties: lower id),
//! whose probabilities under softmax(logits / T) sum to at least `top_p`; the winner is the candidate with
//! the largest logit + T * g, where g = -ln(-ln(u)) is Gumbel noise (ties: lower id).

use sha2::{Digest, Sha256};

use super::EngineError;

/// First bytes of what is hashed into the key of a position.
const DOMAIN: &[u8] = b"xpl/sample/v1";
/// All of the probability, thousandths.
pub const TOP_P_ALL_MILLI: u32 = 1000;
/// Highest temperature, thousandths: beyond it the text is noise.
pub const TEMPERATURE_MILLI_MAX: u32 = 10_000;
/// Bits of a draw.
const DRAW_BITS: u32 = 52;
/// Margins above this many logits are not told from each other: no measure reads beyond it.
const FAR: f64 = 4.0;
/// Above ln 2 by more than the logarithm errs.
const LN_2_ABOVE: f64 = 0.6932;

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Thousandths; 0 is greedy, 1000 is temperature 1.
    pub temperature_milli: u32,
    /// Thousandths, 1 to 1000; 1000 keeps every token.
    pub top_p_milli: u32,
}

impl Sampling {
    /// The most likely token each time.
    pub const GREEDY: Self = Self { temperature_milli: 0, top_p_milli: TOP_P_ALL_MILLI };

    /// # Errors
    /// [`EngineError::Invalid`] when a number is out of its range.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.top_p_milli == 0 || self.top_p_milli > TOP_P_ALL_MILLI {
            return Err(EngineError::Invalid(format!(
                "top_p is {} thousandths; it must be 1 to {TOP_P_ALL_MILLI}",
                self.top_p_milli
            )));
        }
        if self.temperature_milli > TEMPERATURE_MILLI_MAX {
            return Err(EngineError::Invalid(format!(
                "temperature is {} thousandths; at most {TEMPERATURE_MILLI_MAX}",
                self.temperature_milli
            )));
        }
        Ok(())
    }
}

/// From the chain's message; the seed of a request is not the 64 bits in it, but derived from them.
impl From<&plasma_proto::plasma::market::v1::Sampling> for Sampling {
    fn from(sampling: &plasma_proto::plasma::market::v1::Sampling) -> Self {
        Self { temperature_milli: sampling.temperature_milli, top_p_milli: sampling.top_p_milli }
    }
}

/// Chooses the tokens of one sequence.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    seed: [u8; 32],
}

impl Sampler {
    /// # Errors
    /// [`EngineError::Invalid`] when a number is out of its range.
    pub fn new(sampling: Sampling, seed: [u8; 32]) -> Result<Self, EngineError> {
        sampling.check()?;
        Ok(Self { sampling, seed })
    }

    /// The token at `position` (0 is the first token generated) for these logits.
    ///
    /// # Errors
    /// [`EngineError::Model`] when there are no logits or one is not a number.
    pub fn choose(&self, logits: &[f32], position: u64) -> Result<u32, EngineError> {
        if logits.iter().any(|logit| logit.is_nan()) {
            return Err(EngineError::Model(
                "the model computed a logit that is not a number".to_owned(),
            ));
        }
        let greedy = argmax(logits)
            .ok_or_else(|| EngineError::Model("the model computed no logits".to_owned()))?;
        if self.sampling.temperature_milli == 0 {
            return Ok(greedy);
        }
        let race = Race::new(self, logits, greedy, position);
        Ok(race.winner(&race.nucleus(race.top_p)).0)
    }

    /// How far `claimed` is from winning at `position`, in units of the logits: 0 for the winner. It is twice the least that every logit
    /// must move for it to win, so that what a kernel draws whose logits are at most e from these is at most 2e far, whatever the
    /// prompt and the sampling; be it by scores, or because the nucleus ends elsewhere ([`Edge`]). A lower bound, for scores and
    /// the edge are looked at apart. Of what is more than [`FAR`] away it says only that; infinity for a token that is none.
    ///
    /// # Errors
    /// As [`Sampler::choose`].
    pub fn margin(&self, logits: &[f32], position: u64, claimed: u32) -> Result<f64, EngineError> {
        let winner = self.choose(logits, position)?;
        let logit = |token: u32| logits.get(token as usize).map(|logit| f64::from(*logit));
        let (Some(best), Some(own)) = (logit(winner), logit(claimed)) else {
            return Ok(f64::INFINITY);
        };
        if self.sampling.temperature_milli == 0 || winner == claimed {
            return Ok(best - own);
        }
        let race = Race::new(self, logits, argmax(logits).unwrap_or(winner), position);
        Ok(race.margin(claimed))
    }
}

/// One position's draw.
struct Race<'a> {
    logits: &'a [f32],
    temperature: f64,
    top_p: f64,
    /// The token with the largest logit, and that logit.
    greedy: u32,
    top: f64,
    key: u64,
}

impl<'a> Race<'a> {
    fn new(sampler: &Sampler, logits: &'a [f32], greedy: u32, position: u64) -> Self {
        Self {
            logits,
            temperature: f64::from(sampler.sampling.temperature_milli) / 1000.0,
            top_p: f64::from(sampler.sampling.top_p_milli) / 1000.0,
            greedy,
            top: f64::from(logits[greedy as usize]),
            key: position_key(&sampler.seed, position),
        }
    }

    /// The nucleus that holds so much of the probability. In order of id when it holds every token, else by falling logit.
    fn nucleus(&self, top_p: f64) -> Vec<u32> {
        let ids = 0..u32::try_from(self.logits.len()).unwrap_or(u32::MAX);
        if top_p >= 1.0 {
            return ids.collect();
        }
        let weights: Vec<f64> = ids.clone().map(|id| self.weight(id)).collect();
        let total: f64 = weights.iter().sum();
        // All that lies below this floor weighs less than half of what may be left out, so that the nucleus
        // is above it and the rest need not be sorted.
        let floor = 0.5 * (1.0 - top_p) * total / weights.len() as f64;
        let mut likely: Vec<u32> = ids.filter(|id| weights[*id as usize] >= floor).collect();
        self.sort(&mut likely);
        let mut sum = 0.0;
        let mut kept = 0;
        for id in &likely {
            kept += 1;
            sum += weights[*id as usize];
            if sum >= top_p * total {
                break;
            }
        }
        likely.truncate(kept);
        likely
    }

    /// By falling logit; ties: lower id.
    fn sort(&self, ids: &mut [u32]) {
        ids.sort_unstable_by(|a, b| {
            let (x, y) = (self.logits[*a as usize], self.logits[*b as usize]);
            y.total_cmp(&x).then(a.cmp(b))
        });
    }

    /// Its probability, but for a factor of all.
    fn weight(&self, id: u32) -> f64 {
        libm::exp((f64::from(self.logits[id as usize]) - self.top) / self.temperature)
    }

    fn lifted(&self, id: u32, noise: f64) -> f64 {
        f64::from(self.logits[id as usize]) + self.temperature * noise
    }

    fn score(&self, id: u32) -> f64 {
        self.lifted(id, gumbel(draw(self.key, id)))
    }

    /// The larger of two distances: how far `claimed` is outside of the nucleus; and of each candidate with a better score, that
    /// score or the candidate's own way out of the nucleus, whichever is nearer.
    fn margin(&self, claimed: u32) -> f64 {
        let edge = Edge::new(self);
        let Some(place) = edge.order.iter().position(|id| *id == claimed) else {
            return f64::INFINITY;
        };
        let own_score = self.score(claimed);
        let mut margin = edge.way_in(place);
        for at in 0..edge.candidates() {
            let ahead = self.score(edge.order[at]) - own_score;
            if ahead > margin {
                margin = margin.max(ahead.min(edge.way_out(at, place)));
            }
            if margin > FAR {
                break;
            }
        }
        margin
    }

    /// The best candidate and its score. A token whose noise cannot lift it so far is passed over: of a large
    /// vocabulary that spares nearly all logarithms.
    fn winner(&self, candidates: &[u32]) -> (u32, f64) {
        // The likeliest candidate: nearly all others stay below it.
        let first = if self.top_p >= 1.0 { Some(&self.greedy) } else { candidates.first() };
        let mut best = first.map_or((0, f64::NEG_INFINITY), |id| (*id, self.score(*id)));
        for id in candidates {
            let draw = draw(self.key, *id);
            if self.lifted(*id, gumbel_below(draw)) < best.1 {
                continue;
            }
            let score = self.lifted(*id, gumbel(draw));
            if score > best.1 || (score == best.1 && *id < best.0) {
                best = (*id, score);
            }
        }
        best
    }
}

/// Where the nucleus ends, and how far tokens are from being inside or outside of it. Logits that each move by at most e move the
/// odds of any set of tokens by a factor of at most `e^(2e / temperature)`, and change the order of two tokens only if these
/// are at most 2e apart.
struct Edge<'a> {
    race: &'a Race<'a>,
    /// All tokens by falling logit; ties: lower id.
    order: Vec<u32>,
    /// What the first so many weigh, and what the others do.
    above: Vec<f64>,
    below: Vec<f64>,
    /// Odds of being in the nucleus.
    odds: f64,
}

impl<'a> Edge<'a> {
    fn new(race: &'a Race<'a>) -> Self {
        let mut order: Vec<u32> =
            (0..u32::try_from(race.logits.len()).unwrap_or(u32::MAX)).collect();
        race.sort(&mut order);
        let weights: Vec<f64> = order.iter().map(|id| race.weight(*id)).collect();
        let sums = |weights: &mut dyn Iterator<Item = &f64>| -> Vec<f64> {
            let mut sum = 0.0;
            let add = |weight: &f64| {
                sum += weight;
                sum
            };
            std::iter::once(0.0).chain(weights.map(add)).collect()
        };
        let above = sums(&mut weights.iter());
        let mut below = sums(&mut weights.iter().rev());
        below.reverse();
        let odds = race.top_p / (1.0 - race.top_p).max(0.0);
        Self { race, order, above, below, odds }
    }

    fn logit(&self, place: usize) -> f64 {
        f64::from(self.race.logits[self.order[place] as usize])
    }

    /// Tokens in the nucleus.
    fn candidates(&self) -> usize {
        if self.race.top_p >= 1.0 {
            return self.order.len();
        }
        let total = self.below[0];
        let inside = self.above[1..].partition_point(|sum| *sum < self.race.top_p * total);
        (inside + 1).min(self.order.len())
    }

    /// The smallest d by which the token at a place comes in: those that are more than d above it must not hold the nucleus'
    /// part of the probability by odds that d moves.
    fn way_in(&self, place: usize) -> f64 {
        // With the first `kept` above it, and the next one down at it.
        let way = |kept: usize| {
            let gap = self.logit(kept) - self.logit(place);
            let odds = self.above[kept] / self.below[kept];
            gap.max(self.race.temperature * libm::log(odds / self.odds))
        };
        (0..=place).map(way).fold(f64::INFINITY, f64::min).max(0.0)
    }

    /// The smallest d by which the token at a place falls out while another stays in, which then is not below it: those that are
    /// less than d below it, or above it, hold the nucleus' part by odds that d moves.
    fn way_out(&self, place: usize, other: usize) -> f64 {
        let own = self.race.weight(self.order[place]);
        // With the first `ahead` ahead of it, the last of them from below.
        let way = |ahead: usize| {
            let gap = (self.logit(place) - self.logit(ahead - 1)).max(0.0);
            let between = self.below[place + 1] - self.below[ahead];
            let odds = (self.above[place] + between) / (self.below[ahead] + own);
            (gap, self.race.temperature * libm::log(self.odds / odds))
        };
        // The gap grows and the odds' part falls: the smallest of the larger ones is where they cross.
        let (mut low, mut high) = (place + 1, self.order.len());
        while low < high {
            let middle = low.midpoint(high);
            let (gap, odds) = way(middle);
            if gap < odds { low = middle + 1 } else { high = middle }
        }
        let at = |ahead: usize| {
            let (gap, odds) = way(ahead);
            gap.max(odds)
        };
        let out = at(low).min(if low > place + 1 { at(low - 1) } else { f64::INFINITY });
        out.max(self.logit(place) - self.logit(other))
    }
}

/// Index of the largest value; the first of equals; `None` for an empty slice. Values that are not numbers
/// never win.
#[must_use]
pub fn argmax(values: &[f32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (index, value) in values.iter().enumerate() {
        if best.is_none_or(|(_, top)| *value > top || top.is_nan()) {
            best = Some((index, *value));
        }
    }
    best.and_then(|(index, _)| u32::try_from(index).ok())
}

/// Key of one position: the first 8 bytes of sha256(domain, seed, position), big-endian.
fn position_key(seed: &[u8; 32], position: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(seed);
    hash.update(position.to_be_bytes());
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | u64::from(*byte))
}

/// Finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What is drawn for one token: [`DRAW_BITS`] bits.
fn draw(key: u64, token: u32) -> u64 {
    let bits = mix(key.wrapping_add((u64::from(token) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    bits >> (u64::BITS - DRAW_BITS)
}

/// Gumbel noise of a draw: u is an odd multiple of 2^-53 in (0, 1), exact, never 0 or 1.
fn gumbel(draw: u64) -> f64 {
    let u = (draw as f64 + 0.5) / (1u64 << DRAW_BITS) as f64;
    -libm::log(-libm::log(u))
}

/// No less than [`gumbel`], without logarithms: `-ln u >= 1 - u`, so that `g <= -ln(1 - u)`, and `1 - u` is above the
/// power of two of its first bit.
fn gumbel_below(draw: u64) -> f64 {
    let rest = !draw << (u64::BITS - DRAW_BITS);
    f64::from(rest.leading_zeros().min(DRAW_BITS) + 1) * LN_2_ABOVE
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sampler(temperature_milli: u32, top_p_milli: u32) -> Sampler {
        Sampler::new(Sampling { temperature_milli, top_p_milli }, [9; 32]).unwrap()
    }

    fn logits() -> Vec<f32> {
        (0..64u64).map(|i| (mix(i) >> 40) as f32 / 2f32.powi(22) - 2.0).collect()
    }

    /// The rule as it is written above, with nothing left out for speed.
    fn by_the_book(sampler: &Sampler, logits: &[f32], position: u64) -> u32 {
        let t = f64::from(sampler.sampling.temperature_milli) / 1000.0;
        let p = f64::from(sampler.sampling.top_p_milli) / 1000.0;
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
        let weights: Vec<f64> = logits
            .iter()
            .map(|l| libm::exp((f64::from(*l) - f64::from(logits[order[0]])) / t))
            .collect();
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let mut kept = vec![];
        for id in order {
            kept.push(id);
            sum += weights[id];
            if p < 1.0 && sum >= p * total {
                break;
            }
        }
        kept.sort_unstable();
        let key = position_key(&sampler.seed, position);
        let score = |id: usize| f64::from(logits[id]) + t * gumbel(draw(key, id as u32));
        let best = kept.into_iter().reduce(|a, b| if score(b) > score(a) { b } else { a });
        best.unwrap() as u32
    }

    /// These numbers are consensus between providers and verifiers: a change is a new protocol version.
    #[test]
    fn golden_vectors() {
        assert_eq!(position_key(&[9; 32], 0), GOLDEN_KEYS[0]);
        assert_eq!(position_key(&[9; 32], 1), GOLDEN_KEYS[1]);
        let noise: Vec<u64> =
            [0, 1, 49_151].map(|token| gumbel(draw(GOLDEN_KEYS[0], token)).to_bits()).to_vec();
        assert_eq!(noise, GOLDEN_NOISE);
        let chosen = |temperature, top_p| -> Vec<u32> {
            let sampler = sampler(temperature, top_p);
            (0..12).map(|position| sampler.choose(&logits(), position).unwrap()).collect()
        };
        assert_eq!(chosen(0, 1000), [GOLDEN_GREEDY; 12]);
        assert_eq!(chosen(1000, 1000), GOLDEN_T1);
        assert_eq!(chosen(800, 900), GOLDEN_T08_P09);
        assert_eq!(chosen(1500, 500), GOLDEN_T15_P05);
    }
    const GOLDEN_KEYS: [u64; 2] = [6_576_777_898_277_469_496, 5_200_005_261_063_578_976];
    const GOLDEN_NOISE: [u64; 3] =
        [4_617_000_650_398_438_025, 13_823_437_426_101_258_365, 13_830_725_805_189_245_498];
    const GOLDEN_GREEDY: u32 = 18;
    const GOLDEN_T1: [u32; 12] = [35, 63, 5, 16, 41, 8, 44, 51, 22, 2, 16, 51];
    const GOLDEN_T08_P09: [u32; 12] = [16, 63, 5, 16, 48, 8, 44, 51, 22, 2, 16, 51];
    const GOLDEN_T15_P05: [u32; 12] = [16, 63, 21, 16, 25, 8, 44, 36, 13, 2, 16, 19];

    #[test]
    fn ties_go_to_the_lower_id() {
        assert_eq!(sampler(0, 1000).choose(&[1.0, 3.0, 3.0, 2.0], 0).unwrap(), 1);
        assert_eq!(argmax(&[]), None);
        assert_eq!(argmax(&[f32::NAN, 1.0]), Some(1));
    }

    #[test]
    fn what_is_not_a_number_is_an_error() {
        assert!(matches!(sampler(0, 1000).choose(&[1.0, f32::NAN], 0), Err(EngineError::Model(_))));
        assert!(matches!(sampler(700, 900).choose(&[], 0), Err(EngineError::Model(_))));
    }

    #[test]
    fn out_of_range_is_refused() {
        for (t, p) in [(0, 0), (0, 1001), (10_001, 1000)] {
            let sampling = Sampling { temperature_milli: t, top_p_milli: p };
            assert!(matches!(sampling.check(), Err(EngineError::Invalid(_))));
        }
    }

    #[test]
    fn a_small_nucleus_is_greedy() {
        let logits = logits();
        let greedy = argmax(&logits).unwrap();
        let sampler = sampler(900, 1);
        assert!((0..200).all(|position| sampler.choose(&logits, position).unwrap() == greedy));
    }

    /// 20,000 draws at temperature 1 follow softmax: each frequency within 5 standard deviations.
    #[test]
    fn the_noise_draws_from_softmax() {
        let logits = [0.0f32, 1.0, 2.0, -1.0, 0.5];
        let sampler = sampler(1000, 1000);
        let draws = 20_000u32;
        let mut counts = [0u32; 5];
        for position in 0..u64::from(draws) {
            counts[sampler.choose(&logits, position).unwrap() as usize] += 1;
        }
        let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
        for (logit, count) in logits.iter().zip(counts) {
            let p = f64::from(*logit).exp() / total;
            let sigma = (f64::from(draws) * p * (1.0 - p)).sqrt();
            let off = (f64::from(count) - f64::from(draws) * p).abs();
            assert!(off < 5.0 * sigma, "{logit}: {count}, expected {}", f64::from(draws) * p);
        }
    }

    #[test]
    fn the_bound_on_the_noise_holds() {
        let last = (1 << DRAW_BITS) - 1;
        assert!(gumbel(last).is_finite() && gumbel(0).is_finite());
        // Where the bound steps, and between.
        let steps = (0..DRAW_BITS).flat_map(|bit| {
            let below = last >> bit;
            [below, last - below, last - below + 1, below / 2].map(|draw| draw.min(last))
        });
        for draw in steps.chain((0..100_000).map(|at| draw(7, at))) {
            assert!(gumbel(draw) < gumbel_below(draw), "{draw}");
        }
        let near = (0..100_000).filter(|at| {
            let draw = draw(7, *at);
            gumbel_below(draw) - gumbel(draw) < 0.7
        });
        assert!(near.count() > 30_000, "the bound is of use");
    }

    #[test]
    fn margins_name_the_winner() {
        let logits = logits();
        let sampler = sampler(1000, 950);
        for position in 0..50 {
            let winner = sampler.choose(&logits, position).unwrap();
            assert_eq!(sampler.margin(&logits, position, winner).unwrap(), 0.0);
            let margins = (0..64).map(|id| sampler.margin(&logits, position, id).unwrap());
            assert!(margins.clone().all(|margin| margin >= 0.0));
            assert_eq!(margins.filter(|margin| *margin == 0.0).count(), 1);
        }
        assert_eq!(sampler.margin(&logits, 0, 9999).unwrap(), f64::INFINITY);
    }

    /// The token that wins when each logit moves by at most `noise`, by noise of another seed.
    fn moved(sampler: &Sampler, logits: &[f32], position: u64, noise: f32) -> u32 {
        let shift = |id: u64| (mix(position << 8 | id) >> 40) as f32 / 2f32.powi(23) - 1.0;
        let moved: Vec<f32> =
            (0..).zip(logits).map(|(id, logit)| logit + noise * shift(id)).collect();
        sampler.choose(&moved, position).unwrap()
    }

    /// What wins when each logit moves by a little is within twice that, be it at the edge of the nucleus on one side or on the other.
    #[test]
    fn a_little_noise_is_a_little_margin() {
        const NOISE: f32 = 0.01;
        let logits = logits();
        let (mut others, mut crossed) = (0, 0);
        for (temperature, top_p) in
            [(300, 300), (800, 950), (1_000, 700), (1_500, 990), (900, 1), (2_000, 20)]
        {
            let sampler = sampler(temperature, top_p);
            for position in 0..3_000u64 {
                let claimed = moved(&sampler, &logits, position, NOISE);
                let margin = sampler.margin(&logits, position, claimed).unwrap();
                assert!(margin <= 2.0 * f64::from(NOISE) + 1e-6, "{margin} at {position}");
                let race = Race::new(&sampler, &logits, argmax(&logits).unwrap(), position);
                others += u32::from(claimed != sampler.choose(&logits, position).unwrap());
                crossed += u32::from(!race.nucleus(race.top_p).contains(&claimed));
            }
        }
        assert!(others > 50 && crossed > 5, "{others} {crossed}");
    }

    /// And what no kernel draws is far: a token far below the nucleus, whatever the nucleus is, and each but a few of those inside.
    #[test]
    fn what_no_kernel_draws_is_far() {
        let peaked = [4.0f32, 3.3, -8.0, -8.5, -9.0];
        for (temperature, top_p) in
            [(200, 970), (200, 980), (200, 999), (20, 980), (200, 1_000), (800, 950), (800, 20)]
        {
            let sampler = sampler(temperature, top_p);
            for position in 0..100 {
                let margin = sampler.margin(&peaked, position, 2).unwrap();
                assert!(margin > FAR, "{margin} at {temperature} {top_p}");
            }
        }
        // In a flat distribution few tokens are free beside the winner, however small the nucleus is.
        let flat: Vec<f32> = (0..400u64).map(|i| (mix(i) >> 40) as f32 / 2f32.powi(22)).collect();
        for top_p in [1, 10, 20, 50, 500, 950, 980, 999] {
            let sampler = sampler(2_000, top_p);
            let free = |position: u64| {
                let margin = |id| sampler.margin(&flat, position, id).unwrap();
                (0..400).filter(|id| margin(*id) == 0.0).count() - 1
            };
            let free: usize = (0..10).map(free).sum();
            assert!(free <= 10, "{free} of 10 draws at {top_p}");
        }
    }

    /// A token that another kernel has in its nucleus and this one has not, by a logit and a half: it is as far as the kernels are
    /// apart, also where the rest of the vocabulary lies between.
    #[test]
    fn the_edge_of_the_nucleus_is_as_near_as_kernels_are() {
        for (temperature, top_p, first, second) in [
            (500, 900, 0.9375f32, 0.05),
            (650, 900, 0.938, 0.04),
            (600, 950, 0.9695, 0.02),
            (800, 900, 0.91, 0.002),
        ] {
            let scale = temperature as f32 / 1_000.0;
            let rest = [(1.0 - first - second) / 50.0; 50];
            let parts = [first, second].into_iter().chain(rest);
            let logits: Vec<f32> = parts.map(|part| part.ln() * scale).collect();
            let sampler = sampler(temperature, top_p);
            let mut moved = logits.clone();
            moved[0] -= 0.17;
            moved[1..].iter_mut().for_each(|logit| *logit += 0.17);
            let mut others = 0;
            for position in 0..400 {
                let claimed = sampler.choose(&moved, position).unwrap();
                others += u32::from(claimed != sampler.choose(&logits, position).unwrap());
                let margin = sampler.margin(&logits, position, claimed).unwrap();
                assert!(margin <= 0.340_001, "{margin} at {temperature} {top_p}");
            }
            assert!(others > 5, "{others} at {temperature} {top_p}");
        }
    }

    /// Where many words are alike at the edge, those of the tail are none of them: any of the alike may be out, but not for the tail.
    #[test]
    fn level_words_do_not_let_the_tail_in() {
        for (level, temperature, top_p) in
            [(4, 700, 900), (10, 700, 900), (10, 1_000, 950), (30, 1_000, 950)]
        {
            let scale = temperature as f32 / 1_000.0;
            // The nucleus ends just inside of the last of them.
            let head = top_p as f32 / 1_000.0 + 0.001;
            let tail = 2_000;
            let parts = std::iter::repeat_n(head / level as f32, level)
                .chain(std::iter::repeat_n((1.0 - head) / tail as f32, tail));
            let logits: Vec<f32> = parts.map(|part: f32| part.ln() * scale).collect();
            let sampler = sampler(temperature, top_p);
            for position in 0..20 {
                let claimed = u32::try_from(level).unwrap() + position as u32 * 90;
                let margin = sampler.margin(&logits, position, claimed).unwrap();
                assert!(margin > 2.0, "{margin} with {level} at {temperature} {top_p}");
            }
        }
    }

    proptest! {
        /// What wins when every logit moves by at most e is at most 2e far: any distribution, peaked or flat, any sampling.
        #[test]
        fn who_is_near_is_told_to_be_near(
            logits in proptest::collection::vec((0f32..1.0, -1f32..1.0), 2..80),
            spread in 0.01f32..12.0,
            noise in 0.001f32..0.5,
            temperature in 20u32..3_000,
            top_p in 1u32..=1_000,
        ) {
            let sampler = sampler(temperature, top_p);
            let exact: Vec<f32> = logits.iter().map(|(logit, _)| logit * spread).collect();
            let moved: Vec<f32> =
                logits.iter().map(|(logit, shift)| logit * spread + noise * shift).collect();
            for position in 0..40 {
                let claimed = sampler.choose(&moved, position).unwrap();
                let margin = sampler.margin(&exact, position, claimed).unwrap();
                prop_assert!(margin <= 2.0 * f64::from(noise) + 1e-5, "{} of {}", margin, noise);
            }
        }

        #[test]
        fn the_fast_way_is_the_rule(
            logits in proptest::collection::vec(-30f32..30.0, 1..200),
            temperature in 1u32..3000,
            top_p in 1u32..=1000,
            position in any::<u64>(),
        ) {
            let sampler = sampler(temperature, top_p);
            prop_assert_eq!(sampler.choose(&logits, position).unwrap(), by_the_book(&sampler, &logits, position));
        }
    }
}
