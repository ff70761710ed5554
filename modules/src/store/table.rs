//! The map of the house: every table of chain state, on one page.

/// A table's first key byte. Two tables with one byte do not compile; a retired byte stays here
/// as a comment and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// `Item<Vec<u8>>`: 32 bytes, the block's randomness.
    Beacon = 0x01,
    /// `Item<chain.LastBlock>`
    LastBlock = 0x02,

    /// `Map<Address, BaseAccount>`
    AuthAccounts = 0x10,
    /// `Item<u64>`
    AuthNextNumber = 0x11,
    /// `Map<(Timeout, Address), genesis.UsedTimeout>`: of unordered transactions, until they pass.
    AuthTimeouts = 0x12,
    /// `Map<Address, auth.Vesting>`
    AuthVestings = 0x14,
    /// Derived: (account number, address), of accounts.
    AuthByNumber = 0x15,

    /// `Item<token.Params>`
    TokenParams = 0x18,
    /// `Map<(Address, Denom), Coin>`
    TokenBalances = 0x19,
    /// `Map<Denom, Coin>`
    TokenSupply = 0x1a,
    /// `Item<token.FeeMarket>`
    TokenFeeMarket = 0x1b,
    /// `Item<token.Totals>`
    TokenTotals = 0x1d,
    /// Derived: (denom, address), of balances.
    TokenOwners = 0x1c,

    /// `Map<(grantee, granter), feegrant.Grant>`
    FeegrantAllowances = 0x20,
    /// Derived: (granter, grantee).
    FeegrantByGranter = 0x21,
    /// Derived: (expiration in seconds, grantee, granter).
    FeegrantExpiries = 0x22,

    /// `Map<Address, staking.Validator>`
    StakingValidators = 0x28,
    /// `Map<[u8; 20], Vec<u8>>`: consensus address to operator.
    StakingByConsensus = 0x29,
    /// `Item<staking.Pools>`
    StakingPools = 0x2a,

    /// `Item<cosmos.distribution.Params>`
    DistributionParams = 0x34,
    /// `Map<Address, staking.ValidatorRewards>`: by operator.
    DistributionValidators = 0x35,
    /// `Map<(delegator, operator), staking.RewardStart>`
    DistributionStarts = 0x36,
    /// `Map<Address, staking.WithdrawAddress>`: by delegator.
    DistributionWithdraw = 0x37,
    /// `Item<staking.Minter>`
    MintMinter = 0x38,
    /// `Item<cosmos.mint.Params>`
    MintParams = 0x39,

    /// `Item<market.Params>`
    MarketParams = 0x40,
    /// `Map<Address, market.Provider>`
    MarketProviders = 0x41,
    /// `Map<[u8; 32], Vec<u8>>`: receipt key to operator.
    MarketReceiptKeys = 0x42,
    /// `Map<(ModelId, Address), market.Offer>`
    MarketOffers = 0x43,
    /// Derived: (operator, model id).
    MarketOffersByOperator = 0x44,
    /// `Map<u64, market.Withdrawal>`
    MarketWithdrawals = 0x45,
    /// Derived: (operator, withdrawal id).
    MarketWithdrawalsByOperator = 0x46,
    /// `Item<u64>`
    MarketNextWithdrawal = 0x47,
    /// `Map<ModelId, market.Model>`
    MarketModels = 0x48,
    /// `Map<u64, market.Job>`
    MarketJobs = 0x49,
    /// Derived: (requester, job id).
    MarketJobsByRequester = 0x4a,
    /// Derived: (provider, state, job id).
    MarketJobsByProvider = 0x4b,
    /// Derived: (state, job id).
    MarketJobsByState = 0x4c,
    /// `Item<u64>`
    MarketNextJob = 0x4d,
    /// `Map<u64, market.Payload>`
    MarketPayloads = 0x4e,
    /// `Item<u64>`: the job id where matching goes on.
    MarketMatchCursor = 0x4f,
    /// `Map<(stage, when, kind, id, attempt or operator), market.Timer>`
    MarketTimers = 0x50,
    /// `Item<market.Totals>`
    MarketTotals = 0x51,
    /// `Map<ModelId, u64>`: jobs settled.
    MarketModelCounts = 0x52,

    /// `Map<u64, attestation.AcceptedReceipt>`
    AttestationReceipts = 0x70,

    /// `Map<(granter, grantee, type of message), authz.Grant>`
    AuthzGrants = 0x90,
    /// Derived: (grantee, granter, type of message).
    AuthzByGrantee = 0x91,
    /// Derived: (expiration in seconds, granter, grantee, type of message).
    AuthzExpiries = 0x92,
}

impl Table {
    /// The first byte of every key of this table.
    pub const fn id(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "reading a `repr(u8)` discriminant")]
        let id = self as u8;
        id
    }

    /// Whether keys that begin with `id` are indexes: rebuilt from the objects, not committed to.
    pub const fn is_derived(id: u8) -> bool {
        id == Self::AuthByNumber.id()
            || id == Self::TokenOwners.id()
            || id == Self::FeegrantByGranter.id()
            || id == Self::FeegrantExpiries.id()
            || id == Self::AuthzByGrantee.id()
            || id == Self::AuthzExpiries.id()
            || id == Self::MarketOffersByOperator.id()
            || id == Self::MarketWithdrawalsByOperator.id()
            || id == Self::MarketJobsByRequester.id()
            || id == Self::MarketJobsByProvider.id()
            || id == Self::MarketJobsByState.id()
    }
}
