use crate::governance::upgrade::Upgrade;

/// A block to execute.
#[derive(Clone, Copy, Debug)]
pub struct BlockInput<'a> {
    /// The chain.
    pub chain_id: &'a str,
    /// The block's height.
    pub height: u64,
    /// The header's time, whole seconds.
    pub time_s: u64,
    /// Consensus address of the proposer.
    pub proposer: [u8; 20],
    /// Transactions, in order.
    pub txs: &'a [&'a [u8]],
    /// Who voted for the block before, and who did not; none in the first block. Read by
    /// [`super::close_block`] alone.
    pub votes: &'a [Vote],
    /// Proven offences that nobody told before. Read by [`super::close_block`] alone.
    pub misbehavior: &'a [Misbehavior],
    /// The upgrades that this program knows: [`UPGRADES`](crate::governance::upgrade::UPGRADES).
    pub upgrades: &'a [Upgrade],
}

/// What a validator of the set did about the block before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Its consensus address.
    pub validator: [u8; 20],
    /// Its power in that block.
    pub power: u64,
    /// Whether it signed, be it for no block.
    pub signed: bool,
}

/// An offence of a validator, proven to CometBFT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misbehavior {
    /// What it did.
    pub offence: Offence,
    /// Its consensus address.
    pub validator: [u8; 20],
    /// Its power then.
    pub power: u64,
    /// Height of the offence.
    pub height: u64,
    /// Time of that block, unix seconds.
    pub time_s: u64,
    /// Power of the whole set then.
    pub total_power: u64,
}

/// What a validator can be guilty of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Two votes in one round.
    DuplicateVote,
    /// A false header that it signed for light clients.
    LightClientAttack,
}
