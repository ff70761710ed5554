//! What ballots keep is what a plain recount of votes and delegations finds, whatever stake does
//! meanwhile.

use std::collections::BTreeMap;

use plasma_modules::{
    Address, Amount, Memory, Write,
    chain::{self, BlockInput, Misbehavior, Offence, check_invariants},
    governance,
    staking::ballot,
    tx,
    types::{mul_div, sha256},
};
use plasma_proto::cosmos::{
    gov::v1::{ProposalStatus, QueryVotesRequest, QueryVotesResponse, Vote, VoteOption},
    staking::v1beta1::{
        Delegation, MsgBeginRedelegate, MsgDelegate, MsgUndelegate, QueryValidatorsRequest,
        QueryValidatorsResponse, Validator,
    },
};
use prost_types::Any;

use crate::{
    Account, Chain, DEPOSIT, XPL, any, ask, coin, deposit, genesis, operator, params, person,
    submission, submit, vote, weighted,
};

const SCALE: u128 = 1_000_000_000_000_000_000;
const CASES: u64 = 12;
const STEPS: u64 = 60;

/// Numbers that a seed makes.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.thrown += 1;
        let hash = sha256(&[self.seed.to_be_bytes(), self.thrown.to_be_bytes()].concat());
        u64::from_be_bytes(hash[..8].try_into().unwrap()) % n
    }

    fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap()
    }
}

fn number(text: &str) -> u128 {
    text.parse().unwrap()
}

/// `"0.25"` scaled by 10^18.
fn weight(text: &str) -> u128 {
    let (whole, part) = text.split_once('.').unwrap();
    number(whole) * SCALE + number(part)
}

fn bonded(chain: &Chain) -> Vec<Validator> {
    let status = "BOND_STATUS_BONDED".into();
    let request = QueryValidatorsRequest { status, pagination: None };
    let answer: Result<QueryValidatorsResponse, _> =
        ask(chain, "/cosmos.staking.v1beta1.Query/Validators", &request);
    answer.unwrap().validators
}

fn delegations(chain: &Chain) -> Vec<Delegation> {
    chain::export(&chain.store).staking.unwrap().delegations
}

fn votes(chain: &Chain, proposal_id: u64) -> Vec<Vote> {
    let request = QueryVotesRequest { proposal_id, pagination: None };
    let answer: Result<QueryVotesResponse, _> = ask(chain, "/cosmos.gov.v1.Query/Votes", &request);
    answer.unwrap().votes
}

/// Yes, abstain, no, no with veto, and all that is bonded: voter by voter, delegation by delegation.
fn recount(chain: &Chain, id: u64) -> [u128; 5] {
    let (votes, delegations) = (votes(chain, id), delegations(chain));
    let of: BTreeMap<&str, &Vote> = votes.iter().map(|vote| (vote.voter.as_str(), vote)).collect();
    let mut counts = [0; 5];
    for validator in bonded(chain) {
        let (tokens, all) = (number(&validator.tokens), number(&validator.delegator_shares));
        let mut shares = [0u128; 4];
        let mut add = |vote: &Vote, units: u128| {
            for part in &vote.options {
                let at = usize::try_from(part.option).unwrap() - 1;
                shares[at] += mul_div(units, weight(&part.weight), SCALE).unwrap();
            }
        };
        let mut rest = all;
        for delegation in &delegations {
            if delegation.validator_address != validator.operator_address {
                continue;
            }
            if let Some(vote) = of.get(delegation.delegator_address.as_str()) {
                add(vote, number(&delegation.shares));
                rest -= number(&delegation.shares);
            }
        }
        let account = Address::parse_operator(&validator.operator_address).unwrap();
        if let Some(vote) = of.get(account.text().as_str()) {
            add(vote, rest);
        }
        for (count, shares) in counts.iter_mut().zip(shares) {
            *count += mul_div(shares, tokens, all).unwrap();
        }
        counts[4] += tokens;
    }
    counts
}

fn agree(chain: &Chain, seed: u64) {
    for proposal in governance::under_way(&chain.store) {
        let ballot::Tally { yes, abstain, no, no_with_veto, bonded } =
            ballot::count(&chain.store, proposal.id);
        let counted = [yes, abstain, no, no_with_veto, bonded].map(Amount::units);
        let mut wanted = recount(chain, proposal.id);
        if proposal.status() != ProposalStatus::VotingPeriod {
            wanted = [0, 0, 0, 0, wanted[4]];
        }
        assert_eq!(counted, wanted, "seed {seed}, height {}, ballot {}", chain.height, proposal.id);
    }
}

/// A block with a transaction, and with offences.
fn block(chain: &mut Chain, txs: &[Vec<u8>], misbehavior: &[Misbehavior]) -> u32 {
    let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
    let input = BlockInput { misbehavior, ..chain.next(&txs) };
    let output = chain::execute_block(&chain.store, &input, &tx::NoMemory);
    (chain.height, chain.time_s) = (input.height, input.time_s);
    for (key, value) in output.writes {
        chain.store.set(key, value);
    }
    check_invariants(&chain.store).unwrap();
    output.txs.first().map_or(0, |tx| tx.code)
}

#[test]
fn ballots_are_a_plain_recount_of_votes_and_delegations() {
    let mut kinds = BTreeMap::<&str, (u32, u32)>::new();
    for seed in 0..CASES {
        let mut dice = Dice { seed, thrown: 0 };
        let mut own = params();
        own.voting_period.as_mut().unwrap().seconds = 40;
        own.expedited_voting_period.as_mut().unwrap().seconds = 20;
        let mut chain = Chain::new(&genesis(own));
        let people: Vec<Account> = (0..4).map(person).chain((0..3).map(operator)).collect();
        for _ in 0..3 {
            submit(&mut chain, &people[0], &submission(&people[0], DEPOSIT, vec![]));
        }
        let mut guilty = false;
        for _ in 0..STEPS {
            let who = &people[dice.index(people.len())];
            let [to, from] = [(); 2].map(|()| operator(dice.index(3)).address.operator_text());
            let delegator_address = who.address.text();
            let amount =
                Some(coin(u128::from(dice.below(50)) * XPL + u128::from(dice.below(1_000)) + 1));
            let all = governance::under_way(&chain.store);
            let id = if all.is_empty() { 1 } else { all[dice.index(all.len())].id };
            let option =
                || [VoteOption::Yes, VoteOption::Abstain, VoteOption::No, VoteOption::NoWithVeto];
            let mut offences = vec![];
            let (kind, msg): (&str, Any) = match dice.below(12) {
                0..=3 => (
                    "delegate",
                    any(&MsgDelegate { delegator_address, validator_address: to, amount }),
                ),
                4 => (
                    "undelegate",
                    any(&MsgUndelegate { delegator_address, validator_address: to, amount }),
                ),
                5 => (
                    "redelegate",
                    any(&MsgBeginRedelegate {
                        delegator_address,
                        validator_src_address: from,
                        validator_dst_address: to,
                        amount,
                    }),
                ),
                6 | 7 => ("vote", vote(who, id, option()[dice.index(4)])),
                8 | 9 => {
                    let (first, second) = (dice.index(4), dice.below(3) as usize + 1);
                    let parts = [
                        (option()[first], "0.333333333333333333"),
                        (option()[(first + second) % 4], "0.666666666666666667"),
                    ];
                    ("weighted vote", weighted(who, id, &parts))
                }
                10 if !guilty && dice.below(4) == 0 => {
                    guilty = true;
                    let validator = Address::of_consensus(&[0xe1; 32]).0;
                    offences.push(Misbehavior {
                        offence: Offence::DuplicateVote,
                        validator,
                        power: 2_000,
                        height: chain.height,
                        time_s: chain.time_s,
                        total_power: 6_000,
                    });
                    ("slash", vote(who, id, VoteOption::Yes))
                }
                10 => ("deposit", deposit(who, id, DEPOSIT)),
                _ => ("submit", any(&submission(who, DEPOSIT, vec![]))),
            };
            let mut draft = chain.draft(who, vec![msg]);
            (draft.gas, draft.fee) = (3_000_000, 50_000);
            let code = block(&mut chain, &[draft.sign(who)], &offences);
            let (done, all) = kinds.entry(kind).or_default();
            *done += u32::from(code == 0);
            *all += 1;
            agree(&chain, seed);
        }
        // An export carries votes, and the counts are made anew.
        let mut store = Memory::default();
        let exported = chain::export(&chain.store);
        chain::init(&mut store, crate::CHAIN_ID, chain.time_s, &exported).unwrap();
        agree(&Chain { store, ..chain.clone() }, seed);
    }
    println!("{kinds:?}");
    for (kind, (done, _)) in &kinds {
        assert!(*done > 0, "{kind} was never carried out: {kinds:?}");
    }
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}
