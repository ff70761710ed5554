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
    /// `Item<tendermint.ConsensusParams>`
    Consensus = 0x03,

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

    /// `Map<Address, cosmos.staking.Validator>`
    StakingValidators = 0x28,
    /// `Map<[u8; 20], Vec<u8>>`: consensus address to the operator that it belongs to, for good.
    StakingByConsensus = 0x29,
    /// `Item<staking.Pools>`
    StakingPools = 0x2a,
    /// `Item<cosmos.staking.Params>`
    StakingParams = 0x2b,
    /// `Item<cosmos.slashing.Params>`
    StakingSlashingParams = 0x2c,
    /// `Map<(delegator, operator), cosmos.staking.Delegation>`
    StakingDelegations = 0x2d,
    /// `Map<(delegator, operator), cosmos.staking.UnbondingDelegation>`
    StakingUnbondings = 0x2e,
    /// `Map<(delegator, destination, source), staking.Redelegation>`
    StakingRedelegations = 0x2f,
    /// `Map<[u8; 20], cosmos.slashing.ValidatorSigningInfo>`: by consensus address.
    StakingSigningInfos = 0x30,
    /// `Map<([u8; 20], u32), Vec<u8>>`: blocks missed, by consensus address and part of the window.
    StakingMissed = 0x31,
    /// `Map<(operator, height, infraction), staking.Slash>`
    StakingSlashes = 0x32,
    /// `Item<staking.ValidatorSet>`: what CometBFT was told.
    StakingSet = 0x33,

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
    /// `Map<u64, staking.Ballot>`
    StakingBallots = 0x3a,
    /// `Map<(ballot, voter), gov.Vote>`
    StakingBallotVotes = 0x3b,
    /// `Map<(ballot, operator), staking.BallotShares>`
    StakingBallotShares = 0x3c,
    /// Derived: (voter, ballot), of votes.
    StakingBallotVoters = 0x3d,

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
    /// `Map<(ModelId, payer), u64>`: slots in use, those without any left out.
    MarketBusy = 0x53,
    /// `Map<u64, market.Settled>`: final payments that nobody has counted yet, in order.
    MarketSettled = 0x54,
    /// Derived: (operator, height of the claim, job id), of delivered jobs.
    MarketClaims = 0x55,

    /// `Item<price.Params>`
    PriceParams = 0x58,
    /// `Map<ModelId, price.Price>`
    PricePrices = 0x59,
    /// `Map<(ModelId, Address), price.Capacity>`
    PriceCapacities = 0x5a,
    /// `Item<price.Round>`: where the round of prices stands.
    PriceRound = 0x5b,
    /// `Map<(ModelId, hour, Address), price.Volume>`
    PriceVolumes = 0x5c,
    /// Derived: (model id, hour, charge, operator), of volumes.
    PriceVolumesByCharge = 0x5d,
    /// `Map<(ModelId, hour), price.Hour>`
    PriceHours = 0x5e,
    /// `Item<price.Closing>`: which hour is being closed, and how far.
    PriceClosing = 0x5f,

    /// `Item<reward.Params>`
    RewardParams = 0x60,
    /// `Item<reward.Epoch>`: the one under way.
    RewardEpoch = 0x61,
    /// `Map<u64, reward.Epoch>`: those that have ended.
    RewardEpochs = 0x62,
    /// `Map<(epoch, Address), reward.Burn>`
    RewardBurns = 0x63,
    /// `Item<reward.Paying>`
    RewardPaying = 0x64,
    /// `Map<Address, reward.Account>`
    RewardAccounts = 0x65,
    /// `Map<Address, reward.Audited>`
    RewardAudited = 0x66,
    /// Derived: (end in seconds, operator), of audited capacity.
    RewardAuditedByEnd = 0x67,
    /// `Item<reward.Standby>`
    RewardStandby = 0x68,
    /// `Item<reward.Schedule>`
    RewardSchedule = 0x69,

    /// `Map<u64, attestation.AcceptedReceipt>`
    AttestationReceipts = 0x70,
    /// Derived: (root of the evidence, job id), of receipts with evidence.
    AttestationByRoot = 0x71,
    /// `Map<u64, attestation.Audit>`: by job.
    AttestationAudits = 0x72,
    /// Derived: (stage, when, job id), of audits under way.
    AttestationAuditsByDue = 0x73,
    /// Derived: (state, job id), of audits.
    AttestationAuditsByState = 0x74,
    /// Derived: (operator, job id), of audits of that operator's claims.
    AttestationAuditsByProvider = 0x75,
    /// `Item<attestation.Params>`
    AttestationParams = 0x76,
    /// `Map<Address, attestation.BeaconKeys>`: by operator of the validator.
    BeaconKeys = 0x77,
    /// Derived: (operator, job id), of audits in which that operator has a seat.
    AttestationAuditsByJuror = 0x78,
    /// Derived: (operator, job id), of audits that wait for that operator.
    AttestationDuties = 0x79,
    /// `Map<(job id, leaf), attestation.ShownLeaf>`: of audits under way.
    AttestationShownLeaves = 0x7a,
    /// `Map<height, attestation.PastBeacon>`
    AttestationPastBeacons = 0x7b,
    /// `Map<ModelId, attestation.ModelProfile>`
    AttestationProfiles = 0x7c,
    /// `Map<(ModelId, profile, Address), attestation.PoolMember>`
    AttestationPoolMembers = 0x7d,
    /// Derived: (operator, model id, profile), of members of pools.
    AttestationPoolsByOperator = 0x7e,
    /// `Map<Address, attestation.Standing>`
    AttestationStandings = 0x7f,
    /// `Map<(operator, payer), attestation.PayerCount>`
    AttestationPayerCounts = 0x80,
    /// `Map<(operator, ModelId), attestation.Drift>`
    AttestationDrifts = 0x81,
    /// `Map<ModelId, attestation.RefereeModel>`
    AttestationReferees = 0x82,
    /// `Map<u64, attestation.Game>`: by job.
    AttestationGames = 0x83,
    /// Derived: (stage, when, job id), of games under way.
    AttestationGamesByDue = 0x84,
    /// Derived: (state, job id), of games.
    AttestationGamesByState = 0x85,
    /// Derived: (operator, job id), of games about that operator's claims.
    AttestationGamesByProvider = 0x86,
    /// Derived: (challenger, job id), of games by their last challenger.
    AttestationGamesByChallenger = 0x87,

    /// `Map<(granter, grantee, type of message), authz.Grant>`
    AuthzGrants = 0x90,
    /// Derived: (grantee, granter, type of message).
    AuthzByGrantee = 0x91,
    /// Derived: (expiration in seconds, granter, grantee, type of message).
    AuthzExpiries = 0x92,

    /// `Item<gov.Params>`
    GovernanceParams = 0xa0,
    /// `Map<u64, gov.Proposal>`
    GovernanceProposals = 0xa1,
    /// `Item<u64>`
    GovernanceNextProposal = 0xa2,
    /// `Map<(proposal, depositor), gov.Deposit>`
    GovernanceDeposits = 0xa3,
    /// `Map<u64, governance.Stage>`: of proposals under way.
    GovernanceStages = 0xa4,
    /// `Item<String>`
    GovernanceConstitution = 0xa5,
    /// Derived: (status, proposal id).
    GovernanceByStatus = 0xa6,
    /// Derived: (end of the stage in seconds, proposal id), of proposals under way.
    GovernanceDue = 0xa7,
    /// `Map<u64, governance.Grant>`
    Grants = 0xa8,
    /// `Item<u64>`
    GrantsNext = 0xa9,
    /// Derived: (recipient, grant id).
    GrantsByRecipient = 0xaa,
    /// Derived: (status, grant id).
    GrantsByStatus = 0xab,
    /// Derived: (deadline in seconds, grant id), of open grants with a deadline.
    GrantsDue = 0xac,
    /// `Map<(), upgrade.Plan>`: one or none.
    UpgradePlan = 0xad,
    /// `Map<sha256 of the name, governance.AppliedUpgrade>`
    UpgradesApplied = 0xae,
    /// `Map<Address, staking.SlashTask>`: by operator of the source.
    StakingSlashTasks = 0xb0,
    /// `Map<[u8; 32], cosmos.evidence.Equivocation>`: by sha256 of its bytes.
    StakingEvidence = 0xb1,
    /// `Map<u64, staking.Past>`
    StakingHistory = 0xb2,
    /// `Map<u64, staking.ValidatorSet>`: the sets that the history names.
    StakingHistorySets = 0xb3,
    /// `Item<u64>`
    StakingNextUnbonding = 0xb4,
    /// Derived: (power, operator's bytes inverted), of validators that may be in the set.
    StakingByPower = 0xb8,
    /// Derived: (time in seconds, operator), of validators that unbond.
    StakingUnbondingValidators = 0xb9,
    /// Derived: (operator, delegator), of delegations.
    StakingByOperator = 0xba,
    /// Derived: (operator, delegator), of unbonding stake.
    StakingUnbondingsByOperator = 0xbb,
    /// Derived: (completion in seconds, delegator, operator), of unbonding stake.
    StakingUnbondingQueue = 0xbc,
    /// Derived: (source, delegator, destination), of redelegations.
    StakingRedelegationsBySource = 0xbd,
    /// Derived: (completion in seconds, delegator, destination, source), of redelegations.
    StakingRedelegationQueue = 0xbe,
}

impl Table {
    /// The first byte of every key of this table.
    pub const fn id(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "reading a `repr(u8)` discriminant")]
        let id = self as u8;
        id
    }

    /// The tables of indexes: rebuilt from the objects, not committed to.
    pub const DERIVED: [Self; 38] = [
        Self::AuthByNumber,
        Self::TokenOwners,
        Self::FeegrantByGranter,
        Self::FeegrantExpiries,
        Self::AuthzByGrantee,
        Self::AuthzExpiries,
        Self::StakingByPower,
        Self::StakingUnbondingValidators,
        Self::StakingByOperator,
        Self::StakingUnbondingsByOperator,
        Self::StakingUnbondingQueue,
        Self::StakingRedelegationsBySource,
        Self::StakingRedelegationQueue,
        Self::MarketOffersByOperator,
        Self::MarketWithdrawalsByOperator,
        Self::MarketJobsByRequester,
        Self::MarketJobsByProvider,
        Self::MarketJobsByState,
        Self::MarketClaims,
        Self::StakingBallotVoters,
        Self::GovernanceByStatus,
        Self::GovernanceDue,
        Self::PriceVolumesByCharge,
        Self::RewardAuditedByEnd,
        Self::AttestationByRoot,
        Self::AttestationAuditsByDue,
        Self::AttestationAuditsByState,
        Self::AttestationAuditsByProvider,
        Self::AttestationAuditsByJuror,
        Self::AttestationDuties,
        Self::AttestationPoolsByOperator,
        Self::AttestationGamesByDue,
        Self::AttestationGamesByState,
        Self::AttestationGamesByProvider,
        Self::AttestationGamesByChallenger,
        Self::GrantsByRecipient,
        Self::GrantsByStatus,
        Self::GrantsDue,
    ];

    /// Whether keys that begin with `id` are those of an index.
    pub fn is_derived(id: u8) -> bool {
        Self::DERIVED.iter().any(|table| table.id() == id)
    }
}
