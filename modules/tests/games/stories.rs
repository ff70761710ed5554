use crate::arena::*;

/// Ends the game as a conviction, and checks where the money went.
fn convicted(arena: &Arena, reason: GameReason, before: [u128; 3], share: bool) {
    let game = arena.game();
    assert_eq!((game.state(), game.reason()), (GameState::Ended, reason));
    let hidden = reason == GameReason::Silent;
    let finding = if hidden { Finding::Hidden } else { Finding::Convicted };
    assert_eq!(game.finding(), finding);
    let [challenger, payer, supply] = before;
    let slash = 20 * XPL;
    assert_eq!(game.slashed_uxpl, slash.to_string());
    assert_eq!(arena.bond(), PROVIDER_BOND - slash);
    let part = if share { slash / 10 } else { 0 };
    assert_eq!(arena.net.balance(CHALLENGER), challenger + part);
    assert_eq!(arena.net.balance(USERS[0]), payer, "refunded");
    assert_eq!(arena.net.supply(), supply - (slash - part));
    assert_eq!(arena.net.job(arena.id).outcome(), Outcome::Voided);
    let Standing { era, audits_convicted, .. } = arena.standing();
    assert_eq!((era, audits_convicted), (1, 1));
}

/// Balances of challenger and payer before a claim, and the supply.
fn before(arena: &Arena) -> [u128; 3] {
    let job = arena.net.job(arena.id);
    let escrow: u128 = job.max_fee_uxpl.parse().unwrap();
    let payer = arena.net.balance(USERS[0]) + escrow;
    [arena.net.balance(CHALLENGER), payer, arena.net.supply()]
}

/// A tile somewhere in the middle.
fn somewhere() -> Tile {
    Tile { token: 7, operator: 9, index: 3 }
}

#[test]
fn players_go_down_to_the_tile_at_which_they_differ() {
    let honest = Player::honest();
    let last = honest.trace.tokens() - 1;
    let operators = honest.trace.operators(last);
    for tile in [
        Tile { token: 0, operator: 0, index: 0 },
        somewhere(),
        Tile { token: last, operator: operators - 2, index: 299 },
        Tile { token: last, operator: operators - 1, index: 1 },
    ] {
        let mut arena = Arena::new();
        let wrong = honest.but(tile);
        arena.opened(&honest, &wrong);
        arena.check_export();
        let rounds = arena.go_down(&honest, &wrong);
        arena.check_export();
        let game = arena.game();
        let node = game::node_at(&honest.trace, &game.path).unwrap();
        assert_eq!(honest.trace.tile_of(&node), Some(tile));
        assert_eq!(game.challenger_node, honest.name_of(&node));
        assert_eq!(game.provider_node, wrong.name_of(&node));
        assert!(rounds <= honest.trace.descents_max() as usize);
    }
}

#[test]
fn a_provider_that_does_not_defend_its_claim_loses() {
    let mut arena = Arena::new();
    let before = before(&arena);
    arena.challenge(&Player::honest());
    assert_eq!(arena.net.balance(CHALLENGER), before[0] - BOND);
    assert!(arena.net.job(arena.id).held);
    arena.check_export();
    arena.end(3);
    assert_eq!(arena.game().state(), GameState::Defend);
    arena.end(1);
    convicted(&arena, GameReason::Silent, before, true);
    arena.check_export();
}

#[test]
fn whoever_is_silent_on_the_way_down_loses() {
    let honest = Player::honest();
    let wrong = honest.but(somewhere());
    // The provider.
    let mut arena = Arena::new();
    let money = before(&arena);
    arena.opened(&honest, &wrong);
    arena.challenger_descends(&honest);
    arena.end(4);
    convicted(&arena, GameReason::Silent, money, true);

    // Both: the provider, and its challenger has nothing of it.
    let mut arena = Arena::new();
    let money = before(&arena);
    arena.opened(&honest, &wrong);
    arena.end(4);
    convicted(&arena, GameReason::Silent, money, false);

    // The challenger, in the second round.
    let mut arena = Arena::new();
    let provider = arena.net.balance(PROVIDER);
    let [challenger, _, supply] = before(&arena);
    arena.opened(&wrong, &honest);
    arena.challenger_descends(&wrong);
    arena.provider_descends(&honest);
    arena.provider_descends(&honest);
    arena.end(4);
    let game = arena.game();
    assert_eq!((game.state(), game.reason()), (GameState::Rest, GameReason::ChallengerSilent));
    assert_eq!(game.challenges_lost, 1);
    assert_eq!(arena.net.balance(CHALLENGER), challenger - BOND);
    assert_eq!(arena.net.balance(PROVIDER), provider + BOND / 2);
    assert_eq!(arena.net.supply(), supply - BOND / 2);
    assert_eq!(arena.bond(), PROVIDER_BOND);
    assert!(arena.net.job(arena.id).held, "another one may challenge it");
    arena.check_export();
    arena.end(3);
    assert_eq!(arena.game().finding(), Finding::Clean);
    arena.end(10);
    assert_eq!(arena.net.job(arena.id).state(), JobState::Settled);
    assert_eq!(
        arena.standing(),
        Standing { operator: PROVIDER.text(), clean_uxpl: "0".into(), ..Standing::default() },
        "nothing was found of it"
    );
    arena.check_export();
}

#[test]
fn at_the_tile_a_provider_must_show_it_is_right() {
    let honest = Player::honest();
    let wrong = honest.but(somewhere());
    let mut arena = Arena::new();
    let money = before(&arena);
    arena.opened(&honest, &wrong);
    arena.go_down(&honest, &wrong);
    arena.end(4);
    convicted(&arena, GameReason::Silent, money, false);
}

#[test]
fn a_lost_challenge_keeps_nobody_else_out() {
    let honest = Player::honest();
    let wrong = honest.but(somewhere());
    let mut arena = Arena::new();
    // The provider's friend challenges with the provider's own trace, and shows nothing.
    arena.challenge_as(USERS[2], wrong.root(), BOND).unwrap();
    refused(arena.challenge_as(CHALLENGER, honest.root(), BOND), "game", 13);
    arena.defend(&wrong);
    assert_eq!(arena.game().state(), GameState::Token);
    arena.check_export();
    // The window of disputes passes meanwhile.
    arena.end(4);
    assert_eq!(arena.game().state(), GameState::Rest);
    let before = before(&arena);
    arena.challenge(&honest);
    // Its root stands: it cannot choose another one now.
    let game = arena.game();
    assert_eq!((game.state(), game.challenges_lost), (GameState::Descend, 1));
    arena.check_export();
    arena.challenger_descends(&honest);
    arena.end(4);
    convicted(&arena, GameReason::Silent, before, true);
}

#[test]
fn a_window_waits_out_a_chain_that_stalls() {
    let mut arena = Arena::new();
    arena.challenge(&Player::honest());
    arena.net.block.time_s += 1_000;
    arena.end(3);
    assert_eq!(arena.game().state(), GameState::Defend, "the height has not come");
    let mut arena = Arena::new();
    arena.challenge(&Player::honest());
    for _ in 0..5 {
        arena.end(1);
        arena.net.block.time_s -= 2;
    }
    assert_eq!(arena.game().state(), GameState::Defend, "the time has not come");
    assert!(arena.game().waits_for_time);
    arena.check_export();
    arena.defend(&Player::honest());
    assert!(!arena.game().waits_for_time);
}

#[test]
fn an_output_that_does_not_end_where_it_must_is_false() {
    let end = |tokens: Vec<u32>, reason: FinishReason| {
        move |msg: &mut MsgSubmitReceipt| {
            msg.output.as_mut().unwrap().token_ids = tokens;
            msg.receipt.as_mut().unwrap().finish_reason = reason.into();
        }
    };
    let good: Vec<u32> = (0..N_OUT).collect();
    let mut early = good.clone();
    early[2] = EOS + 1;
    let mut none = good.clone();
    *none.last_mut().unwrap() = 100;
    let full: Vec<u32> = vec![50; 64];
    for (tokens, reason, is_well) in [
        (good.clone(), FinishReason::Eos, true),
        (good, FinishReason::Stop, true),
        (none.clone(), FinishReason::Stop, true),
        (early.clone(), FinishReason::Stop, false),
        (early, FinishReason::Eos, false),
        (none, FinishReason::Eos, false),
    ] {
        let mut arena = Arena::with(end(tokens.clone(), reason));
        let money = before(&arena);
        arena.challenge(&Player::honest());
        arena.defend(&Player::honest());
        if is_well {
            assert_eq!(arena.game().state(), GameState::Token, "{tokens:?}");
        } else {
            convicted(&arena, GameReason::OutputEnd, money, true);
        }
    }
    // All that was asked for.
    for (last, is_well) in [(50, true), (EOS, false)] {
        let mut arena = Arena::unset();
        arena.set_referee(PUBLISHER, shape()).unwrap();
        arena.end(1);
        let id = arena.net.submit(job_for(USERS[0], &arena.net.model())).unwrap();
        arena.end(2);
        let mut msg = arena.net.answer(&arena.net.job(id), 64);
        let mut tokens = full.clone();
        *tokens.last_mut().unwrap() = last;
        let receipt = msg.receipt.as_mut().unwrap();
        receipt.kernel_id = "referee/1".into();
        receipt.output_tokens_hash = tokens_hash(&tokens).into();
        msg.output.as_mut().unwrap().token_ids = tokens;
        arena.net.receipt(PROVIDER, signed(msg, PROVIDER)).unwrap();
        arena.id = id;
        arena.challenge(&Player::honest());
        arena.defend(&Player::honest());
        let due = if is_well { GameState::Token } else { GameState::Ended };
        assert_eq!(arena.game().state(), due);
    }
}

#[test]
fn so_many_games_go_a_step_further_as_a_block_may() {
    let mut arena = Arena::new();
    let mut ids = vec![arena.id];
    arena.challenge(&Player::honest());
    // Challenged in one block: all are due in one.
    let height = arena.net.block.height;
    for _ in 0..5 {
        let block = arena.net.block.clone();
        arena.claim(|_| ());
        arena.net.block = Block { height, ..block };
        arena.challenge(&Player::honest());
        ids.push(arena.id);
        arena.net.block.height += 2;
    }
    arena.net.block.time_s += 100;
    arena.net.block.height += 10;
    let open = |arena: &Arena| {
        let game = |id: &&u64| game::game(&arena.net.store, **id).unwrap();
        ids.iter().filter(|id| game(id).state() == GameState::Defend).count()
    };
    let many = open(&arena);
    assert!(many > 4, "{many}");
    arena.end(1);
    assert_eq!(open(&arena), many - 4);
    arena.end(1);
    assert_eq!(open(&arena), many.saturating_sub(8));
}

fn found(arena: &Arena, request: &QueryGamesRequest) -> Result<usize, String> {
    let view = View { store: &arena.net.store, block: &arena.net.block };
    let path = "/plasma.attestation.v1.Query/Games";
    let bytes = Router::new().call(path, &view, &request.encode_to_vec());
    let bytes = bytes.map_err(|error| error.message)?;
    Ok(QueryGamesResponse::decode(&bytes[..]).unwrap().games.len())
}

#[test]
fn who_defends_or_challenges_is_told_of_open_games_alone() {
    let honest = Player::honest();
    let mut arena = Arena::new();
    let of_provider =
        QueryGamesRequest { operator: PROVIDER.text(), ..QueryGamesRequest::default() };
    let of_challenger =
        QueryGamesRequest { challenger: CHALLENGER.text(), ..QueryGamesRequest::default() };
    let open =
        |request: &QueryGamesRequest| QueryGamesRequest { open_only: true, ..request.clone() };
    assert_eq!(found(&arena, &open(&of_provider)), Ok(0));
    arena.challenge(&honest.but(somewhere()));
    for request in [&of_provider, &of_challenger] {
        assert_eq!(found(&arena, request), Ok(1));
        assert_eq!(found(&arena, &open(request)), Ok(1));
    }
    // The provider is silent, and loses.
    arena.end(4);
    assert_eq!(arena.game().state(), GameState::Ended);
    for request in [&of_provider, &of_challenger] {
        assert_eq!(found(&arena, request), Ok(1));
        assert_eq!(found(&arena, &open(request)), Ok(0));
    }
    let refusal = found(&arena, &open(&QueryGamesRequest::default())).unwrap_err();
    assert!(refusal.contains("open_only goes with operator or challenger"), "{refusal}");
}
