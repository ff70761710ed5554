//! Messages that exist only when well formed, whatever the state.

use alloc::{boxed::Box, vec::Vec};

use plasma_proto::plasma::attestation::v1::{
    MsgChallenge, MsgDefend, MsgDescend, MsgProve, MsgSetReferee, MsgShowToken, Opening,
    RefereeShape,
};

use prost::Message;

use super::{
    Error,
    node::{PROMPT_TOKENS_MAX, WAY_MAX, shape_of},
};
use crate::{
    Address, Amount, Sdk,
    attestation::{
        PATH_MAX,
        referee::{self, CHILDREN_MAX},
    },
    market::gas::{self, SIGNATURE_GAS},
    types::{Hash, hash32},
};

/// Most tokens that end an output.
pub const EOS_TOKENS_MAX: usize = 16;

/// How a model is recomputed.
const REFEREE_GAS: u64 = 100_000;
/// A game over its phases to its end, without the moves of its players: its record is written anew with
/// each, and a slash may touch each of a provider's withdrawals.
const GAME_GAS: u64 = 800_000;
/// A move without its bytes.
const MOVE_GAS: u64 = 120_000;
/// A child of a node: hashed, kept, compared.
const CHILD_GAS: u64 = 1_000;
/// A tile, computed from as many numbers as there may be, and the end of the game.
const TILE_GAS: u64 = 500_000;
/// The token of a tile, and the end of the game.
const TOKEN_GAS: u64 = 250_000;
/// Most openings that a tile reads of one kind: attention reads four.
const OPENINGS_MAX: usize = 4;
/// Most neighbours of an opening: two at each level of its operator's tree, one at each of two more.
const OPENING_PATH_MAX: usize = 4 * PATH_MAX;

fn bad(field: &'static str, why: &'static str) -> Error {
    Error::BadField { field, why }
}

fn hash(field: &'static str, bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or(bad(field, "must be 32 bytes"))
}

/// The provider's, or none: then the sender is the challenger.
fn maybe_signature(bytes: &[u8]) -> Result<(), Error> {
    let fits = bytes.is_empty() || bytes.len() == 64;
    if fits { Ok(()) } else { Err(bad("signature", "must be 64 bytes, or empty")) }
}

/// A model's publisher says how it is recomputed.
#[derive(Clone, Debug)]
pub struct SetReferee {
    pub(super) publisher: Address,
    pub(super) model_id: Hash,
    pub(super) shape: RefereeShape,
    pub(super) weights_root: Hash,
    pub(super) eos_tokens: Vec<u32>,
}

impl SetReferee {
    /// Checks everything that needs no state: that the chain can recompute every tile of such a model.
    pub fn new(msg: MsgSetReferee) -> Result<Self, Error> {
        let MsgSetReferee { publisher, model_id, shape, weights_root, eos_tokens } = msg;
        let shape = shape.ok_or(bad("shape", "is missing"))?;
        shape_of(&shape).check()?;
        let ordered = eos_tokens.is_sorted_by(|one, next| one < next);
        if eos_tokens.is_empty() || eos_tokens.len() > EOS_TOKENS_MAX || !ordered {
            return Err(bad("eos_tokens", "must be 1 to 16, ascending"));
        }
        if eos_tokens.iter().any(|token| *token >= shape.vocab) {
            return Err(bad("eos_tokens", "must be tokens of the vocabulary"));
        }
        Ok(Self {
            publisher: Address::parse(&publisher)?,
            model_id: hash("model_id", &model_id)?,
            shape,
            weights_root: hash("weights_root", &weights_root)?,
            eos_tokens,
        })
    }

    /// The publisher.
    pub fn signer(&self) -> Address {
        self.publisher
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        REFEREE_GAS
    }
}

/// Somebody challenges a claim.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub(super) challenger: Address,
    pub(super) job_id: u64,
    pub(super) trace_root: Hash,
    pub(super) bond: Amount,
}

impl Challenge {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgChallenge) -> Result<Self, Error> {
        let MsgChallenge { challenger, job_id, trace_root, bond_uxpl } = msg;
        let refused = || Sdk::InvalidCoins("bond_uxpl must be decimal digits".into());
        Ok(Self {
            challenger: Address::parse(&challenger)?,
            job_id,
            trace_root: hash("trace_root", &trace_root)?,
            bond: Amount::parse(&bond_uxpl).ok_or_else(refused)?,
        })
    }

    /// The challenger.
    pub fn signer(&self) -> Address {
        self.challenger
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        GAME_GAS
    }
}

/// The provider gives the root of its trace.
#[derive(Clone, Debug)]
pub struct Defend {
    pub(super) carrier: Address,
    /// As it was signed.
    pub(super) msg: MsgDefend,
    pub(super) trace_root: Hash,
}

impl Defend {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgDefend) -> Result<Self, Error> {
        let MsgDefend { carrier, job_id: _, trace_root, signature } = &msg;
        let carrier = Address::parse(carrier)?;
        let trace_root = hash("trace_root", trace_root)?;
        if signature.len() != 64 {
            return Err(bad("signature", "must be 64 bytes"));
        }
        Ok(Self { carrier, trace_root, msg })
    }

    /// The carrier: any account.
    pub fn signer(&self) -> Address {
        self.carrier
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        MOVE_GAS.saturating_add(SIGNATURE_GAS)
    }
}

/// A player gives the children of its node.
#[derive(Clone, Debug)]
pub struct Descend {
    pub(super) sender: Address,
    /// As it was signed.
    pub(super) msg: Box<MsgDescend>,
    pub(super) children: Vec<Hash>,
}

impl Descend {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgDescend) -> Result<Self, Error> {
        let MsgDescend { sender, job_id: _, path, children, signature } = &msg;
        let sender = Address::parse(sender)?;
        maybe_signature(signature)?;
        if path.len() > WAY_MAX {
            return Err(bad("path", "is longer than any"));
        }
        if children.is_empty() || children.len() > CHILDREN_MAX {
            return Err(bad("children", "must be 1 to 64"));
        }
        let children =
            children.iter().map(|child| hash("children", child)).collect::<Result<_, _>>()?;
        Ok(Self { sender, children, msg: Box::new(msg) })
    }

    /// The challenger, or whoever carries the provider's.
    pub fn signer(&self) -> Address {
        self.sender
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        let children = u64::try_from(self.children.len()).unwrap_or(u64::MAX);
        let bytes = gas::stored(self.children.len().saturating_mul(32));
        MOVE_GAS
            .saturating_add(SIGNATURE_GAS)
            .saturating_add(CHILD_GAS.saturating_mul(children))
            .saturating_add(bytes)
    }
}

fn opening(field: &'static str, opening: &Opening) -> Result<referee::Opening, Error> {
    let Opening { values, path } = opening;
    if path.len() > OPENING_PATH_MAX {
        return Err(bad(field, "must have at most 128 neighbours each"));
    }
    let path = path.iter().map(|step| hash(field, step)).collect::<Result<_, _>>()?;
    Ok(referee::Opening { values: values.clone(), path })
}

fn openings(field: &'static str, all: &[Opening]) -> Result<Vec<referee::Opening>, Error> {
    if all.len() > OPENINGS_MAX {
        return Err(bad(field, "must be at most 4"));
    }
    all.iter().map(|one| opening(field, one)).collect()
}

/// A player shows what a tile is made from.
#[derive(Clone, Debug)]
pub struct Prove {
    pub(super) sender: Address,
    /// As it was signed.
    pub(super) msg: Box<MsgProve>,
    pub(super) inputs: Vec<referee::Opening>,
    pub(super) rows: Vec<referee::Opening>,
}

impl Prove {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgProve) -> Result<Self, Error> {
        let MsgProve { sender, job_id: _, path, inputs, rows, prompt_tokens, signature } = &msg;
        let sender = Address::parse(sender)?;
        maybe_signature(signature)?;
        if path.len() > WAY_MAX {
            return Err(bad("path", "is longer than any"));
        }
        if u32::try_from(prompt_tokens.len()).map_or(true, |len| len > PROMPT_TOKENS_MAX) {
            return Err(bad("prompt_tokens", "must be at most 8192"));
        }
        let (inputs, rows) = (openings("inputs", inputs)?, openings("rows", rows)?);
        Ok(Self { sender, inputs, rows, msg: Box::new(msg) })
    }

    /// The challenger, or whoever carries the provider's.
    pub fn signer(&self) -> Address {
        self.sender
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        TILE_GAS.saturating_add(SIGNATURE_GAS).saturating_add(gas::stored(self.msg.encoded_len()))
    }
}

/// The challenger shows a token of the provider's trace.
#[derive(Clone, Debug)]
pub struct ShowToken {
    pub(super) challenger: Address,
    pub(super) job_id: u64,
    pub(super) index: u32,
    pub(super) choice: referee::Opening,
}

impl ShowToken {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgShowToken) -> Result<Self, Error> {
        let MsgShowToken { challenger, job_id, index, choice } = msg;
        let choice = choice.ok_or(bad("choice", "is missing"))?;
        let choice = opening("choice", &choice)?;
        Ok(Self { challenger: Address::parse(&challenger)?, job_id, index, choice })
    }

    /// The challenger.
    pub fn signer(&self) -> Address {
        self.challenger
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        TOKEN_GAS
    }
}
