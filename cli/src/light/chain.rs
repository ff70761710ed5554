//! Headers that need no trust in the node that tells them: skipping verification, as the light
//! client of CometBFT does it, from a block that is trusted.

use std::future::Future;
use std::time::Duration;

use gpu_node::client::Client;
use tendermint::block::{CommitSig, Header, signed_header::SignedHeader};
use tendermint::validator::{Info, Set};
use tendermint::{Hash, Time};
use tendermint_light_client_verifier::errors::VerificationErrorDetail as Detail;
use tendermint_light_client_verifier::operations::{
    ProdVotingPowerCalculator, VotingPowerCalculator,
};
use tendermint_light_client_verifier::options::Options;
use tendermint_light_client_verifier::types::{
    TrustThreshold, TrustedBlockState, UntrustedBlockState,
};
use tendermint_light_client_verifier::{ProdVerifier, Verdict, Verifier};
use tendermint_rpc::error::{Error as RpcError, ErrorDetail};
use tendermint_rpc::{Client as _, Paging};

use crate::error::{Failure, Result};

/// How long a set of validators is trusted after its block, seconds: two thirds of the 21 days in
/// which stake can still be taken for a false signature.
pub const TRUSTING_PERIOD_S: u64 = 14 * 86_400;
/// How far a header's time may lie ahead of this machine's clock, seconds.
pub const CLOCK_DRIFT_S: u64 = 60;
/// Blocks that one verification looks at, at most.
pub const STEPS_MAX: usize = 512;
/// Validators of one block, at most.
const VALIDATORS_MAX: usize = 10_000;

/// A header, who signed it, and who signs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightBlock {
    /// Header and signatures.
    pub signed: SignedHeader,
    /// Its validators.
    pub validators: Set,
    /// Those of the next block.
    pub next: Set,
}

impl LightBlock {
    /// Its header.
    pub fn header(&self) -> &Header {
        &self.signed.header
    }

    /// Its height.
    pub fn height(&self) -> u64 {
        self.header().height.value()
    }

    fn untrusted(&self) -> UntrustedBlockState<'_> {
        UntrustedBlockState {
            signed_header: &self.signed,
            validators: &self.validators,
            next_validators: Some(&self.next),
        }
    }

    fn trusted(&self) -> TrustedBlockState<'_> {
        TrustedBlockState {
            chain_id: &self.header().chain_id,
            header_time: self.header().time,
            height: self.header().height,
            next_validators: &self.next,
            next_validators_hash: self.header().next_validators_hash,
        }
    }
}

/// Who signed a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Validators that signed it.
    pub validators: usize,
    /// All its validators.
    pub of_validators: usize,
    /// Their power.
    pub power: u64,
    /// All power.
    pub of_power: u64,
}

/// Where blocks come from; nothing of it is trusted.
pub trait Source {
    /// The block at `height`.
    fn light_block(&self, height: u64) -> impl Future<Output = Result<LightBlock>>;

    /// The header at `height` alone.
    fn header(&self, height: u64) -> impl Future<Output = Result<Header>>;
}

impl Source for Client {
    async fn light_block(&self, height: u64) -> Result<LightBlock> {
        let signed = signed(self, height).await?;
        let validators = validators_of(self, height).await?;
        let next = validators_of(self, height.saturating_add(1)).await?;
        Ok(LightBlock { signed, validators, next })
    }

    async fn header(&self, height: u64) -> Result<Header> {
        Ok(signed(self, height).await?.header)
    }
}

async fn signed(client: &Client, height: u64) -> Result<SignedHeader> {
    let at = rpc_height(height)?;
    let answer = client.rpc().commit(at).await.map_err(|error| failed(client, &error))?;
    let header = &answer.signed_header.header;
    if header.height != at {
        return Err(Failure::unproven(format!(
            "the node was asked for block {height} and gave block {}",
            header.height
        )));
    }
    if header.chain_id.as_str() != client.chain_id() {
        return Err(Failure::unproven(format!(
            "the header of block {height} is of the chain {}, not {}",
            header.chain_id,
            client.chain_id()
        )));
    }
    Ok(answer.signed_header)
}

async fn validators_of(client: &Client, height: u64) -> Result<Set> {
    let answer = client.rpc().validators(rpc_height(height)?, Paging::All).await;
    set(answer.map_err(|error| failed(client, &error))?.validators)
}

/// A set as its keys and powers make it: the addresses that a node tells stand under no hash.
pub fn set(told: Vec<Info>) -> Result<Set> {
    let power = told.iter().map(|one| one.power.value()).fold(0u64, u64::saturating_add);
    if told.len() > VALIDATORS_MAX || power > Set::MAX_TOTAL_VOTING_POWER {
        return Err(Failure::unproven("the node tells a set of validators that cannot be"));
    }
    let validators = told.into_iter().map(|one| Info::new(one.pub_key, one.power)).collect();
    Ok(Set::without_proposer(validators))
}

fn rpc_height(height: u64) -> Result<tendermint::block::Height> {
    height.try_into().map_err(|_| Failure::usage(format!("{height} is no height")))
}

/// An answer that cannot be read as what was asked for is no header; everything else is the
/// network's failure.
fn failed(client: &Client, error: &RpcError) -> Failure {
    match error.detail() {
        ErrorDetail::Serde(_) | ErrorDetail::Parse(_) | ErrorDetail::Tendermint(_) => {
            Failure::unproven(format!("the node's answer is no header: {}", error.detail()))
        }
        _ => Failure::from(client.failure(error)),
    }
}

fn options() -> Options {
    Options {
        trust_threshold: TrustThreshold::ONE_THIRD,
        trusting_period: Duration::from_secs(TRUSTING_PERIOD_S),
        clock_drift: Duration::from_secs(CLOCK_DRIFT_S),
    }
}

/// A block in itself: its sets belong to its header, and more than two thirds of its validators'
/// power signed it. Says nothing of whether these are the chain's validators.
pub fn check_alone(block: &LightBlock) -> Result<()> {
    let verifier = ProdVerifier::default();
    for verdict in [
        verifier.verify_validator_sets(&block.untrusted()),
        verifier.verify_commit(&block.untrusted()),
    ] {
        decide(block, verdict)?;
    }
    Ok(())
}

fn decide(block: &LightBlock, verdict: Verdict) -> Result<()> {
    match verdict {
        Verdict::Success => Ok(()),
        Verdict::NotEnoughTrust(tally) => Err(refused(
            block,
            &format!("validators with {} of {} power signed", tally.tallied, tally.total),
        )),
        Verdict::Invalid(detail) => Err(explain(block, &detail)),
    }
}

fn refused(block: &LightBlock, why: &str) -> Failure {
    Failure::unproven(format!("the header of block {} does not hold: {why}", block.height()))
        .hint("the node may be lying; ask another one by --node")
}

fn explain(block: &LightBlock, detail: &Detail) -> Failure {
    let why = match detail {
        Detail::InvalidSignature(_) => "a signature is not its validator's".to_owned(),
        Detail::InvalidValidatorSet(_) => {
            "its validators are not those whose hash it holds".to_owned()
        }
        Detail::InvalidNextValidatorSet(_) => {
            "the next validators are not those whose hash is held".to_owned()
        }
        Detail::InvalidCommitValue(_) => "the signatures are of another header".to_owned(),
        Detail::InsufficientSignersOverlap(detail) => format!(
            "validators with {} of {} power signed, more than two thirds must",
            detail.tally.tallied, detail.tally.total
        ),
        Detail::HeaderFromTheFuture(detail) => {
            format!("its time {} is ahead of this machine's clock", detail.header_time)
        }
        Detail::NotWithinTrustPeriod(_) => return expired(),
        other => other.to_string(),
    };
    refused(block, &why)
}

/// What was trusted is too old to follow from.
pub fn expired() -> Failure {
    Failure::unproven(format!(
        "the block that is trusted is older than {} days: its validators may have left with their stake",
        TRUSTING_PERIOD_S / 86_400
    ))
    .hint("ask people whom you trust for a recent block and its hash:  xpl light init --height H --hash HASH")
}

/// Whether something that was trusted at `time` can still be followed from.
pub fn fresh(time: Time, now: Time) -> bool {
    let end = time.checked_add(Duration::from_secs(TRUSTING_PERIOD_S));
    end.is_some_and(|end| end.after(now))
}

/// Verifies `target` from `trusted`, which must be lower, by as few blocks between them as the
/// change of validators allows. Gives how many blocks were looked at.
pub async fn forward(
    source: &impl Source,
    trusted: &LightBlock,
    target: &LightBlock,
    now: Time,
) -> Result<usize> {
    let verifier = ProdVerifier::default();
    let mut from = trusted.clone();
    let mut wanted = vec![target.clone()];
    for step in 1..=STEPS_MAX {
        let Some(block) = wanted.last() else { return Ok(step) };
        let verdict =
            verifier.verify_update_header(block.untrusted(), from.trusted(), &options(), now);
        match verdict {
            Verdict::Success => {
                let Some(block) = wanted.pop() else { return Ok(step) };
                from = block;
                if wanted.is_empty() {
                    return Ok(step);
                }
            }
            Verdict::NotEnoughTrust(_) if block.height() > from.height().saturating_add(1) => {
                let middle = from.height().midpoint(block.height());
                wanted.push(source.light_block(middle).await?);
            }
            other => decide(block, other)?,
        }
    }
    Err(Failure::unproven(format!(
        "block {} could not be verified from block {} within {STEPS_MAX} steps",
        target.height(),
        trusted.height()
    )))
}

/// Verifies `target` from `trusted`, which must be higher: each header holds the hash of the one
/// before it.
pub async fn backward(
    source: &impl Source,
    trusted: &LightBlock,
    target: &LightBlock,
) -> Result<usize> {
    let distance = trusted.height().saturating_sub(target.height());
    if distance > STEPS_MAX as u64 {
        return Err(Failure::unproven(format!(
            "block {} lies {distance} blocks before the newest verified one; at most {STEPS_MAX} are followed back",
            target.height()
        ))
        .hint("the node may be far behind; or give an older root by --trust-height and --trust-hash"));
    }
    let mut above = trusted.header().clone();
    for height in (target.height()..trusted.height()).rev() {
        let header = if height == target.height() {
            target.header().clone()
        } else {
            source.header(height).await?
        };
        let held = above.last_block_id.map(|id| id.hash);
        if held != Some(header.hash()) {
            return Err(refused(
                target,
                &format!("block {} was built on another block {height}", above.height),
            ));
        }
        above = header;
    }
    check_alone(target)?;
    Ok(usize::try_from(distance).unwrap_or(STEPS_MAX))
}

/// Whose signatures stand below a block; each is checked.
pub fn signers(block: &LightBlock) -> Result<Signed> {
    let all = TrustThreshold::new(1, 1).map_err(|error| Failure::unproven(error.to_string()))?;
    let tally = ProdVotingPowerCalculator::default()
        .voting_power_in(&block.signed, &block.validators, all)
        .map_err(|error| explain(block, error.detail()))?;
    let commits = block.signed.commit.signatures.iter();
    let signed = commits.filter(|one| matches!(one, CommitSig::BlockIdFlagCommit { .. })).count();
    Ok(Signed {
        validators: signed,
        of_validators: block.validators.validators().len(),
        power: tally.tallied,
        of_power: tally.total,
    })
}

/// A block's hash as people write it.
pub fn hash_text(hash: Hash) -> String {
    hash.to_string()
}
