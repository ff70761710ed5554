//! An upgrade at a height: who goes on, who stops, and that history stays what it was.

use plasma_modules::{
    Address, Coded as _, Memory, Read as _, Table, View, Write,
    chain::{self, BlockInput, BlockOutput},
    governance::upgrade::{self, Due, Upgrade},
    query::Router,
    rules, tx,
};
use plasma_proto::cosmos::upgrade::v1beta1::{
    MsgCancelUpgrade, MsgSoftwareUpgrade, Plan, QueryAppliedPlanRequest, QueryAppliedPlanResponse,
    QueryAuthorityRequest, QueryAuthorityResponse, QueryCurrentPlanRequest,
    QueryCurrentPlanResponse, QueryModuleVersionsRequest, QueryModuleVersionsResponse,
    QueryUpgradedConsensusStateRequest,
};

use super::*;
use crate::common::{CHAIN_ID, any, send};

/// A key that only the migration writes, in a table of the chain's own.
const MARK: [u8; 2] = [Table::Beacon as u8, 0xff];

fn migrate(store: &mut dyn Write) {
    store.set(MARK.into(), Some(vec![2]));
}

/// What a later release knows.
const LATER: &[Upgrade] = &[Upgrade { name: "second", version: 2, migrate }];

fn plan(name: &str, height: i64) -> Plan {
    #[allow(deprecated)]
    Plan {
        name: name.into(),
        time: None,
        height,
        info: "https://plasma.example/second".into(),
        upgraded_client_state: None,
    }
}

fn schedule(plan: Plan) -> Any {
    any(&MsgSoftwareUpgrade { authority: authority().text(), plan: Some(plan) })
}

fn input<'a>(chain: &'a Chain, txs: &'a [&'a [u8]], upgrades: &'a [Upgrade]) -> BlockInput<'a> {
    BlockInput { upgrades, ..chain.next(txs) }
}

/// The next block, as a release that knows `upgrades` makes it.
fn block(chain: &mut Chain, txs: &[Vec<u8>], upgrades: &[Upgrade]) -> BlockOutput {
    let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
    let from = chain.clone();
    let input = input(&from, &txs, upgrades);
    upgrade::due(&chain.store, input.height, upgrades).unwrap();
    let output = chain::execute_block(&chain.store, &input, &tx::NoMemory);
    (chain.height, chain.time_s) = (input.height, input.time_s);
    chain.store.apply(output.writes.clone());
    chain::check_invariants(&chain.store).unwrap();
    output
}

fn payment(chain: &Chain) -> Vec<u8> {
    let alice = alice();
    chain.draft(&alice, vec![send(&alice, Address([9; 20]), 1_000)]).sign(&alice)
}

#[test]
fn the_old_stops_and_the_new_goes_on() {
    let mut old = chain();
    govern(&mut old, &schedule(plan("second", 4))).unwrap();
    let mut new = old.clone();
    // Up to the height both make the same blocks, byte by byte.
    for _ in 1..4 {
        let tx = payment(&old);
        let tx = std::slice::from_ref(&tx);
        let (a, b) = (block(&mut old, tx, &[]), block(&mut new, tx, LATER));
        assert_eq!(a.writes, b.writes);
        assert_eq!(a.consensus, None);
    }
    assert!(new.store.get(&MARK).is_none(), "no release runs ahead");
    let unknown = upgrade::due(&old.store, 4, &[]).unwrap_err();
    let info = "https://plasma.example/second".to_owned();
    assert_eq!(unknown, Due::Unknown { name: "second".into(), height: 4, info });
    for word in ["\"second\"", "height 4", "https://plasma.example/second", "install"] {
        assert!(unknown.to_string().contains(word), "{unknown}");
    }

    // The proposal that the new one makes is one that it accepts, and what both halves did is one.
    let tx = payment(&new);
    let txs = [tx.as_slice()];
    let (taken, _) =
        chain::prepare(&new.store, &input(&new, &[], LATER), None, &txs, 1 << 20, &tx::NoMemory)
            .unwrap();
    assert_eq!(taken, txs);
    let judged = input(&new, &taken, LATER);
    let opened = chain::process(&new.store, &judged, &tx::NoMemory).unwrap();
    let in_halves = chain::close_block(&new.store, opened, &judged);
    let output = block(&mut new, &[tx], LATER);
    assert_eq!(in_halves.writes, output.writes);
    assert_eq!(output.txs[0].code, 0);
    assert_eq!(new.store.get(&MARK), Some(vec![2]));
    assert_eq!(output.events[0].kind, "upgrade_applied");
    let told = output.consensus.unwrap();
    assert_eq!(told.version.unwrap().app, 2, "headers say which rules they follow");
    assert!(told.block.is_some() && told.evidence.is_some() && told.validator.is_some());
    assert_eq!(rules::version(&new.store), 2);
    assert_eq!(upgrade::applied(&new.store, "second"), Some(4));
    assert_eq!(upgrade::plan(&new.store), None);
    for _ in 0..3 {
        assert_eq!(block(&mut new, &[], LATER).consensus, None);
    }
    // An old program that is started on the new state does nothing either.
    let behind = upgrade::due(&new.store, new.height + 1, &[]).unwrap_err();
    assert_eq!(behind, Due::Behind { state: 2, known: 1 });
    // What only this test's migration knows is in no genesis.
    new.store.set(MARK.into(), None);
    assert!(new.timeless() == new.exported());
}

#[test]
fn a_replay_by_the_new_release_makes_every_old_block() {
    let begin = || {
        let mut chain = chain();
        govern(&mut chain, &schedule(plan("second", 3))).unwrap();
        chain
    };
    let (mut live, mut history) = (begin(), Vec::new());
    for height in 1..8 {
        let known = if height < 3 { &[] } else { LATER };
        let txs = vec![payment(&live)];
        let output = block(&mut live, &txs, known);
        history.push((txs, output.writes));
    }
    let mut replay = begin();
    for (txs, writes) in history {
        assert_eq!(block(&mut replay, &txs, LATER).writes, writes);
    }
    assert_eq!(replay.store, live.store);
}

#[test]
fn an_upgrade_that_leads_nowhere_new_is_not_known() {
    let mut chain = chain();
    govern(&mut chain, &schedule(plan("same", 2))).unwrap();
    const SAME: &[Upgrade] = &[Upgrade { name: "same", version: 1, migrate }];
    block(&mut chain, &[], SAME);
    assert!(matches!(upgrade::due(&chain.store, 2, SAME), Err(Due::Unknown { .. })));
    assert!(matches!(upgrade::due(&chain.store, 2, LATER), Err(Due::Unknown { .. })));
}

#[test]
fn plans_are_made_replaced_cancelled_and_asked_for() {
    let mut chain = chain();
    let router = Router::new();
    fn ask<Q: prost::Message, A: prost::Message + Default>(
        router: &Router,
        store: &Memory,
        name: &str,
        question: &Q,
    ) -> Result<A, plasma_modules::query::QueryError> {
        let block = chain::current_block(store, CHAIN_ID, 1, 1);
        let path = format!("/cosmos.upgrade.v1beta1.Query/{name}");
        let bytes =
            router.call(&path, &View { store, block: &block }, &question.encode_to_vec())?;
        Ok(A::decode(bytes.as_slice()).unwrap())
    }
    let current = |chain: &Chain| {
        let answer: QueryCurrentPlanResponse =
            ask(&router, &chain.store, "CurrentPlan", &QueryCurrentPlanRequest {}).unwrap();
        answer.plan
    };
    assert_eq!(current(&chain), None);
    let cancel = any(&MsgCancelUpgrade { authority: authority().text() });
    assert_eq!(govern(&mut chain, &cancel).unwrap_err().code, 38);
    govern(&mut chain, &schedule(plan("first", 9))).unwrap();
    govern(&mut chain, &schedule(plan("second", 2))).unwrap();
    assert_eq!(current(&chain), Some(plan("second", 2)));
    govern(&mut chain, &cancel).unwrap();
    assert_eq!(current(&chain), None);
    govern(&mut chain, &schedule(plan("second", 2))).unwrap();
    assert_eq!(chain.timeless(), chain.exported());
    block(&mut chain, &[], LATER);
    block(&mut chain, &[], LATER);

    let applied = |name: &str| {
        let question = QueryAppliedPlanRequest { name: name.into() };
        let answer: QueryAppliedPlanResponse =
            ask(&router, &chain.store, "AppliedPlan", &question).unwrap();
        answer.height
    };
    assert_eq!((applied("second"), applied("first")), (2, 0));
    let versions = |module_name: &str| {
        let question = QueryModuleVersionsRequest { module_name: module_name.into() };
        ask(&router, &chain.store, "ModuleVersions", &question)
            .map(|answer: QueryModuleVersionsResponse| answer.module_versions)
    };
    assert_eq!(versions("market").unwrap()[0].version, 2);
    assert!(versions("").unwrap().len() > 5);
    assert!(versions("mystery").is_err());
    let who: QueryAuthorityResponse =
        ask(&router, &chain.store, "Authority", &QueryAuthorityRequest {}).unwrap();
    assert_eq!(who.address, authority().text());
    let gone = QueryUpgradedConsensusStateRequest { last_height: 1 };
    assert!(
        ask::<_, QueryAuthorityResponse>(&router, &chain.store, "UpgradedConsensusState", &gone)
            .is_err()
    );

    for (plan, why) in [
        (plan("second", 9), "already been completed"),
        (plan("late", 3), "in the past"),
        (plan("", 9), "name"),
        (plan(&"x".repeat(65), 9), "name"),
        (plan("two words", 9), "name"),
        (plan("never", 0), "greater than 0"),
        (plan("never", -1), "greater than 0"),
        (Plan { info: "x".repeat(2_049), ..plan("long", 9) }, "info"),
        (
            #[allow(deprecated)]
            Plan { time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }), ..plan("t", 9) },
            "time-based",
        ),
    ] {
        let refusal = govern(&mut chain, &schedule(plan)).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("sdk", 18), "{refusal}");
        assert!(refusal.log.contains(why), "{refusal}");
    }
    let none = any(&MsgSoftwareUpgrade { authority: authority().text(), plan: None });
    assert_eq!(govern(&mut chain, &none).unwrap_err().code, 18);
    let stranger = MsgSoftwareUpgrade { authority: alice().address.text(), plan: None };
    assert_eq!(upgrade::PlanUpgrade::new(stranger).unwrap_err().code(), 4);
}
