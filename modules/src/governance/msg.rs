use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use plasma_proto::cosmos::{
    authz::v1beta1::{MsgExec, MsgGrant},
    base::v1beta1::Coin,
    feegrant::v1beta1::MsgGrantAllowance,
    gov::{v1, v1beta1},
};
use prost::{Message, Name};
use prost_types::Any;

use super::{Error, state::authority};
use crate::{Address, Amount, Dec, Denom, Sdk, msg::Msg, staking::ballot::Options, token::Coins};

/// Longest title and metadata, bytes.
pub(super) const METADATA_BYTES_MAX: usize = 255;
/// Longest summary, bytes.
pub(super) const SUMMARY_BYTES_MAX: usize = 40 * METADATA_BYTES_MAX;
/// Most messages of a proposal.
pub const PROPOSAL_MESSAGES_MAX: usize = 16;
/// Most bytes of a proposal's messages: they are written anew at every deposit.
pub const PROPOSAL_BYTES_MAX: usize = 32 * 1_024;
/// Most gas of a proposal's messages: they run together, at the end of a block.
pub const PROPOSAL_GAS_MAX: u64 = 20_000_000;

const SUBMIT_GAS: u64 = 250_000;
const BYTE_GAS: u64 = 10;
const DEPOSIT_GAS: u64 = 150_000;
const VOTE_GAS: u64 = 250_000;
const CANCEL_GAS: u64 = 2_000_000;

/// Asks the stakers to carry out messages, or only for their opinion.
#[derive(Clone, Debug)]
pub struct SubmitProposal {
    pub(super) proposer: Address,
    pub(super) messages: Vec<Any>,
    /// Gas of the messages.
    pub(super) gas_inside: u64,
    pub(super) deposit: Amount,
    pub(super) metadata: String,
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) expedited: bool,
}

impl SubmitProposal {
    /// Checks everything that needs no state, of the messages as well.
    pub fn new(msg: v1::MsgSubmitProposal) -> Result<Self, Error> {
        let v1::MsgSubmitProposal {
            messages,
            initial_deposit,
            proposer,
            metadata,
            title,
            summary,
            expedited,
        } = msg;
        let proposer = Address::parse(&proposer)?;
        check_texts(&title, &summary, &metadata)?;
        if messages.is_empty() && metadata.is_empty() {
            return Err(Error::NoMessages);
        }
        let gas_inside = check_messages(&messages)?;
        let deposit =
            if initial_deposit.is_empty() { Amount::ZERO } else { deposit(&initial_deposit)? };
        Ok(Self { proposer, messages, gas_inside, deposit, metadata, title, summary, expedited })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.proposer
    }

    /// What it costs: its own, and that of every message inside.
    pub fn gas(&self) -> u64 {
        let messages = self.messages.iter().map(|any| any.value.len());
        let texts = [self.metadata.len(), self.title.len(), self.summary.len()];
        let bytes = messages.chain(texts).fold(0, usize::saturating_add);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        SUBMIT_GAS.saturating_add(BYTE_GAS.saturating_mul(bytes)).saturating_add(self.gas_inside)
    }

    /// How many messages it is, with those inside.
    pub fn count(&self) -> usize {
        self.messages.len().saturating_add(1)
    }
}

/// Texts of a proposal that are there and not too long.
fn check_texts(title: &str, summary: &str, metadata: &str) -> Result<(), Error> {
    for (what, text) in [("title", title), ("summary", summary)] {
        if text.is_empty() {
            return Err(Sdk::InvalidRequest(format!("proposal {what} cannot be empty")).into());
        }
    }
    check_metadata(title)?;
    check_metadata(metadata)?;
    let (len, max) = (summary.len(), SUMMARY_BYTES_MAX);
    if len > max { Err(Error::SummaryTooLong { len, max }) } else { Ok(()) }
}

fn check_metadata(text: &str) -> Result<(), Error> {
    let (len, max) = (text.len(), METADATA_BYTES_MAX);
    if len > max { Err(Error::MetadataTooLong { len, max }) } else { Ok(()) }
}

/// What no proposal may hold: messages that hold messages, those of depositors and voters, and those
/// that let another act or pay as the gov account, with which the deposits lie.
fn is_barred(url: &str) -> bool {
    [
        MsgExec::type_url(),
        MsgGrant::type_url(),
        MsgGrantAllowance::type_url(),
        v1::MsgSubmitProposal::type_url(),
        v1::MsgDeposit::type_url(),
        v1::MsgVote::type_url(),
        v1::MsgVoteWeighted::type_url(),
        v1::MsgCancelProposal::type_url(),
        v1beta1::MsgSubmitProposal::type_url(),
        v1beta1::MsgDeposit::type_url(),
        v1beta1::MsgVote::type_url(),
        v1beta1::MsgVoteWeighted::type_url(),
    ]
    .iter()
    .any(|barred| barred == url)
}

/// Every message is well formed and governance's alone to sign; `Ok` is their gas.
pub(super) fn check_messages(messages: &[Any]) -> Result<u64, Error> {
    let too_large = |what: String| Error::TooLarge(what);
    if messages.len() > PROPOSAL_MESSAGES_MAX {
        return Err(too_large(format!(
            "{} messages, at most {PROPOSAL_MESSAGES_MAX}",
            messages.len()
        )));
    }
    let bytes = messages.iter().map(Any::encoded_len).fold(0, usize::saturating_add);
    if bytes > PROPOSAL_BYTES_MAX {
        return Err(too_large(format!("{bytes} bytes of messages, at most {PROPOSAL_BYTES_MAX}")));
    }
    let mut gas = 0u64;
    for any in messages {
        // Before it is read: what is read holds no proposal, so reading does not go deeper.
        if is_barred(&any.type_url) {
            return Err(Error::Unroutable(any.type_url.clone()));
        }
        let msg = Msg::from_any(any).map_err(|refusal| Error::InvalidMessage(refusal.log))?;
        if msg.signer() != authority() {
            return Err(Error::InvalidSigner(msg.signer()));
        }
        gas = gas.saturating_add(msg.gas());
    }
    if gas > PROPOSAL_GAS_MAX {
        return Err(too_large(format!("{gas} gas of messages, at most {PROPOSAL_GAS_MAX}")));
    }
    Ok(gas)
}

/// A deposit's uxpl.
fn deposit(coins: &[Coin]) -> Result<Amount, Error> {
    let coins = Coins::new(coins).map_err(|error| Sdk::InvalidCoins(error.to_string()))?;
    match coins.of(&Denom::uxpl()) {
        Some(amount) if coins.iter().count() == 1 => Ok(amount),
        _ => Err(Error::DepositDenom(coins.to_string())),
    }
}

/// Adds to a proposal's deposit.
#[derive(Clone, Debug)]
pub struct Deposit {
    pub(super) proposal_id: u64,
    pub(super) depositor: Address,
    pub(super) amount: Amount,
}

impl Deposit {
    /// Checks everything that needs no state.
    pub fn new(msg: v1::MsgDeposit) -> Result<Self, Error> {
        let v1::MsgDeposit { proposal_id, depositor, amount } = msg;
        let (depositor, amount) = (Address::parse(&depositor)?, deposit(&amount)?);
        Ok(Self { proposal_id, depositor, amount })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.depositor
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        DEPOSIT_GAS
    }
}

/// A vote for one option.
#[derive(Clone, Debug)]
pub struct Vote {
    pub(super) proposal_id: u64,
    pub(super) voter: Address,
    pub(super) options: Options,
    pub(super) metadata: String,
}

impl Vote {
    /// Checks everything that needs no state.
    pub fn new(msg: v1::MsgVote) -> Result<Self, Error> {
        let v1::MsgVote { proposal_id, voter, option, metadata } = msg;
        Self::of(proposal_id, &voter, &[(option, Dec::ONE)], metadata)
    }

    fn of(
        proposal_id: u64,
        voter: &str,
        parts: &[(i32, Dec)],
        metadata: String,
    ) -> Result<Self, Error> {
        let voter = Address::parse(voter)?;
        check_metadata(&metadata)?;
        let options = Options::new(parts).map_err(Error::InvalidVote)?;
        Ok(Self { proposal_id, voter, options, metadata })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.voter
    }

    /// What it costs: every delegation of the voter is counted, so the most there can be.
    pub fn gas(&self) -> u64 {
        VOTE_GAS
    }
}

/// A vote for several options, each with a weight.
#[derive(Clone, Debug)]
pub struct WeightedVote(pub(super) Vote);

impl WeightedVote {
    /// Checks everything that needs no state.
    pub fn new(msg: v1::MsgVoteWeighted) -> Result<Self, Error> {
        let v1::MsgVoteWeighted { proposal_id, voter, options, metadata } = msg;
        let parts = options.iter().map(|part| (part.option, Dec::parse_point(&part.weight)));
        Self::of(proposal_id, &voter, parts, metadata)
    }

    fn of(
        proposal_id: u64,
        voter: &str,
        parts: impl Iterator<Item = (i32, Option<Dec>)>,
        metadata: String,
    ) -> Result<Self, Error> {
        let parts: Option<Vec<_>> = parts.map(|(option, weight)| Some((option, weight?))).collect();
        let parts = parts.ok_or(Error::InvalidVote("invalid weight"))?;
        if parts.is_empty() {
            return Err(Sdk::InvalidRequest("a vote without options".into()).into());
        }
        Vote::of(proposal_id, voter, &parts, metadata).map(Self)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.signer()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        self.0.gas()
    }
}

/// Takes one's proposal back.
#[derive(Clone, Debug)]
pub struct CancelProposal {
    pub(super) proposal_id: u64,
    pub(super) proposer: Address,
}

impl CancelProposal {
    /// Checks everything that needs no state.
    pub fn new(msg: v1::MsgCancelProposal) -> Result<Self, Error> {
        let v1::MsgCancelProposal { proposal_id, proposer } = msg;
        Ok(Self { proposal_id, proposer: Address::parse(&proposer)? })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.proposer
    }

    /// What it costs: every depositor is paid, so the most there can be.
    pub fn gas(&self) -> u64 {
        CANCEL_GAS
    }
}

/// Longest title of a text proposal, bytes.
const TEXT_TITLE_BYTES_MAX: usize = 140;
/// Longest description of a text proposal, bytes.
const TEXT_DESCRIPTION_BYTES_MAX: usize = 10_000;

/// Asks the stakers for their opinion, as clients of v1beta1 do.
#[derive(Clone, Debug)]
pub struct LegacyProposal(pub(super) SubmitProposal);

impl LegacyProposal {
    /// Checks everything that needs no state. The content must be a `TextProposal`.
    pub fn new(msg: v1beta1::MsgSubmitProposal) -> Result<Self, Error> {
        let v1beta1::MsgSubmitProposal { content, initial_deposit, proposer } = msg;
        let content = content.ok_or_else(|| Error::InvalidContent("missing content".into()))?;
        if content.type_url != v1beta1::TextProposal::type_url() {
            return Err(Error::InvalidType(content.type_url));
        }
        let text: v1beta1::TextProposal =
            crate::tx::canonical(&content.value, v1beta1::TextProposal::NAME)?;
        let v1beta1::TextProposal { title, description } = text;
        let texts = [
            ("title", &title, TEXT_TITLE_BYTES_MAX),
            ("description", &description, TEXT_DESCRIPTION_BYTES_MAX),
        ];
        for (what, text, max) in texts {
            if text.trim().is_empty() {
                let text = format!("proposal {what} cannot be blank");
                return Err(Error::InvalidContent(text));
            }
            if text.len() > max {
                let text = format!("proposal {what} is longer than max length of {max}");
                return Err(Error::InvalidContent(text));
            }
        }
        let deposit =
            if initial_deposit.is_empty() { Amount::ZERO } else { deposit(&initial_deposit)? };
        Ok(Self(SubmitProposal {
            proposer: Address::parse(&proposer)?,
            messages: Vec::new(),
            gas_inside: 0,
            deposit,
            metadata: String::new(),
            title,
            summary: description,
            expedited: false,
        }))
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.signer()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        self.0.gas()
    }
}

/// Adds to a proposal's deposit, as clients of v1beta1 do.
#[derive(Clone, Debug)]
pub struct LegacyDeposit(pub(super) Deposit);

impl LegacyDeposit {
    /// Checks everything that needs no state.
    pub fn new(msg: v1beta1::MsgDeposit) -> Result<Self, Error> {
        let v1beta1::MsgDeposit { proposal_id, depositor, amount } = msg;
        Deposit::new(v1::MsgDeposit { proposal_id, depositor, amount }).map(Self)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.signer()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        self.0.gas()
    }
}

/// A vote for one option, as clients of v1beta1 cast it.
#[derive(Clone, Debug)]
pub struct LegacyVote(pub(super) Vote);

impl LegacyVote {
    /// Checks everything that needs no state.
    pub fn new(msg: v1beta1::MsgVote) -> Result<Self, Error> {
        let v1beta1::MsgVote { proposal_id, voter, option } = msg;
        Vote::of(proposal_id, &voter, &[(option, Dec::ONE)], String::new()).map(Self)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.signer()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        self.0.gas()
    }
}

/// A vote for several options, as clients of v1beta1 cast it: weights are integers scaled by 10^18.
#[derive(Clone, Debug)]
pub struct LegacyWeightedVote(pub(super) Vote);

impl LegacyWeightedVote {
    /// Checks everything that needs no state.
    pub fn new(msg: v1beta1::MsgVoteWeighted) -> Result<Self, Error> {
        let v1beta1::MsgVoteWeighted { proposal_id, voter, options } = msg;
        let parts = options.iter().map(|part| (part.option, Dec::parse(&part.weight)));
        let WeightedVote(vote) = WeightedVote::of(proposal_id, &voter, parts, String::new())?;
        Ok(Self(vote))
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.signer()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        self.0.gas()
    }
}
