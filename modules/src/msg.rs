//! Every message that a transaction may carry, and where each one goes.

use alloc::{format, string::String, vec::Vec};

use plasma_proto::{
    cosmos::{
        authz::v1beta1 as authz_pb,
        bank::v1beta1 as bank,
        consensus::v1 as consensus_pb,
        distribution::v1beta1 as distribution_pb,
        feegrant::v1beta1 as feegrant_pb,
        gov::{v1 as gov, v1beta1 as gov_legacy},
        mint::v1beta1 as mint_pb,
        slashing::v1beta1 as slashing_pb,
        staking::v1beta1 as staking_pb,
        upgrade::v1beta1 as upgrade_pb,
        vesting::v1beta1 as vesting,
    },
    plasma::{
        attestation::v1 as attestation_pb, governance::v1 as governance_pb,
        market::v1 as market_pb, price::v1 as price_pb, reward::v1 as reward_pb,
        token::v1 as token_pb,
    },
};
use prost::{Message, Name};
use prost_types::Any;

use crate::{
    Address, Amount, Ctx, Refusal, Sdk,
    attestation::{self, audit, beacon, game},
    authz, chain, feegrant,
    governance::{self, grants},
    market, price, reward,
    staking::{self, distribution, mint},
    token,
    tx::canonical,
};

macro_rules! messages {
    (
        $($(#[$doc:meta])* $name:ident: $wire:ty, $checked:ty, $handle:path;)+
        => by governance alone {
            $($(#[$gov_doc:meta])* $gov_name:ident: $gov_wire:ty, $gov_checked:ty, $gov_handle:path;)+
        }
    ) => {
        messages! {
            @all
            $($(#[$doc])* $name: $wire, $checked, $handle;)+
            $($(#[$gov_doc])* $gov_name: $gov_wire, $gov_checked, $gov_handle;)+
        }

        impl Msg {
            /// The types of those that no transaction carries: their signer is governance, which has no
            /// key and acts by proposals.
            pub fn governance_type_urls() -> Vec<String> {
                [$(<$gov_wire>::type_url(),)+].into()
            }
        }
    };
    (@all $($(#[$doc:meta])* $name:ident: $wire:ty, $checked:ty, $handle:path;)+) => {
        /// A message that is well formed, whatever the state.
        #[derive(Clone, Debug)]
        pub enum Msg {
            $($(#[$doc])* $name($checked),)+
        }

        impl Msg {
            /// Reads a message by its type URL. Unknown types and fields are refused.
            pub fn from_any(any: &Any) -> Result<Self, Refusal> {
                $(if is_of::<$wire>(&any.type_url) {
                    let wire: $wire = canonical(&any.value, <$wire>::NAME)?;
                    return Ok(Self::$name(<$checked>::new(wire)?));
                })+
                Err(Sdk::TxDecode(format!("unable to resolve type URL {}", any.type_url)).into())
            }

            /// Its type, as events and results name it.
            pub fn type_url(&self) -> String {
                match self {
                    $(Self::$name(_) => <$wire>::type_url(),)+
                }
            }

            /// Who must sign it.
            pub fn signer(&self) -> Address {
                match self {
                    $(Self::$name(msg) => msg.signer(),)+
                }
            }

            /// What running it costs.
            pub fn gas(&self) -> u64 {
                match self {
                    $(Self::$name(msg) => msg.gas(),)+
                }
            }

            /// Runs it. Refused, the caller drops what it wrote.
            pub fn run(self, ctx: &mut Ctx<'_>) -> Result<Any, Refusal> {
                match self {
                    $(Self::$name(msg) => Ok(any(&$handle(ctx, msg)?)),)+
                }
            }

            /// The types of all messages.
            pub fn type_urls() -> Vec<String> {
                [$(<$wire>::type_url(),)+].into()
            }
        }
    };
}

messages! {
    /// Moves coins.
    Send: bank::MsgSend, token::Send, token::send;
    /// Moves coins from one account to many.
    MultiSend: bank::MsgMultiSend, token::MultiSend, token::multi_send;
    /// Opens an account whose money is released over time, or at an end.
    CreateVesting: vesting::MsgCreateVestingAccount, token::CreateVesting, token::create_vesting;
    /// Opens an account whose money is locked for good.
    CreatePermanentLocked: vesting::MsgCreatePermanentLockedAccount, token::CreatePermanentLocked, token::create_permanent_locked;
    /// Opens an account whose money is released part by part.
    CreatePeriodicVesting: vesting::MsgCreatePeriodicVestingAccount, token::CreatePeriodicVesting, token::create_periodic_vesting;
    /// Lets another account pay fees from one's own.
    GrantAllowance: feegrant_pb::MsgGrantAllowance, feegrant::GrantAllowance, feegrant::grant_allowance;
    /// Takes an allowance back.
    RevokeAllowance: feegrant_pb::MsgRevokeAllowance, feegrant::RevokeAllowance, feegrant::revoke_allowance;
    /// Removes allowances that are past their time.
    PruneAllowances: feegrant_pb::MsgPruneAllowances, feegrant::PruneAllowances, feegrant::prune_allowances;
    /// Becomes a validator.
    CreateValidator: staking_pb::MsgCreateValidator, staking::CreateValidator, staking::create_validator;
    /// Changes what a validator says of itself and takes.
    EditValidator: staking_pb::MsgEditValidator, staking::EditValidator, staking::edit_validator;
    /// Stakes with a validator.
    Delegate: staking_pb::MsgDelegate, staking::Delegate, staking::delegate;
    /// Takes stake back.
    Undelegate: staking_pb::MsgUndelegate, staking::Undelegate, staking::undelegate;
    /// Moves stake to another validator.
    Redelegate: staking_pb::MsgBeginRedelegate, staking::Redelegate, staking::redelegate;
    /// Stakes again what is unbonding.
    CancelUnbonding: staking_pb::MsgCancelUnbondingDelegation, staking::CancelUnbonding, staking::cancel_unbonding;
    /// Leaves jail.
    Unjail: slashing_pb::MsgUnjail, staking::Unjail, staking::unjail;
    /// Lets another account send a type of message as oneself.
    Grant: authz_pb::MsgGrant, authz::Grant, authz::grant;
    /// Sends messages as those who granted them.
    Exec: authz_pb::MsgExec, authz::Exec, chain::exec;
    /// Takes a grant back.
    Revoke: authz_pb::MsgRevoke, authz::Revoke, authz::revoke;
    /// Pays out what a delegation is owed.
    WithdrawReward: distribution_pb::MsgWithdrawDelegatorReward, distribution::WithdrawReward, distribution::withdraw_reward;
    /// Pays out an operator's commission.
    WithdrawCommission: distribution_pb::MsgWithdrawValidatorCommission, distribution::WithdrawCommission, distribution::withdraw_commission;
    /// Says where an account's rewards go.
    SetWithdrawAddress: distribution_pb::MsgSetWithdrawAddress, distribution::SetWithdrawAddress, distribution::set_withdraw_address;
    /// Gives money to the community pool.
    FundPool: distribution_pb::MsgFundCommunityPool, distribution::FundPool, distribution::fund_pool;
    /// Gives money to a validator and its delegators.
    DepositRewards: distribution_pb::MsgDepositValidatorRewardsPool, distribution::DepositRewards, distribution::deposit_rewards;
    /// Joins the market.
    RegisterProvider: market_pb::MsgRegisterProvider, market::RegisterProvider, market::register_provider;
    /// Changes what a provider offers.
    UpdateProvider: market_pb::MsgUpdateProvider, market::UpdateProvider, market::update_provider;
    /// Leaves the market.
    DeregisterProvider: market_pb::MsgDeregisterProvider, market::DeregisterProvider, market::deregister_provider;
    /// Adds to a provider's bond.
    AddBond: market_pb::MsgAddBond, market::AddBond, market::add_bond;
    /// Asks for part of a bond back.
    WithdrawBond: market_pb::MsgWithdrawBond, market::WithdrawBond, market::withdraw_bond;
    /// Makes a model known.
    PublishModel: market_pb::MsgPublishModel, market::PublishModel, market::publish_model;
    /// Buys an inference.
    SubmitJob: market_pb::MsgSubmitJob, market::SubmitJob, market::submit_job;
    /// Takes an unassigned job back.
    CancelJob: market_pb::MsgCancelJob, market::CancelJob, market::cancel_job;
    /// A provider passes a job on.
    DeclineJob: market_pb::MsgDeclineJob, market::DeclineJob, market::decline_job;
    /// A provider takes what it was rewarded with.
    ClaimReward: reward_pb::MsgClaimReward, reward::ClaimReward, reward::claim_reward;
    /// A provider reports a result.
    SubmitReceipt: attestation_pb::MsgSubmitReceipt, attestation::SubmitReceipt, attestation::submit_receipt;
    /// A validator sets its key of the beacon.
    SetBeaconKey: attestation_pb::MsgSetBeaconKey, beacon::SetBeaconKey, beacon::set_beacon_key;
    /// A publisher says what is still honest for a model.
    SetProfile: attestation_pb::MsgSetProfile, audit::SetProfile, audit::set_profile;
    /// A provider judges a model's claims from now on.
    JoinPool: attestation_pb::MsgJoinPool, audit::JoinPool, audit::join_pool;
    /// It judges them no more.
    LeavePool: attestation_pb::MsgLeavePool, audit::LeavePool, audit::leave_pool;
    /// Forces the audit of a claim.
    Dispute: attestation_pb::MsgDispute, audit::Dispute, audit::dispute;
    /// A provider asks for a larger jury.
    Appeal: attestation_pb::MsgAppeal, audit::Appeal, audit::appeal;
    /// A provider shows evidence of a claim that is audited.
    Reveal: attestation_pb::MsgReveal, audit::Reveal, audit::reveal;
    /// A juror commits to a verdict.
    CommitVerdict: attestation_pb::MsgCommitVerdict, audit::CommitVerdict, audit::commit_verdict;
    /// A juror opens its verdict.
    RevealVerdict: attestation_pb::MsgRevealVerdict, audit::RevealVerdict, audit::reveal_verdict;
    /// A publisher says how its model is recomputed.
    SetReferee: attestation_pb::MsgSetReferee, game::SetReferee, game::set_referee;
    /// Challenges a claim: the chain itself will decide.
    Challenge: attestation_pb::MsgChallenge, game::Challenge, game::challenge;
    /// A provider gives the root of its trace.
    Defend: attestation_pb::MsgDefend, game::Defend, game::defend;
    /// A player gives the children of the node that it stands on.
    Descend: attestation_pb::MsgDescend, game::Descend, game::descend;
    /// A player shows what the tile is made from at which the players differ.
    Prove: attestation_pb::MsgProve, game::Prove, game::prove;
    /// A challenger shows a token that the provider's own trace gives.
    ShowToken: attestation_pb::MsgShowToken, game::ShowToken, game::show_token;
    /// Asks the stakers to carry out messages.
    SubmitProposal: gov::MsgSubmitProposal, governance::SubmitProposal, governance::submit_proposal;
    /// Adds to a proposal's deposit.
    Deposit: gov::MsgDeposit, governance::Deposit, governance::deposit;
    /// Votes for one option.
    Vote: gov::MsgVote, governance::Vote, governance::vote;
    /// Votes for several options.
    VoteWeighted: gov::MsgVoteWeighted, governance::WeightedVote, governance::vote_weighted;
    /// Takes one's proposal back.
    CancelProposal: gov::MsgCancelProposal, governance::CancelProposal, governance::cancel_proposal;
    /// Asks the stakers for their opinion, in v1beta1.
    LegacyProposal: gov_legacy::MsgSubmitProposal, governance::LegacyProposal, governance::submit_legacy_proposal;
    /// Adds to a proposal's deposit, in v1beta1.
    LegacyDeposit: gov_legacy::MsgDeposit, governance::LegacyDeposit, governance::legacy_deposit;
    /// Votes for one option, in v1beta1.
    LegacyVote: gov_legacy::MsgVote, governance::LegacyVote, governance::legacy_vote;
    /// Votes for several options, in v1beta1.
    LegacyVoteWeighted: gov_legacy::MsgVoteWeighted, governance::LegacyWeightedVote, governance::legacy_vote_weighted;
    /// A reviewer finds that a milestone of a grant is reached.
    ApproveMilestone: governance_pb::MsgApproveMilestone, grants::ApproveMilestone, grants::approve_milestone;
    /// Ends a grant.
    CancelGrant: governance_pb::MsgCancelGrant, grants::CancelGrant, grants::cancel_grant;

    => by governance alone {
        /// Changes fees and limits of transfers.
        UpdateTokenParams: token_pb::MsgUpdateParams, token::UpdateParams, token::update_params;
        /// Changes the market's numbers.
        UpdateMarketParams: market_pb::MsgUpdateParams, market::UpdateParams, market::update_params;
        /// Changes the numbers of stake.
        UpdateStakingParams: staking_pb::MsgUpdateParams, staking::UpdateParams, staking::update_params;
        /// Changes the numbers of punishments.
        UpdateSlashingParams: slashing_pb::MsgUpdateParams, staking::UpdateSlashingParams, staking::update_slashing_params;
        /// Changes the numbers of rewards.
        UpdateDistributionParams: distribution_pb::MsgUpdateParams, distribution::UpdateParams, distribution::update_params;
        /// Pays somebody from the community pool.
        SpendPool: distribution_pb::MsgCommunityPoolSpend, distribution::SpendPool, distribution::spend_pool;
        /// Changes the numbers of inflation.
        UpdateMintParams: mint_pb::MsgUpdateParams, mint::UpdateParams, mint::update_params;
        /// Changes the numbers of proposals and votes.
        UpdateGovParams: gov::MsgUpdateParams, governance::UpdateParams, governance::update_params;
        /// Changes the numbers of prices.
        UpdatePriceParams: price_pb::MsgUpdateParams, price::UpdateParams, price::update_params;
        /// Changes the numbers of what providers are rewarded with.
        UpdateRewardParams: reward_pb::MsgUpdateParams, reward::UpdateParams, reward::update_params;
        /// Changes the numbers of beacon, audits and referee games.
        UpdateAttestationParams: attestation_pb::MsgUpdateParams, attestation::UpdateParams, attestation::update_params;
        /// Sets money aside for a builder.
        CreateGrant: governance_pb::MsgCreateGrant, grants::CreateGrant, grants::create_grant;
        /// Pays a milestone of a grant.
        ReleaseMilestone: governance_pb::MsgReleaseMilestone, grants::ReleaseMilestone, grants::release_milestone;
        /// Changes what CometBFT holds blocks to.
        UpdateConsensus: consensus_pb::MsgUpdateParams, governance::consensus::UpdateConsensus, governance::consensus::update_consensus;
        /// Plans an upgrade.
        PlanUpgrade: upgrade_pb::MsgSoftwareUpgrade, governance::upgrade::PlanUpgrade, governance::upgrade::plan_upgrade;
        /// Takes the plan of an upgrade back.
        CancelUpgrade: upgrade_pb::MsgCancelUpgrade, governance::upgrade::CancelUpgrade, governance::upgrade::cancel_upgrade;
    }
}

impl Msg {
    /// How many messages it is, with those inside.
    pub fn count(&self) -> usize {
        match self {
            Self::Exec(exec) => exec.count(),
            Self::SubmitProposal(proposal) => proposal.count(),
            _ => 1,
        }
    }

    /// Which validator a message is about that moves stake, of two the one that it goes to, and how
    /// much moves, uxpl.
    pub fn stake(&self) -> Option<(Address, Amount)> {
        match self {
            Self::Delegate(msg) => Some(msg.stake()),
            Self::Undelegate(msg) => Some(msg.stake()),
            Self::Redelegate(msg) => Some(msg.stake()),
            Self::CancelUnbonding(msg) => Some(msg.stake()),
            _ => None,
        }
    }

    /// To whom a `MsgSend` goes, and what.
    pub fn payment(&self) -> Option<(Address, &token::Coins)> {
        match self {
            Self::Send(send) => Some(send.payment()),
            _ => None,
        }
    }
}

/// Whether a type URL is `M`'s.
fn is_of<M: Name>(type_url: &str) -> bool {
    let name = type_url.strip_prefix('/').and_then(|name| name.strip_prefix(M::PACKAGE));
    name.and_then(|name| name.strip_prefix('.')) == Some(M::NAME)
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
