//! Every room's numbers change by a proposal that passed, within their bounds and step by step, and by
//! nothing else.

use plasma_modules::{governance, market, price, reward, rules, staking, token};
use plasma_proto::{
    cosmos::{
        authz::v1beta1::MsgExec, consensus::v1 as consensus_pb,
        distribution::v1beta1 as distribution_pb, gov::v1 as gov_pb, mint::v1beta1 as mint_pb,
        slashing::v1beta1 as slashing_pb, staking::v1beta1 as staking_pb,
    },
    plasma::{
        market::v1 as market_pb, price::v1 as price_pb, reward::v1 as reward_pb,
        token::v1 as token_pb,
    },
    tendermint::types::{BlockParams, ConsensusParams},
};
use prost::{Message, Name};
use prost_types::{Any, Duration};

use crate::{
    Chain, DEPOSIT, ProposalStatus, VOTING_S, VoteOption, any, ask, attribute, deposit, done,
    event, found, gov, operator, pass, person, run, start, status, submission, submit, vote,
};

/// The message from somebody, with such numbers.
type Say = Box<dyn Fn(&str, Numbers) -> Any>;

/// One room: what governance may make of its numbers, and what it may not.
struct Room {
    name: &'static str,
    /// The message, from anybody, with numbers that are good, out of bounds, or too far away.
    msg: Say,
    /// What a client is told of the numbers; what it is to be told of the good ones.
    told: Box<dyn Fn(&Chain) -> String>,
    good: String,
}

#[derive(Clone, Copy)]
enum Numbers {
    Good,
    Out,
    Far,
}

/// A room whose message holds its parameters: the ones of now, changed in three ways.
fn room<P: Clone + std::fmt::Debug + 'static, M: Message + Name + 'static>(
    name: &'static str,
    now: Option<P>,
    [good, out, far]: [fn(&mut P); 3],
    msg: fn(String, Option<P>) -> M,
    told: fn(&Chain) -> Option<P>,
) -> Room {
    let changed = move |change: fn(&mut P)| {
        let mut params = now.clone().unwrap();
        change(&mut params);
        params
    };
    let wanted = format!("{:?}", Some(changed(good)));
    let msg = move |from: &str, numbers| {
        let change = match numbers {
            Numbers::Good => good,
            Numbers::Out => out,
            Numbers::Far => far,
        };
        any(&msg(from.into(), Some(changed(change))))
    };
    Room {
        name,
        msg: Box::new(msg),
        told: Box::new(move |chain| format!("{:?}", told(chain))),
        good: wanted,
    }
}

/// What a question without words is answered.
fn answer<Q: Message + Default + Name, A: Message + Default>(chain: &Chain) -> A {
    let path = Q::type_url().replace("QueryParamsRequest", "Query/Params");
    ask(chain, &path, &Q::default()).unwrap()
}

/// The params of a room's own query.
macro_rules! told {
    ($of:ident) => {
        |chain| answer::<$of::QueryParamsRequest, $of::QueryParamsResponse>(chain).params
    };
}

macro_rules! msg {
    ($of:ident) => {
        |authority, params| $of::MsgUpdateParams { authority, params }
    };
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// What has its fields in the message itself.
fn update_consensus(authority: String, params: Option<ConsensusParams>) -> impl Name {
    let ConsensusParams { block, evidence, validator, version: _, abci } = params.unwrap();
    consensus_pb::MsgUpdateParams { authority, block, evidence, validator, abci }
}

fn block(params: &mut ConsensusParams) -> &mut BlockParams {
    params.block.as_mut().unwrap()
}

fn rooms(chain: &Chain) -> Vec<Room> {
    let store = &chain.store;
    vec![
        room(
            "token",
            Some(token::params(store)),
            [
                |p| p.account_min_uxpl = 200,
                |p| p.transfer_min_uxpl = 0,
                |p| p.account_min_uxpl = 201,
            ],
            msg!(token_pb),
            told!(token_pb),
        ),
        room(
            "market",
            Some(market::params(store)),
            [|p| p.attempts_max = 4, |p| p.attempts_max = 17, |p| p.attempts_max = 5],
            msg!(market_pb),
            told!(market_pb),
        ),
        room(
            "distribution",
            staking::default_genesis().distribution.unwrap().params,
            [
                |p| p.community_tax = "30000000000000000".into(),
                |p| p.community_tax = "250000000000000001".into(),
                |p| p.community_tax = "40000000000000001".into(),
            ],
            msg!(distribution_pb),
            told!(distribution_pb),
        ),
        room(
            "mint",
            staking::default_genesis().mint.unwrap().params,
            [
                |p| p.inflation_max = "90000000000000000".into(),
                |p| p.inflation_max = "200000000000000001".into(),
                |p| p.inflation_max = "90000000000000001".into(),
            ],
            msg!(mint_pb),
            told!(mint_pb),
        ),
        room(
            "staking",
            Some(staking::params(store)),
            [
                |p| p.unbonding_time = seconds(42 * 86_400),
                |p| p.unbonding_time = seconds(365 * 86_400 + 1),
                |p| p.unbonding_time = seconds(42 * 86_400 + 1),
            ],
            msg!(staking_pb),
            told!(staking_pb),
        ),
        room(
            "slashing",
            Some(staking::slashing_params(store)),
            [
                |p| p.downtime_jail_duration = seconds(1_200),
                |p| p.downtime_jail_duration = seconds(0),
                |p| p.downtime_jail_duration = seconds(1_201),
            ],
            msg!(slashing_pb),
            told!(slashing_pb),
        ),
        room(
            "consensus",
            Some(rules::consensus(store)),
            [
                |p| block(p).max_bytes *= 2,
                |p| block(p).max_bytes = 17 << 20,
                |p| block(p).max_bytes = (4 << 20) + 1,
            ],
            update_consensus,
            |chain| Some(rules::consensus(&chain.store)),
        ),
        room(
            "gov",
            Some(governance::params(store)),
            [
                |p| p.quorum = "0.384000000000000000".into(),
                |p| p.quorum = "1.000000000000000001".into(),
                |p| p.quorum = "0.384000000000000001".into(),
            ],
            msg!(gov_pb),
            |chain| {
                let params_type = "tallying".into();
                let asked = gov_pb::QueryParamsRequest { params_type };
                let path = "/cosmos.gov.v1.Query/Params";
                ask::<_, gov_pb::QueryParamsResponse>(chain, path, &asked).unwrap().params
            },
        ),
        room(
            "price",
            Some(price::params(store)),
            [|p| p.step_bps = 1_000, |p| p.step_bps = 2_001, |p| p.step_bps = 1_001],
            msg!(price_pb),
            told!(price_pb),
        ),
        room(
            "reward",
            Some(reward::params(store)),
            [|p| p.eta_bps = 8_500, |p| p.eta_bps = 9_501, |p| p.eta_bps = 8_501],
            msg!(reward_pb),
            told!(reward_pb),
        ),
    ]
}

/// Proposes a message, brings the deposit in two parts, and has most of the stake say yes.
fn propose(chain: &mut Chain, message: Any) -> u64 {
    let (proposer, other) = (person(0), person(1));
    let id = submit(chain, &proposer, &submission(&proposer, DEPOSIT / 10, vec![message]));
    assert_eq!(status(chain, id), ProposalStatus::DepositPeriod);
    done(chain, &other, deposit(&other, id, DEPOSIT));
    done(chain, &operator(2), vote(&operator(2), id, VoteOption::Yes));
    assert_eq!(status(chain, id), ProposalStatus::VotingPeriod);
    id
}

#[test]
fn a_vote_changes_the_numbers_of_every_room_within_bounds_and_steps() {
    let chain = start();
    for Room { name, msg, told, good } in rooms(&chain) {
        let mut chain = chain.clone();
        let (authority, before) = (gov().text(), told(&chain));
        assert_ne!(before, good, "{name}");
        // Refused: the proposal has failed, and nothing has changed.
        let mut refused = vec![(Numbers::Far, 11)];
        if name == "consensus" {
            // Its bounds need no state, so that it cannot even be proposed.
            let (who, out) = (person(0), msg(&authority, Numbers::Out));
            let result = run(&mut chain, &who, any(&submission(&who, DEPOSIT, vec![out])));
            assert_eq!((result.codespace, result.code), ("gov", 12), "{}", result.log);
        } else {
            refused.push((Numbers::Out, 10));
        }
        let refused: Vec<_> = refused
            .into_iter()
            .map(|(numbers, code)| (propose(&mut chain, msg(&authority, numbers)), code))
            .collect();
        let events = pass(&mut chain, VOTING_S + 10);
        for (id, code) in refused {
            let proposal = found(&chain, id);
            assert_eq!(proposal.status(), ProposalStatus::Failed, "{name}: {code}");
            let url = &proposal.messages[0].type_url;
            let reason = format!("message 0 ({url}) was refused: codespace params, code {code}");
            assert_eq!(proposal.failed_reason, reason);
        }
        assert!(events.iter().all(|event| event.kind != "params_updated"), "{name}");
        assert_eq!(told(&chain), before, "{name}");

        let id = propose(&mut chain, msg(&authority, Numbers::Good));
        let events = pass(&mut chain, VOTING_S + 10);
        let proposal = found(&chain, id);
        assert_eq!(proposal.status(), ProposalStatus::Passed, "{name}: {}", proposal.failed_reason);
        assert_eq!(attribute(event(&events, "params_updated"), "room"), name);
        assert_eq!(told(&chain), good, "{name}");
        assert_eq!(chain.timeless(), chain.exported(), "{name}");
    }
}

#[test]
fn nobody_but_governance_changes_the_numbers_of_any_room() {
    let mut chain = start();
    for Room { name, msg, told, good: _ } in rooms(&chain) {
        let (who, before) = (person(0), told(&chain));
        let (mine, theirs) = (who.address.text(), gov().text());
        // In one's own name; as an operator; in another module's.
        let result = run(&mut chain, &who, msg(&mine, Numbers::Good));
        assert_eq!((result.codespace, result.code), ("sdk", 4), "{name}: {}", result.log);
        let result = run(&mut chain, &operator(2), msg(&operator(2).address.text(), Numbers::Good));
        assert_eq!((result.codespace, result.code), ("sdk", 4), "{name}: {}", result.log);
        // In governance's name, signed by somebody, or as if it had been granted.
        let result = run(&mut chain, &who, msg(&theirs, Numbers::Good));
        assert_ne!(result.code, 0, "{name}");
        let exec = MsgExec { grantee: mine.clone(), msgs: vec![msg(&theirs, Numbers::Good)] };
        let result = run(&mut chain, &who, any(&exec));
        assert_ne!(result.code, 0, "{name}");
        // A proposal cannot hold it in anybody else's name.
        let proposal = submission(&who, DEPOSIT, vec![msg(&mine, Numbers::Good)]);
        let result = run(&mut chain, &who, any(&proposal));
        assert_eq!((result.codespace, result.code), ("gov", 12), "{name}: {}", result.log);
        assert_eq!(told(&chain), before, "{name}");
    }
}
