//! What becomes of proposals.

use plasma_modules::{
    Address, Write,
    chain::check_invariants,
    staking::ballot::{self, Options},
};
use plasma_proto::cosmos::{
    bank::v1beta1::MsgSend,
    gov::{
        v1::{MsgCancelProposal, MsgCancelProposalResponse, Params, ProposalStatus, VoteOption},
        v1beta1,
    },
};
use prost::{Message, Name};
use prost_types::Any;

use crate::{
    Chain, DEPOSIT, EXPEDITED_DEPOSIT, EXPEDITED_S, HELD, VOTING_S, XPL, any, attribute, chain,
    coin, common::CHAIN_ID, counts, deposit, done, event, found, genesis, gov, governance,
    is_published, operator, params, pass, person, publish, run, start, status, submission, submit,
    vote, weighted,
};

/// Burned since the genesis.
fn burned(chain: &Chain) -> u128 {
    chain::export(&chain.store).token.unwrap().totals.unwrap().burned_uxpl.parse().unwrap()
}

#[test]
fn a_text_proposal_passes_from_first_to_last() {
    let (mut chain, alice, bob) = (start(), person(0), person(1));
    let text = v1beta1::TextProposal { title: "Hello".into(), description: "World".into() };
    let content = Any { type_url: v1beta1::TextProposal::type_url(), value: text.encode_to_vec() };
    let msg = any(&v1beta1::MsgSubmitProposal {
        content: Some(content),
        initial_deposit: vec![coin(DEPOSIT / 10)],
        proposer: alice.address.text(),
    });
    // As a wallet with a Ledger signs it.
    let tx = chain.draft(&alice, vec![msg]).sign_amino(&alice);
    let result = chain.block(&[tx]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    let submitted = event(&result.events, "submit_proposal");
    assert_eq!(attribute(submitted, "proposal_id"), "1");
    assert_eq!(attribute(submitted, "proposal_proposer"), alice.address.text());
    assert_eq!(status(&chain, 1), ProposalStatus::DepositPeriod);
    assert_eq!(chain.balance(gov()), DEPOSIT / 10);

    let result = done(&mut chain, &bob, deposit(&bob, 1, DEPOSIT));
    let first = event(&result.events, "proposal_deposit");
    assert_eq!(attribute(first, "depositor"), bob.address.text());
    assert_eq!(attribute(first, "amount"), format!("{DEPOSIT}uxpl"));
    let last = result.events.iter().rfind(|event| event.kind == "proposal_deposit").unwrap();
    assert_eq!(attribute(last, "voting_period_start"), "1");
    assert_eq!(status(&chain, 1), ProposalStatus::VotingPeriod);

    let result = done(&mut chain, &operator(2), vote(&operator(2), 1, VoteOption::Yes));
    let voted = event(&result.events, "proposal_vote");
    assert_eq!(attribute(voted, "option"), r#"[{"option":1,"weight":"1.000000000000000000"}]"#);
    let legacy = any(&v1beta1::MsgVote {
        proposal_id: 1,
        voter: operator(0).address.text(),
        option: VoteOption::No.into(),
    });
    done(&mut chain, &operator(0), legacy);

    let (before, fees) = (chain.balance(bob.address), chain.balance(alice.address));
    let events = pass(&mut chain, VOTING_S);
    let ended = event(&events, "active_proposal");
    assert_eq!(attribute(ended, "proposal_id"), "1");
    assert_eq!(attribute(ended, "proposal_result"), "proposal_passed");
    let proposal = found(&chain, 1);
    assert_eq!(proposal.status(), ProposalStatus::Passed);
    assert_eq!((proposal.title.as_str(), proposal.summary.as_str()), ("Hello", "World"));
    assert_eq!(counts(&proposal.final_tally_result.unwrap()), [3_000, 0, 1_000, 0]);
    // Both have their deposits back, and nothing is left of the vote.
    assert_eq!(chain.balance(bob.address), before + DEPOSIT);
    assert_eq!(chain.balance(alice.address), fees + DEPOSIT / 10);
    assert_eq!(chain.balance(gov()), 0);
    assert_eq!(ballot::vote(&chain.store, 1, operator(2).address), None);
    pass(&mut chain, 10);
    assert_eq!(ballot::VOTES.map().iter(&chain.store).count(), 0);
}

/// Of 6,000 XPL, 33.4% must vote.
#[test]
fn without_quorum_a_proposal_is_rejected() {
    for (burns, voter, wanted) in [
        (false, 0, ProposalStatus::Rejected),
        (true, 0, ProposalStatus::Rejected),
        (true, 1, ProposalStatus::Rejected),
        (true, 2, ProposalStatus::Passed),
    ] {
        let params = Params { burn_vote_quorum: burns, ..params() };
        let (mut chain, alice) = (Chain::new(&genesis(params)), person(0));
        let id = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![]));
        done(&mut chain, &operator(voter), vote(&operator(voter), id, VoteOption::Yes));
        let (held, before) = (chain.balance(alice.address), burned(&chain));
        let events = pass(&mut chain, VOTING_S);
        assert_eq!(status(&chain, id), wanted);
        let rejected = wanted == ProposalStatus::Rejected;
        let lost = if burns && rejected { DEPOSIT } else { 0 };
        assert_eq!(chain.balance(alice.address), held + DEPOSIT - lost);
        assert_eq!(burned(&chain), before + lost);
        let result = if rejected { "proposal_rejected" } else { "proposal_passed" };
        assert_eq!(attribute(event(&events, "active_proposal"), "proposal_result"), result);
    }
}

#[test]
fn a_veto_burns_the_deposits() {
    let (mut chain, alice, bob) = (start(), person(0), person(1));
    let id = submit(&mut chain, &alice, &submission(&alice, DEPOSIT / 2, vec![publish("x")]));
    done(&mut chain, &bob, deposit(&bob, id, DEPOSIT / 2));
    done(&mut chain, &operator(2), vote(&operator(2), id, VoteOption::Yes));
    // 1,600 of 4,600 are more than 33.4%.
    let parts = [(VoteOption::NoWithVeto, "0.8"), (VoteOption::Abstain, "0.2")];
    done(&mut chain, &operator(1), weighted(&operator(1), id, &parts));
    let before = burned(&chain);
    pass(&mut chain, VOTING_S);
    assert_eq!(burned(&chain), before);
    let proposal = found(&chain, id);
    assert_eq!(counts(&proposal.final_tally_result.clone().unwrap()), [3_000, 400, 0, 1_600]);
    assert_eq!(proposal.status(), ProposalStatus::Passed, "1,600 of 5,000 are 32%");

    let id = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![publish("y")]));
    done(&mut chain, &operator(2), vote(&operator(2), id, VoteOption::Yes));
    done(&mut chain, &operator(1), vote(&operator(1), id, VoteOption::NoWithVeto));
    let before = burned(&chain);
    pass(&mut chain, VOTING_S);
    assert_eq!(status(&chain, id), ProposalStatus::Rejected);
    assert!(is_published(&chain, "x") && !is_published(&chain, "y"));
    assert_eq!(burned(&chain), before + DEPOSIT);
    assert_eq!(chain.balance(gov()), 0);
}

/// More than two thirds were asked for and 60% came: it goes on as an ordinary vote, with the votes
/// that were cast.
#[test]
fn an_expedited_proposal_that_fails_becomes_an_ordinary_one() {
    let (mut chain, alice) = (start(), person(0));
    let mut msg = submission(&alice, DEPOSIT, vec![publish("x")]);
    msg.expedited = true;
    let id = submit(&mut chain, &alice, &msg);
    assert_eq!(status(&chain, id), ProposalStatus::DepositPeriod, "its deposit is a higher one");
    done(&mut chain, &alice, deposit(&alice, id, EXPEDITED_DEPOSIT - DEPOSIT));
    assert_eq!(status(&chain, id), ProposalStatus::VotingPeriod);
    done(&mut chain, &operator(2), vote(&operator(2), id, VoteOption::Yes));
    done(&mut chain, &operator(1), vote(&operator(1), id, VoteOption::No));
    let held = chain.balance(alice.address);

    let events = pass(&mut chain, EXPEDITED_S);
    let ended = event(&events, "active_proposal");
    assert_eq!(attribute(ended, "proposal_result"), "expedited_proposal_rejected");
    let proposal = found(&chain, id);
    assert_eq!((proposal.status(), proposal.expedited), (ProposalStatus::VotingPeriod, false));
    let began = proposal.voting_start_time.unwrap().seconds;
    assert_eq!(proposal.voting_end_time.unwrap().seconds, began + VOTING_S.cast_signed());
    assert_eq!(counts(&proposal.final_tally_result.unwrap()), [3_000, 0, 2_000, 0]);
    assert_eq!(chain.balance(gov()), EXPEDITED_DEPOSIT);

    pass(&mut chain, VOTING_S - EXPEDITED_S);
    assert_eq!(status(&chain, id), ProposalStatus::Passed);
    assert!(is_published(&chain, "x"));
    assert_eq!(chain.balance(alice.address), held + EXPEDITED_DEPOSIT);
}

#[test]
fn an_expedited_proposal_passes_in_its_own_time() {
    let (mut chain, alice) = (start(), person(0));
    let mut msg = submission(&alice, EXPEDITED_DEPOSIT, vec![publish("x")]);
    msg.expedited = true;
    let id = submit(&mut chain, &alice, &msg);
    for at in 0..3 {
        done(&mut chain, &operator(at), vote(&operator(at), id, VoteOption::Yes));
    }
    pass(&mut chain, EXPEDITED_S - 10);
    assert_eq!(status(&chain, id), ProposalStatus::VotingPeriod);
    pass(&mut chain, 10);
    assert_eq!(status(&chain, id), ProposalStatus::Passed);
    assert!(found(&chain, id).expedited && is_published(&chain, "x"));
}

#[test]
fn too_few_deposits_and_a_proposal_is_dropped() {
    for burns in [false, true] {
        let params = Params { burn_proposal_deposit_prevote: burns, ..params() };
        let (mut chain, alice, bob) = (Chain::new(&genesis(params)), person(0), person(1));
        let id = submit(&mut chain, &alice, &submission(&alice, DEPOSIT / 2, vec![]));
        done(&mut chain, &bob, deposit(&bob, id, DEPOSIT / 4));
        let (a, b) = (chain.balance(alice.address), chain.balance(bob.address));
        let events = pass(&mut chain, VOTING_S);
        let ended = event(&events, "inactive_proposal");
        assert_eq!(attribute(ended, "proposal_id"), id.to_string());
        assert_eq!(attribute(ended, "proposal_result"), "proposal_dropped");
        assert_eq!(governance::proposal(&chain.store, id), None);
        let back = if burns { 0 } else { 1 };
        assert_eq!(chain.balance(alice.address), a + back * DEPOSIT / 2);
        assert_eq!(chain.balance(bob.address), b + back * DEPOSIT / 4);
    }
}

#[test]
fn who_proposed_may_cancel_for_a_part_of_the_deposits() {
    let community = Address::of_module("distribution");
    let friend = person(3).address;
    for (dest, to) in
        [("".into(), None), (community.text(), Some(community)), (friend.text(), Some(friend))]
    {
        let params = Params { proposal_cancel_dest: dest, ..params() };
        let (mut chain, alice, bob) = (Chain::new(&genesis(params)), person(0), person(1));
        let id = submit(&mut chain, &alice, &submission(&alice, DEPOSIT / 2, vec![]));
        // An odd amount: half of it is rounded down.
        done(&mut chain, &bob, deposit(&bob, id, DEPOSIT + 1));
        done(&mut chain, &operator(2), vote(&operator(2), id, VoteOption::Yes));
        let (held, before) = (chain.balance(bob.address), burned(&chain));
        let dest_held = to.map(|to| chain.balance(to));
        let msg = MsgCancelProposal { proposal_id: id, proposer: alice.address.text() };
        let refused = run(
            &mut chain,
            &bob,
            any(&MsgCancelProposal { proposer: bob.address.text(), ..msg.clone() }),
        );
        assert_eq!((refused.codespace, refused.code), ("gov", 18));
        let paid = held - chain.balance(bob.address);
        let result = done(&mut chain, &alice, any(&msg));
        let cancelled = event(&result.events, "cancel_proposal");
        assert_eq!(attribute(cancelled, "sender"), alice.address.text());
        assert_eq!(governance::proposal(&chain.store, id), None);
        assert_eq!(chain.balance(bob.address), held - paid + DEPOSIT / 2 + 1);
        assert_eq!(chain.balance(gov()), 0);
        let lost = DEPOSIT / 4 + DEPOSIT / 2;
        match (to, dest_held) {
            (Some(to), Some(before)) if to == friend => {
                assert_eq!(chain.balance(to), before + lost);
            }
            (Some(to), Some(before)) => assert!(chain.balance(to) >= before + lost),
            // Fees are burned too.
            _ => assert!(burned(&chain) >= before + lost),
        }
        let again = run(&mut chain, &alice, any(&msg));
        assert_eq!((again.codespace, again.code), ("gov", 2));
        let late = run(&mut chain, &operator(1), vote(&operator(1), id, VoteOption::Yes));
        assert_eq!((late.codespace, late.code), ("gov", 3));
        let data: plasma_proto::cosmos::base::abci::v1beta1::TxMsgData =
            Message::decode(result.data.as_slice()).unwrap();
        let response =
            MsgCancelProposalResponse::decode(data.msg_responses[0].value.as_slice()).unwrap();
        assert_eq!((response.proposal_id, response.canceled_height), (id, chain.height - 2));
    }
}

/// All messages or none; what was undone leaves no event.
#[test]
fn a_proposal_is_carried_out_whole_or_not_at_all() {
    let (mut chain, alice) = (start(), person(0));
    let whole = submission(&alice, DEPOSIT, vec![publish("a"), publish("b")]);
    let broken = submission(&alice, DEPOSIT, vec![publish("c"), publish("b"), publish("d")]);
    let whole = submit(&mut chain, &alice, &whole);
    done(&mut chain, &operator(2), vote(&operator(2), whole, VoteOption::Yes));
    let broken = submit(&mut chain, &alice, &broken);
    done(&mut chain, &operator(2), vote(&operator(2), broken, VoteOption::Yes));
    let held = chain.balance(alice.address);

    let events = pass(&mut chain, VOTING_S + 10);
    assert_eq!(status(&chain, whole), ProposalStatus::Passed);
    let proposal = found(&chain, broken);
    assert_eq!(proposal.status(), ProposalStatus::Failed);
    let url = "/plasma.market.v1.MsgPublishModel";
    assert!(
        proposal
            .failed_reason
            .starts_with(&format!("message 1 ({url}) was refused: codespace market")),
        "{}",
        proposal.failed_reason
    );
    for (name, there) in [("a", true), ("b", true), ("c", false), ("d", false)] {
        assert_eq!(is_published(&chain, name), there, "{name}");
    }
    let results: Vec<_> = events
        .iter()
        .filter(|event| event.kind == "active_proposal")
        .map(|event| (attribute(event, "proposal_id"), attribute(event, "proposal_result")))
        .collect();
    let (first, second) = (whole.to_string(), broken.to_string());
    assert_eq!(results, [(&*first, "proposal_passed"), (&*second, "proposal_failed")]);
    let published: Vec<_> = events
        .iter()
        .filter(|event| event.attributes.iter().any(|(key, _)| *key == "proposal_msg_index"))
        .map(|event| attribute(event, "proposal_msg_index"))
        .collect();
    assert_eq!(published, ["0", "1"]);
    assert_eq!(chain.balance(alice.address), held + 2 * DEPOSIT, "deposits are paid back");
}

/// The account that signs for proposals holds others' deposits, and no vote moves them.
#[test]
fn no_proposal_spends_deposits() {
    let (mut chain, alice, bob) = (start(), person(0), person(1));
    submit(&mut chain, &bob, &submission(&bob, DEPOSIT / 2, vec![]));
    let theft = any(&MsgSend {
        from_address: gov().text(),
        to_address: alice.address.text(),
        amount: vec![coin(DEPOSIT / 4)],
    });
    let id = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![theft]));
    done(&mut chain, &operator(2), vote(&operator(2), id, VoteOption::Yes));
    pass(&mut chain, 60);
    done(&mut chain, &bob, deposit(&bob, 1, DEPOSIT));
    pass(&mut chain, 40);
    let proposal = found(&chain, id);
    assert_eq!(proposal.status(), ProposalStatus::Failed);
    assert_eq!(proposal.failed_reason, "message 1 (all) was refused: codespace gov, code 44");
    assert_eq!(chain.balance(gov()), DEPOSIT / 2 + DEPOSIT);
}

/// A year without a block is no time to vote in.
#[test]
fn a_stalled_chain_ends_no_vote() {
    let (mut chain, alice) = (start(), person(0));
    let voted = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![]));
    let waits = submit(&mut chain, &alice, &submission(&alice, DEPOSIT / 2, vec![]));
    chain.block_after(31_536_000, &[]);
    assert_eq!(status(&chain, voted), ProposalStatus::VotingPeriod);
    done(&mut chain, &operator(2), vote(&operator(2), voted, VoteOption::Yes));
    done(&mut chain, &alice, deposit(&alice, waits, DEPOSIT));
    assert_eq!(status(&chain, waits), ProposalStatus::VotingPeriod);
    for _ in 0..VOTING_S / governance::SECONDS_PER_BLOCK - 4 {
        assert_eq!(status(&chain, voted), ProposalStatus::VotingPeriod);
        chain.block_after(1, &[]);
    }
    assert_eq!(status(&chain, voted), ProposalStatus::Passed);
}

/// Work of one block is bounded: the rest comes to turn in the next ones.
#[test]
fn endings_and_old_votes_take_bounded_steps() {
    let (mut chain, alice) = (start(), person(0));
    let count = governance::ENDINGS_PER_BLOCK_MAX * 2 + 1;
    let msgs: Vec<Any> =
        (0..count).map(|_| any(&submission(&alice, DEPOSIT / 2, vec![]))).collect();
    let mut draft = chain.draft(&alice, msgs);
    (draft.gas, draft.fee) = (10_000_000, 100_000);
    let tx = draft.sign(&alice);
    let result = chain.block(&[tx]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    let voted = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![]));
    let voters = governance::VOTES_REMOVED_PER_BLOCK_MAX * 2 + 1;
    let yes = Options::new(&[(VoteOption::Yes.into(), plasma_modules::Dec::ONE)]).unwrap();
    for at in 0..u32::try_from(voters).unwrap() {
        let mut voter = Address::default();
        voter.0[..4].copy_from_slice(&at.to_be_bytes());
        ballot::cast(&mut chain.store, voted, voter, &yes, String::new());
    }
    check_invariants(&chain.store).unwrap();
    let left = |chain: &Chain| ballot::VOTES.map().iter(&chain.store).count();
    let (mut dropped, mut lefts) = (Vec::new(), vec![left(&chain)]);
    for _ in 0..VOTING_S / governance::SECONDS_PER_BLOCK + 4 {
        let events = chain.block_after(governance::SECONDS_PER_BLOCK, &[]).events;
        dropped.push(events.iter().filter(|event| event.kind.ends_with("active_proposal")).count());
        lefts.push(left(&chain));
    }
    dropped.retain(|dropped| *dropped > 0);
    assert_eq!(dropped, [4, 4, 2]);
    lefts.dedup();
    assert_eq!(lefts, [1_001, 501, 1, 0]);
    assert_eq!(status(&chain, voted), ProposalStatus::Rejected);
    assert_eq!(ballot::vote(&chain.store, voted, Address::default()), None);
}

/// A chain that starts from an export goes on with the votes and deposits of this one.
#[test]
fn votes_go_on_after_an_export() {
    let (mut chain, alice, bob) = (start(), person(0), person(1));
    let voted = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![publish("x")]));
    let waits = submit(&mut chain, &bob, &submission(&bob, DEPOSIT / 2, vec![]));
    let parts = [(VoteOption::Yes, "0.7"), (VoteOption::No, "0.3")];
    done(&mut chain, &operator(2), weighted(&operator(2), voted, &parts));
    let exported = chain.exported();
    let mut timeless = chain.timeless();
    timeless.set(vec![0x01], None);
    let mut same = exported.clone();
    same.set(vec![0x01], None);
    assert_eq!(same, timeless);
    assert_eq!(chain::export(&exported).governance, chain::export(&chain.store).governance);
    let mut other = Chain { store: exported, ..chain.clone() };
    for chain in [&mut chain, &mut other] {
        pass(chain, VOTING_S + 10);
        assert_eq!(status(chain, voted), ProposalStatus::Passed);
        assert_eq!(governance::proposal(&chain.store, waits), None);
        assert!(is_published(chain, "x"));
        assert_eq!(CHAIN_ID, "plasma-test-1");
    }
    assert_eq!(found(&chain, voted), found(&other, voted));
    assert!(chain.balance(bob.address) <= HELD && chain.balance(bob.address) > HELD - XPL);
}
