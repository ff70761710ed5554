//! Every question of cosmos.gov v1 and v1beta1.

use plasma_proto::cosmos::{
    base::query::v1beta1::PageRequest,
    gov::{
        v1::{self, ProposalStatus, VoteOption},
        v1beta1,
    },
};
use prost::{Message, Name};

use crate::{
    Chain, DEPOSIT, VOTING_S, XPL, ask, chain, common::coin, counts, deposit, done, genesis,
    operator, params, pass, person, publish, start, submission, submit, vote, weighted,
};

/// Five proposals: 1 passed, 2 and 3 are voted on, 4 and 5 wait.
fn busy() -> Chain {
    let (mut chain, alice, bob) = (start(), person(0), person(1));
    let first = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![publish("x")]));
    done(&mut chain, &operator(2), vote(&operator(2), first, VoteOption::Yes));
    pass(&mut chain, VOTING_S);
    let second = submit(&mut chain, &alice, &submission(&alice, DEPOSIT, vec![]));
    submit(&mut chain, &bob, &submission(&bob, DEPOSIT, vec![publish("y"), publish("z")]));
    submit(&mut chain, &alice, &submission(&alice, DEPOSIT / 2, vec![]));
    let last = submit(&mut chain, &bob, &submission(&bob, DEPOSIT / 2, vec![publish("y")]));
    done(&mut chain, &alice, deposit(&alice, last, DEPOSIT / 4));
    done(&mut chain, &operator(2), vote(&operator(2), second, VoteOption::Abstain));
    let parts = [(VoteOption::Yes, "0.25"), (VoteOption::NoWithVeto, "0.75")];
    done(&mut chain, &operator(0), weighted(&operator(0), second, &parts));
    chain
}

fn v1<Q: Message, A: Message + Default>(
    chain: &Chain,
    method: &str,
    ask_: &Q,
) -> Result<A, String> {
    ask(chain, &format!("/cosmos.gov.v1.Query/{method}"), ask_)
}

fn old<Q: Message, A: Message + Default>(
    chain: &Chain,
    method: &str,
    ask_: &Q,
) -> Result<A, String> {
    ask(chain, &format!("/cosmos.gov.v1beta1.Query/{method}"), ask_)
}

fn ids(answer: &v1::QueryProposalsResponse) -> Vec<u64> {
    answer.proposals.iter().map(|proposal| proposal.id).collect()
}

#[test]
fn proposals_are_found_by_status_voter_and_depositor_in_pages() {
    let chain = busy();
    let all = v1::QueryProposalsRequest::default();
    let find = |request: v1::QueryProposalsRequest| -> v1::QueryProposalsResponse {
        v1(&chain, "Proposals", &request).unwrap()
    };
    assert_eq!(ids(&find(all.clone())), [1, 2, 3, 4, 5]);
    for (status, wanted) in [
        (ProposalStatus::DepositPeriod, vec![4, 5]),
        (ProposalStatus::VotingPeriod, vec![2, 3]),
        (ProposalStatus::Passed, vec![1]),
        (ProposalStatus::Rejected, vec![]),
    ] {
        let request = v1::QueryProposalsRequest { proposal_status: status.into(), ..all.clone() };
        assert_eq!(ids(&find(request)), wanted, "{status:?}");
    }
    let voter = |at: usize| operator(at).address.text();
    let by_voter = |voter: String| v1::QueryProposalsRequest { voter, ..all.clone() };
    assert_eq!(ids(&find(by_voter(voter(0)))), [2]);
    assert_eq!(ids(&find(by_voter(voter(2)))), [2], "votes are forgotten when voting ends");
    assert_eq!(ids(&find(by_voter(voter(1)))), [0; 0]);
    let by_depositor =
        |at: u8| v1::QueryProposalsRequest { depositor: person(at).address.text(), ..all.clone() };
    assert_eq!(ids(&find(by_depositor(0))), [2, 4, 5]);
    assert_eq!(ids(&find(by_depositor(1))), [3, 5]);
    let waits = v1::QueryProposalsRequest {
        proposal_status: ProposalStatus::DepositPeriod.into(),
        ..by_depositor(1)
    };
    assert_eq!(ids(&find(waits)), [5]);

    // Pages, there and back, of what a filter lets through.
    for (filter, forth) in [(all.clone(), vec![1, 2, 3, 4, 5]), (by_depositor(0), vec![2, 4, 5])] {
        for reverse in [false, true] {
            let mut wanted = forth.clone();
            if reverse {
                wanted.reverse();
            }
            for limit in 1..=6 {
                let (mut key, mut seen) = (vec![], vec![]);
                loop {
                    let page =
                        PageRequest { key: key.clone(), limit, reverse, ..PageRequest::default() };
                    let request =
                        v1::QueryProposalsRequest { pagination: Some(page), ..filter.clone() };
                    let answer = find(request);
                    assert!(ids(&answer).len() <= usize::try_from(limit).unwrap());
                    seen.extend(ids(&answer));
                    key = answer.pagination.unwrap().next_key;
                    if key.is_empty() {
                        break;
                    }
                }
                assert_eq!(seen, wanted, "{limit} {reverse}");
            }
            let page = PageRequest {
                offset: 1,
                limit: 1,
                count_total: true,
                reverse,
                ..PageRequest::default()
            };
            let request = v1::QueryProposalsRequest { pagination: Some(page), ..filter.clone() };
            let answer = find(request);
            assert_eq!(ids(&answer), wanted[1..2]);
            assert_eq!(answer.pagination.unwrap().total, wanted.len() as u64);
        }
    }
    for (page, why) in [
        (PageRequest { key: vec![1], ..PageRequest::default() }, "8 bytes"),
        (PageRequest { offset: 10_001, ..PageRequest::default() }, "page by key"),
        (PageRequest { key: vec![0; 8], offset: 1, ..PageRequest::default() }, "not both"),
    ] {
        let request = v1::QueryProposalsRequest { pagination: Some(page), ..all.clone() };
        let refused = v1::<_, v1::QueryProposalsResponse>(&chain, "Proposals", &request);
        assert!(refused.clone().unwrap_err().contains(why), "{refused:?}");
    }
}

#[test]
fn votes_deposits_and_tallies_are_told_while_they_last() {
    let chain = busy();
    let voter = operator(0).address.text();
    let one = v1::QueryVoteRequest { proposal_id: 2, voter: voter.clone() };
    let answer: v1::QueryVoteResponse = v1(&chain, "Vote", &one).unwrap();
    let weights: Vec<_> =
        answer.vote.unwrap().options.into_iter().map(|part| (part.option, part.weight)).collect();
    assert_eq!(
        weights,
        [(1, "0.250000000000000000".to_owned()), (4, "0.750000000000000000".to_owned())]
    );
    let answer: v1beta1::QueryVoteResponse =
        old(&chain, "Vote", &v1beta1::QueryVoteRequest { proposal_id: 2, voter: voter.clone() })
            .unwrap();
    let vote = answer.vote.unwrap();
    assert_eq!(vote.options[0].weight, "250000000000000000");
    #[allow(deprecated)]
    {
        assert_eq!(vote.option, 0, "several options are no one option");
        let request = v1beta1::QueryVotesRequest { proposal_id: 2, pagination: None };
        let answer: v1beta1::QueryVotesResponse = old(&chain, "Votes", &request).unwrap();
        let options: Vec<_> = answer.votes.iter().map(|vote| vote.option).collect();
        assert_eq!(options.iter().filter(|option| **option == 2).count(), 1, "{options:?}");
        assert_eq!(options.len(), 2);
    }
    let none = v1::QueryVoteRequest { proposal_id: 3, voter };
    let log = v1::<_, v1::QueryVoteResponse>(&chain, "Vote", &none).unwrap_err();
    assert!(log.contains("InvalidArgument") && log.contains("not found for proposal: 3"), "{log}");

    for (proposal_id, wanted) in [(1, 0), (2, 2), (3, 0), (9, 0)] {
        let request = v1::QueryVotesRequest { proposal_id, pagination: None };
        let answer: v1::QueryVotesResponse = v1(&chain, "Votes", &request).unwrap();
        assert_eq!(answer.votes.len(), wanted, "{proposal_id}");
    }
    for (proposal_id, wanted) in [(1, 0), (2, 1), (5, 2), (9, 0)] {
        let request = v1::QueryDepositsRequest { proposal_id, pagination: None };
        let answer: v1::QueryDepositsResponse = v1(&chain, "Deposits", &request).unwrap();
        let request = v1beta1::QueryDepositsRequest { proposal_id, pagination: None };
        let older: v1beta1::QueryDepositsResponse = old(&chain, "Deposits", &request).unwrap();
        assert_eq!((answer.deposits.len(), older.deposits.len()), (wanted, wanted));
    }
    let depositor = person(0).address.text();
    let request = v1::QueryDepositRequest { proposal_id: 5, depositor: depositor.clone() };
    let answer: v1::QueryDepositResponse = v1(&chain, "Deposit", &request).unwrap();
    assert_eq!(answer.deposit.unwrap().amount, vec![coin(DEPOSIT / 4)]);
    let request = v1beta1::QueryDepositRequest { proposal_id: 5, depositor: depositor.clone() };
    let answer: v1beta1::QueryDepositResponse = old(&chain, "Deposit", &request).unwrap();
    assert_eq!(answer.deposit.unwrap().amount, vec![coin(DEPOSIT / 4)]);
    let request = v1::QueryDepositRequest { proposal_id: 1, depositor };
    let log = v1::<_, v1::QueryDepositResponse>(&chain, "Deposit", &request).unwrap_err();
    assert!(log.contains("NotFound"), "{log}");

    // Live while it is voted on, final afterwards, nothing before.
    for (proposal_id, wanted) in
        [(1, [3_000, 0, 0, 0]), (2, [250, 3_000, 0, 750]), (3, [0; 4]), (4, [0; 4])]
    {
        let request = v1::QueryTallyResultRequest { proposal_id };
        let answer: v1::QueryTallyResultResponse = v1(&chain, "TallyResult", &request).unwrap();
        assert_eq!(counts(&answer.tally.unwrap()), wanted, "{proposal_id}");
        let request = v1beta1::QueryTallyResultRequest { proposal_id };
        let answer: v1beta1::QueryTallyResultResponse =
            old(&chain, "TallyResult", &request).unwrap();
        assert_eq!(answer.tally.unwrap().yes, (wanted[0] * XPL).to_string());
    }
}

#[test]
fn parameters_are_told_in_both_forms() {
    let mut genesis = genesis(params());
    genesis.governance.as_mut().unwrap().constitution = "Be kind.".into();
    let chain = Chain::new(&genesis);
    for kind in ["", "voting", "tallying", "deposit"] {
        let request = v1::QueryParamsRequest { params_type: kind.into() };
        let answer: v1::QueryParamsResponse = v1(&chain, "Params", &request).unwrap();
        let whole = answer.params.unwrap();
        assert_eq!(whole, params());
        assert_eq!(whole.quorum, "0.334000000000000000");
        #[allow(deprecated)]
        let parts = [
            answer.voting_params.is_some(),
            answer.tally_params.is_some(),
            answer.deposit_params.is_some(),
        ];
        assert_eq!(parts, ["voting", "tallying", "deposit"].map(|name| name == kind));
    }
    let older = |kind: &str| {
        let request = v1beta1::QueryParamsRequest { params_type: kind.into() };
        old::<_, v1beta1::QueryParamsResponse>(&chain, "Params", &request)
    };
    let tally = older("tallying").unwrap().tally_params.unwrap();
    assert_eq!(tally.quorum, b"334000000000000000");
    assert_eq!(tally.veto_threshold, b"334000000000000000");
    let voting = older("voting").unwrap().voting_params.unwrap();
    assert_eq!(voting.voting_period.unwrap().seconds, VOTING_S.cast_signed());
    let deposit = older("deposit").unwrap().deposit_params.unwrap();
    assert_eq!(deposit.min_deposit, vec![coin(DEPOSIT)]);
    assert!(older("").unwrap_err().contains("not a valid parameter type"));
    let request = v1::QueryParamsRequest { params_type: "all".into() };
    let log = v1::<_, v1::QueryParamsResponse>(&chain, "Params", &request).unwrap_err();
    assert!(log.contains("unknown params type"), "{log}");
    let answer: v1::QueryConstitutionResponse =
        v1(&chain, "Constitution", &v1::QueryConstitutionRequest {}).unwrap();
    assert_eq!(answer.constitution, "Be kind.");
}

/// Whatever a proposal holds, clients of v1beta1 can read it, and a list with it.
#[test]
fn old_clients_read_every_proposal() {
    let chain = busy();
    let request = v1beta1::QueryProposalsRequest::default();
    let answer: v1beta1::QueryProposalsResponse = old(&chain, "Proposals", &request).unwrap();
    let text = v1beta1::TextProposal::type_url();
    let publish = "/plasma.market.v1.MsgPublishModel".to_owned();
    let contents: Vec<_> = answer
        .proposals
        .iter()
        .map(|proposal| proposal.content.clone().unwrap().type_url)
        .collect();
    assert_eq!(contents, [&publish, &text, &text, &text, &publish].map(String::clone));
    let content = answer.proposals[2].content.clone().unwrap();
    let content = v1beta1::TextProposal::decode(content.value.as_slice()).unwrap();
    assert_eq!(
        (content.title.as_str(), content.description.as_str()),
        ("A plan", "What is planned")
    );
    assert_eq!(answer.proposals[4].voting_start_time.unwrap().seconds, -62_135_596_800);
    for proposal in &answer.proposals {
        let request = v1beta1::QueryProposalRequest { proposal_id: proposal.proposal_id };
        let answer: v1beta1::QueryProposalResponse = old(&chain, "Proposal", &request).unwrap();
        assert_eq!(answer.proposal.unwrap(), *proposal);
        let request = v1::QueryProposalRequest { proposal_id: proposal.proposal_id };
        let answer: v1::QueryProposalResponse = v1(&chain, "Proposal", &request).unwrap();
        let newer = answer.proposal.unwrap();
        assert_eq!(
            (newer.status, newer.total_deposit),
            (proposal.status, proposal.total_deposit.clone())
        );
    }
    for (proposal_id, why) in [(0, "InvalidArgument"), (9, "NotFound")] {
        let request = v1::QueryProposalRequest { proposal_id };
        let log = v1::<_, v1::QueryProposalResponse>(&chain, "Proposal", &request).unwrap_err();
        assert!(log.contains(why), "{log}");
        let request = v1beta1::QueryProposalRequest { proposal_id };
        let log = old::<_, v1beta1::QueryProposalResponse>(&chain, "Proposal", &request);
        assert!(log.clone().unwrap_err().contains(why), "{log:?}");
    }
    let _ = chain::export(&chain.store);
}
