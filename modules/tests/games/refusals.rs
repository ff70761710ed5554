use crate::arena::*;

#[track_caller]
fn refused_as<T: std::fmt::Debug>(result: Result<T, Refusal>, code: u32) {
    refused(result, "game", code);
}

#[test]
fn how_a_model_is_recomputed_is_the_publishers_and_said_once() {
    let mut arena = Arena::unset();
    refused_as(arena.set_referee(USERS[0], shape()), 4);
    refused_as(arena.set_referee(PUBLISHER, RefereeShape { layers: 0, ..shape() }), 5);
    arena.set_referee(PUBLISHER, shape()).unwrap();
    refused_as(arena.set_referee(PUBLISHER, RefereeShape { layers: 3, ..shape() }), 6);
    let good = MsgSetReferee {
        publisher: PUBLISHER.text(),
        model_id: vec![1; 32],
        shape: Some(shape()),
        weights_root: vec![1; 32],
        eos_tokens: vec![3],
    };
    let unknown = game::SetReferee::new(good.clone()).unwrap();
    refused_as(arena.net.run(PUBLISHER, |ctx| game::set_referee(ctx, unknown)), 3);
    let many: Vec<u32> = (0..17).collect();
    for bad in [
        MsgSetReferee { shape: None, ..good.clone() },
        MsgSetReferee { model_id: vec![1; 31], ..good.clone() },
        MsgSetReferee { weights_root: vec![1; 33], ..good.clone() },
        MsgSetReferee { eos_tokens: vec![], ..good.clone() },
        MsgSetReferee { eos_tokens: vec![4, 3], ..good.clone() },
        MsgSetReferee { eos_tokens: vec![3, 3], ..good.clone() },
        MsgSetReferee { eos_tokens: vec![300], ..good.clone() },
        MsgSetReferee { eos_tokens: many, ..good.clone() },
    ] {
        refused_as(game::SetReferee::new(bad).map_err(Refusal::from), 2);
    }
}

#[test]
fn only_claims_that_the_chain_can_recompute_are_challenged() {
    let root = Player::honest().root();
    // Before it was said how, or in the same block.
    let mut arena = Arena::unset();
    arena.claim(|_| ());
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 9);
    arena.set_referee(PUBLISHER, shape()).unwrap();
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 9);

    let mut arena = Arena::with(|msg| {
        msg.receipt.as_mut().unwrap().kernel_id = "candle/1".into();
    });
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 10);

    let mut arena = Arena::new();
    let drawn = Sampling { temperature_milli: 800, top_p_milli: 1_000, seed: 1 };
    let job = job_for(USERS[0], &arena.net.model());
    arena.claim_for(MsgSubmitJob { sampling: Some(drawn), ..job }, |_| ());
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 11);

    let mut arena = Arena::unset();
    arena.set_referee(PUBLISHER, RefereeShape { rows: N_PROMPT + N_OUT - 2, ..shape() }).unwrap();
    arena.end(1);
    arena.claim(|_| ());
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 5);
}

#[test]
fn a_challenge_needs_a_claim_and_a_bond() {
    let root = Player::honest().root();
    let mut arena = Arena::new();
    refused_as(arena.challenge_as(CHALLENGER, root, BOND - 1), 15);
    refused_as(arena.challenge_as(PROVIDER, root, BOND), 14);
    refused(arena.challenge_as(Address([77; 20]), root, BOND), "sdk", 5);
    refused_as(
        arena.challenge_as(CHALLENGER, root, BOND).and(arena.challenge_as(USERS[2], root, BOND)),
        13,
    );
    let id = std::mem::replace(&mut arena.id, 99);
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 7);
    arena.id = arena.net.submit(job_for(USERS[0], &arena.net.model())).unwrap();
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 8);
    arena.id = id;
    arena.end(5);
    assert_eq!(arena.game().state(), GameState::Ended);
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 8);
    for (challenger, trace_root, bond) in
        [(CHALLENGER.text(), vec![1; 31], "5"), (CHALLENGER.text(), vec![], "5")]
    {
        let bond_uxpl = bond.to_owned();
        let msg = MsgChallenge { challenger, job_id: 1, trace_root, bond_uxpl };
        refused_as(game::Challenge::new(msg).map_err(Refusal::from), 2);
    }
    let msg = MsgChallenge {
        challenger: CHALLENGER.text(),
        job_id: 1,
        trace_root: vec![1; 32],
        bond_uxpl: "-1".into(),
    };
    refused(game::Challenge::new(msg).map_err(Refusal::from), "sdk", 10);
}

#[test]
fn an_audited_claim_is_not_challenged_and_a_challenged_one_not_audited() {
    let root = Player::honest().root();
    let mut arena = Arena::new();
    let id = arena.id;
    arena.net.run(Address::default(), |ctx| market::hold(ctx, id)).unwrap();
    refused_as(arena.challenge_as(CHALLENGER, root, BOND), 13);
    arena.net.run(Address::default(), |ctx| market::release(ctx, id)).unwrap();
    arena.challenge_as(CHALLENGER, root, BOND).unwrap();
    refused(arena.net.run(Address::default(), |ctx| market::hold(ctx, id)), "market", 34);
}

#[test]
fn moves_of_others_early_late_or_twice_are_refused() {
    let honest = Player::honest();
    let wrong = honest.but(Tile { token: 7, operator: 9, index: 3 });
    let mut arena = Arena::new();
    let defence = arena.defend_msg(wrong.root());
    refused_as(arena.defend_as(defence.clone()), 16);
    arena.challenge(&honest);
    let early = arena.descend_msg(&honest);
    refused_as(arena.descend_as(early), 17);
    let forged = MsgDefend { signature: vec![1; 64], ..defence.clone() };
    refused_as(arena.defend_as(forged), 19);
    let other = MsgDefend { trace_root: vec![1; 32], ..defence.clone() };
    refused_as(arena.defend_as(other), 19);
    for bad in [
        MsgDefend { signature: vec![], ..defence.clone() },
        MsgDefend { trace_root: vec![1; 31], ..defence.clone() },
    ] {
        refused_as(arena.defend_as(bad), 2);
    }
    let carried = MsgDefend { carrier: USERS[0].text(), ..defence.clone() };
    arena.defend_as(carried).unwrap();
    refused_as(arena.defend_as(defence), 17);

    let good = arena.descend_msg(&honest);
    let stranger = MsgDescend { sender: USERS[0].text(), ..good.clone() };
    refused_as(arena.descend_as(stranger), 20);
    let forged = MsgDescend { signature: vec![1; 64], ..good.clone() };
    refused_as(arena.descend_as(forged), 19);
    // The challenger's children are not the provider's.
    refused_as(arena.descend_as(by_provider(good.clone())), 23);
    let elsewhere = MsgDescend { path: vec![1], ..good.clone() };
    refused_as(arena.descend_as(elsewhere), 21);
    let mut fewer = good.clone();
    fewer.children.pop();
    refused_as(arena.descend_as(fewer), 5);
    let mut order = good.clone();
    order.children.swap(0, 1);
    refused_as(arena.descend_as(order), 23);
    let mut short = good.clone();
    short.children[0].pop();
    for bad in [
        short,
        MsgDescend { children: vec![], ..good.clone() },
        MsgDescend { path: vec![0; 99], ..good.clone() },
        MsgDescend { signature: vec![1; 63], ..good.clone() },
    ] {
        refused_as(arena.descend_as(bad), 2);
    }
    arena.descend_as(good.clone()).unwrap();
    refused_as(arena.descend_as(good.clone()), 22);
    arena.provider_descends(&wrong);
    // The next round.
    refused_as(arena.descend_as(good), 21);
    let late = arena.descend_msg(&honest);
    arena.net.block.height += 3;
    arena.net.block.time_s += 6;
    refused_as(arena.descend_as(late), 18);
}

#[test]
fn a_genesis_with_games_that_cannot_be_is_refused() {
    let honest = Player::honest();
    let wrong = honest.but(Tile { token: 7, operator: 9, index: 3 });
    let mut arena = Arena::new();
    arena.opened(&honest, &wrong);
    arena.challenger_descends(&honest);
    let good = chain::export(&arena.net.store);
    let refused = |change: fn(&mut Game, &mut Vec<RefereeModel>)| {
        let mut genesis = good.clone();
        let attestation = genesis.attestation.as_mut().unwrap();
        change(&mut attestation.games[0], &mut attestation.referees);
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN, 2_000, &genesis).expect_err("must be refused").code
    };
    let changes: [fn(&mut Game, &mut Vec<RefereeModel>); 13] = [
        |game, _| game.state = 0,
        |game, _| game.params = None,
        |game, _| game.path = vec![9, 9, 9, 9, 9, 9, 9, 9, 9],
        |game, _| game.provider_root = vec![],
        |game, _| game.provider_node = game.challenger_node.clone(),
        |game, _| game.challenger_children.truncate(1),
        |game, _| game.bond_uxpl = "x".into(),
        |game, _| game.n_out = 0,
        |game, _| game.id = 77,
        |_, referees| referees.clear(),
        |_, referees| referees.push(referees[0].clone()),
        |_, referees| referees[0].shape = None,
        |_, referees| referees[0].weights_root = vec![],
    ];
    for change in changes {
        assert_eq!(refused(change), 28);
    }
}
