//! Grants from the vote to the last uxpl, on every way out.

use std::time::{Duration, Instant};

use plasma_modules::{
    Address, Dec, Table, View,
    chain::{self},
    governance::grants::{self, EXPIRIES_PER_BLOCK_MAX},
    query::{QueryError, Router},
    staking::distribution,
};
use plasma_proto::{
    cosmos::distribution::v1beta1::{
        MsgCommunityPoolSpend, MsgFundCommunityPool, MsgUpdateParams as UpdateDistribution,
    },
    cosmos::mint::v1beta1::MsgUpdateParams as UpdateMint,
    plasma::governance::v1::{
        Grant, GrantStatus, Milestone, MsgApproveMilestone, MsgCancelGrant, MsgCreateGrant,
        MsgReleaseMilestone, QueryGrantRequest, QueryGrantResponse, QueryGrantsRequest,
        QueryGrantsResponse,
    },
};
use prost::Message as _;

use super::*;
use crate::common::{CHAIN_ID, TIME_S, any, coin};

const BUILDER: u8 = 2;
const REVIEWERS: [u8; 3] = [3, 4, 5];

fn text(seed: u8) -> String {
    Account::new(seed).address.text()
}

/// A chain whose community pool holds a hundred XPL.
fn funded() -> Chain {
    let people: Vec<Account> = (1..=6).map(Account::new).collect();
    let people: Vec<&Account> = people.iter().collect();
    let mut chain = Chain::new(&genesis(&people, 1_000 * XPL));
    let fund = MsgFundCommunityPool { amount: vec![coin(100 * XPL)], depositor: text(1) };
    assert_eq!(send(&mut chain, 1, any(&fund)), ("", 0));
    chain
}

/// The code of a message that an account sends.
fn send(chain: &mut Chain, seed: u8, message: Any) -> (&'static str, u32) {
    let account = Account::new(seed);
    let tx = chain.draft(&account, vec![message]).sign(&account);
    let result = chain.block(&[tx]).remove(0);
    (result.codespace, result.code)
}

fn terms() -> MsgCreateGrant {
    let part = |title: &str, xpl: u128| Milestone {
        title: title.into(),
        amount_uxpl: (xpl * XPL).to_string(),
    };
    MsgCreateGrant {
        authority: authority().text(),
        recipient: text(BUILDER),
        title: "A wallet for phones".into(),
        milestones: vec![part("design", 5), part("beta", 10), part("release", 25)],
        reviewers: REVIEWERS.map(text).into(),
        threshold: 2,
        deadline_unix_s: 0,
    }
}

fn approve(grant_id: u64, seed: u8, milestone: u32) -> Any {
    any(&MsgApproveMilestone { reviewer: text(seed), grant_id, milestone })
}

fn release(grant_id: u64, milestone: u32) -> Any {
    any(&MsgReleaseMilestone { authority: authority().text(), grant_id, milestone })
}

fn pool(chain: &Chain) -> u128 {
    distribution::community(&chain.store).units()
}

fn held(chain: &Chain) -> u128 {
    chain.balance(Address::of_module("grants"))
}

fn grant(chain: &Chain, id: u64) -> Grant {
    grants::grant(&chain.store, id).unwrap()
}

fn create(chain: &mut Chain, terms: &MsgCreateGrant) -> Result<Vec<Recorded>, Refusal> {
    govern(chain, &any(terms))
}

#[test]
fn reviewers_and_votes_release_milestones_in_order() {
    let mut chain = funded();
    let before = pool(&chain);
    let events = create(&mut chain, &terms()).unwrap();
    assert_eq!(events.last().unwrap().kind, "grant_created");
    assert_eq!((before - pool(&chain), held(&chain)), (40 * XPL, 40 * XPL));
    let start = chain.balance(Account::new(BUILDER).address);

    assert_eq!(send(&mut chain, 1, approve(1, 1, 0)), ("grants", 5), "no reviewer");
    assert_eq!(send(&mut chain, 3, approve(1, 3, 1)), ("grants", 4), "the roof before the walls");
    assert_eq!(send(&mut chain, 3, approve(2, 3, 0)), ("grants", 2));
    assert_eq!(send(&mut chain, 3, approve(1, 3, 0)), ("", 0));
    assert_eq!(send(&mut chain, 3, approve(1, 3, 0)), ("grants", 6), "one counts once");
    assert_eq!(chain.balance(Account::new(BUILDER).address), start);
    assert_eq!(grant(&chain, 1).approvals, [text(3)]);
    assert_eq!(chain.timeless(), chain.exported());
    assert_eq!(send(&mut chain, 5, approve(1, 5, 0)), ("", 0));
    assert_eq!(chain.balance(Account::new(BUILDER).address), start + 5 * XPL);
    assert!(grant(&chain, 1).approvals.is_empty(), "the next one is judged anew");
    assert_eq!(send(&mut chain, 4, approve(1, 4, 0)), ("grants", 4));

    // An approval that stays alone, then a vote.
    assert_eq!(send(&mut chain, 4, approve(1, 4, 1)), ("", 0));
    assert_eq!(govern(&mut chain, &release(1, 2)).unwrap_err().code, 4);
    govern(&mut chain, &release(1, 1)).unwrap();
    assert_eq!(chain.balance(Account::new(BUILDER).address), start + 15 * XPL);
    let events = govern(&mut chain, &release(1, 2)).unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert!(kinds.ends_with(&["milestone_released", "grant_closed"]), "{kinds:?}");
    assert_eq!(chain.balance(Account::new(BUILDER).address), start + 40 * XPL);
    assert_eq!((grant(&chain, 1).status(), held(&chain)), (GrantStatus::Done, 0));
    assert_eq!(govern(&mut chain, &release(1, 3)).unwrap_err().code, 3);
    assert_eq!(chain.timeless(), chain.exported());
}

#[test]
fn what_is_not_earned_returns() {
    let mut chain = funded();
    for _ in 0..2 {
        create(&mut chain, &terms()).unwrap();
    }
    let cancel = |id, sender: String| any(&MsgCancelGrant { sender, grant_id: id });
    assert_eq!(send(&mut chain, 3, cancel(1, text(3))), ("grants", 9));
    govern(&mut chain, &release(1, 0)).unwrap();
    let before = pool(&chain);
    // Minted rewards may come meanwhile, never less.
    assert_eq!(send(&mut chain, BUILDER, cancel(1, text(BUILDER))), ("", 0));
    assert!(pool(&chain) >= before + 35 * XPL);
    let first = grant(&chain, 1);
    assert_eq!(first.status(), GrantStatus::Cancelled);
    let (paid, back) = (5 * XPL, 35 * XPL);
    assert_eq!((first.paid_uxpl, first.returned_uxpl), (paid.to_string(), back.to_string()));
    let before = pool(&chain);
    govern(&mut chain, &cancel(2, authority().text())).unwrap();
    assert_eq!(pool(&chain), before + 40 * XPL);
    assert_eq!(held(&chain), 0);
    assert_eq!(send(&mut chain, 3, approve(2, 3, 0)), ("grants", 3));
    assert_eq!(send(&mut chain, BUILDER, cancel(1, text(BUILDER))), ("grants", 3));
}

#[test]
fn a_deadline_pays_up_to_its_second_and_returns_after_it() {
    let mut chain = funded();
    let deadline_unix_s = chain.time_s + 10;
    create(&mut chain, &MsgCreateGrant { deadline_unix_s, ..terms() }).unwrap();
    let late = |chain: &Chain| MsgCreateGrant { deadline_unix_s: chain.time_s, ..terms() };
    let refusal = create(&mut chain.clone(), &late(&chain)).unwrap_err();
    assert_eq!((refusal.codespace, refusal.code), ("grants", 8));
    assert_eq!(send(&mut chain, 3, approve(1, 3, 0)), ("", 0));
    chain.block_after(8, &[]);
    assert_eq!(chain.time_s + 1, deadline_unix_s);
    assert_eq!(send(&mut chain, 4, approve(1, 4, 0)), ("", 0), "the last second");
    assert_eq!(grant(&chain, 1).released, 1);
    let before = pool(&chain);
    // The block in which it has passed refuses and then returns.
    assert_eq!(send(&mut chain, 3, approve(1, 3, 1)), ("grants", 7));
    let expired = grant(&chain, 1);
    assert_eq!(expired.status(), GrantStatus::Expired);
    assert_eq!(expired.returned_uxpl, (35 * XPL).to_string());
    assert!(pool(&chain) >= before + 35 * XPL);
    assert_eq!(held(&chain), 0);
    assert_eq!(chain.timeless(), chain.exported());
}

#[test]
fn expiries_are_bounded_per_block_and_come_in_order() {
    let count = 3 * EXPIRIES_PER_BLOCK_MAX as u64 + 7;
    let mut genesis = genesis(&[&alice()], 1_000 * XPL);
    let token = genesis.token.as_mut().unwrap();
    token.balances.push(plasma_proto::plasma::genesis::v1::Balance {
        address: Address::of_module("grants").text(),
        coins: vec![coin(u128::from(count))],
    });
    token.balances.sort_by_key(|balance| Address::parse(&balance.address).unwrap());
    let governance = genesis.governance.as_mut().unwrap();
    governance.next_grant_id = count + 1;
    governance.grants = (1..=count)
        .map(|id| Grant {
            id,
            recipient: text(BUILDER),
            title: "a word".into(),
            milestones: vec![Milestone { title: "it".into(), amount_uxpl: "1".into() }],
            // The last ones first.
            deadline_unix_s: TIME_S + count - id,
            status: GrantStatus::Open.into(),
            paid_uxpl: "0".into(),
            returned_uxpl: "0".into(),
            ..Grant::default()
        })
        .collect();
    let mut chain = Chain::new(&genesis);
    chain.block_after(10_000, &[]);
    assert_eq!(held(&chain), u128::from(count) - EXPIRIES_PER_BLOCK_MAX as u128);
    assert_eq!(grant(&chain, count).status(), GrantStatus::Expired);
    assert_eq!(grant(&chain, 1).status(), GrantStatus::Open);
    // What waits is closed already for who asks: its deadline has passed.
    let late = govern(&mut chain, &release(1, 0)).unwrap_err();
    assert_eq!((late.codespace, late.code), ("grants", 7));
    let begin = Instant::now();
    for _ in 0..3 {
        chain.block(&[]);
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(held(&chain), 0);
}

#[test]
fn terms_that_are_none_are_refused() {
    let mut chain = funded();
    let good = terms();
    let amount = |text: &str| vec![Milestone { title: "m".into(), amount_uxpl: text.into() }];
    let many = |n: usize| vec![good.milestones[0].clone(); n];
    let module = Address::of_module("gov").text();
    for bad in [
        MsgCreateGrant { title: String::new(), ..good.clone() },
        MsgCreateGrant { title: "x".repeat(141), ..good.clone() },
        MsgCreateGrant { milestones: vec![], ..good.clone() },
        MsgCreateGrant { milestones: many(33), ..good.clone() },
        MsgCreateGrant { milestones: amount("0"), ..good.clone() },
        MsgCreateGrant { milestones: amount("-1"), ..good.clone() },
        MsgCreateGrant {
            milestones: [amount(&u128::MAX.to_string()), amount("1")].concat(),
            ..good.clone()
        },
        MsgCreateGrant { threshold: 0, ..good.clone() },
        MsgCreateGrant { threshold: 4, ..good.clone() },
        MsgCreateGrant { reviewers: vec![], ..good.clone() },
        MsgCreateGrant { reviewers: vec![text(3), text(3)], ..good.clone() },
        MsgCreateGrant { reviewers: vec![text(3), text(BUILDER)], ..good.clone() },
        MsgCreateGrant { reviewers: vec![text(3), module.clone()], ..good.clone() },
        MsgCreateGrant { reviewers: (10..26).map(text).collect(), ..good.clone() },
        MsgCreateGrant { recipient: module, ..good.clone() },
    ] {
        let refusal = create(&mut chain, &bad).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("grants", 8), "{refusal}: {bad:?}");
    }
    let dear = MsgCreateGrant { milestones: amount(&(101 * XPL).to_string()), ..good.clone() };
    let refusal = create(&mut chain, &dear).unwrap_err();
    assert_eq!((refusal.codespace, refusal.code), ("distribution", 9), "{refusal}");
    let stranger = MsgCreateGrant { authority: text(1), ..good };
    let refusal = create(&mut chain, &stranger).unwrap_err();
    assert_eq!((refusal.codespace, refusal.code), ("sdk", 4));
    assert_eq!(held(&chain), 0);
}

#[test]
fn grants_are_found_by_recipient_and_status() {
    let mut chain = funded();
    for seed in [BUILDER, 6, BUILDER] {
        let small = vec![Milestone { title: "m".into(), amount_uxpl: "7".into() }];
        let terms = MsgCreateGrant { recipient: text(seed), milestones: small, ..terms() };
        create(&mut chain, &terms).unwrap();
    }
    govern(&mut chain, &release(3, 0)).unwrap();
    let router = Router::new();
    let block = chain::current_block(&chain.store, CHAIN_ID, 1, 1);
    let view = View { store: &chain.store, block: &block };
    let ids = |recipient: &str, status: i32| -> Result<Vec<u64>, QueryError> {
        let ask = QueryGrantsRequest { recipient: recipient.into(), status, pagination: None };
        let path = "/plasma.governance.v1.Query/Grants";
        let bytes = router.call(path, &view, &ask.encode_to_vec())?;
        let answer = QueryGrantsResponse::decode(bytes.as_slice()).unwrap();
        Ok(answer.grants.into_iter().map(|grant| grant.id).collect())
    };
    assert_eq!(ids("", 0).unwrap(), [1, 2, 3]);
    assert_eq!(ids(&text(BUILDER), 0).unwrap(), [1, 3]);
    assert_eq!(ids("", GrantStatus::Open.into()).unwrap(), [1, 2]);
    assert_eq!(ids("", GrantStatus::Done.into()).unwrap(), [3]);
    assert!(ids(&text(BUILDER), 1).is_err());
    assert!(ids("", 9).is_err());
    assert!(ids("nobody", 0).is_err());
    let one = |grant_id| {
        let ask = QueryGrantRequest { grant_id }.encode_to_vec();
        router.call("/plasma.governance.v1.Query/Grant", &view, &ask)
    };
    let found = QueryGrantResponse::decode(one(3).unwrap().as_slice()).unwrap();
    assert_eq!(found.grant, Some(grant(&chain, 3)));
    assert!(one(4).is_err());
    assert_eq!(grants::grant_key(3)[0], Table::Grants.id());
}

#[test]
fn the_community_pool_pays_who_governance_names() {
    let mut chain = funded();
    let spend = |recipient: String, units: u128| {
        let (authority, amount) = (authority().text(), vec![coin(units)]);
        any(&MsgCommunityPoolSpend { authority, recipient, amount })
    };
    let before = chain.balance(Account::new(6).address);
    govern(&mut chain, &spend(text(6), 60 * XPL)).unwrap();
    assert_eq!(chain.balance(Account::new(6).address), before + 60 * XPL);
    let refusal = govern(&mut chain, &spend(text(6), 60 * XPL)).unwrap_err();
    assert_eq!((refusal.codespace, refusal.code), ("distribution", 9));
    let module = Address::of_module("grants").text();
    let refusal = govern(&mut chain, &spend(module, 1)).unwrap_err();
    assert_eq!((refusal.codespace, refusal.code), ("sdk", 4));
}

#[test]
fn rewards_and_inflation_move_step_by_step() {
    let mut chain = funded();
    let genesis = chain::export(&chain.store).staking.unwrap();
    let (mint, rewards) =
        (genesis.mint.unwrap().params.unwrap(), genesis.distribution.unwrap().params.unwrap());
    let authority = authority().text();
    let bps = |bps: u32| Dec::bps(bps).text();
    let tax = |community_tax: String| {
        let params = Some(plasma_proto::cosmos::distribution::v1beta1::Params {
            community_tax,
            ..rewards.clone()
        });
        any(&UpdateDistribution { authority: authority.clone(), params })
    };
    for (tax, code) in [(tax(bps(401)), 11), (tax(bps(2_501)), 10), (tax("x".into()), 12)] {
        let refusal = govern(&mut chain, &tax).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("params", code), "{refusal}");
        assert!(refusal.log.starts_with("community_tax"), "{refusal}");
    }
    let events = govern(&mut chain, &tax(bps(400))).unwrap();
    assert_eq!(events[0].attributes[1], ("community_tax", "0.02 -> 0.04".into()));

    type Mint = plasma_proto::cosmos::mint::v1beta1::Params;
    for (params, code) in [
        (Mint { inflation_max: bps(901), ..mint.clone() }, 11),
        (Mint { inflation_max: bps(2_001), ..mint.clone() }, 10),
        (Mint { goal_bonded: bps(6_501), ..mint.clone() }, 11),
        (Mint { goal_bonded: bps(999), ..mint.clone() }, 10),
        (Mint { blocks_per_year: 0, ..mint.clone() }, 10),
        (Mint { mint_denom: "uother".into(), ..mint.clone() }, 13),
    ] {
        let update = any(&UpdateMint { authority: authority.clone(), params: Some(params) });
        let refusal = govern(&mut chain, &update).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("params", code), "{refusal}");
    }
    let params = Mint { inflation_max: bps(900), inflation_min: bps(300), ..mint };
    let update = any(&UpdateMint { authority, params: Some(params.clone()) });
    govern(&mut chain, &update).unwrap();
    chain.block(&[]);
    assert_eq!(chain::export(&chain.store).staking.unwrap().mint.unwrap().params, Some(params));
}
