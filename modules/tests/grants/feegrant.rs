use plasma_modules::{Amount, feegrant::Allowance};
use plasma_proto::cosmos::{
    base::v1beta1::Coin,
    feegrant::v1beta1::{
        AllowedMsgAllowance, BasicAllowance, MsgGrantAllowance, MsgPruneAllowances,
        MsgRevokeAllowance, PeriodicAllowance, QueryAllowanceRequest, QueryAllowanceResponse,
        QueryAllowancesByGranterRequest, QueryAllowancesByGranterResponse, QueryAllowancesRequest,
        QueryAllowancesResponse,
    },
};
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
use prost_types::Duration;

use super::*;

fn basic(units: u128, expiration: Option<Timestamp>) -> Any {
    let spend_limit = if units == 0 { vec![] } else { vec![coin(units)] };
    any(&BasicAllowance { spend_limit, expiration })
}

fn filter(allowance: Any, types: &[&str]) -> Any {
    let allowed_messages = types.iter().map(|text| (*text).into()).collect();
    any(&AllowedMsgAllowance { allowance: Some(allowance), allowed_messages })
}

fn grant(granter: &Account, grantee: Address, allowance: Any) -> Any {
    any(&MsgGrantAllowance {
        granter: granter.address.text(),
        grantee: grantee.text(),
        allowance: Some(allowance),
    })
}

fn revoke(granter: &Account, grantee: Address) -> Any {
    any(&MsgRevokeAllowance { granter: granter.address.text(), grantee: grantee.text() })
}

fn paid_by(chain: &Chain, granter: &Account, from: &Account, msgs: Vec<Any>) -> Vec<u8> {
    let fee_granter = granter.address.text();
    Draft { fee_granter, ..chain.draft(from, msgs) }.sign(from)
}

const SEND: &str = "/cosmos.bank.v1beta1.MsgSend";

#[test]
fn another_pays_the_fee_as_far_as_it_allows() {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = start(&[&alice, &bob]);
    let result = done(&mut chain, &alice, vec![grant(&alice, bob.address, basic(110_000, None))]);
    let set = event(&result.events, "set_feegrant");
    assert_eq!(attribute(set, "granter"), alice.address.text());
    assert_eq!(attribute(set, "grantee"), bob.address.text());
    let (before, own) = (chain.balance(alice.address), chain.balance(bob.address));

    for left in [60_000, 10_000] {
        let tx = paid_by(&chain, &alice, &bob, vec![send(&bob, carol.address, 100)]);
        assert_eq!(everywhere(&chain, &tx), Ok(()));
        let result = chain.block(&[tx]).remove(0);
        assert_eq!(result.code, 0, "{}", result.log);
        let kinds: Vec<_> = result.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds[..3], ["use_feegrant", "update_feegrant", "coin_spent"]);
        assert_eq!(attribute(event(&result.events, "tx"), "fee_payer"), alice.address.text());
        assert_eq!(attribute(event(&result.events, "tx"), "fee"), "50000uxpl");
        let answer: QueryAllowanceResponse = ask(
            &chain,
            "/cosmos.feegrant.v1beta1.Query/Allowance",
            &QueryAllowanceRequest { granter: alice.address.text(), grantee: bob.address.text() },
        )
        .unwrap();
        let stored: BasicAllowance = read(&answer.allowance.unwrap().allowance.unwrap());
        assert_eq!(stored.spend_limit, [coin(left)]);
    }
    assert_eq!(chain.balance(alice.address), before - 100_000);
    assert_eq!(chain.balance(bob.address), own - 200);
    let tx = paid_by(&chain, &alice, &bob, vec![send(&bob, carol.address, 100)]);
    assert_eq!(everywhere(&chain, &tx), Err(("feegrant", 2)));
    assert_eq!(chain.sequence(bob.address), 2);
}

#[test]
fn an_allowance_that_is_used_up_is_gone_and_one_without_a_limit_stays() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    done(&mut chain, &alice, vec![grant(&alice, bob.address, basic(50_000, None))]);
    let tx = paid_by(&chain, &alice, &bob, vec![send(&bob, alice.address, 1)]);
    let result = chain.block(&[tx]).remove(0);
    let kinds: Vec<_> = result.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds[..2], ["revoke_feegrant", "use_feegrant"]);
    let tx = paid_by(&chain, &alice, &bob, vec![send(&bob, alice.address, 1)]);
    assert_eq!(everywhere(&chain, &tx), Err(("sdk", 38)));

    done(&mut chain, &alice, vec![grant(&alice, bob.address, basic(0, None))]);
    for _ in 0..3 {
        let tx = paid_by(&chain, &alice, &bob, vec![send(&bob, alice.address, 1)]);
        assert_eq!(chain.block(&[tx])[0].code, 0);
    }
}

/// What refuses a fee by allowance, before it costs anybody anything.
#[test]
fn fees_that_nobody_allows_are_refused_with_written_codes() {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = start(&[&alice, &bob, &carol]);
    let msgs = || vec![send(&bob, carol.address, 1)];
    assert_eq!(everywhere(&chain, &paid_by(&chain, &alice, &bob, msgs())), Err(("sdk", 38)));
    let garbage = Draft { fee_granter: "nobody".into(), ..chain.draft(&bob, msgs()) }.sign(&bob);
    assert_eq!(chain.clone().block(&[garbage])[0].code, 7);
    // One's own name is no grant.
    assert_eq!(everywhere(&chain, &paid_by(&chain, &bob, &bob, msgs())), Ok(()));

    let only_votes = filter(basic(0, None), &["/cosmos.gov.v1.MsgVote"]);
    done(&mut chain, &alice, vec![grant(&alice, bob.address, only_votes)]);
    assert_eq!(everywhere(&chain, &paid_by(&chain, &alice, &bob, msgs())), Err(("feegrant", 7)));
    let only_sends = filter(basic(0, None), &["/cosmos.gov.v1.MsgVote", SEND]);
    let replace = vec![revoke(&alice, bob.address), grant(&alice, bob.address, only_sends)];
    done(&mut chain, &alice, replace);
    assert_eq!(everywhere(&chain, &paid_by(&chain, &alice, &bob, msgs())), Ok(()));

    // A granter without money.
    let all = chain.balance(alice.address) - 50_000;
    done(&mut chain, &alice, vec![send(&alice, carol.address, all)]);
    let tx = paid_by(&chain, &alice, &bob, msgs());
    assert_eq!(chain.process(&[&tx]).map_err(|r| r.code), Err(5));
}

/// A used allowance may be used in the second of its expiration and not in the next.
#[test]
fn an_allowance_ends_after_its_last_second() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    let last = chain.time_s + 3;
    done(&mut chain, &alice, vec![grant(&alice, bob.address, basic(0, at(last)))]);
    for expected in [0, 0, 3] {
        let tx = paid_by(&chain, &alice, &bob, vec![send(&bob, alice.address, 1)]);
        let result = chain.block(&[tx]).remove(0);
        assert_eq!(result.code, expected, "{}", result.log);
    }
    assert!(chain::export(&chain.store).feegrant.unwrap().allowances.is_empty(), "not pruned");
}

/// A refused message keeps the fee, and the allowance's use.
#[test]
fn a_failed_message_still_uses_the_allowance() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    done(&mut chain, &alice, vec![grant(&alice, bob.address, basic(100_000, None))]);
    let before = chain.balance(alice.address);
    let tx = paid_by(&chain, &alice, &bob, vec![send(&bob, alice.address, 1_000 * XPL)]);
    assert_eq!(chain.block(&[tx])[0].code, 5);
    assert_eq!(chain.balance(alice.address), before - 50_000);
    let allowances = chain::export(&chain.store).feegrant.unwrap().allowances;
    let left: BasicAllowance = read(allowances[0].allowance.as_ref().unwrap());
    assert_eq!(left.spend_limit, [coin(50_000)]);
}

/// A newcomer without money: the granter pays for the account, then for the fees.
#[test]
fn a_newcomer_acts_on_anothers_money() {
    let (alice, newcomer) = (Account::new(1), Account::new(7));
    let mut chain = start(&[&alice]);
    let before = chain.balance(alice.address);
    done(&mut chain, &alice, vec![grant(&alice, newcomer.address, basic(0, None))]);
    assert_eq!(chain.balance(newcomer.address), 100, "account_min_uxpl");
    assert_eq!(chain.balance(alice.address), before - 50_000 - 100);
    let tx = paid_by(&chain, &alice, &newcomer, vec![send(&newcomer, alice.address, 100)]);
    assert_eq!(chain.block(&[tx])[0].code, 0);
    assert_eq!(chain.balance(newcomer.address), 0);
}

#[test]
fn grants_that_cannot_be_are_refused_with_written_codes() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    let now = chain.time_s;
    let module = Address::of_module("market_escrow");
    let periodic = |change: &dyn Fn(&mut PeriodicAllowance)| {
        let mut allowance = PeriodicAllowance {
            basic: Some(BasicAllowance { spend_limit: vec![coin(10)], expiration: None }),
            period: Some(Duration { seconds: 10, nanos: 0 }),
            period_spend_limit: vec![coin(5)],
            period_can_spend: vec![],
            period_reset: None,
        };
        change(&mut allowance);
        any(&allowance)
    };
    let zero = any(&BasicAllowance { spend_limit: vec![coin(0)], expiration: None });
    let foreign = Coin { denom: "other".into(), amount: "5".into() };
    let many = (0..65).map(|n| format!("/a.b.{n}")).collect::<Vec<_>>();
    let many = filter(basic(0, None), &many.iter().map(String::as_str).collect::<Vec<_>>());
    let early = Some(Timestamp { seconds: -1, nanos: 0 });
    let to = bob.address;
    let cases = [
        ("oneself", grant(&alice, alice.address, basic(1, None)), ("sdk", 7)),
        ("a module", grant(&alice, module, basic(1, None)), ("sdk", 4)),
        ("the past", grant(&alice, to, basic(1, at(now))), ("sdk", 18)),
        ("before 1970", grant(&alice, to, basic(1, early)), ("feegrant", 4)),
        ("nothing", grant(&alice, to, zero), ("sdk", 10)),
        ("no filter", grant(&alice, to, filter(basic(1, None), &[])), ("feegrant", 6)),
        ("a long filter", grant(&alice, to, many), ("feegrant", 8)),
        (
            "a filter around a filter",
            grant(&alice, to, filter(filter(basic(1, None), &[SEND]), &[SEND])),
            ("feegrant", 8),
        ),
        ("no allowance", grant(&alice, to, send(&alice, to, 1)), ("sdk", 2)),
        (
            "an unknown field",
            grant(&alice, to, Any { value: vec![0x7a, 0], ..basic(1, None) }),
            ("sdk", 2),
        ),
        (
            "no period's limit",
            grant(&alice, to, periodic(&|p| p.period_spend_limit.clear())),
            ("sdk", 10),
        ),
        (
            "another currency",
            grant(&alice, to, periodic(&|p| p.period_spend_limit = vec![foreign.clone()])),
            ("sdk", 10),
        ),
        (
            "a negative period",
            grant(&alice, to, periodic(&|p| p.period = Some(Duration { seconds: -1, nanos: 0 }))),
            ("feegrant", 4),
        ),
        ("no grant", revoke(&alice, to), ("sdk", 38)),
        ("oneself revoked", revoke(&alice, alice.address), ("sdk", 7)),
    ];
    chain.block(&[]);
    for (name, msg, expected) in cases {
        let result = run(&mut chain, &alice, vec![msg]);
        assert_eq!(code(&result), expected, "{name}: {}", result.log);
    }
    done(&mut chain, &alice, vec![grant(&alice, to, periodic(&|_| ()))]);
    let again = run(&mut chain, &alice, vec![grant(&alice, to, basic(1, None))]);
    assert_eq!(code(&again), ("sdk", 18), "it exists");
}

/// What is past its time goes, a bounded number a block; a message takes some more.
#[test]
fn allowances_past_their_time_go_in_bounded_steps() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    let last = chain.time_s + 20;
    for part in 0..10u8 {
        let msgs = (0..50u8).map(|n| {
            let mut grantee = [part; 20];
            grantee[0] = n;
            grant(&alice, Address(grantee), basic(1, at(last)))
        });
        let draft = chain.draft(&alice, msgs.collect());
        let tx = Draft { gas: 20_000_000, fee: XPL, ..draft }.sign(&alice);
        assert_eq!(chain.block(&[tx])[0].code, 0);
    }
    let count = |chain: &Chain| chain::export(&chain.store).feegrant.unwrap().allowances.len();
    assert_eq!(count(&chain), 500);
    chain.block_after(20, &[]);
    assert_eq!(count(&chain), 300);
    let prune = any(&MsgPruneAllowances { pruner: bob.address.text() });
    let result = done(&mut chain, &bob, vec![prune]);
    assert_eq!(attribute(event(&result.events, "prune_feegrant"), "pruner"), bob.address.text());
    assert_eq!(count(&chain), 300 - 75 - 200);
    chain.block(&[]);
    assert_eq!(count(&chain), 0);
}

#[test]
fn allowances_are_listed_and_exported() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    let others: Vec<_> = (3..8).map(|n| Account::new(n).address).collect();
    let msgs = others.iter().map(|to| grant(&alice, *to, basic(7, None))).collect();
    done(&mut chain, &alice, msgs);
    done(&mut chain, &bob, vec![grant(&bob, others[0], filter(basic(9, None), &[SEND]))]);

    let issued: QueryAllowancesByGranterResponse = ask(
        &chain,
        "/cosmos.feegrant.v1beta1.Query/AllowancesByGranter",
        &QueryAllowancesByGranterRequest { granter: alice.address.text(), pagination: limit(2) },
    )
    .unwrap();
    assert_eq!(issued.allowances.len(), 2);
    let mut key = issued.pagination.unwrap().next_key;
    let mut found = issued.allowances;
    while !key.is_empty() {
        let page = PageRequest { key, limit: 2, ..PageRequest::default() };
        let more: QueryAllowancesByGranterResponse = ask(
            &chain,
            "/cosmos.feegrant.v1beta1.Query/AllowancesByGranter",
            &QueryAllowancesByGranterRequest {
                granter: alice.address.text(),
                pagination: Some(page),
            },
        )
        .unwrap();
        found.extend(more.allowances);
        key = more.pagination.unwrap().next_key;
    }
    let mut grantees: Vec<_> = found.into_iter().map(|grant| grant.grantee).collect();
    let mut expected: Vec<_> = others.iter().map(Address::text).collect();
    grantees.sort();
    expected.sort();
    assert_eq!(grantees, expected);

    let given: QueryAllowancesResponse = ask(
        &chain,
        "/cosmos.feegrant.v1beta1.Query/Allowances",
        &QueryAllowancesRequest { grantee: others[0].text(), pagination: None },
    )
    .unwrap();
    assert_eq!(given.allowances.len(), 2);
    let missing = ask::<_, QueryAllowanceResponse>(
        &chain,
        "/cosmos.feegrant.v1beta1.Query/Allowance",
        &QueryAllowanceRequest { granter: others[0].text(), grantee: others[1].text() },
    );
    let log = missing.unwrap_err();
    assert!(log.starts_with("rpc error: code = NotFound desc = fee-grant not found"), "{log}");

    assert_eq!(chain.exported(), chain.timeless());
}

/// An allowance, read as plainly as can be: numbers, seconds, no coins.
struct Plain {
    limit: Option<u128>,
    last_s: Option<u64>,
    /// Length, what a period may spend, what this one has left, its end.
    period: Option<(u64, u128, u128, u64)>,
    gone: bool,
}

impl Plain {
    fn take(&mut self, fee: u128, now_s: u64) -> bool {
        if self.gone || self.last_s.is_some_and(|last| now_s > last) {
            return false;
        }
        let mut period = self.period;
        if let Some((length, whole, left, end)) = &mut period {
            if now_s >= *end {
                *left = self.limit.map_or(*whole, |limit| limit.min(*whole));
                *end = if now_s > *end + *length { now_s + *length } else { *end + *length };
            }
            if fee > *left {
                return false;
            }
            *left -= fee;
        }
        if self.limit.is_some_and(|limit| fee > limit) {
            return false;
        }
        self.limit = self.limit.map(|limit| limit - fee);
        self.gone = self.limit == Some(0);
        self.period = period;
        true
    }
}

fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![Just(1), Just(2), Just(10), Just(u128::MAX - 1), Just(u128::MAX), 1..1_000u128]
}

fn fee() -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), Just(1), Just(u128::MAX), 0..500u128]
}

proptest! {
    #[test]
    fn allowances_are_their_plain_reading(
        limit in proptest::option::of(amount()),
        last_s in proptest::option::of(0..200u64),
        period in proptest::option::of((0..40u64, amount(), proptest::option::of(amount()), 0..60u64)),
        uses in proptest::collection::vec((fee(), 0..30u64), 1..30),
    ) {
        let coins = |units: Option<u128>| units.map(coin).into_iter().collect::<Vec<_>>();
        let inner = BasicAllowance { spend_limit: coins(limit), expiration: last_s.and_then(at) };
        let granted = match period {
            None => any(&inner),
            Some((length, whole, left, end)) => any(&PeriodicAllowance {
                basic: Some(inner),
                period: Some(Duration { seconds: length.cast_signed(), nanos: 0 }),
                period_spend_limit: coins(Some(whole)),
                period_can_spend: coins(left),
                period_reset: at(end),
            }),
        };
        let period = period.map(|(length, whole, left, end)| (length, whole, left.unwrap_or(0), end));
        let mut plain = Plain { limit, last_s, period, gone: false };
        let (mut stored, mut now_s) = (Some(granted), 0);
        for (fee, later) in uses {
            now_s += later;
            let taken = stored.clone().is_some_and(|any| {
                let mut allowance = Allowance::new(&any).unwrap();
                match allowance.take(Amount::new(fee), now_s, &["/x".into()]) {
                    Ok(gone) => {
                        stored = (!gone).then(|| allowance.to_any());
                        true
                    }
                    Err(_) => false,
                }
            });
            prop_assert_eq!(taken, plain.take(fee, now_s), "{} at {}", fee, now_s);
            prop_assert_eq!(stored.is_none(), plain.gone);
        }
    }
}

fn coins() -> impl Strategy<Value = Vec<Coin>> {
    proptest::sample::subsequence(vec!["ufoo", "uxpl", "uzed"], 1..=3).prop_flat_map(|denoms| {
        let coin = |denom: &str| {
            let denom = denom.to_owned();
            (1u64..200_000).prop_map(move |n| Coin { denom: denom.clone(), amount: n.to_string() })
        };
        denoms.into_iter().map(coin).collect::<Vec<_>>()
    })
}

proptest! {
    /// What is left of an allowance is one that could have been granted, or nothing: whatever
    /// denominations it names beside that of fees, it is read back from the state.
    #[test]
    fn what_is_left_of_an_allowance_is_an_allowance(
        absolute in proptest::option::of(coins()),
        period in proptest::option::of((coins(), 1i64..5)),
        fees in proptest::collection::vec((1u64..100_000, 0u64..4), 1..12),
    ) {
        let basic = BasicAllowance { spend_limit: absolute.unwrap_or_default(), expiration: None };
        let granted = match period {
            None => any(&basic),
            Some((period_spend_limit, seconds)) => any(&PeriodicAllowance {
                basic: Some(basic),
                period: Some(Duration { seconds, nanos: 0 }),
                period_spend_limit,
                period_can_spend: vec![],
                period_reset: None,
            }),
        };
        let Ok(mut allowance) = Allowance::new(&granted) else { return Ok(()) };
        let mut now_s = 1_000;
        for (fee, later) in fees {
            now_s += later;
            let before = allowance.clone();
            match allowance.take(Amount::new(fee.into()), now_s, &[]) {
                Ok(true) => break,
                Ok(false) => prop_assert_eq!(Allowance::new(&allowance.to_any()), Ok(allowance.clone())),
                // A refused transaction keeps nothing of this.
                Err(_) => allowance = before,
            }
        }
    }
}
