//! `StakeAuthorization`: stake that another may move.

use plasma_proto::cosmos::{
    authz::v1beta1::{Grant, MsgGrant, QueryGrantsRequest, QueryGrantsResponse},
    staking::v1beta1::{
        AuthorizationType, MsgBeginRedelegate, MsgCancelUnbondingDelegation, MsgDelegate,
        MsgUndelegate, StakeAuthorization,
        stake_authorization::{Policy, Validators},
    },
};

use super::{authz::exec, *};
use crate::common::validator;

const DELEGATE: &str = "/cosmos.staking.v1beta1.MsgDelegate";

fn list(of: &[&Account]) -> Validators {
    Validators { address: of.iter().map(|one| one.address.operator_text()).collect() }
}

fn may(kind: AuthorizationType, most: Option<u128>, policy: Option<Policy>) -> StakeAuthorization {
    StakeAuthorization { max_tokens: most.map(coin), authorization_type: kind.into(), policy }
}

fn grant(from: &Account, to: &Account, what: &StakeAuthorization) -> Any {
    let grant = Some(Grant { authorization: Some(any(what)), expiration: None });
    any(&MsgGrant { granter: from.address.text(), grantee: to.address.text(), grant })
}

fn delegate(who: &Account, to: &Account, units: u128) -> Any {
    any(&MsgDelegate {
        delegator_address: who.address.text(),
        validator_address: to.address.operator_text(),
        amount: Some(coin(units)),
    })
}

fn undelegate(who: &Account, from: &Account, units: u128) -> Any {
    any(&MsgUndelegate {
        delegator_address: who.address.text(),
        validator_address: from.address.operator_text(),
        amount: Some(coin(units)),
    })
}

fn redelegate(who: &Account, from: &Account, to: &Account, units: u128) -> Any {
    any(&MsgBeginRedelegate {
        delegator_address: who.address.text(),
        validator_src_address: from.address.operator_text(),
        validator_dst_address: to.address.operator_text(),
        amount: Some(coin(units)),
    })
}

fn cancel(who: &Account, at: &Account, units: u128, height: u64) -> Any {
    any(&MsgCancelUnbondingDelegation {
        delegator_address: who.address.text(),
        validator_address: at.address.operator_text(),
        amount: Some(coin(units)),
        creation_height: height.cast_signed(),
    })
}

/// Alice, bob, and two validators.
fn begin() -> (Chain, [Account; 4]) {
    let [alice, bob, v, w] = [1, 2, 0xe0, 0xe1].map(Account::new);
    let holders: Vec<_> = [&alice, &bob]
        .iter()
        .map(|one| (one.address, plasma_modules::Amount::new(100 * XPL)))
        .collect();
    let mut first = vec![validator(0xe0), validator(0xe1)];
    first.sort_by_key(|one| Address::parse(&one.operator).unwrap());
    let chain = Chain::new(&chain::new_genesis(&holders, first).unwrap());
    (chain, [alice, bob, v, w])
}

fn stored(chain: &Chain, from: &Account, to: &Account) -> Result<StakeAuthorization, String> {
    let request = QueryGrantsRequest {
        granter: from.address.text(),
        grantee: to.address.text(),
        msg_type_url: DELEGATE.into(),
        pagination: None,
    };
    let path = "/cosmos.authz.v1beta1.Query/Grants";
    let mut found = ask::<_, QueryGrantsResponse>(chain, path, &request)?.grants;
    Ok(read(&found.remove(0).authorization.unwrap()))
}

#[test]
fn stake_goes_to_whom_the_grant_names_up_to_its_limit() {
    let (mut chain, [alice, bob, v, w]) = begin();
    let these = may(AuthorizationType::Delegate, Some(10), Some(Policy::AllowList(list(&[&v]))));
    done(&mut chain, &alice, vec![grant(&alice, &bob, &these)]);
    assert_eq!(stored(&chain, &alice, &bob).unwrap(), these);
    let stake = |chain: &mut Chain, to: &Account, units| {
        run(chain, &bob, vec![exec(&bob, vec![delegate(&alice, to, units)])])
    };
    assert_eq!(code(&stake(&mut chain, &w, 1)), ("sdk", 4));
    assert_eq!(code(&stake(&mut chain, &v, 11)), ("sdk", 5));
    assert_eq!(code(&stake(&mut chain, &v, 4)).1, 0);
    let left = StakeAuthorization { max_tokens: Some(coin(6)), ..these };
    assert_eq!(stored(&chain, &alice, &bob).unwrap(), left);
    assert_eq!(code(&stake(&mut chain, &v, 7)), ("sdk", 5));
    let last = stake(&mut chain, &v, 6);
    assert_eq!(last.code, 0);
    assert!(last.events.iter().any(|event| event.kind == "cosmos.authz.v1beta1.EventRevoke"));
    assert_eq!(code(&stake(&mut chain, &v, 1)), ("authz", 2));
    // Another kind was never granted.
    let other = exec(&bob, vec![undelegate(&alice, &v, 1)]);
    assert_eq!(code(&run(&mut chain, &bob, vec![other])), ("authz", 2));
    assert_eq!(chain.exported(), chain.timeless());
}

#[test]
fn a_deny_list_keeps_out_and_no_limit_is_no_limit() {
    let (mut chain, [alice, bob, v, w]) = begin();
    let others = may(AuthorizationType::Delegate, None, Some(Policy::DenyList(list(&[&v]))));
    done(&mut chain, &alice, vec![grant(&alice, &bob, &others)]);
    let act = |to: &Account| exec(&bob, vec![delegate(&alice, to, 20 * XPL)]);
    assert_eq!(code(&run(&mut chain, &bob, vec![act(&v)])), ("sdk", 4));
    done(&mut chain, &bob, vec![act(&w)]);
    done(&mut chain, &bob, vec![act(&w)]);
    assert_eq!(stored(&chain, &alice, &bob).unwrap(), others);
    // Without a list, or with an empty one, every validator is open.
    for policy in [None, Some(Policy::AllowList(list(&[]))), Some(Policy::DenyList(list(&[])))] {
        let all = may(AuthorizationType::Delegate, None, policy);
        done(&mut chain, &alice, vec![grant(&alice, &bob, &all)]);
        assert_eq!(stored(&chain, &alice, &bob).unwrap(), all);
        let one = exec(&bob, vec![delegate(&alice, &v, 1), delegate(&alice, &w, 1)]);
        done(&mut chain, &bob, vec![one]);
    }
}

/// Of a move, the validator that the stake goes to counts.
#[test]
fn each_kind_is_for_its_message_alone() {
    let (mut chain, [alice, bob, v, w]) = begin();
    done(&mut chain, &alice, vec![delegate(&alice, &v, 50 * XPL)]);
    let to_w = || Some(Policy::AllowList(list(&[&w])));
    let at_v = || Some(Policy::AllowList(list(&[&v])));
    done(
        &mut chain,
        &alice,
        vec![
            grant(&alice, &bob, &may(AuthorizationType::Redelegate, None, to_w())),
            grant(&alice, &bob, &may(AuthorizationType::Undelegate, Some(XPL), at_v())),
            grant(
                &alice,
                &bob,
                &may(AuthorizationType::CancelUnbondingDelegation, Some(XPL), at_v()),
            ),
        ],
    );
    let act = |chain: &mut Chain, msg| run(chain, &bob, vec![exec(&bob, vec![msg])]);
    assert_eq!(code(&act(&mut chain, delegate(&alice, &w, 1))), ("authz", 2));
    assert_eq!(code(&act(&mut chain, redelegate(&alice, &w, &v, 1))), ("sdk", 4));
    assert_eq!(act(&mut chain, redelegate(&alice, &v, &w, XPL)).code, 0);
    assert_eq!(code(&act(&mut chain, undelegate(&alice, &w, 1))), ("sdk", 4));
    assert_eq!(act(&mut chain, undelegate(&alice, &v, XPL)).code, 0);
    let height = chain.height;
    assert_eq!(act(&mut chain, cancel(&alice, &v, XPL / 2, height)).code, 0);
    assert_eq!(code(&act(&mut chain, cancel(&alice, &v, XPL, height))), ("sdk", 5));
}

#[test]
fn grants_of_stake_that_cannot_be_are_refused() {
    let (mut chain, [alice, bob, v, _]) = begin();
    let delegates = |most, policy| may(AuthorizationType::Delegate, most, policy);
    let many: Vec<Account> = (1..=17).map(Account::new).collect();
    let many: Vec<&Account> = many.iter().collect();
    let account = Validators { address: vec![alice.address.text()] };
    let foreign = StakeAuthorization {
        max_tokens: Some(plasma_proto::cosmos::base::v1beta1::Coin {
            denom: "other".into(),
            amount: "5".into(),
        }),
        ..delegates(None, None)
    };
    let unknown = StakeAuthorization { authorization_type: 9, ..delegates(None, None) };
    for (name, what, expected) in [
        ("no kind", may(AuthorizationType::Unspecified, None, None), ("authz", 4)),
        ("an unknown kind", unknown, ("authz", 4)),
        ("another coin", foreign, ("sdk", 10)),
        ("too many", delegates(None, Some(Policy::DenyList(list(&many)))), ("authz", 21)),
        ("twice", delegates(None, Some(Policy::AllowList(list(&[&v, &v])))), ("sdk", 18)),
        ("an account", delegates(None, Some(Policy::AllowList(account))), ("sdk", 7)),
    ] {
        let result = run(&mut chain, &alice, vec![grant(&alice, &bob, &what)]);
        assert_eq!(code(&result), expected, "{name}: {}", result.log);
    }
}
