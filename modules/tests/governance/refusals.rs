//! What is refused, with its written code.

use plasma_modules::{Memory, chain, governance, msg::Msg};
use plasma_proto::{
    cosmos::{
        authz::v1beta1::MsgExec,
        base::v1beta1::Coin,
        feegrant::v1beta1::{BasicAllowance, MsgGrantAllowance},
        gov::{
            v1::{
                Deposit, MsgCancelProposal, MsgSubmitProposal, MsgVote, MsgVoteWeighted, Params,
                Proposal, ProposalStatus, Vote, VoteOption, WeightedVoteOption,
            },
            v1beta1,
        },
    },
    plasma::{genesis::v1::GovernanceGenesis, governance::v1::Stage},
};
use prost::{Message, Name};
use prost_types::{Any, Duration, Timestamp};

use crate::{
    Chain, DEPOSIT, VOTING_S, any, coin, common::CHAIN_ID, common::TIME_S, common::send, deposit,
    done, found, genesis, gov, operator, params, pass, person, publish, run, start, status,
    submission, submit, vote, weighted,
};

fn code(chain: &mut Chain, from: &crate::Account, msg: Any) -> (&'static str, u32) {
    let result = run(chain, from, msg);
    assert!(result.code == 0 || !result.log.is_empty());
    (result.codespace, result.code)
}

#[test]
fn proposals_that_cannot_be_are_refused_with_written_codes() {
    let (mut chain, alice) = (start(), person(0));
    let good = submission(&alice, DEPOSIT, vec![publish("x")]);
    let with = |change: fn(&mut MsgSubmitProposal)| {
        let mut msg = good.clone();
        change(&mut msg);
        any(&msg)
    };
    let inside = |msg: Any| any(&MsgSubmitProposal { messages: vec![msg], ..good.clone() });
    let grant = MsgGrantAllowance {
        granter: gov().text(),
        grantee: alice.address.text(),
        allowance: Some(any(&BasicAllowance::default())),
    };
    let by_gov = MsgSubmitProposal { proposer: gov().text(), ..good.clone() };
    for (name, msg, wanted) in [
        ("no title", with(|msg| msg.title.clear()), ("sdk", 18)),
        ("no summary", with(|msg| msg.summary.clear()), ("sdk", 18)),
        ("a long title", with(|msg| msg.title = "x".repeat(256)), ("gov", 15)),
        ("long metadata", with(|msg| msg.metadata = "x".repeat(256)), ("gov", 15)),
        ("a long summary", with(|msg| msg.summary = "x".repeat(10_201)), ("gov", 22)),
        (
            "nothing to do",
            with(|msg| {
                msg.messages.clear();
                msg.metadata.clear();
            }),
            ("gov", 11),
        ),
        ("no deposit", with(|msg| msg.initial_deposit.clear()), ("gov", 16)),
        (
            "a small deposit",
            with(|msg| msg.initial_deposit = vec![coin(DEPOSIT / 10 - 1)]),
            ("gov", 16),
        ),
        ("no coin", with(|msg| msg.initial_deposit = vec![coin(0)]), ("sdk", 10)),
        (
            "other coins",
            with(|msg| {
                let amount = "7".into();
                msg.initial_deposit = vec![Coin { denom: "uatom".into(), amount }];
            }),
            ("gov", 23),
        ),
        ("too much", with(|msg| msg.initial_deposit = vec![coin(u128::MAX)]), ("sdk", 5)),
        ("many messages", with(|msg| msg.messages = vec![publish("x"); 17]), ("gov", 43)),
        (
            "long messages",
            with(|msg| {
                let long = publish(&"x".repeat(20_000));
                msg.messages = vec![long.clone(), long];
            }),
            ("gov", 43),
        ),
        ("another's message", inside(send(&alice, gov(), 1)), ("gov", 13)),
        (
            "no message",
            inside(Any { type_url: "/plasma.Nothing".into(), value: vec![] }),
            ("gov", 12),
        ),
        ("a proposal inside", inside(any(&by_gov)), ("gov", 10)),
        ("a vote inside", inside(vote(&alice, 1, VoteOption::Yes)), ("gov", 10)),
        ("a deposit inside", inside(deposit(&alice, 1, 1)), ("gov", 10)),
        (
            "messages inside",
            inside(any(&MsgExec { grantee: gov().text(), msgs: vec![publish("x")] })),
            ("gov", 10),
        ),
        ("an allowance of deposits", inside(any(&grant)), ("gov", 10)),
    ] {
        assert_eq!(code(&mut chain, &alice, msg), wanted, "{name}");
    }
    let long = inside(publish(&"x".repeat(30_000)));
    let tx = chain.draft(&alice, vec![long]);
    assert!(tx.sign(&alice).len() > 30_000);
    assert_eq!(chain::export(&chain.store).governance.unwrap().next_proposal_id, 1);
}

#[test]
fn old_proposals_hold_text_alone() {
    let (mut chain, alice) = (start(), person(0));
    let of = |content: Option<Any>| {
        any(&v1beta1::MsgSubmitProposal {
            content,
            initial_deposit: vec![coin(DEPOSIT)],
            proposer: person(0).address.text(),
        })
    };
    let text = |title: &str, description: &str| {
        let text = v1beta1::TextProposal { title: title.into(), description: description.into() };
        let type_url = v1beta1::TextProposal::type_url();
        of(Some(Any { type_url, value: text.encode_to_vec() }))
    };
    let (long, longer) = ("x".repeat(141), "x".repeat(10_001));
    for (name, msg, wanted) in [
        ("no content", of(None), ("gov", 5)),
        ("no title", text(" ", "b"), ("gov", 5)),
        ("no description", text("a", ""), ("gov", 5)),
        ("a long title", text(&long, "b"), ("gov", 5)),
        ("a long description", text("a", &longer), ("gov", 5)),
        ("a spend", of(Some(publish("x"))), ("gov", 6)),
        ("text", text("a", "b"), ("", 0)),
    ] {
        assert_eq!(code(&mut chain, &alice, msg), wanted, "{name}");
    }
}

#[test]
fn votes_and_deposits_that_cannot_be_are_refused_with_written_codes() {
    let (mut chain, alice) = (start(), person(0));
    let id = submit(&mut chain, &alice, &submission(&alice, DEPOSIT / 2, vec![]));
    let yes = |id: u64| vote(&person(0), id, VoteOption::Yes);
    let parts = |parts: &[(i32, &str)]| {
        let part = |(option, weight): &(i32, &str)| WeightedVoteOption {
            option: *option,
            weight: (*weight).into(),
        };
        any(&MsgVoteWeighted {
            proposal_id: 1,
            voter: person(0).address.text(),
            options: parts.iter().map(part).collect(),
            metadata: String::new(),
        })
    };
    let old = |weights: &[&str]| {
        let part = |(at, weight): (usize, &&str)| v1beta1::WeightedVoteOption {
            option: i32::try_from(at).unwrap() + 1,
            weight: (*weight).into(),
        };
        any(&v1beta1::MsgVoteWeighted {
            proposal_id: 1,
            voter: person(0).address.text(),
            options: weights.iter().enumerate().map(part).collect(),
        })
    };
    let noted = any(&MsgVote {
        proposal_id: 1,
        voter: alice.address.text(),
        option: 1,
        metadata: "x".repeat(256),
    });
    for (name, msg, wanted) in [
        ("a vote before its time", yes(id), ("gov", 3)),
        ("a vote on nothing", yes(9), ("gov", 3)),
        ("a deposit on nothing", deposit(&alice, 9, DEPOSIT), ("gov", 2)),
        ("a deposit below one percent", deposit(&alice, id, DEPOSIT / 100 - 1), ("gov", 16)),
        ("a deposit of nothing", deposit(&alice, id, 0), ("sdk", 10)),
        ("a deposit above all", deposit(&alice, id, u128::MAX), ("sdk", 5)),
        (
            "a cancel of nothing",
            any(&MsgCancelProposal { proposal_id: 9, proposer: alice.address.text() }),
            ("gov", 2),
        ),
        ("the rest", deposit(&alice, id, DEPOSIT / 2), ("", 0)),
        ("no option", vote(&alice, id, VoteOption::Unspecified), ("gov", 7)),
        ("options of none", parts(&[]), ("sdk", 18)),
        ("an unknown option", parts(&[(5, "1")]), ("gov", 7)),
        ("one twice", parts(&[(1, "0.5"), (1, "0.5")]), ("gov", 7)),
        ("a weight of nothing", parts(&[(1, "1"), (2, "0")]), ("gov", 7)),
        ("too much weight", parts(&[(1, "0.5"), (2, "0.6")]), ("gov", 7)),
        ("too little weight", parts(&[(1, "0.5"), (2, "0.499999999999999999")]), ("gov", 7)),
        ("a weight that is none", parts(&[(1, "1e0")]), ("gov", 7)),
        ("a negative weight", parts(&[(1, "2"), (2, "-1")]), ("gov", 7)),
        ("19 decimals", parts(&[(1, "1.0000000000000000000")]), ("gov", 7)),
        ("old weights with a point", old(&["1.0"]), ("gov", 7)),
        ("old weights", old(&["250000000000000000", "750000000000000000"]), ("", 0)),
        ("long metadata", noted, ("gov", 15)),
        ("weights", parts(&[(1, "0.5"), (3, "0.5")]), ("", 0)),
    ] {
        assert_eq!(code(&mut chain, &alice, msg), wanted, "{name}");
    }
    pass(&mut chain, VOTING_S);
    assert_eq!(status(&chain, id), ProposalStatus::Rejected);
    let cancel = any(&MsgCancelProposal { proposal_id: id, proposer: alice.address.text() });
    for (msg, wanted) in
        [(yes(id), ("gov", 3)), (deposit(&alice, id, DEPOSIT), ("gov", 3)), (cancel, ("gov", 21))]
    {
        assert_eq!(code(&mut chain, &alice, msg), wanted);
    }
}

/// 64 are voted on, 256 wait, 100 deposit on one; the next is refused and changes nothing.
#[test]
fn what_is_under_way_is_bounded() {
    let alice = person(0);
    let whole = chain::export(&start().store).governance.unwrap();
    let block = |chain: &mut Chain, msgs: Vec<Any>| {
        let mut draft = chain.draft(&person(0), msgs);
        (draft.gas, draft.fee) = (500_000_000, 10_000_000);
        let tx = draft.sign(&person(0));
        let result = chain.block(&[tx]).remove(0);
        (result.codespace, result.code)
    };
    let long = Params { min_deposit: vec![coin(DEPOSIT / 10)], ..params() };
    let first = any(&submission(&alice, DEPOSIT / 10, vec![]));
    let mut chain = Chain::new(&genesis(long.clone()));
    for _ in 0..4 {
        assert_eq!(block(&mut chain, vec![first.clone(); 16]), ("", 0));
    }
    assert_eq!(block(&mut chain, vec![first.clone()]), ("gov", 41));
    let waits = any(&submission(&alice, DEPOSIT / 20, vec![]));
    for _ in 0..4 {
        assert_eq!(block(&mut chain, vec![waits.clone(); 60]), ("", 0));
    }
    assert_eq!(block(&mut chain, vec![waits.clone(); 16]), ("", 0));
    assert_eq!(block(&mut chain, vec![waits]), ("gov", 41));
    assert_eq!(chain::export(&chain.store).governance.unwrap().next_proposal_id, 321);
    assert_eq!(whole.next_proposal_id, 1);

    // While a ballot's votes are being removed, it still counts.
    pass(&mut chain, VOTING_S);
    assert!(matches!(block(&mut chain, vec![first.clone()]), ("", 0)));

    let mut genesis = genesis(Params { min_deposit: vec![coin(DEPOSIT)], ..long });
    let governance = genesis.governance.as_mut().unwrap();
    let deposits = (0..100u8).map(|at| Deposit {
        proposal_id: 1,
        depositor: plasma_modules::Address([at; 20]).text(),
        amount: vec![coin(1)],
    });
    governance.deposits = deposits.collect();
    governance.next_proposal_id = 2;
    governance.proposals = vec![waiting(100)];
    governance.stages = vec![Stage { proposal_id: 1, since_height: 0 }];
    let text = gov().text();
    let token = genesis.token.as_mut().unwrap();
    let at = token
        .balances
        .iter()
        .position(|balance| plasma_modules::Address::parse(&balance.address).unwrap() > gov());
    let balance =
        plasma_proto::plasma::genesis::v1::Balance { address: text, coins: vec![coin(100)] };
    token.balances.insert(at.unwrap_or(token.balances.len()), balance);
    let mut chain = Chain::new(&genesis);
    assert_eq!(code(&mut chain, &alice, deposit(&alice, 1, DEPOSIT)), ("gov", 42));
    assert_eq!(found(&chain, 1).total_deposit, vec![coin(100)]);
}

fn waiting(total: u128) -> Proposal {
    let at = |seconds: u64| Some(Timestamp { seconds: (TIME_S + seconds).cast_signed(), nanos: 0 });
    Proposal {
        id: 1,
        status: ProposalStatus::DepositPeriod.into(),
        submit_time: at(0),
        deposit_end_time: at(VOTING_S),
        total_deposit: vec![coin(total)],
        title: "A plan".into(),
        summary: "What is planned".into(),
        proposer: person(0).address.text(),
        ..Proposal::default()
    }
}

#[test]
fn a_genesis_that_does_not_hold_together_is_refused() {
    let refused = |change: fn(&mut GovernanceGenesis)| {
        let mut genesis = genesis(params());
        change(genesis.governance.as_mut().unwrap());
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, &genesis).unwrap_err()
    };
    type Case = (fn(&mut GovernanceGenesis), (&'static str, u32));
    let cases: [Case; 10] = [
        (|genesis| genesis.params = None, ("gov", 8)),
        (|genesis| genesis.next_proposal_id = 0, ("gov", 8)),
        (|genesis| genesis.proposals = vec![waiting(1)], ("gov", 8)),
        (
            |genesis| {
                (genesis.next_proposal_id, genesis.proposals) = (2, vec![waiting(1), waiting(1)]);
            },
            ("gov", 8),
        ),
        (
            |genesis| {
                let unknown = Proposal { status: 0, ..waiting(1) };
                (genesis.next_proposal_id, genesis.proposals) = (2, vec![unknown]);
            },
            ("gov", 8),
        ),
        (
            |genesis| {
                let theft = send(&person(0), gov(), 1);
                let proposal = Proposal { messages: vec![theft], ..waiting(1) };
                (genesis.next_proposal_id, genesis.proposals) = (2, vec![proposal]);
            },
            ("gov", 8),
        ),
        // Deposits whose money is not there.
        (
            |genesis| {
                (genesis.next_proposal_id, genesis.proposals) = (2, vec![waiting(1)]);
                genesis.stages = vec![Stage { proposal_id: 1, since_height: 0 }];
                genesis.deposits = vec![Deposit {
                    proposal_id: 1,
                    depositor: person(0).address.text(),
                    amount: vec![coin(1)],
                }];
            },
            ("gov", 8),
        ),
        (
            |genesis| {
                genesis.votes = vec![Vote {
                    proposal_id: 1,
                    voter: person(0).address.text(),
                    ..Vote::default()
                }];
            },
            ("gov", 8),
        ),
        // A stage of nothing: an invariant.
        (|genesis| genesis.stages = vec![Stage { proposal_id: 1, since_height: 0 }], ("sdk", 18)),
        (
            |genesis| {
                let params = Params { min_deposit_ratio: "0.009".into(), ..params() };
                genesis.params = Some(params);
            },
            ("params", 12),
        ),
    ];
    for (at, (change, wanted)) in cases.into_iter().enumerate() {
        let refusal = refused(change);
        assert_eq!((refusal.codespace, refusal.code), wanted, "{at}: {refusal}");
    }
}

#[test]
fn parameters_have_bounds() {
    governance::validate_params(&governance::default_params()).unwrap();
    let good = governance::default_params();
    let dec = |text: &str| text.to_owned();
    let period = |seconds: i64, nanos: i32| Some(Duration { seconds, nanos });
    for bad in [
        Params { min_deposit: vec![], ..good.clone() },
        Params { min_deposit: vec![coin(0)], ..good.clone() },
        Params { min_deposit: vec![coin(10_u128.pow(15) + 1)], ..good.clone() },
        Params {
            min_deposit: vec![Coin { denom: "uatom".into(), amount: "1".into() }],
            ..good.clone()
        },
        Params { expedited_min_deposit: good.min_deposit.clone(), ..good.clone() },
        Params { voting_period: None, ..good.clone() },
        Params { voting_period: period(0, 0), ..good.clone() },
        Params { voting_period: period(31_536_001, 0), ..good.clone() },
        Params { voting_period: period(500_000, 1), ..good.clone() },
        Params { max_deposit_period: period(-1, 0), ..good.clone() },
        Params { expedited_voting_period: good.voting_period, ..good.clone() },
        Params { quorum: dec("1.000000000000000001"), ..good.clone() },
        Params { quorum: dec("0.5"), ..good.clone() },
        Params { quorum: dec("-0.500000000000000000"), ..good.clone() },
        Params { threshold: dec("0.499999999999999999"), ..good.clone() },
        Params { threshold: good.expedited_threshold.clone(), ..good.clone() },
        Params { veto_threshold: dec("0.000000000000000000"), ..good.clone() },
        Params { min_initial_deposit_ratio: dec(""), ..good.clone() },
        Params { proposal_cancel_ratio: dec("2.000000000000000000"), ..good.clone() },
        Params { min_deposit_ratio: dec("0.009999999999999999"), ..good.clone() },
        Params { proposal_cancel_dest: gov().text(), ..good.clone() },
        Params { proposal_cancel_dest: "xpl".into(), ..good.clone() },
    ] {
        assert!(governance::validate_params(&bad).is_err(), "{bad:?}");
    }
}

/// However messages stand in each other, reading them ends.
#[test]
fn nesting_is_bounded() {
    let alice = person(0);
    let proposal = |msgs: Vec<Any>| any(&submission(&alice, DEPOSIT, msgs));
    let exec = |msgs: Vec<Any>| any(&MsgExec { grantee: person(0).address.text(), msgs });
    assert!(Msg::from_any(&exec(vec![exec(vec![proposal(vec![publish("x")])])])).is_ok());
    let mut msg = publish("x");
    for _ in 0..60 {
        msg = exec(vec![proposal(vec![msg])]);
    }
    let refusal = Msg::from_any(&msg).unwrap_err();
    assert_eq!((refusal.codespace, refusal.code), ("gov", 10), "{refusal}");
    // A transaction counts and prices what is inside.
    let whole = Msg::from_any(&proposal(vec![publish("x"), publish("y")])).unwrap();
    assert_eq!(whole.count(), 3);
    let (one, none) = (proposal(vec![publish("x")]), proposal(vec![]));
    let gas = |msg: &Any| Msg::from_any(msg).unwrap().gas();
    let inside = publish("x");
    let bytes = 10 * inside.value.len() as u64;
    assert_eq!(gas(&one), gas(&none) + gas(&inside) + bytes);
    let _ = (weighted(&operator(0), 1, &[]), done);
}
