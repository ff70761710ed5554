//! Many come, go and move, and a validator is slashed: what each is paid is what a plain count of the
//! blocks gives it.

use std::collections::{BTreeMap, BTreeSet};

use plasma_modules::Recorded;
use plasma_proto::cosmos::distribution::v1beta1::{
    MsgSetWithdrawAddress, MsgWithdrawDelegatorReward, QueryDelegationTotalRewardsRequest,
    QueryDelegationTotalRewardsResponse, QueryValidatorOutstandingRewardsRequest,
    QueryValidatorOutstandingRewardsResponse,
};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use prost_types::Any;
use ruint::aliases::U512;

use crate::net::*;

const DELEGATORS: usize = 5;
const VALIDATORS: usize = 3;
const ONE: u128 = Dec::ONE.scaled();

#[derive(Clone, Debug)]
enum Step {
    Delegate(usize, usize, u128),
    /// Basis points of what is there.
    Undelegate(usize, usize, u128),
    Redelegate(usize, usize, usize, u128),
    Withdraw(usize, usize),
    /// The first validator has signed twice.
    DoubleSign,
    /// The second validator does not sign, or does again.
    Absent(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (d, v) = (0..DELEGATORS, 0..VALIDATORS);
    let bps = prop_oneof![1u128..10_001, Just(10_000)];
    prop_oneof![
        4 => (d.clone(), v.clone(), 1..500 * XPL).prop_map(|(d, v, n)| Step::Delegate(d, v, n)),
        3 => (d.clone(), v.clone(), bps.clone()).prop_map(|(d, v, n)| Step::Undelegate(d, v, n)),
        2 => (d.clone(), v.clone(), v.clone(), bps)
            .prop_map(|(d, v, w, n)| Step::Redelegate(d, v, w, n)),
        4 => (d, v).prop_map(|(d, v)| Step::Withdraw(d, v)),
        1 => Just(Step::DoubleSign),
        1 => proptest::bool::ANY.prop_map(Step::Absent),
        3 => (1..600u64).prop_map(Step::Wait),
    ]
}

/// An amount of an event: "1.500000000000000000uxpl" or whole.
fn amount(text: &str) -> Dec {
    Dec::parse_point(text.strip_suffix("uxpl").unwrap()).unwrap()
}

fn attribute(event: &Recorded, key: &str) -> String {
    event.attributes.iter().find(|(name, _)| *name == key).unwrap().1.clone()
}

/// What the blocks tell.
#[derive(Default)]
struct Count {
    /// By (delegator, validator), 10^-36 uxpl.
    plain: BTreeMap<(String, String), U512>,
    /// Whole uxpl.
    paid: BTreeMap<(String, String), u128>,
    earned: u128,
    commission: u128,
    /// Delegations that have ended.
    ended: u128,
}

impl Count {
    /// Counts a block on top of the state before it.
    fn block(&mut self, before: &Net, output: &BlockOutput, people: &[&Account], of: &[&Account]) {
        // Without the commission.
        let mut parts: BTreeMap<String, i128> = BTreeMap::new();
        for event in &output.events {
            match event.kind {
                "rewards" => {
                    let part = amount(&attribute(event, "amount")).scaled();
                    *parts.entry(attribute(event, "validator")).or_default() += part.cast_signed();
                    self.earned += part;
                }
                "commission" => {
                    let part = amount(&attribute(event, "amount")).scaled();
                    self.commission += part;
                    *parts.entry(attribute(event, "validator")).or_default() -= part.cast_signed();
                }
                _ => {}
            }
        }
        for validator in of {
            let name = validator.address.operator_text();
            let Some(part) = parts.get(&name) else { continue };
            let total = staking::total_shares(&before.validator(validator));
            for one in people {
                let shares = staking::shares_of(&before.store, one.address, validator.address);
                let product = U512::from(part.cast_unsigned())
                    * U512::from(ONE)
                    * U512::from(shares.scaled());
                *self.plain.entry((one.address.text(), name.clone())).or_default() +=
                    product.div_ceil(U512::from(total.scaled()));
            }
        }
        let of_txs = output.txs.iter().flat_map(|tx| &tx.events);
        for event in of_txs.chain(&output.events).filter(|one| one.kind == "withdraw_rewards") {
            let key = (attribute(event, "delegator"), attribute(event, "validator"));
            *self.paid.entry(key).or_default() +=
                amount(&attribute(event, "amount")).floor().units();
        }
    }
}

fn withdraw(who: &Account, of: &Account) -> Any {
    any(&MsgWithdrawDelegatorReward {
        delegator_address: who.address.text(),
        validator_address: of.address.operator_text(),
    })
}

/// The delegations that there are, by their places in the lists.
fn delegations(net: &Net, people: &[&Account], of: &[&Account]) -> BTreeSet<(usize, usize)> {
    let all = (0..people.len()).flat_map(|one| (0..of.len()).map(move |of| (one, of)));
    all.filter(|(one, at)| {
        let shares = staking::shares_of(&net.store, people[*one].address, of[*at].address);
        shares != Dec::ZERO
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases / 16 + 1,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_each_is_paid_is_what_the_blocks_give_it(
        steps in proptest::collection::vec(step(), 1..100),
    ) {
        let operators: Vec<_> = (1..=VALIDATORS as u8).map(Account::new).collect();
        let delegators: Vec<_> = (11..11 + DELEGATORS as u8).map(Account::new).collect();
        let of: Vec<_> = operators.iter().collect();
        let people: Vec<_> = operators.iter().chain(&delegators).collect();
        let stakes: Vec<_> = of.iter().zip([1_000, 700, 300]).map(|(one, n)| (*one, n)).collect();
        let mut net = start(&stakes, &delegators.iter().collect::<Vec<_>>(), |_| {});
        let mut count = Count::default();
        let mut signed_twice = false;
        for step in steps {
            let before = net.clone();
            let part = |net: &Net, d: usize, v: usize, bps: u128| {
                net.stake(&delegators[d], &operators[v]) * bps / 10_000
            };
            let (mut seconds, mut txs, mut misbehavior) = (1, vec![], vec![]);
            match step {
                Step::Delegate(d, v, units) => {
                    let msg = delegate(&delegators[d], &operators[v], units);
                    txs.push(net.sign(&delegators[d], msg));
                }
                Step::Undelegate(d, v, bps) => {
                    let units = part(&net, d, v, bps).max(1);
                    let msg = undelegate(&delegators[d], &operators[v], units);
                    txs.push(net.sign(&delegators[d], msg));
                }
                Step::Redelegate(d, v, w, bps) if v != w => {
                    let units = part(&net, d, v, bps).max(1);
                    let msg = redelegate(&delegators[d], &operators[v], &operators[w], units);
                    txs.push(net.sign(&delegators[d], msg));
                }
                Step::Redelegate(..) => {}
                Step::Withdraw(d, v) => {
                    txs.push(net.sign(&delegators[d], withdraw(&delegators[d], &operators[v])));
                }
                Step::DoubleSign if !signed_twice && net.height > 3 => {
                    signed_twice = true;
                    misbehavior.push(Misbehavior {
                        offence: Offence::DuplicateVote,
                        validator: consensus(&operators[0]),
                        power: 1_000,
                        height: net.height - 2,
                        time_s: net.time_s,
                        total_power: 2_000,
                    });
                }
                Step::DoubleSign => {}
                Step::Absent(absent) => {
                    net.absent = if absent { vec![consensus(&operators[1])] } else { vec![] };
                }
                Step::Wait(wait) => seconds = wait,
            }
            let output = net.block_with(seconds, &txs, &misbehavior);
            count.block(&before, &output, &people, &of);
            let (then, now) = (delegations(&before, &people, &of), delegations(&net, &people, &of));
            count.ended += then.difference(&now).count() as u128;
        }

        let mut paid = 0;
        let mut outstanding = 0;
        for one in &people {
            let request = QueryDelegationTotalRewardsRequest { delegator_address: one.address.text() };
            let owed: QueryDelegationTotalRewardsResponse = net.ask(&request).unwrap();
            for validator in &of {
                let key = (one.address.text(), validator.address.operator_text());
                let owed = owed.rewards.iter().find(|owed| owed.validator_address == key.1);
                let owed = owed.and_then(|owed| owed.reward.first());
                let owed = owed.map_or(0, |coin| coin.amount.parse::<u128>().unwrap());
                let got = count.paid.get(&key).copied().unwrap_or_default();
                paid += got;
                let have = (U512::from(got) * U512::from(ONE) + U512::from(owed)) * U512::from(ONE);
                let plain = count.plain.get(&key).copied().unwrap_or_default();
                // Below 1 uxpl of a delegation that ends goes to those who stay, and what no share got
                // of one reward to whoever has shares at the next.
                let slack = U512::from(1 + count.ended) * U512::from(ONE) * U512::from(ONE);
                prop_assert!(have <= plain + slack, "{key:?} has {have} of {plain}");
                prop_assert!(have + slack >= plain, "{key:?} has {have} of {plain}");
            }
        }
        for validator in &of {
            let validator_address = validator.address.operator_text();
            let request = QueryValidatorOutstandingRewardsRequest { validator_address };
            let answer: QueryValidatorOutstandingRewardsResponse = net.ask(&request).unwrap();
            let coins = answer.rewards.unwrap().rewards;
            outstanding += coins.first().map_or(0, |coin| coin.amount.parse::<u128>().unwrap());
        }
        // Nothing is lost, to the last of 18 digits.
        prop_assert_eq!(paid * ONE + outstanding, count.earned);
        prop_assert!(count.commission <= outstanding);
        let again = net.restarted();
        prop_assert_eq!(again.timeless(), net.timeless());
    }
}

#[test]
fn stake_that_moves_is_paid_first_and_one_that_joins_gets_nothing_of_before() {
    let [v, w, alice, bob] = [1, 2, 3, 4].map(Account::new);
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[&alice, &bob], |_| {});
    net.delegate(&alice, &v, 1_000);
    net.later(600);
    let elsewhere = any(&MsgSetWithdrawAddress {
        delegator_address: alice.address.text(),
        withdraw_address: w.address.text(),
    });
    net.done(&alice, elsewhere);
    let owed = |net: &Net, who: &Account| {
        let request = QueryDelegationTotalRewardsRequest { delegator_address: who.address.text() };
        let owed: QueryDelegationTotalRewardsResponse = net.ask(&request).unwrap();
        owed.total.first().map_or(Dec::ZERO, |coin| Dec::parse(&coin.amount).unwrap())
    };
    let mine = owed(&net, &alice);
    assert!(mine.floor() > Amount::new(1_000), "{mine}");
    net.delegate(&bob, &v, 5_000);
    assert_eq!(owed(&net, &bob), Dec::ZERO);

    let before = net.balance(&w);
    net.done(&alice, redelegate(&alice, &v, &w, 400 * XPL));
    let paid = net.balance(&w) - before;
    assert!(Amount::new(paid) >= mine.floor(), "{paid} of {mine}");
    assert!(owed(&net, &alice) < Dec::ONE, "what is below 1 uxpl stays owed");
    // All of it goes: nothing stays owed, and nothing is counted any more.
    net.later(600);
    let (mine, before) = (owed(&net, &alice), net.balance(&w));
    net.done(&alice, undelegate(&alice, &v, 600 * XPL));
    assert!(net.balance(&w) > before && mine > Dec::ONE);
    let request = QueryDelegationTotalRewardsRequest { delegator_address: alice.address.text() };
    let left: QueryDelegationTotalRewardsResponse = net.ask(&request).unwrap();
    assert_eq!(left.rewards.len(), 1, "with w alone");
}
