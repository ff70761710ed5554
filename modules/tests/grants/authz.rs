use plasma_proto::cosmos::{
    authz::v1beta1::{
        GenericAuthorization, Grant, MsgExec, MsgExecResponse, MsgGrant, MsgRevoke,
        QueryGranteeGrantsRequest, QueryGranteeGrantsResponse, QueryGranterGrantsRequest,
        QueryGranterGrantsResponse, QueryGrantsRequest, QueryGrantsResponse,
    },
    bank::v1beta1::{MsgSendResponse, SendAuthorization},
    base::abci::v1beta1::TxMsgData,
};

use super::*;

const SEND: &str = "/cosmos.bank.v1beta1.MsgSend";
const EXEC: &str = "/cosmos.authz.v1beta1.MsgExec";

fn generic(msg: &str) -> Any {
    any(&GenericAuthorization { msg: msg.into() })
}

fn sends(units: u128, to: &[Address]) -> Any {
    let allow_list = to.iter().map(Address::text).collect();
    any(&SendAuthorization { spend_limit: vec![coin(units)], allow_list })
}

fn grant_until(from: &Account, to: Address, what: Any, expiration: Option<Timestamp>) -> Any {
    let grant = Some(Grant { authorization: Some(what), expiration });
    any(&MsgGrant { granter: from.address.text(), grantee: to.text(), grant })
}

fn grant(from: &Account, to: Address, what: Any) -> Any {
    grant_until(from, to, what, None)
}

fn revoke(from: &Account, to: Address, msg_type_url: &str) -> Any {
    let msg_type_url = msg_type_url.into();
    any(&MsgRevoke { granter: from.address.text(), grantee: to.text(), msg_type_url })
}

pub fn exec(grantee: &Account, msgs: Vec<Any>) -> Any {
    any(&MsgExec { grantee: grantee.address.text(), msgs })
}

#[test]
fn a_grantee_sends_as_the_granter() {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = start(&[&alice, &bob, &carol]);
    let result = done(&mut chain, &alice, vec![grant(&alice, bob.address, generic(SEND))]);
    let granted = event(&result.events, "cosmos.authz.v1beta1.EventGrant");
    let quoted = |text: &str| format!("\"{text}\"");
    let expected = [
        ("grantee", quoted(&bob.address.text())),
        ("granter", quoted(&alice.address.text())),
        ("msg_type_url", quoted(SEND)),
        ("msg_index", "0".into()),
    ];
    assert_eq!(granted.attributes, expected);

    let (before, own) = (chain.balance(alice.address), chain.balance(bob.address));
    let msgs = vec![send(&alice, carol.address, 5), send(&bob, carol.address, 7)];
    let result = done(&mut chain, &bob, vec![send(&bob, carol.address, 1), exec(&bob, msgs)]);
    assert_eq!(chain.balance(alice.address), before - 5);
    assert_eq!(chain.balance(bob.address), own - 50_000 - 8);

    let data = TxMsgData::decode(result.data.as_slice()).unwrap();
    let response: MsgExecResponse = read(&data.msg_responses[1]);
    assert_eq!(response.results, vec![MsgSendResponse {}.encode_to_vec(); 2]);
    let of = |amount: &str| {
        let mut found = result.events.iter().filter(|event| event.kind == "transfer");
        found.find(|event| attribute(event, "amount") == amount).unwrap()
    };
    assert!(of("1uxpl").attributes.iter().all(|(key, _)| *key != "authz_msg_index"));
    for (amount, index, sender) in [("5uxpl", "0", &alice), ("7uxpl", "1", &bob)] {
        assert_eq!(attribute(of(amount), "authz_msg_index"), index);
        assert_eq!(attribute(of(amount), "msg_index"), "1");
        assert_eq!(attribute(of(amount), "sender"), sender.address.text());
    }
    let outer: Vec<_> = result
        .events
        .iter()
        .filter(|event| event.attributes.iter().any(|(key, _)| *key == "action"))
        .map(|event| (attribute(event, "action"), attribute(event, "sender")))
        .collect();
    let bob_text = bob.address.text();
    assert_eq!(outer, [(SEND, bob_text.as_str()), (EXEC, bob_text.as_str())]);
}

#[test]
fn a_spend_limit_is_used_up_and_names_its_recipients() {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = start(&[&alice, &bob, &carol]);
    done(&mut chain, &alice, vec![grant(&alice, bob.address, sends(10, &[carol.address]))]);
    let pay = |to: &Account, units| exec(&bob, vec![send(&alice, to.address, units)]);
    assert_eq!(code(&run(&mut chain, &bob, vec![pay(&carol, 11)])), ("sdk", 5));
    assert_eq!(code(&run(&mut chain, &bob, vec![pay(&bob, 1)])), ("sdk", 4));
    done(&mut chain, &bob, vec![pay(&carol, 4)]);
    assert_eq!(code(&run(&mut chain, &bob, vec![pay(&carol, 7)])), ("sdk", 5));
    let result = done(&mut chain, &bob, vec![pay(&carol, 6)]);
    event(&result.events, "cosmos.authz.v1beta1.EventRevoke");
    assert_eq!(code(&run(&mut chain, &bob, vec![pay(&carol, 1)])), ("authz", 2));
}

/// One refusal refuses all, and what was granted is as it was.
#[test]
fn one_refusal_refuses_all() {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = start(&[&alice, &bob, &carol]);
    done(&mut chain, &alice, vec![grant(&alice, bob.address, sends(10, &[]))]);
    let before = chain::export(&chain.store);
    let msgs = vec![send(&alice, carol.address, 4), send(&carol, bob.address, 1)];
    let result = run(&mut chain, &bob, vec![send(&bob, carol.address, 1), exec(&bob, msgs)]);
    assert_eq!(code(&result), ("authz", 2));
    assert!(result.log.contains("message index: 1") && result.data.is_empty(), "{}", result.log);
    assert_eq!(chain::export(&chain.store).authz, before.authz);
    assert_eq!(chain.balance(carol.address), 100 * XPL);
}

#[test]
fn nesting_and_number_are_bounded_and_gas_is_known() {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = start(&[&alice, &bob, &carol]);
    done(
        &mut chain,
        &alice,
        vec![grant(&alice, bob.address, generic(SEND)), grant(&alice, bob.address, generic(EXEC))],
    );
    done(&mut chain, &carol, vec![grant(&carol, alice.address, generic(SEND))]);
    // bob acts as alice, who acts as carol.
    let two = exec(&bob, vec![exec(&alice, vec![send(&carol, bob.address, 9)])]);
    let size = u64::try_from(chain.draft(&bob, vec![two.clone()]).sign(&bob).len()).unwrap();
    let result = done(&mut chain, &bob, vec![two]);
    assert_eq!(result.gas_used, 20_000 + 10 * size + 5_000 + 2 * (10_000 + 20_000) + 40_000);
    assert_eq!(chain.balance(carol.address), 100 * XPL - 50_000 - 9);

    let three = exec(&bob, vec![exec(&bob, vec![exec(&bob, vec![send(&bob, alice.address, 1)])])]);
    assert_eq!(code(&run(&mut chain, &bob, vec![three])), ("authz", 20));
    let many = |count| exec(&bob, vec![send(&bob, alice.address, 1); count]);
    let draft = chain.draft(&bob, vec![many(31), many(31)]);
    let tx = Draft { gas: 8_000_000, ..draft }.sign(&bob);
    assert_eq!(chain.block(&[tx])[0].code, 0);
    let result = run(&mut chain, &bob, vec![many(31), many(32)]);
    assert_eq!(code(&result), ("sdk", 18), "{}", result.log);
    assert_eq!(code(&run(&mut chain, &bob, vec![many(65)])), ("sdk", 18));
    assert_eq!(code(&run(&mut chain, &bob, vec![many(0)])), ("sdk", 18));
}

#[test]
fn grants_that_cannot_be_are_refused_with_written_codes() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    let to = bob.address;
    let stake =
        Any { type_url: "/cosmos.staking.v1beta1.StakeAuthorization".into(), value: vec![] };
    let empty = any(&SendAuthorization { spend_limit: vec![], allow_list: vec![] });
    let many: Vec<_> = (0..65).map(|n| Address([n; 20])).collect();
    let nothing = MsgGrant {
        granter: alice.address.text(),
        grantee: to.text(),
        grant: Some(Grant { authorization: None, expiration: None }),
    };
    let now = chain.time_s;
    let cases = [
        ("oneself", grant(&alice, alice.address, generic(SEND)), ("authz", 7)),
        ("a module", grant(&alice, Address::of_module("distribution"), generic(SEND)), ("sdk", 4)),
        (
            "an unknown type",
            grant(&alice, to, generic("/cosmos.gov.v1.MsgExecLegacyContent")),
            ("sdk", 29),
        ),
        ("stake moved in no way", grant(&alice, to, stake), ("authz", 4)),
        ("no authorization", grant(&alice, to, send(&alice, to, 1)), ("sdk", 2)),
        ("nothing", any(&nothing), ("sdk", 29)),
        ("no limit", grant(&alice, to, empty), ("sdk", 10)),
        ("twice", grant(&alice, to, sends(1, &[to, to])), ("sdk", 18)),
        ("too many", grant(&alice, to, sends(1, &many)), ("authz", 21)),
        ("the past", grant_until(&alice, to, generic(SEND), at(now)), ("authz", 3)),
        ("no grant", revoke(&alice, to, SEND), ("authz", 2)),
        ("no type", revoke(&alice, to, ""), ("sdk", 18)),
        ("not granted", exec(&alice, vec![send(&bob, to, 1)]), ("authz", 2)),
        (
            "an unknown message",
            exec(&alice, vec![Any { type_url: "/a.b".into(), value: vec![] }]),
            ("sdk", 2),
        ),
        ("a bad message inside", exec(&alice, vec![send(&alice, to, 0)]), ("sdk", 10)),
    ];
    for (name, msg, expected) in cases {
        let result = run(&mut chain, &alice, vec![msg]);
        assert_eq!(code(&result), expected, "{name}: {}", result.log);
    }
}

#[test]
fn a_grant_ends_after_its_last_second_or_when_it_is_taken_back() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    let last = chain.time_s + 3;
    let until = |last| grant_until(&alice, bob.address, generic(SEND), at(last));
    let act = || exec(&bob, vec![send(&alice, bob.address, 1)]);
    done(&mut chain, &alice, vec![until(last)]);
    assert_eq!(code(&run(&mut chain, &bob, vec![act()])).1, 0);
    assert_eq!(code(&run(&mut chain, &bob, vec![act()])).1, 0);
    assert_eq!(code(&run(&mut chain, &bob, vec![act()])), ("authz", 6));
    assert!(chain::export(&chain.store).authz.unwrap().grants.is_empty(), "not pruned");

    // A later grant takes the place of an earlier one, and its appointment.
    let first = until(chain.time_s + 3);
    done(&mut chain, &alice, vec![first]);
    done(&mut chain, &alice, vec![grant(&alice, bob.address, generic(SEND))]);
    chain.block_after(100, &[]);
    done(&mut chain, &bob, vec![act()]);
    done(&mut chain, &alice, vec![revoke(&alice, bob.address, SEND)]);
    assert_eq!(code(&run(&mut chain, &bob, vec![act()])), ("authz", 2));
}

#[test]
fn grants_past_their_time_go_in_bounded_steps() {
    let alice = Account::new(1);
    let mut chain = start(&[&alice]);
    let last = chain.time_s + 20;
    for part in 0..5u8 {
        let msgs = (0..50u8).map(|n| {
            let mut grantee = [part; 20];
            grantee[0] = n;
            grant_until(&alice, Address(grantee), generic(SEND), at(last))
        });
        let draft = chain.draft(&alice, msgs.collect());
        let tx = Draft { gas: 20_000_000, fee: XPL, ..draft }.sign(&alice);
        assert_eq!(chain.block(&[tx])[0].code, 0);
    }
    let count = |chain: &Chain| chain::export(&chain.store).authz.unwrap().grants.len();
    assert_eq!(count(&chain), 250);
    chain.block_after(20, &[]);
    assert_eq!(count(&chain), 50);
    chain.block(&[]);
    assert_eq!(count(&chain), 0);
}

#[test]
fn grants_are_listed_and_exported() {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = start(&[&alice, &bob]);
    let last = chain.time_s + 100;
    done(
        &mut chain,
        &alice,
        vec![
            grant(&alice, bob.address, sends(10, &[carol.address])),
            grant_until(&alice, bob.address, generic(EXEC), at(last)),
            grant(&alice, carol.address, generic(SEND)),
        ],
    );
    let (granter, grantee) = (alice.address.text(), bob.address.text());
    let grants = |msg_type_url: &str| {
        let msg_type_url = msg_type_url.into();
        let (granter, grantee) = (granter.clone(), grantee.clone());
        let request = QueryGrantsRequest { granter, grantee, msg_type_url, pagination: None };
        ask::<_, QueryGrantsResponse>(&chain, "/cosmos.authz.v1beta1.Query/Grants", &request)
    };
    assert_eq!(grants("").unwrap().grants.len(), 2);
    let one = grants(SEND).unwrap().grants.remove(0);
    let stored: SendAuthorization = read(&one.authorization.unwrap());
    assert_eq!(stored.allow_list, [carol.address.text()]);
    let missing = grants("/a.b").unwrap_err();
    let text = "rpc error: code = NotFound desc = authorization not found for /a.b type";
    assert!(missing.starts_with(text), "{missing}");

    let issued: QueryGranterGrantsResponse = ask(
        &chain,
        "/cosmos.authz.v1beta1.Query/GranterGrants",
        &QueryGranterGrantsRequest { granter: granter.clone(), pagination: None },
    )
    .unwrap();
    assert_eq!(issued.grants.len(), 3);
    let given: QueryGranteeGrantsResponse = ask(
        &chain,
        "/cosmos.authz.v1beta1.Query/GranteeGrants",
        &QueryGranteeGrantsRequest { grantee: grantee.clone(), pagination: limit(1) },
    )
    .unwrap();
    assert_eq!((given.grants[0].granter.as_str(), given.grants.len()), (granter.as_str(), 1));
    let key = given.pagination.unwrap().next_key;
    let page = Some(PageRequest { key, ..PageRequest::default() });
    let given: QueryGranteeGrantsResponse = ask(
        &chain,
        "/cosmos.authz.v1beta1.Query/GranteeGrants",
        &QueryGranteeGrantsRequest { grantee, pagination: page },
    )
    .unwrap();
    assert_eq!((given.grants.len(), given.pagination.unwrap().next_key), (1, vec![]));

    assert_eq!(chain.exported(), chain.timeless());
}
