//! What stakers earn: minted by time, dealt out by who signed, paid to the last uxpl and never more.

mod common;

use common::{Account, Chain, TIME_S, XPL, any, coin, genesis, vote};
use plasma_modules::{
    Address, Amount, Dec, FeePaid, Memory, View,
    chain::{self, TxResult, Vote},
    query::Router,
    staking::distribution,
};
use plasma_proto::{
    cosmos::{
        base::v1beta1::DecCoin,
        distribution::v1beta1::{
            MsgDepositValidatorRewardsPool, MsgFundCommunityPool, MsgSetWithdrawAddress,
            MsgWithdrawDelegatorReward, MsgWithdrawDelegatorRewardResponse,
            MsgWithdrawValidatorCommission, QueryCommunityPoolRequest, QueryCommunityPoolResponse,
            QueryDelegationRewardsRequest, QueryDelegationRewardsResponse,
            QueryDelegationTotalRewardsRequest, QueryDelegationTotalRewardsResponse,
            QueryDelegatorValidatorsRequest, QueryDelegatorValidatorsResponse,
            QueryDelegatorWithdrawAddressRequest, QueryDelegatorWithdrawAddressResponse,
            QueryParamsRequest, QueryParamsResponse, QueryValidatorCommissionRequest,
            QueryValidatorCommissionResponse, QueryValidatorDistributionInfoRequest,
            QueryValidatorDistributionInfoResponse, QueryValidatorOutstandingRewardsRequest,
            QueryValidatorOutstandingRewardsResponse,
        },
        mint::v1beta1::{
            Params, QueryAnnualProvisionsRequest, QueryAnnualProvisionsResponse,
            QueryInflationRequest, QueryInflationResponse,
        },
    },
    plasma::{
        genesis::v1::StakingGenesis,
        staking::v1::{Minter, QueryPoolsRequest, QueryPoolsResponse, ValidatorRewards},
        token::v1::{QueryTotalsRequest, QueryTotalsResponse, Totals},
    },
};
use prost::{Message, Name};
use prost_types::Any;

const YEAR_S: u128 = 31_557_600;
/// The only validator of most of these chains.
const SEED: u8 = 0xe0;

fn operator() -> Account {
    Account::new(SEED)
}

fn valoper() -> String {
    operator().address.operator_text()
}

/// A chain of 10^6 XPL, 1,000 of them bonded.
fn start() -> (Chain, Account, Account) {
    let (alice, operator) = (Account::new(1), operator());
    (Chain::new(&genesis(&[&alice, &operator], 500_000 * XPL)), alice, operator)
}

fn ask<Q: Message + Name, A: Message + Default>(chain: &Chain, request: &Q) -> Result<A, String> {
    // Every request is named after its method.
    let name = Q::NAME.strip_prefix("Query").unwrap().strip_suffix("Request").unwrap();
    let path = format!("/{}.Query/{name}", Q::PACKAGE);
    let block = chain::current_block(&chain.store, common::CHAIN_ID, chain.height, chain.time_s);
    let view = View { store: &chain.store, block: &block };
    let answer = Router::new().call(&path, &view, &request.encode_to_vec());
    answer.map(|bytes| A::decode(bytes.as_slice()).unwrap()).map_err(|error| error.log())
}

fn dec(coins: &[DecCoin]) -> Dec {
    match coins {
        [] => Dec::ZERO,
        [coin] => {
            assert_eq!(coin.denom, "uxpl");
            let dec = Dec::parse(&coin.amount).unwrap();
            assert!(dec > Dec::ZERO, "a coin of nothing is none");
            dec
        }
        _ => panic!("{coins:?}"),
    }
}

fn community(chain: &Chain) -> Dec {
    let answer: QueryCommunityPoolResponse = ask(chain, &QueryCommunityPoolRequest {}).unwrap();
    dec(&answer.pool)
}

fn pot(chain: &Chain) -> Dec {
    let answer: QueryPoolsResponse = ask(chain, &QueryPoolsRequest {}).unwrap();
    Dec::parse(&answer.pools.unwrap().stakers_uxpl).unwrap()
}

fn commission(chain: &Chain) -> Dec {
    let request = QueryValidatorCommissionRequest { validator_address: valoper() };
    let answer: QueryValidatorCommissionResponse = ask(chain, &request).unwrap();
    dec(&answer.commission.unwrap().commission)
}

fn outstanding(chain: &Chain, seed: u8) -> Dec {
    let validator_address = Account::new(seed).address.operator_text();
    let request = QueryValidatorOutstandingRewardsRequest { validator_address };
    let answer: QueryValidatorOutstandingRewardsResponse = ask(chain, &request).unwrap();
    dec(&answer.rewards.unwrap().rewards)
}

fn owed(chain: &Chain, delegator: &Account, seed: u8) -> Dec {
    let delegator_address = delegator.address.text();
    let validator_address = Account::new(seed).address.operator_text();
    let request = QueryDelegationRewardsRequest { delegator_address, validator_address };
    let answer: QueryDelegationRewardsResponse = ask(chain, &request).unwrap();
    dec(&answer.rewards)
}

fn totals(chain: &Chain) -> (u128, u128) {
    let answer: QueryTotalsResponse = ask(chain, &QueryTotalsRequest {}).unwrap();
    let Totals { minted_uxpl, burned_uxpl } = answer.totals.unwrap();
    (minted_uxpl.parse().unwrap(), burned_uxpl.parse().unwrap())
}

fn minter(chain: &Chain) -> Minter {
    chain::export(&chain.store).staking.unwrap().mint.unwrap().minter.unwrap()
}

fn run(chain: &mut Chain, from: &Account, msg: Any) -> TxResult {
    let tx = chain.draft(from, vec![msg]).sign(from);
    chain.block(&[tx]).remove(0)
}

fn done(chain: &mut Chain, from: &Account, msg: Any) -> TxResult {
    let result = run(chain, from, msg);
    assert_eq!(result.code, 0, "{}", result.log);
    result
}

fn withdraw(from: &Account) -> Any {
    any(&MsgWithdrawDelegatorReward {
        delegator_address: from.address.text(),
        validator_address: valoper(),
    })
}

/// What an event says of `key`.
fn told(result: &TxResult, kind: &str, key: &str) -> String {
    let event = result.events.iter().find(|event| event.kind == kind).unwrap();
    event.attributes.iter().find(|(name, _)| *name == key).unwrap().1.clone()
}

#[test]
fn a_year_mints_its_inflation_whatever_the_blocks() {
    let year = |seconds: u64, blocks: u64| {
        let (mut chain, ..) = start();
        chain.block(&[]);
        assert_eq!(totals(&chain).0, 0, "the first block mints nothing");
        let supply = 1_001_000 * XPL;
        for _ in 0..blocks {
            chain.block_after(seconds, &[]);
        }
        (totals(&chain).0, supply)
    };
    // A day in blocks of 1 s (of which a part is enough), 10 s and 600 s.
    let (slow, supply) = year(600, 144);
    let (fast, _) = year(60, 1_440);
    let about = supply * 5 / 100 * 86_400 / YEAR_S;
    // Nearly nothing is bonded, so that inflation rises by 5% of a year in a year.
    assert!(slow > about && slow < about * 1_002 / 1_000, "{slow} {about}");
    assert!(slow.abs_diff(fast) * 100_000 < slow, "{slow} {fast}");
}

#[test]
fn a_chain_that_stood_mints_for_ten_minutes() {
    let grown = |seconds: u64| {
        let (mut chain, ..) = start();
        chain.block(&[]);
        chain.block_after(seconds, &[]);
        let minter = minter(&chain);
        assert_eq!(minter.last_time_s, TIME_S + 1 + seconds);
        (totals(&chain).0, minter.inflation)
    };
    let ten = grown(600);
    assert!(grown(599).0 < ten.0);
    for seconds in [601, 86_400, 100 * 31_557_600] {
        assert_eq!(grown(seconds), ten);
    }
    // A block of the same second, as CometBFT's times may round to, mints nothing.
    assert_eq!(grown(0).0, 0);
}

#[test]
fn what_is_too_little_to_mint_is_carried() {
    // 1,100 XPL: 5% a year are 1.74 uxpl a second.
    let alice = Account::new(1);
    let mut chain = Chain::new(&genesis(&[&alice], 100 * XPL));
    chain.block(&[]);
    let mut expected = Dec::ZERO;
    for _ in 0..1_000 {
        chain.block(&[]);
        let answer: QueryAnnualProvisionsResponse =
            ask(&chain, &QueryAnnualProvisionsRequest {}).unwrap();
        let provisions = String::from_utf8(answer.annual_provisions).unwrap();
        let second = Dec::parse(&provisions).unwrap().times_ratio(1, YEAR_S).unwrap();
        expected = expected.plus(second).unwrap();
        let minted = Dec::whole(Amount::new(totals(&chain).0)).unwrap();
        let remainder = Dec::parse(&minter(&chain).remainder_uxpl).unwrap();
        assert!(remainder < Dec::ONE);
        assert_eq!(minted.plus(remainder), Some(expected));
    }
    assert!(expected > Dec::whole(Amount::new(1_000)).unwrap(), "{expected}");
}

#[test]
fn queries_of_inflation_are_digits_in_bytes() {
    let (mut chain, ..) = start();
    chain.block(&[]);
    let answer: QueryInflationResponse = ask(&chain, &QueryInflationRequest {}).unwrap();
    assert_eq!(answer.inflation, b"50000000000000000");
    let answer: plasma_proto::cosmos::mint::v1beta1::QueryParamsResponse =
        ask(&chain, &plasma_proto::cosmos::mint::v1beta1::QueryParamsRequest {}).unwrap();
    assert_eq!(answer.params.unwrap().goal_bonded, "600000000000000000");
}

#[test]
fn the_pot_is_taxed_and_dealt_out_by_who_signed() {
    let alice = Account::new(1);
    let validators = vec![common::validator(SEED), common::validator(0xe1)];
    let genesis =
        chain::new_genesis(&[(alice.address, Amount::new(500_000 * XPL))], validators).unwrap();
    let mut chain = Chain::new(&genesis);
    chain.votes = Vec::new();
    chain.block(&[]);
    chain.block_after(500, &[]);
    let minted = Dec::whole(Amount::new(totals(&chain).0)).unwrap();
    assert_eq!(
        (pot(&chain), community(&chain)),
        (minted, Dec::ZERO),
        "nobody is known to have signed"
    );

    // Three quarters and a quarter; then the second is absent; then a stranger votes.
    let (first, second) = (vote(SEED, 3_000), vote(0xe1, 1_000));
    let absent = Vote { signed: false, ..second };
    for (votes, paid) in [
        (vec![first, second], [7_350, 2_450]),
        (vec![first, absent], [7_350, 0]),
        (vec![first, vote(0xee, 1_000)], [7_350, 0]),
        (vec![vote(SEED, 1), vote(0xe1, 2)], [3_266, 6_533]),
    ] {
        let mut chain = chain.clone();
        chain.votes = votes;
        // In the same second nothing is minted.
        chain.block_after(0, &[]);
        let parts = [SEED, 0xe1].map(|seed| outstanding(&chain, seed));
        for (part, bps) in parts.into_iter().zip(paid) {
            let near = minted.times(Dec::bps(bps)).unwrap();
            let most = minted.times(Dec::bps(if bps == 0 { 0 } else { bps + 1 })).unwrap();
            assert!(near <= part && part <= most, "{part} of {minted}, {bps}");
        }
        let sum = parts[0].plus(parts[1]).and_then(|sum| sum.plus(community(&chain))).unwrap();
        assert!(pot(&chain) < Dec::new(2), "what does not divide: {}", pot(&chain));
        assert_eq!(sum.plus(pot(&chain)), Some(minted), "nothing is lost");
    }
}

#[test]
fn rewards_and_commission_are_paid_where_they_are_wanted() {
    let (mut chain, alice, operator) = start();
    for _ in 0..10 {
        chain.block_after(100, &[]);
    }
    let (all, mine) = (outstanding(&chain, SEED), owed(&chain, &operator, SEED));
    assert!(mine.plus(commission(&chain)).unwrap() <= all);
    assert!(all.minus(mine).unwrap() < commission(&chain).plus(Dec::new(1_000_000)).unwrap());

    let address = any(&MsgSetWithdrawAddress {
        delegator_address: operator.address.text(),
        withdraw_address: alice.address.text(),
    });
    let result = done(&mut chain, &operator, address);
    assert_eq!(told(&result, "set_withdraw_address", "withdraw_address"), alice.address.text());
    let request =
        QueryDelegatorWithdrawAddressRequest { delegator_address: operator.address.text() };
    let answer: QueryDelegatorWithdrawAddressResponse = ask(&chain, &request).unwrap();
    assert_eq!(answer.withdraw_address, alice.address.text());

    let before = chain.balance(alice.address);
    let result = done(&mut chain, &operator, withdraw(&operator));
    let paid = chain.balance(alice.address) - before;
    assert!(Amount::new(paid) >= mine.floor() && paid > 0);
    assert_eq!(told(&result, "withdraw_rewards", "amount"), format!("{paid}uxpl"));
    assert_eq!(told(&result, "withdraw_rewards", "validator"), valoper());
    assert_eq!(told(&result, "withdraw_rewards", "delegator"), operator.address.text());
    let data = plasma_proto::cosmos::base::abci::v1beta1::TxMsgData::decode(&result.data[..]);
    let response = data.unwrap().msg_responses.remove(0);
    let response = MsgWithdrawDelegatorRewardResponse::decode(&response.value[..]).unwrap();
    assert_eq!(response.amount, [coin(paid)]);
    assert!(owed(&chain, &operator, SEED) < Dec::ONE, "the fraction stays");

    let wanted = commission(&chain).floor();
    let before = chain.balance(alice.address);
    let message = any(&MsgWithdrawValidatorCommission { validator_address: valoper() });
    done(&mut chain, &operator, message.clone());
    assert!(Amount::new(chain.balance(alice.address) - before) >= wanted);
    assert!(commission(&chain) < Dec::ONE);
    let result = done(&mut chain.clone(), &alice, common::send(&alice, operator.address, 1));
    assert!(result.events.iter().all(|event| event.kind != "withdraw_rewards"));
    // In the same second nothing is earned, but for the tax of this transaction's own tip.
    chain.votes.clear();
    let tx = chain.draft(&operator, vec![message]).sign(&operator);
    let refused = chain.block_after(0, &[tx]).txs.remove(0);
    assert_eq!((refused.codespace, refused.code), ("distribution", 7), "{}", refused.log);
}

#[test]
fn who_withdraws_often_has_as_much_as_who_withdraws_seldom() {
    let earned = |every: u64| {
        let (mut chain, alice, operator) = start();
        // All that is earned are presents, which do not divide by the shares.
        chain.votes.clear();
        let present = any(&MsgDepositValidatorRewardsPool {
            depositor: alice.address.text(),
            validator_address: valoper(),
            amount: vec![coin(1_234_567)],
        });
        let mut paid = 0;
        for block in 1..=120 {
            done(&mut chain, &alice, present.clone());
            if block % every == 0 {
                let result = done(&mut chain, &operator, withdraw(&operator));
                let told = told(&result, "withdraw_rewards", "amount");
                paid += told.strip_suffix("uxpl").unwrap().parse::<u128>().unwrap();
            }
        }
        Dec::whole(Amount::new(paid)).unwrap().plus(owed(&chain, &operator, SEED)).unwrap()
    };
    let (often, seldom) = (earned(1), earned(120));
    // The 18th digit is rounded down at each of 120 payments.
    assert!(often.scaled().abs_diff(seldom.scaled()) < 1_000, "{often} {seldom}");
}

#[test]
fn the_community_pool_is_filled_and_spent() {
    let (mut chain, alice, _) = start();
    chain.votes.clear();
    let fund = |units: u128, denom: &str| {
        let amount = vec![plasma_proto::cosmos::base::v1beta1::Coin {
            denom: denom.into(),
            amount: units.to_string(),
        }];
        any(&MsgFundCommunityPool { amount, depositor: alice.address.text() })
    };
    done(&mut chain, &alice, fund(7 * XPL, "uxpl"));
    assert_eq!(community(&chain), Dec::whole(Amount::new(7 * XPL)).unwrap());
    let refused = run(&mut chain, &alice, fund(1, "uother"));
    assert_eq!((refused.codespace, refused.code), ("distribution", 21));

    let spend = |chain: &Chain, to: Address, units: u128| {
        let (mut after, block) = (chain.clone(), chain.next_block());
        common::ctx::within(&mut after.store, &block, FeePaid::default(), |ctx| {
            distribution::spend_community(ctx, to, Amount::new(units))
        })
        .map_err(|error| plasma_modules::Coded::code(&error))?;
        chain::check_invariants(&after.store).unwrap();
        Ok::<_, u32>(after)
    };
    let bob = Account::new(2).address;
    let after = spend(&chain, bob, 7 * XPL).unwrap();
    assert_eq!((after.balance(bob), community(&after)), (7 * XPL, Dec::ZERO));
    assert_eq!(spend(&chain, bob, 7 * XPL + 1).err(), Some(9));
    assert_eq!(spend(&chain, bob, u128::MAX).err(), Some(9));
    let module = Address::of_module("market_escrow");
    assert_eq!(spend(&chain, module, 1).err(), Some(4), "a module takes none");
}

#[test]
fn a_present_to_a_validator_is_shared() {
    let (mut chain, alice, operator) = start();
    chain.votes.clear();
    let deposit = |to: Address| {
        any(&MsgDepositValidatorRewardsPool {
            depositor: alice.address.text(),
            validator_address: to.operator_text(),
            amount: vec![coin(10 * XPL)],
        })
    };
    done(&mut chain, &alice, deposit(operator.address));
    let ten = Dec::whole(Amount::new(10 * XPL)).unwrap();
    assert_eq!(outstanding(&chain, SEED), ten);
    let (mine, fee) = (owed(&chain, &operator, SEED), commission(&chain));
    assert!(fee > Dec::ZERO);
    let sum = mine.plus(fee).unwrap();
    assert!(sum <= ten && ten.minus(sum).unwrap() < Dec::new(1_000_000_000));
    let refused = run(&mut chain, &alice, deposit(alice.address));
    assert_eq!((refused.codespace, refused.code), ("distribution", 6));
}

#[test]
fn what_cannot_be_paid_is_refused_with_written_codes() {
    let (mut chain, alice, operator) = start();
    chain.block_after(100, &[]);
    chain.block_after(100, &[]);
    let withdraw = |validator: String| {
        any(&MsgWithdrawDelegatorReward {
            delegator_address: alice.address.text(),
            validator_address: validator,
        })
    };
    let to = |address: String| {
        any(&MsgSetWithdrawAddress {
            delegator_address: alice.address.text(),
            withdraw_address: address,
        })
    };
    let cases = [
        (withdraw(valoper()), ("distribution", 5)),
        (withdraw(alice.address.operator_text()), ("distribution", 6)),
        (withdraw(operator.address.text()), ("sdk", 7)),
        (withdraw("xplvaloper1".into()), ("sdk", 7)),
        (
            any(&MsgWithdrawValidatorCommission {
                validator_address: alice.address.operator_text(),
            }),
            ("distribution", 6),
        ),
        (to(Address::of_module("distribution").text()), ("sdk", 4)),
        (to(String::new()), ("sdk", 7)),
        (
            any(&MsgFundCommunityPool { amount: vec![], depositor: alice.address.text() }),
            ("sdk", 10),
        ),
        (
            any(&MsgFundCommunityPool {
                amount: vec![coin(600_000 * XPL)],
                depositor: alice.address.text(),
            }),
            ("sdk", 5),
        ),
    ];
    for (message, code) in cases {
        let refused = run(&mut chain, &alice, message.clone());
        assert_eq!((refused.codespace, refused.code), code, "{}: {message:?}", refused.log);
    }
    // Who never had an account gets one.
    let nobody = Account::new(77);
    done(&mut chain, &alice, to(nobody.address.text()));
    assert_eq!(chain.balance(nobody.address), 100);
}

#[test]
fn questions_have_the_shape_that_clients_know() {
    let (mut chain, alice, operator) = start();
    let params: QueryParamsResponse = ask(&chain, &QueryParamsRequest {}).unwrap();
    assert_eq!(params.params.unwrap().community_tax, "20000000000000000");
    let delegator_address = operator.address.text();
    let total = QueryDelegationTotalRewardsRequest { delegator_address: delegator_address.clone() };
    let answer: QueryDelegationTotalRewardsResponse = ask(&chain, &total).unwrap();
    assert_eq!((answer.total.len(), answer.rewards.len()), (0, 1), "nothing is no coin");
    for _ in 0..5 {
        chain.block_after(100, &[]);
    }
    let answer: QueryDelegationTotalRewardsResponse = ask(&chain, &total).unwrap();
    assert_eq!(answer.rewards[0].validator_address, valoper());
    assert_eq!(dec(&answer.total), dec(&answer.rewards[0].reward));
    assert_eq!(dec(&answer.total), owed(&chain, &operator, SEED));

    let request = QueryDelegatorValidatorsRequest { delegator_address };
    let answer: QueryDelegatorValidatorsResponse = ask(&chain, &request).unwrap();
    assert_eq!(answer.validators, [valoper()]);
    let request = QueryValidatorDistributionInfoRequest { validator_address: valoper() };
    let answer: QueryValidatorDistributionInfoResponse = ask(&chain, &request).unwrap();
    assert_eq!(answer.operator_address, operator.address.text());
    assert_eq!(dec(&answer.self_bond_rewards), owed(&chain, &operator, SEED));
    assert_eq!(dec(&answer.commission), commission(&chain));

    let missing = QueryDelegationRewardsRequest {
        delegator_address: alice.address.text(),
        validator_address: valoper(),
    };
    let log = ask::<_, QueryDelegationRewardsResponse>(&chain, &missing).unwrap_err();
    assert!(log.contains("code = NotFound") && log.contains("key not found"), "{log}");
    let missing = QueryValidatorOutstandingRewardsRequest {
        validator_address: alice.address.operator_text(),
    };
    let log = ask::<_, QueryValidatorOutstandingRewardsResponse>(&chain, &missing).unwrap_err();
    assert!(log.contains("validator does not exist"), "{log}");
}

#[test]
fn a_chain_goes_on_from_its_export_and_earns_the_same() {
    let (mut chain, alice, operator) = start();
    for _ in 0..7 {
        chain.block_after(13, &[]);
    }
    done(&mut chain, &operator, withdraw(&operator));
    let address = any(&MsgSetWithdrawAddress {
        delegator_address: operator.address.text(),
        withdraw_address: alice.address.text(),
    });
    done(&mut chain, &operator, address);
    let mut again = Chain { store: chain.exported(), ..chain.clone() };
    assert_eq!(again.timeless(), chain.timeless());
    for _ in 0..5 {
        chain.block_after(13, &[]);
        again.block_after(13, &[]);
    }
    assert_eq!(again.timeless(), chain.timeless());
}

#[test]
fn a_genesis_out_of_bounds_is_refused() {
    let alice = Account::new(1);
    let whole = || genesis(&[&alice], 100 * XPL);
    let refused = |change: &dyn Fn(&mut StakingGenesis)| {
        let mut genesis = whole();
        change(genesis.staking.as_mut().unwrap());
        let mut store = Memory::default();
        chain::init(&mut store, common::CHAIN_ID, TIME_S, &genesis).unwrap_err().log
    };
    let text = |bps: u32| Dec::bps(bps).text();
    let log = refused(&|staking| {
        staking.distribution.as_mut().unwrap().params.as_mut().unwrap().community_tax = text(2_501);
    });
    assert!(log.contains("community_tax is 0.2501, it must be 0 to 0.25"), "{log}");
    type Case = (fn(&mut Params, String), u32, &'static str);
    let mints: [Case; 5] = [
        (|params, text| params.inflation_max = text, 2_001, "it must be 0 to 0.2"),
        (|params, text| params.inflation_rate_change = text, 2_001, "it must be 0 to 0.2"),
        (|params, text| params.inflation_min = text, 801, "above inflation_max"),
        (|params, text| params.goal_bonded = text, 999, "it must be 0.1 to 1"),
        (|params, text| params.goal_bonded = text, 10_001, "it must be 0.1 to 1"),
    ];
    for (change, bps, why) in mints {
        let log = refused(&|staking| {
            change(staking.mint.as_mut().unwrap().params.as_mut().unwrap(), text(bps));
        });
        assert!(log.contains(why), "{why}: {log}");
    }
    let log = refused(&|staking| staking.mint.as_mut().unwrap().minter = None);
    assert!(log.contains("minter is missing"), "{log}");
    let log = refused(&|staking| {
        staking.distribution.as_mut().unwrap().validators.push(ValidatorRewards {
            operator: alice.address.text(),
            outstanding_uxpl: "0".into(),
            commission_uxpl: "0".into(),
            current_uxpl: "0".into(),
            per_share_uxpl: "0".into(),
        });
    });
    assert!(log.contains("rewards of no validator"), "{log}");
    // Money that nobody holds.
    let log = refused(&|staking| staking.pools.as_mut().unwrap().community_uxpl = text(10_000));
    assert!(log.contains("distribution does not hold"), "{log}");
}

#[test]
fn governance_may_fix_withdraw_addresses() {
    let alice = Account::new(1);
    let mut genesis = genesis(&[&alice, &operator()], 100 * XPL);
    let distribution = genesis.staking.as_mut().unwrap().distribution.as_mut().unwrap();
    distribution.params.as_mut().unwrap().withdraw_addr_enabled = false;
    let mut chain = Chain::new(&genesis);
    let message = any(&MsgSetWithdrawAddress {
        delegator_address: alice.address.text(),
        withdraw_address: operator().address.text(),
    });
    let refused = run(&mut chain, &alice, message);
    assert_eq!((refused.codespace, refused.code), ("distribution", 8));
}
